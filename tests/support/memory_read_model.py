"""The read models' twin in memory: the same pure halves, and dictionaries for tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from app.domain.envelope import KINDS
from app.domain.errors import DatabaseUnavailable
from app.domain.history import EMPTY, History
from app.domain.task import State, evolve, restore
from app.read_model import Receipt, Stored
from projections.batch import judge, task_ids
from projections.catalog import PROJECTIONS
from projections.task.fold import state_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from app.log.port import Batch, Log
    from projections.batch import DeadLetter, Rows


class MemoryReadModel:
    """Answers `app.read_model.ReadModel` for what `apply` was given."""

    def __init__(self, partitions: int = 4) -> None:
        self.down = False
        """While true, every question is refused."""
        self.position = dict.fromkeys(range(partitions), 0)
        self.tables = {table.name: {} for projection in PROJECTIONS for table in projection.metadata.sorted_tables}
        self.dead_letters: list[DeadLetter] = []

    def apply(self, batch: Batch) -> None:
        """Apply a batch, cut at the position; a hole fails the test."""
        start = self.position[batch.partition]
        assert batch.records[0].offset <= start, "a hole"
        records = [record for record in batch.records if record.offset >= start]
        if not records:
            return
        histories = {task_id: self.history(task_id) for task_id in task_ids(records)}
        judged = judge(batch.partition, records, histories, {})
        for projection in PROJECTIONS:
            for rows in projection.fold(judged):
                self._write(rows)
        earlier = [letter for letter in self.dead_letters if letter.task_id not in judged.repaired]
        self.dead_letters = earlier + judged.dead_letters
        self.position[batch.partition] = records[-1].offset + 1

    async def catch_up(self, log: Log) -> None:
        """Apply everything that is in a log."""
        for partition, end in (await log.ends()).items():
            async for batch in log.read(partition, self.position[partition], end):
                self.apply(batch)

    def history(self, task_id: UUID) -> History:
        """Give a task's history as the engine reads it before a batch."""
        row = self.tables["task"].get((task_id,))
        dead = [letter for letter in self.dead_letters if letter.task_id == task_id]
        history = History(state_of(row), row["version"]) if row else EMPTY
        if dead:
            taken = max(letter.taken_version or 0 for letter in dead)
            reason = min(letter.reason for letter in dead)
            history = History(history.state, max(history.version, taken), reason)
        return history

    async def positions(self) -> Mapping[int, int]:
        self._refuse_while_down()
        return dict(self.position)

    async def load(self, task_id: UUID) -> Stored:
        self._refuse_while_down()
        row = self.tables["task"].get((task_id,))
        offsets = [letter.log_offset for letter in self.dead_letters if letter.task_id == task_id]
        return Stored(self.history(task_id), max([*offsets, row["log_offset"] if row else -1]))

    async def find_receipt(self, command_id: UUID) -> Receipt | None:
        self._refuse_while_down()
        history = self.tables["task_history"]
        for row in history.values():
            if row["command_id"] == command_id and row["command_hash"] is not None:
                state: State = None
                for version in range(1, row["version"] + 1):
                    past = history.get((row["task_id"], version))
                    if past is not None:
                        state = _after(state, past)
                return Receipt(row["task_id"], row["command_hash"], state, row["log_offset"])
        return None

    def _write(self, rows: Rows) -> None:
        """Replace rows, or add rows that must be new, as the database would."""
        table = self.tables[rows.table.name]
        columns = [column.name for column in rows.table.columns]
        keys = [column.name for column in rows.table.primary_key]
        if rows.clears is not None:
            column, cleared = rows.clears
            for key in [key for key, row in table.items() if row[column] in cleared]:
                del table[key]
        for values in rows.values:
            row = dict(zip(columns, values, strict=True))
            key = tuple(row[name] for name in keys)
            assert rows.replaces or key not in table, f"{rows.table.name} has {key} already"
            table[key] = row

    def _refuse_while_down(self) -> None:
        if self.down:
            raise DatabaseUnavailable


def _after(state: State, row: Mapping[str, Any]) -> State:
    change = msgspec.json.decode(row["data"], type=KINDS[row["type"]])
    if row["repairs"] is None:
        return evolve(state, change, row["task_id"], row["time"])
    return restore(change, row["task_id"], row["time"], row["repairs"], row["version"])
