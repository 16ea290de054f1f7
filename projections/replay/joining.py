"""The last step of a run: its generations fall into lockstep with those that serve."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

import sqlalchemy as sa

from app.log.port import Batch
from projections import lockstep, registry
from projections.database import Statement
from projections.replay import claim, runs

if TYPE_CHECKING:
    from app.log.port import Log
    from projections.database import Connection
    from projections.replay.builder import Builder

WARM_UP_SECONDS = 30.0
"""Seconds until the reader of the log must be on its way."""
HELD_SECONDS = 2.0
"""Most seconds that the live projections are held up; past it, the run catches up more and tries again."""
_generation = registry.generation
_JOIN = Statement(
    sa.update(_generation)
    .where(
        _generation.c.replay == sa.bindparam("run"),
        _generation.c.state == "building",
        _generation.c.scratch.is_(sa.false()),
    )
    .values(state="standby", replay=None)
)


async def join(connection: Connection, log: Log, builder: Builder, run: int) -> bool:
    """Apply what the live generations have and these lack, while those stand still, and go on with them from there.

    False where that would have held them up for too long: nothing was changed then, and the builder is of no use.
    Raises LogUnavailable, LogTruncated, DatabaseUnavailable.
    """
    # One record early, so that something comes at once and the reader is known to be on its way.
    reached = {partition: max(0, offset - 1) for partition, offset in builder.position.items()}
    beginnings, ends = await log.beginnings(), await log.ends()
    reached = {partition: max(offset, beginnings[partition]) for partition, offset in reached.items()}
    read_ahead: list[Batch] = []
    async with aclosing(log.tail(dict(reached))) as tail:
        async with asyncio.timeout(WARM_UP_SECONDS):
            while any(offset < ends[partition] for partition, offset in reached.items()):
                batch = await anext(tail)
                reached[batch.partition] = batch.records[-1].offset + 1
                read_ahead.append(batch)
        try:
            async with asyncio.timeout(HELD_SECONDS), connection.transaction():
                await lockstep.lock(connection, reached)
                live = {partition: await _live_position(connection, partition) for partition in reached}
                for batch in read_ahead:
                    await _apply(connection, builder, batch, live)
                while any(offset < live[partition] for partition, offset in reached.items()):
                    batch = await anext(tail)
                    reached[batch.partition] = batch.records[-1].offset + 1
                    await _apply(connection, builder, batch, live)
                await builder.checkpoint(connection)
                await claim.drop_scratch(connection, run)
                await _JOIN.execute(connection, run=run)
                await runs.end(connection, run, "done")
        except TimeoutError:
            return False
    return True


async def _live_position(connection: Connection, partition: int) -> int:
    return max(
        member.next_offset for member in await lockstep.members(connection, partition) if member.state == "active"
    )


async def _apply(connection: Connection, builder: Builder, batch: Batch, live: dict[int, int]) -> None:
    start, stop = builder.position[batch.partition], live[batch.partition]
    records = [record for record in batch.records if start <= record.offset < stop]
    if records:
        await builder.apply(connection, [Batch(batch.partition, records)])
