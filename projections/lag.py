"""How far each generation has come, and how far the read models are behind the log: in events, and in seconds.

Seconds are the age of the oldest accepted event that is not applied yet, the first in the order of the log, and 0 where
there is none. What counts as accepted is judged as the engine will judge it, from the state at the position. Of each
partition HEAD records are looked at: should all of them be void, the time of the last one counts, which is a little
older than the answer.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
import sqlalchemy as sa

from app.domain.errors import ConfigurationError, LogUnavailable, TaskledgerError
from app.log.port import written_at
from projections import registry
from projections.batch import judge, task_ids
from projections.catalog import JUDGE
from projections.database import Statement
from projections.histories import load_histories

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from app.domain.history import History
    from app.log.port import Log, Record
    from projections.database import Connection, Database

HEAD = 500
"""Most records of a partition that are looked at for the oldest accepted one."""
HEAD_TIMEOUT = 10.0
"""Seconds that Kafka may take to give them."""
_generation, _position = registry.generation, registry.position
_STANDINGS = Statement(
    sa.select(
        _position.c.projection,
        _position.c.generation,
        _generation.c.state,
        _position.c.partition,
        _position.c.next_offset,
        _position.c.updated_at,
    )
    .join(_generation, registry.of_generation)
    .order_by(_position.c.projection, _position.c.generation, _position.c.partition)
)


class Standing(msgspec.Struct, frozen=True):
    """Where a generation is in one partition, and what the log has there."""

    projection: str
    generation: int
    state: str
    partition: int
    position: int
    """The first offset that it has not applied."""
    beginning: int
    end: int
    updated_at: datetime
    """When the position moved last."""


class PartitionLag(msgspec.Struct, frozen=True):
    """How far the active generation of a projection is behind in one partition."""

    projection: str
    generation: int
    partition: int
    position: int
    end: int
    events: int
    """Records from the position to the end, void ones among them."""
    seconds: float
    """Age of the oldest accepted event among them."""


class TotalLag(msgspec.Struct, frozen=True):
    """How far a projection is behind."""

    projection: str
    events: int
    """Of all partitions together."""
    seconds: float
    """Of the partition that is the furthest behind."""


async def standings(log: Log, database: Database) -> list[Standing]:
    """Give every generation and partition, by projection, generation and partition.

    The log's ends are from after the positions. Raises DatabaseUnavailable, LogUnavailable.
    """
    rows = await database.fetch(_STANDINGS)
    beginnings, ends = await log.beginnings(), await log.ends()
    return [
        Standing(
            projection=row["projection"],
            generation=row["generation"],
            state=row["state"],
            partition=row["partition"],
            position=row["next_offset"],
            beginning=beginnings.get(row["partition"], 0),
            end=ends.get(row["partition"], 0),
            updated_at=row["updated_at"],
        )
        for row in rows
    ]


async def measure(log: Log, database: Database, now: datetime | None = None) -> list[PartitionLag]:
    """Measure the active generation of every projection, by projection and partition; all in one snapshot.

    `now` is the time that ages count to, by default this machine's. Raises DatabaseUnavailable, LogUnavailable,
    ConfigurationError where nothing is provisioned, and TaskledgerError for positions that the log does not have.
    """
    async with (
        database.connection() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        rows = [row for row in await connection.fetch(_STANDINGS.sql) if row["state"] == "active"]
        generations = {row["projection"]: row["generation"] for row in rows}
        if JUDGE not in generations:
            raise ConfigurationError("No projection is active: run `taskledger provision` first.")
        ends = await log.ends()
        behind: dict[int, int] = {}
        for row in rows:
            partition, position = row["partition"], row["next_offset"]
            if position > ends.get(partition, 0):
                raise TaskledgerError(
                    f"The projection {row['projection']} is at {position} of partition {partition}, which ends at "
                    f"{ends.get(partition, 0)}: this is not the log that it was made from, see `taskledger doctor`."
                )
            if position < ends[partition]:
                behind[partition] = min(position, behind.get(partition, position))
        schemas = {JUDGE: registry.schema_of(JUDGE, generations[JUDGE])}
        heads = await _oldest(connection, schemas, await _heads(log, behind, ends))
    moment = now or datetime.now(UTC)
    return [
        PartitionLag(
            projection=row["projection"],
            generation=row["generation"],
            partition=row["partition"],
            position=row["next_offset"],
            end=ends[row["partition"]],
            events=ends[row["partition"]] - row["next_offset"],
            seconds=_age(heads.get(row["partition"], []), row["next_offset"], moment),
        )
        for row in rows
    ]


def totals(lags: Sequence[PartitionLag]) -> list[TotalLag]:
    """Sum up by projection, in the order in which they come."""
    return [
        TotalLag(
            projection,
            sum(lag.events for lag in lags if lag.projection == projection),
            max(lag.seconds for lag in lags if lag.projection == projection),
        )
        for projection in dict.fromkeys(lag.projection for lag in lags)
    ]


async def _heads(log: Log, behind: Mapping[int, int], ends: Mapping[int, int]) -> dict[int, list[Record]]:
    """Read the first records of every partition that is behind."""
    heads: dict[int, list[Record]] = {partition: [] for partition in behind}
    missing = set(behind)
    if not missing:
        return heads
    try:
        async with asyncio.timeout(HEAD_TIMEOUT), aclosing(log.tail(behind)) as batches:
            async for partition, records in batches:
                head = heads[partition]
                head += [record for record in records if record.offset < ends[partition]][: HEAD - len(head)]
                if len(head) >= HEAD or records[-1].offset >= ends[partition] - 1:
                    missing.discard(partition)
                if not missing:
                    break
    except TimeoutError as error:
        raise LogUnavailable(
            f"Kafka did not give the records behind the read models in {HEAD_TIMEOUT:.0f} s."
        ) from error
    return heads


async def _oldest(
    connection: Connection, schemas: Mapping[str, str], heads: Mapping[int, Sequence[Record]]
) -> dict[int, list[tuple[int, datetime]]]:
    """Give offset and time of the accepted events among the first records of partitions."""
    ids = {task_id for records in heads.values() for task_id in task_ids(records)}
    histories = await load_histories(connection, schemas, ids) if ids else {}
    return {partition: accepted_times(partition, records, histories) for partition, records in heads.items()}


def accepted_times(
    partition: int, records: Sequence[Record], histories: Mapping[UUID, History]
) -> list[tuple[int, datetime]]:
    """Give offset and time of the accepted events among some records, or of the last where a full head has none."""
    accepted = [(one.offset, one.event.time) for one in judge(partition, records, histories, {}).accepted]
    if not accepted and len(records) >= HEAD and (time := written_at(records[-1])):
        return [(records[-1].offset, time)]
    return accepted


def _age(accepted: Sequence[tuple[int, datetime]], position: int, now: datetime) -> float:
    oldest = next((time for offset, time in accepted if offset >= position), now)
    return max(0.0, (now - oldest).total_seconds())
