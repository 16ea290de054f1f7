"""The engine: a batch of the log, its rows, its dead letters and its position, in one transaction.

Exactly once without trusting anybody else's offsets: a batch that begins before the stored position is
cut there, one that begins after it leaves a hole, which is first read again from the log.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from typing import TYPE_CHECKING

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from app.domain.errors import ConfigurationError
from app.domain.history import EMPTY, History
from app.log.port import Batch, runs
from app.telemetry import metrics
from projections import registry
from projections.batch import judge, task_ids
from projections.catalog import PROJECTIONS
from projections.database import Query, Statement
from projections.task.fold import state_of
from projections.task.tables import task

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from uuid import UUID

    from app.log.port import Log
    from projections.batch import DeadLetter, Judged, Rows
    from projections.database import Connection, Database

logger = logging.getLogger(__name__)

_generation, _position = registry.generation, registry.position
_LOCK_POSITIONS = Statement(
    sa.select(_position.c.projection, _position.c.generation, _position.c.next_offset)
    .join(
        _generation,
        (_generation.c.projection == _position.c.projection) & (_generation.c.generation == _position.c.generation),
    )
    .where(_generation.c.active, _position.c.partition == sa.bindparam("partition"))
    .order_by(_position.c.projection)
    .with_for_update(of=_position)
)
_ADVANCE = Statement(
    sa.update(_position)
    .where(
        _position.c.projection == sa.bindparam("at_projection"),
        _position.c.generation == sa.bindparam("at_generation"),
        _position.c.partition == sa.bindparam("at_partition"),
    )
    .values(next_offset=sa.bindparam("next_offset"), updated_at=sa.func.now())
)
_IDS = sa.bindparam("ids", type_=postgresql.ARRAY(postgresql.UUID))
_PARKED = Statement(
    sa.select(
        registry.dead_letter.c.task_id,
        sa.func.max(registry.dead_letter.c.taken_version).label("version"),
        sa.func.min(registry.dead_letter.c.reason).label("reason"),
    )
    .where(registry.dead_letter.c.task_id == sa.any_(_IDS))
    .group_by(registry.dead_letter.c.task_id)
)


def upsert(table: sa.Table) -> sa.ClauseElement:
    """Give the statement that writes one row in place of the one with its primary key."""
    insert = postgresql.insert(table).values({column.name: sa.bindparam(column.name) for column in table.columns})
    keys = [column.name for column in table.primary_key]
    return insert.on_conflict_do_update(
        index_elements=keys,
        set_={column.name: insert.excluded[column.name] for column in table.columns if column.name not in keys},
    )


_TASKS = Query(sa.select(task).where(task.c.id == sa.any_(_IDS)))
_UPSERTS = {table: Query(upsert(table)) for projection in PROJECTIONS for table in projection.metadata.sorted_tables}


class Hole(Exception):
    """The batch does not follow the stored position."""

    def __init__(self, start: int, stop: int) -> None:
        """Name the first missing offset and the first that is there."""
        super().__init__(f"records {start} to {stop - 1} were never applied")
        self.start = start
        self.stop = stop


class Engine:
    """Applies batches of the log to every active generation; live agents and operators use the same one."""

    def __init__(self, database: Database, log: Log) -> None:
        """Take the database to write and the log to fill holes from."""
        self._database = database
        self._log = log

    async def apply(self, batch: Batch) -> None:
        """Apply a batch exactly once, after whatever is missing before and in it.

        Raises DatabaseUnavailable, LogUnavailable, LogTruncated; it may then be tried again.
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
        async with self._database.transaction() as connection:
            active = await connection.fetch(_LOCK_POSITIONS.sql, *_LOCK_POSITIONS.arguments(partition=batch.partition))
            start = _common_position(active)
            if batch.records[0].offset > start:
                raise Hole(start, batch.records[0].offset)
            records = [record for record in batch.records if record.offset >= start]
            if not records:
                return
            schemas = {row["projection"]: registry.schema_of(row["projection"], row["generation"]) for row in active}
            histories = await self._load(connection, schemas, task_ids(records))
            judged = judge(batch.partition, records, histories, refused)
            for projection in PROJECTIONS:
                for rows in projection.fold(judged.accepted):
                    await self._write(connection, schemas, rows)
            await _bury(connection, judged.dead_letters)
            for row in active:
                await connection.execute(
                    _ADVANCE.sql,
                    *_ADVANCE.arguments(
                        at_projection=row["projection"],
                        at_generation=row["generation"],
                        at_partition=batch.partition,
                        next_offset=records[-1].offset + 1,
                    ),
                )
        _count(judged, time.perf_counter() - begun)

    async def _load(
        self, connection: Connection, schemas: Mapping[str, str], ids: Collection[UUID]
    ) -> Mapping[UUID, History]:
        """Read the histories of some tasks as the active generations hold them."""
        select = _TASKS.at(schemas)
        wanted = list(ids)
        histories: dict[UUID, History] = {}
        for row in await connection.fetch(select.sql, wanted):
            histories[row["id"]] = History(state_of(row), row["version"])
        for row in await connection.fetch(_PARKED.sql, wanted):
            history = histories.get(row["task_id"], EMPTY)
            version = max(history.version, row["version"] or 0)
            histories[row["task_id"]] = History(history.state, version, row["reason"])
        return histories

    async def _write(self, connection: Connection, schemas: Mapping[str, str], rows: Rows) -> None:
        if not rows.values:
            return
        if rows.replaces:
            await connection.executemany(_UPSERTS[rows.table].at(schemas).sql, rows.values)
        else:
            columns = [column.name for column in rows.table.columns]
            schema = schemas[str(rows.table.schema)]
            await connection.copy_records_to_table(
                rows.table.name, schema_name=schema, columns=columns, records=rows.values
            )


def _common_position(active: list[asyncpg.Record]) -> int:
    positions = {row["next_offset"] for row in active}
    if len(active) != len(PROJECTIONS) or len(positions) != 1:
        raise ConfigurationError(
            "The registry does not hold one active generation of every projection at one position: "
            "run `taskledger provision` with this version first."
        )
    return int(positions.pop())


async def _bury(connection: Connection, dead_letters: list[DeadLetter]) -> None:
    if not dead_letters:
        return
    await connection.copy_records_to_table(
        "dead_letter",
        schema_name=registry.SCHEMA,
        columns=list(dead_letters[0]._fields),
        records=dead_letters,
    )
    for letter in dead_letters:
        logger.error(
            "a record cannot be applied",
            extra={
                "partition": letter.partition,
                "offset": letter.log_offset,
                "task_id": letter.task_id,
                "reason": letter.reason,
            },
        )


def _count(judged: Judged, seconds: float) -> None:
    metrics.PROJECTION_BATCH_SECONDS.observe(seconds)
    for verdict, records in Counter(judged.verdicts).items():
        metrics.PROJECTED_EVENTS.labels(verdict.value).inc(records)
