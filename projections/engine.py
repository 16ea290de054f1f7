"""The engine: a batch of the log, its rows, its dead letters and its position, in one transaction.

Exactly once without trusting anybody else's offsets: a batch that begins before the stored position is
cut there, one that begins after it leaves a hole, which is first read again from the log.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import asyncpg

from app.domain.errors import ConfigurationError
from app.log.port import Batch, runs
from app.telemetry import metrics
from projections import lockstep
from projections.batch import judge, task_ids
from projections.catalog import PROJECTIONS, find
from projections.histories import load_histories
from projections.rows import write

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from app.log.port import Log
    from projections.batch import Judged, Projection
    from projections.database import Database

logger = logging.getLogger(__name__)


class Hole(Exception):
    """The batch does not follow the stored position."""

    def __init__(self, start: int, stop: int) -> None:
        """Name the first missing offset and the first that is there."""
        super().__init__(f"records {start} to {stop - 1} were never applied")
        self.start = start
        self.stop = stop


class Engine:
    """Applies batches of the log to every generation in lockstep: those that serve, and those that stand by."""

    def __init__(self, database: Database, log: Log) -> None:
        """Take the database to write and the log to fill holes from."""
        self._database = database
        self._log = log

    async def apply(self, batch: Batch) -> None:
        """Apply a batch exactly once, after whatever is missing before and in it.

        Raises DatabaseUnavailable, LogUnavailable, LogTruncated, ConfigurationError; it may then be tried again.
        """
        for run in runs(batch):
            try:
                await self._apply(run)
            except Hole as hole:
                logger.warning("filling a hole from the log", extra={"partition": run.partition, "hole": str(hole)})
                async for missing in self._log.read(run.partition, hole.start, hole.stop):
                    await self._apply(missing)
                    metrics.HOLES_FILLED.labels("project").inc(len(missing.records))
                await self._apply(run)

    async def _apply(self, batch: Batch) -> None:
        """Commit a batch, and where the database refuses it, its halves, down to the record that is to blame."""
        try:
            await self._commit(batch, {})
        except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
            if len(batch.records) == 1:
                await self._commit(batch, {batch.records[0].offset: f"the database refuses it: {error}"})
                return
            middle = len(batch.records) // 2
            await self._apply(Batch(batch.partition, batch.records[:middle]))
            await self._apply(Batch(batch.partition, batch.records[middle:]))

    async def _commit(self, batch: Batch, refused: Mapping[int, str]) -> None:
        begun = time.perf_counter()
        partition = batch.partition
        async with self._database.transaction() as connection:
            await lockstep.lock(connection, [partition])
            together = _in_lockstep(await lockstep.members(connection, partition))
            if batch.records[0].offset > together.position:
                raise Hole(together.position, batch.records[0].offset)
            records = [record for record in batch.records if record.offset >= together.position]
            if not records:
                return
            histories = await load_histories(connection, together.schemas, task_ids(records))
            judged = judge(partition, records, histories, refused)
            for projection, schema in together.targets:
                for rows in projection.fold(judged):
                    await write(connection, {projection.name: schema}, rows)
            await lockstep.advance(connection, partition, together.generations, records[-1].offset + 1)
        _tell(judged, time.perf_counter() - begun)


class _Lockstep(NamedTuple):
    """The generations that a batch is written to."""

    position: int
    schemas: Mapping[str, str]
    """Projection to the schema of its active generation."""
    targets: Sequence[tuple[Projection, str]]
    generations: Sequence[tuple[str, int]]


def _in_lockstep(members: Sequence[lockstep.Member]) -> _Lockstep:
    """Choose the generations at the common position that this code can write.

    A standby generation of a definition that this code does not have stays behind: code that has it builds it anew.
    """
    active = [member for member in members if member.state == "active"]
    positions = {member.next_offset for member in active}
    if {member.projection for member in active} != {projection.name for projection in PROJECTIONS} or (
        len(positions) != 1
    ):
        raise ConfigurationError(
            "The registry does not hold one active generation of every projection at one position: "
            "run `taskledger provision` with this version first."
        )
    (position,) = positions
    targets, generations = [], []
    for member in members:
        projection = find(member.projection, member.definition)
        if projection is not None and member.next_offset == position:
            targets.append((projection, member.schema))
            generations.append((member.projection, member.generation))
        elif member.state == "active":
            raise ConfigurationError(
                f"The active generation of {member.projection} has definition {member.definition}, which this code "
                "does not have: deploy code that has it, or roll back with `taskledger replay rollback`."
            )
    return _Lockstep(position, {member.projection: member.schema for member in active}, targets, generations)


def _tell(judged: Judged, seconds: float) -> None:
    metrics.PROJECTION_BATCH_SECONDS.observe(seconds)
    for verdict, records in Counter(judged.verdicts).items():
        metrics.PROJECTED_EVENTS.labels(verdict.value).inc(records)
    for letter in judged.dead_letters:
        logger.error(
            "a record cannot be applied",
            extra={
                "partition": letter.partition,
                "offset": letter.log_offset,
                "task_id": letter.task_id,
                "reason": letter.reason,
            },
        )
