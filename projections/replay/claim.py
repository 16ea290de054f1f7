"""Begin a run or go on with one: its place in the registry, and the generations that it builds."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec
import sqlalchemy as sa

from projections import registry
from projections.catalog import JUDGE, PROJECTIONS, find, fingerprint, names
from projections.database import Statement
from projections.generations import add_generation, drop_generation, next_number
from projections.refusal import Refused
from projections.replay import runs, snapshots
from projections.replay.builder import Target

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from projections.database import Connection, Database

_generation = registry.generation
_BUILDING = Statement(
    sa.select(
        _generation.c.projection,
        _generation.c.generation,
        _generation.c.definition,
        _generation.c.code,
        _generation.c.scratch,
    )
    .where(_generation.c.replay == sa.bindparam("run"), _generation.c.state == "building")
    .order_by(_generation.c.projection)
)


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What to build, and how."""

    projections: tuple[str, ...] = ()
    """Names; none means all."""
    rate: int | None = None
    """Most events a second."""
    pause_above_lag: int | None = None
    """Events that the live projections may be behind before the run rests."""
    accept_truncated: bool = False
    """Whether to build from a log that no longer has its beginning."""
    use_snapshots: bool = True
    """Whether to begin with a snapshot where one fits."""


class Claimed(NamedTuple):
    """A run that this process holds."""

    run: int
    holder: str
    targets: Sequence[Target]
    is_new: bool


async def claim(database: Database, request: Request, beginnings: Mapping[int, int]) -> Claimed:
    """Go on with the interrupted run, or begin a new one from the log's beginnings.

    Raises Refused where another process holds the run, or the interrupted one is of other projections or other code;
    DatabaseUnavailable.
    """
    wanted = names(request.projections)
    holder = runs.own_name()
    async with database.transaction() as connection:
        await connection.execute("SELECT pg_advisory_xact_lock($1)", runs.LOCK)
        before = await runs.latest_of(connection)
        if before is not None and not before.is_over:
            await runs.take_over(connection, before, holder)
            if request.projections and set(wanted) != set(before.projections):
                raise Refused(
                    f"Run {before.id} of {', '.join(before.projections)} was interrupted: go on with it with "
                    "`replay resume`, or give it up with `replay abort`."
                )
            return Claimed(before.id, holder, await _targets(connection, before.id), is_new=False)
        run = await runs.begin(connection, wanted, holder, rate=request.rate, pause_above_lag=request.pause_above_lag)
        targets = []
        for projection in PROJECTIONS:
            if projection.name in wanted or projection.name == JUDGE:
                number = await next_number(connection, projection.name)
                await add_generation(
                    connection,
                    projection,
                    number,
                    state="building",
                    positions=beginnings,
                    replay=run,
                    scratch=projection.name not in wanted,
                )
                targets.append(Target(projection, number))
        if request.use_snapshots:
            await snapshots.fill(connection, targets)
        return Claimed(run, holder, targets, is_new=True)


async def give_up(database: Database, run: runs.Run) -> None:
    """End a run that nobody holds, and take away what it had built. Raises Refused, DatabaseUnavailable."""
    async with database.transaction() as connection:
        await connection.execute("SELECT pg_advisory_xact_lock($1)", runs.LOCK)
        await runs.take_over(connection, run, runs.own_name())
        await discard(connection, run.id)


async def discard(connection: Connection, run: int) -> None:
    """Take away what a run has built, and end it as aborted."""
    for row in await _BUILDING.fetch(connection, run=run):
        await drop_generation(connection, row["projection"], row["generation"])
    await runs.end(connection, run, "aborted")


async def drop_scratch(connection: Connection, run: int) -> None:
    """Take away the generations that only the run itself needed."""
    for row in await _BUILDING.fetch(connection, run=run):
        if row["scratch"]:
            await drop_generation(connection, row["projection"], row["generation"])


async def _targets(connection: Connection, run: int) -> Sequence[Target]:
    targets = []
    for row in await _BUILDING.fetch(connection, run=run):
        projection = find(row["projection"], row["definition"])
        if projection is None or fingerprint(projection) != row["code"]:
            raise Refused(
                f"Run {run} was begun by other code, whose rows may differ: give it up with `replay abort`, "
                "then begin a new one."
            )
        targets.append(Target(projection, row["generation"]))
    return targets
