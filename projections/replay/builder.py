"""Folds a stretch of the log into new generations, in bounded memory.

Rows that only come once go to PostgreSQL with each chunk; rows that later events replace wait in memory, so that a
task that changes ten times is written once. A checkpoint writes them and the positions, in the same transaction as
the chunks before it; what came after the last checkpoint never happened when the process is killed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from app.domain.task import Task
from projections import lockstep
from projections.batch import judge, key_indexes, task_ids
from projections.catalog import JUDGE
from projections.histories import load_histories
from projections.registry import schema_of
from projections.rows import merge, write

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from uuid import UUID

    import sqlalchemy as sa

    from app.domain.history import History
    from app.log.port import Batch
    from projections.batch import Projection, Rows
    from projections.database import Connection

HISTORY_BYTES = 900
"""Accounted for a task in memory, with its row, beside its texts: an estimate."""


class Target(NamedTuple):
    """A generation that is being built."""

    projection: Projection
    generation: int

    @property
    def schema(self) -> str:
        """Where its tables are."""
        return schema_of(self.projection.name, self.generation)


class Builder:
    """Builds generations from records that come in order; one of them is of the projection that judges."""

    def __init__(self, targets: Sequence[Target], position: Mapping[int, int], limit_bytes: int) -> None:
        """Take the generations, where they stand, and the most memory to use for tasks, in bytes."""
        self.position = dict(position)
        self._targets = targets
        self._schemas = {target.projection.name: target.schema for target in targets}
        self._limit = limit_bytes
        self._bytes = 0
        self._histories: dict[UUID, History] = {}
        self._is_whole = not any(position.values())
        """Whether every task that was met is in memory, so that one that is not there is new."""
        self._dirty: dict[sa.Table, dict[tuple[object, ...], Sequence[object]]] = {}

    @property
    def is_full(self) -> bool:
        """Whether the memory is used up, and a checkpoint is due."""
        return self._bytes > self._limit

    async def apply(self, connection: Connection, chunk: Iterable[Batch]) -> None:
        """Fold the next records, in an open transaction that ends with a checkpoint."""
        for batch in chunk:
            ids = task_ids(batch.records)
            await self._recall(connection, ids)
            histories = {task_id: self._histories[task_id] for task_id in ids if task_id in self._histories}
            judged = judge(batch.partition, batch.records, histories, {})
            self._remember(judged.histories)
            for target in self._targets:
                for rows in target.projection.fold(judged):
                    await self._keep(connection, rows)
            self.position[batch.partition] = batch.records[-1].offset + 1

    async def checkpoint(self, connection: Connection) -> None:
        """Write what waits, and the positions; commit right after this."""
        for table, rows in self._dirty.items():
            if rows:
                await merge(connection, self._schemas[str(table.schema)], table, rows.values())
        self._dirty.clear()
        generations = [(target.projection.name, target.generation) for target in self._targets]
        for partition, offset in self.position.items():
            await lockstep.advance(connection, partition, generations, offset)
        if self.is_full:
            self._histories.clear()
            self._bytes = 0
            self._is_whole = False

    async def _recall(self, connection: Connection, ids: Iterable[UUID]) -> None:
        if self._is_whole:
            return
        missing = [task_id for task_id in ids if task_id not in self._histories]
        if missing:
            self._remember(await load_histories(connection, {JUDGE: self._schemas[JUDGE]}, missing))

    def _remember(self, histories: Mapping[UUID, History]) -> None:
        for task_id, history in histories.items():
            before = self._histories.get(task_id)
            self._bytes += _cost(history) - (_cost(before) if before else 0)
            self._histories[task_id] = history

    async def _keep(self, connection: Connection, rows: Rows) -> None:
        if rows.replaces:
            waiting = self._dirty.setdefault(rows.table, {})
            key = key_indexes(rows.table)
            for row in rows.values:
                waiting[tuple(row[index] for index in key)] = row
        else:
            await write(connection, self._schemas, rows)


def _cost(history: History) -> int:
    state = history.state
    texts = len(state.title) + len(state.description) + sum(map(len, state.tags)) if isinstance(state, Task) else 0
    return HISTORY_BYTES + texts
