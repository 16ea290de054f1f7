"""A run: build new generations of projections beside those that serve, until they are in lockstep with them."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from app.domain.errors import DatabaseUnavailable, LogUnavailable
from app.log.bulk import BulkReader
from projections.generations import add_indexes, add_keys, position_of
from projections.read_model import PostgresReadModel
from projections.refusal import Refused
from projections.replay import runs
from projections.replay.builder import Builder
from projections.replay.claim import Claimed, claim, discard
from projections.replay.joining import join
from projections.replay.pace import STEP, Pace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.log.port import Log
    from projections.database import Connection, Database
    from projections.replay.claim import Request

logger = logging.getLogger(__name__)

CHECKPOINT_SECONDS = 10.0
"""Longest time between two checkpoints: what a killed run has to do again."""
NEAR = 5_000
"""Events behind the log's end from which on a run joins the live generations."""
BEAT_SECONDS = 1.0
"""Seconds between two looks at what operators want."""
PATIENCE = 60.0
"""Seconds that PostgreSQL may be away before a run steps back; it can then be gone on with."""
LONG_STATEMENT = 6 * 3600.0
"""Seconds that making an index may take; for the database that a run is given."""


class Aborted(Refused):
    """The run was aborted, and what it had built is gone."""

    code = "replay_aborted"


class Source(NamedTuple):
    """Where a run reads."""

    log: Log
    servers: str
    topic: str


class Build:
    """Builds generations; `progress` tells how far it is while `complete` works."""

    def __init__(self, database: Database, source: Source, request: Request, limit_bytes: int) -> None:
        """Take the database (with time for LONG_STATEMENT), the log, what to build, and the most memory for tasks."""
        self.progress = runs.Progress()
        self.pace = Pace()
        self._database = database
        self._source = source
        self._request = request
        self._limit = limit_bytes
        self._beginnings: Mapping[int, int] = {}

    async def complete(self) -> Claimed:
        """Claim the run and work until its generations are in lockstep.

        Cancelled, or ended by an outage, it leaves the run to be gone on with from its last checkpoint.
        Raises Refused, LeaseLost, Aborted, LogUnavailable, LogTruncated, DatabaseUnavailable.
        """
        self._beginnings = await self._source.log.beginnings()
        if any(self._beginnings.values()) and not self._request.accept_truncated:
            raise Refused(
                "The log no longer has its beginning, so that tasks from before it would be missing or damaged: see "
                "`replay plan`, and accept it with --accept-truncated-log if that is wanted."
            )
        claimed = await claim(self._database, self._request, self._beginnings)
        work = asyncio.create_task(self._work(claimed))
        beat = asyncio.create_task(self._beat(claimed))
        reason: str | None = "it was interrupted"
        try:
            await asyncio.wait({work, beat}, return_when=asyncio.FIRST_COMPLETED)
            for task in (work, beat):
                if task.done():
                    task.result()
        except Aborted:
            await _cancel(work, beat)
            async with self._database.transaction() as connection:
                await discard(connection, claimed.run)
            raise
        except (LogUnavailable, DatabaseUnavailable) as error:
            reason = error.detail
            raise
        finally:
            await _cancel(work, beat)
            with suppress(DatabaseUnavailable):
                async with self._database.connection() as connection:
                    await runs.step_back(connection, claimed.run, claimed.holder, reason)
        return claimed

    # --- working ----------------------------------------------------------------------------

    async def _work(self, claimed: Claimed) -> None:
        """Go on from the last checkpoint, again where PostgreSQL was away in between."""
        last_good = time.monotonic()
        while True:
            try:
                async with self._database.connection() as connection:
                    last_good = time.monotonic()
                    if await self._attempt(connection, claimed):
                        return
            except DatabaseUnavailable as error:
                if time.monotonic() - last_good > PATIENCE:
                    raise
                logger.warning("a run waits for PostgreSQL", extra={"reason": error.detail})
                await asyncio.sleep(BEAT_SECONDS)

    async def _attempt(self, connection: Connection, claimed: Claimed) -> bool:
        first = claimed.targets[0]  # all of them stand where it does
        position = await position_of(connection, first.projection.name, first.generation)
        builder = Builder(claimed.targets, position, self._limit)
        while True:
            ends = await self._source.log.ends()
            self._tell("reading", builder, ends)
            await self._read(connection, claimed, builder, ends)
            self._tell("indexing", builder, ends)
            for target in claimed.targets:
                tables = target.projection.metadata.sorted_tables
                await add_keys(connection, tables, target.schema)
                await add_indexes(connection, tables, target.schema)
            ends = await self._source.log.ends()
            if sum(ends[partition] - offset for partition, offset in builder.position.items()) <= NEAR:
                break
        self._tell("joining", builder, ends)
        await self._wait_for_live(builder)
        return await join(connection, self._source.log, builder, claimed.run)

    async def _read(self, connection: Connection, claimed: Claimed, builder: Builder, stop: Mapping[int, int]) -> None:
        async with BulkReader(self._source.servers, self._source.topic, builder.position, stop) as reader:
            chunks = aiter(reader)
            chunk = await anext(chunks, None)
            while chunk is not None:
                since = time.monotonic()
                async with connection.transaction():
                    while chunk is not None:
                        await builder.apply(connection, chunk)
                        self.pace.count(sum(len(batch.records) for batch in chunk))
                        self._tell("reading", builder, stop)
                        if builder.is_full or time.monotonic() - since > CHECKPOINT_SECONDS or self.pace.rest_reason:
                            break
                        await self.pace.keep()
                        chunk = await anext(chunks, None)
                    await builder.checkpoint(connection)
                    await runs.renew(connection, claimed.run, claimed.holder, self.progress)
                if chunk is not None:
                    await self._rest()
                    await self.pace.keep()
                    chunk = await anext(chunks, None)

    async def _rest(self) -> None:
        while (reason := self.pace.rest_reason) is not None:
            self.progress.resting = reason
            await asyncio.sleep(STEP)
            self.pace.restart()
        self.progress.resting = None

    async def _wait_for_live(self, builder: Builder) -> None:
        """Wait until the live generations have what the new ones have; only then can they go on together."""
        while True:
            live = await PostgresReadModel(self._database).positions()
            behind = sum(max(0, offset - live[partition]) for partition, offset in builder.position.items())
            if not behind:
                self.progress.resting = None
                return
            self.progress.resting = f"waits for the live projections, which are {behind} events behind"
            await asyncio.sleep(STEP)

    # --- telling and listening --------------------------------------------------------------

    def _tell(self, state: str, builder: Builder, ends: Mapping[int, int]) -> None:
        self.progress.state = state
        self.progress.done = sum(builder.position.values()) - sum(self._beginnings.values())
        self.progress.total = sum(ends.values()) - sum(self._beginnings.values())
        self.progress.speed = self.pace.speed

    async def _beat(self, claimed: Claimed) -> None:
        """Renew the lease and fetch orders, for as long as the run goes on. Raises LeaseLost, Aborted."""
        while True:
            with suppress(DatabaseUnavailable):
                async with self._database.connection() as connection:
                    self.pace.orders = await runs.renew(connection, claimed.run, claimed.holder, self.progress)
            if self.pace.orders.wanted == "abort":
                raise Aborted
            if self.pace.orders.pause_above_lag is not None:
                with suppress(DatabaseUnavailable, LogUnavailable):
                    self.pace.live_lag = await self._measure_live_lag()
            await asyncio.sleep(BEAT_SECONDS)

    async def _measure_live_lag(self) -> int:
        positions = await PostgresReadModel(self._database).positions()
        ends = await self._source.log.ends()
        return sum(end - positions.get(partition, 0) for partition, end in ends.items())


async def _cancel(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
