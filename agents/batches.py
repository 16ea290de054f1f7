"""What all agents have in common: batches of one partition, in order, each once, each tried until it is done.

Faust takes an event whose agent raised for done, and can commit past work that was not done. So an agent here never
raises, and Faust's offsets are only a hint: what counts is the position that a follower keeps beside its work. A batch
that begins after it leaves a hole, which is read again from the log.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import defaultdict
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol

from app.domain.errors import Unavailable
from app.log.port import Batch, runs
from app.telemetry import metrics

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import faust

    from agents.durable_table import DurableTable
    from app.log.port import Log

logger = logging.getLogger(__name__)

LONGEST_BACKOFF = 5.0
"""Seconds between two tries, at most. There is no bound to the tries: the batch can be given to nobody else, and the
lag that grows meanwhile is what alerts watch."""


class Follower(Protocol):
    """Something that follows the log, and remembers how far it has come."""

    @property
    def name(self) -> str:
        """Name of its agent."""

    async def position(self, partition: int) -> int:
        """Give the first offset of a partition that it has not worked on."""

    async def apply(self, batch: Batch) -> None:
        """Work on a batch exactly where the position is: on what is missing before it, not on what was done already."""


class TableFollower:
    """Follows the log with durable tables; the position of a partition is kept under the key `partition:`."""

    def __init__(self, name: str, log: Log, table: DurableTable, work: Callable[[Batch], Awaitable[None]]) -> None:
        """Take the table whose position counts, and the work, which ends with `finish`."""
        self.name = name
        self._log = log
        self._table = table
        self._work = work
        self._locks: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def position(self, partition: int) -> int:
        """See Follower."""
        return int(self._table.get(position_key(partition)) or 0)

    async def apply(self, batch: Batch) -> None:
        """See Follower."""
        async with self._locks[batch.partition]:
            for run in runs(batch):
                await self._apply(run)

    async def _apply(self, run: Batch) -> None:
        partition, first = run.partition, run.records[0].offset
        self._table.refuse_while_rebalancing()
        position = await self.position(partition)
        if first > position:
            logger.warning("filling a hole from the log", extra={"agent": self.name, "partition": partition})
            async for missing in self._log.read(partition, position, first):
                await self._work(missing)
                metrics.HOLES_FILLED.labels(self.name).inc(len(missing.records))
        records = [record for record in run.records if record.offset >= position]
        if records:
            await self._work(Batch(partition, records))


def position_key(partition: int) -> bytes:
    """Give the key that holds a partition's position; no task has such a key."""
    return b"%d:" % partition


async def finish(table: DurableTable, batch: Batch) -> None:
    """Send a batch's changes of the table that holds the position, and the new position behind them."""
    table[position_key(batch.partition)] = batch.records[-1].offset + 1
    await table.flush(batch.partition)


def add_agent(stream_app: faust.App, events: faust.TopicT, follower: Follower, *, size: int, gather: float) -> None:
    """Let the worker follow, in batches of at most `size` records; the first waits `gather` seconds for more.

    Faust's own `take` looks for a batch again and again, whether there is one or not: with three agents on four
    partitions that cost half a core at rest. Here an agent sleeps until a record comes, and takes what has gathered.
    """

    @stream_app.agent(events, name=follower.name, isolated_partitions=True)
    async def agent(stream: Any) -> None:
        stream.enable_acks = False
        with suppress(asyncio.CancelledError):  # how Faust takes a partition away; it would take it for a crash
            await follow(stream)

    async def follow(stream: Any) -> None:
        batch: list[Any] = []
        async for event in stream.events():
            if gather and not batch:
                await asyncio.sleep(gather)
            batch.append(event)
            if len(batch) >= size or stream.channel.queue.empty():
                await until_done(follower, Batch(event.message.partition, [each.message for each in batch]))
                for each in batch:
                    await stream.ack(each)
                batch.clear()


async def until_done(follower: Follower, batch: Batch) -> None:
    """Work on one batch, again and again while something that it needs is away."""
    where = {"agent": follower.name, "partition": batch.partition}
    for attempt in count():
        try:
            await follower.apply(batch)
        except Unavailable as error:
            logger.warning("a batch waits", extra=where | {"reason": error.detail})
        except Exception:
            logger.exception("a batch failed", extra=where)
        else:
            return
        metrics.BATCH_RETRIES.labels(follower.name).inc()
        longest = min(LONGEST_BACKOFF, 0.1 * 2 ** min(attempt, 10))
        await asyncio.sleep(random.uniform(0.5, 1) * longest)  # noqa: S311 - jitter, not a secret
