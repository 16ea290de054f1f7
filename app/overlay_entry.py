"""One task in the overlay, and what it costs."""

from __future__ import annotations

import asyncio
from sys import getsizeof
from typing import TYPE_CHECKING

from app.domain.task import Task

if TYPE_CHECKING:
    from uuid import UUID

    from app.domain.envelope import Event, Unreadable
    from app.domain.history import History

ENTRY_BYTES = 1000
"""Accounted for a task on top of its texts: the objects that hold it, as a test measures them."""


class Entry:
    """One task; `history` is None until its row has been read."""

    __slots__ = ("bytes", "history", "lock", "partition", "pending", "pins", "task_id", "untrimmed")

    def __init__(self, task_id: UUID, partition: int) -> None:
        self.task_id = task_id
        self.partition = partition
        self.history: History | None = None
        self.pending: list[tuple[int, Event | Unreadable]] = []
        """(offset, record) of those that wait for the row, while `history` is None."""
        self.untrimmed = 0
        """Records of the task that the read models may not have yet."""
        self.pins = 0
        """Commands and queries that hold the task right now."""
        self.bytes = 0
        self.lock = asyncio.Lock()
        """Held by the one command of this process that is changing the task."""

    @property
    def known(self) -> History:
        """The history, for those who hold the task and so know that it was read."""
        assert self.history is not None  # noqa: S101
        return self.history

    def set_history(self, history: History) -> int:
        """Take a new history and give the change of memory in bytes."""
        self.history = history
        before, self.bytes = self.bytes, ENTRY_BYTES
        if isinstance(history.state, Task):
            task = history.state
            self.bytes += getsizeof(task.title) + getsizeof(task.description) + sum(map(getsizeof, task.tags))
        return self.bytes - before
