"""Checks of the registry, of positions and lag, and of what could not be applied."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import sqlalchemy as sa

from projections import registry
from projections.catalog import JUDGE, PROJECTIONS, find
from projections.database import Query, Statement
from projections.doctor.findings import fail, ok, warn
from projections.lag import measure, standings, totals
from projections.task.tables import dead_letter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence

    from app.log.port import Log
    from projections.database import Database
    from projections.doctor.findings import Finding
    from projections.lag import Standing, TotalLag

LATE = 60.0
"""Seconds behind the log from which it is worth a look."""
PROVISION = "run `taskledger provision`"
_generation = registry.generation
_GENERATIONS = Statement(
    sa.select(_generation.c.projection, _generation.c.generation, _generation.c.definition, _generation.c.state)
    .where((_generation.c.state == "active") | (_generation.c.state == "standby"))
    .order_by(_generation.c.projection, _generation.c.generation)
)
_DEAD = Query(
    sa.select(
        sa.func.count().label("records"), sa.func.count(dead_letter.c.task_id.distinct()).label("tasks")
    ).select_from(dead_letter)
)


async def check_registry(database: Database) -> AsyncGenerator[Finding]:
    """Look for one active generation of every projection, in definitions that this code knows."""
    try:
        rows = await database.fetch(_GENERATIONS)
    except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError, asyncpg.InvalidSchemaNameError) as error:
        yield fail("registry", f"PostgreSQL lacks what this version needs ({error})", f"{PROVISION} with this version")
        return
    for finding in registry_findings(rows):
        yield finding
    active = {row["projection"]: row["generation"] for row in rows if row["state"] == "active"}
    if JUDGE in active:
        schemas = {JUDGE: registry.schema_of(JUDGE, active[JUDGE])}
        ((records, tasks),) = await database.fetch(_DEAD.at(schemas))
        yield dead_letter_finding(records, tasks)


async def check_positions(log: Log, database: Database) -> AsyncGenerator[Finding]:
    """Look whether every position is one of this log, and how far behind it is."""
    broken = False
    for finding in position_findings(await standings(log, database)):
        broken |= finding.outcome == "fail"
        yield finding
    if not broken:
        yield lag_finding(totals(await measure(log, database)))


def registry_findings(rows: Iterable[Mapping[str, object]]) -> Iterator[Finding]:
    """Judge the generations that live agents write."""
    active = {row["projection"] for row in rows if row["state"] == "active"}
    missing = [projection.name for projection in PROJECTIONS if projection.name not in active]
    if missing:
        yield fail("registry", f"no active generation of {', '.join(missing)}", PROVISION)
    unknown = [row for row in rows if find(str(row["projection"]), int(str(row["definition"]))) is None]
    if unknown:
        told = ", ".join(f"{row['projection']} in definition {row['definition']}" for row in unknown)
        yield fail("registry", f"this code does not know {told}", "deploy the code that made it, or newer")
    if not missing and not unknown:
        yield ok("registry", f"{len(active)} projections are active")


def position_findings(standings: Sequence[Standing]) -> Iterator[Finding]:
    """Judge positions by the log that is there."""
    live = [one for one in standings if one.state in ("active", "standby")]
    beyond = [one for one in live if one.position > one.end]
    before = [one for one in live if one.position < one.beginning]
    if beyond:
        remedy = (
            "correct TASKLEDGER_KAFKA or TASKLEDGER_TOPIC_PREFIX, or restore the log; if it is gone for good, begin "
            "with an empty database"
        )
        yield fail("positions", f"{_named(beyond)} beyond the end: the log was replaced", remedy)
    if before:
        remedy = "restore the log; nothing can say what the missing events were"
        yield fail("positions", f"{_named(before)} before the beginning: events that were not applied are gone", remedy)
    if not beyond and not before:
        yield ok("positions", "all within the log")
    gone = {one.partition: one.beginning for one in live if one.beginning > 0}
    if gone:
        told = f"it does not begin at its beginning in partition {', '.join(map(str, sorted(gone)))}"
        yield warn("log beginning", told, "restore it before a rebuild: a rebuild would miss what is gone")
    elif live:
        yield ok("log beginning", "every event is still there")


def lag_finding(lags: Sequence[TotalLag]) -> Finding:
    """Judge how far the read models are behind."""
    events, seconds = max(lag.events for lag in lags), max(lag.seconds for lag in lags)
    told = f"{events} events, {seconds:.1f} s"
    if seconds > LATE:
        return warn("lag", told, "see that a worker runs, and what it logs; `taskledger lag --watch`")
    return ok("lag", told)


def dead_letter_finding(records: int, tasks: int) -> Finding:
    """Judge what could not be applied."""
    if records:
        remedy = "look at them with `taskledger dead-letters list`"
        return warn("dead letters", f"{records} records of {tasks} tasks could not be applied", remedy)
    return ok("dead letters", "none")


def _named(standings: Sequence[Standing]) -> str:
    return ", ".join(f"{one.projection} is at {one.position} of partition {one.partition}" for one in standings[:3])
