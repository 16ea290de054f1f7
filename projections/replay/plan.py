"""Plan: what a run would read and write; changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from app.log import positions
from projections import registry
from projections.catalog import PROJECTIONS, names
from projections.replay import runs, snapshots
from projections.switching import generations

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from app.log.port import Log
    from projections.database import Connection, Database
    from projections.switching import Generation

TYPICAL_SPEED = 20_000.0
"""Events a second that are assumed before the first run."""


class PartitionPlan(msgspec.Struct, frozen=True):
    """One partition; positions are next offsets."""

    partition: int
    beginning: int
    start: int
    """Where reading starts."""
    end: int
    events: int


class ProjectionPlan(msgspec.Struct, frozen=True):
    """One projection that would be built."""

    projection: str
    active_generation: int
    active_definition: int
    definition: int
    """What would be built."""
    rows: int
    """Of the active generation, about: PostgreSQL's own estimate."""
    disk_bytes: int
    """Of the active generation with its indexes, and so of the new one, about."""


class Plan(msgspec.Struct, frozen=True):
    """What a run would do, and what stands in its way."""

    projections: list[ProjectionPlan]
    partitions: list[PartitionPlan]
    events: int
    seconds: float
    """Estimated from the speed of the last run, or from a typical one."""
    disk_bytes: int
    from_snapshot: bool
    warnings: list[str]


async def plan(database: Database, log: Log, projections: Collection[str] = (), start: str | None = None) -> Plan:
    """Tell what a run would read and write now.

    `start` is a position expression (see `app.log.positions`) to count from, for example for `republish`; a run itself
    begins where the log or a fitting snapshot does. Raises Refused, ConfigurationError, LogUnavailable,
    DatabaseUnavailable.
    """
    wanted = names(projections)
    beginnings, ends = await log.beginnings(), await log.ends()
    async with database.connection() as connection:
        every = await generations(connection)
        snapshot = await snapshots.fitting(connection, wanted)
        last = await runs.latest_of(connection)
        chosen = [await _of(connection, name, every) for name in wanted]
    begin = await positions.resolve(log, start) if start is not None else snapshot or beginnings
    parts = [
        PartitionPlan(partition, beginnings[partition], first, ends[partition], max(0, ends[partition] - first))
        for partition, first in sorted(begin.items())
    ]
    events = sum(part.events for part in parts)
    speed = (last.events_per_second if last else None) or TYPICAL_SPEED
    if last and last.rate:
        speed = min(speed, last.rate)
    return Plan(
        projections=chosen,
        partitions=parts,
        events=events,
        seconds=events / speed,
        disk_bytes=sum(one.disk_bytes for one in chosen),
        from_snapshot=snapshot is not None and start is None,
        warnings=_warnings(beginnings, last, every),
    )


async def _of(connection: Connection, name: str, every: Collection[Generation]) -> ProjectionPlan:
    active = next(one for one in every if one.projection == name and one.state == "active")
    schema = registry.schema_of(name, active.generation)
    row = await connection.fetchrow(
        "SELECT coalesce(sum(greatest(reltuples, 0)), 0)::bigint, "
        "coalesce(sum(pg_total_relation_size(oid)), 0)::bigint "
        "FROM pg_class WHERE relkind = 'r' AND relnamespace = $1::text::regnamespace",
        schema,
    )
    newest = next(one for one in PROJECTIONS if one.name == name)
    return ProjectionPlan(name, active.generation, active.definition, newest.definition, row[0], row[1])


def _warnings(beginnings: Mapping[int, int], last: runs.Run | None, every: Collection[Generation]) -> list[str]:
    warnings = []
    lost = sorted(partition for partition, offset in beginnings.items() if offset)
    if lost:
        warnings.append(
            f"The log no longer has its beginning in partition {', '.join(map(str, lost))}: tasks from before it would "
            "be missing, and their later events become dead letters. `run` refuses without --accept-truncated-log."
        )
    if last is not None and not last.is_over:
        warnings.append(
            f"Run {last.id} of {', '.join(last.projections)} goes on or was interrupted: see `replay status`."
        )
    warnings.extend(
        f"Generation {one.generation} of {one.projection} stands by: every batch writes it too, until it is dropped."
        for one in every
        if one.state == "standby"
    )
    return warnings
