"""What the overlay keeps: records until the read models have them, tasks for as long as there is room."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, NamedTuple

from app.overlay_entry import Entry
from app.telemetry import metrics

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from app.domain.history import History

HEADROOM = 0.8
"""Share of the memory limit from which on new commands are refused; the rest is for records already on their way."""
RECORD_BYTES = 200
"""Accounted for a record that waits to be trimmed."""
PENDING_FACTOR = 2
"""Accounted on top, times the record's bytes, for one that waits for its task's row: it is kept decoded."""


class Waiting(NamedTuple):
    """A record that the read models may not have yet."""

    offset: int
    entry: Entry
    bytes: int
    command_id: UUID | None
    """Set where a client chose the command's id."""


class Memory:
    """Tasks and records in memory, with their bytes."""

    def __init__(self, partitions: int, limit_bytes: int) -> None:
        """Take the number of partitions, and the most memory to use, in bytes."""
        self.limit = limit_bytes
        self.bytes = 0
        self.entries: dict[UUID, Entry] = {}
        self.settled: OrderedDict[UUID, Entry] = OrderedDict()
        """Entries that may go when room is needed, the longest unused first."""
        self.waiting: list[deque[Waiting]] = [deque() for _ in range(partitions)]
        """Records of each partition, in order."""

    @property
    def full(self) -> bool:
        """Whether there is no room for the records of new commands, and nothing that could be forgotten for it."""
        return self._is_short and not self.settled

    @property
    def exhausted(self) -> bool:
        """Whether there is no room for any more records."""
        return self.bytes > self.limit

    @property
    def _is_short(self) -> bool:
        return self.bytes > self.limit * HEADROOM

    def entry(self, task_id: UUID, partition: int) -> Entry:
        """Give a task's entry, a new one where there is none, as one that was just used."""
        entry = self.entries.get(task_id)
        if entry is None:
            entry = self.entries[task_id] = Entry(task_id, partition)
        self.settled.pop(task_id, None)
        return entry

    def add(self, entry: Entry, offset: int, size: int, command_id: UUID | None) -> None:
        """Keep a record of `size` bytes until it is trimmed."""
        cost = RECORD_BYTES + (PENDING_FACTOR * size if entry.history is None else 0)
        self.waiting[entry.partition].append(Waiting(offset, entry, cost, command_id))
        entry.untrimmed += 1
        self.bytes += cost

    def set_history(self, entry: Entry, history: History) -> None:
        """Take a task's new history."""
        self.bytes += entry.set_history(history)

    def pin(self, entry: Entry) -> None:
        """Keep a task and its records here; for every pin there must be one release."""
        self.settled.pop(entry.task_id, None)
        entry.pins += 1

    def release(self, entry: Entry) -> None:
        """Let a pinned task go as soon as nothing else needs it."""
        entry.pins -= 1
        self._settle(entry)

    def trim(self, partition: int, floor: int) -> Iterator[Waiting]:
        """Let go of records before an offset, up to the first whose task is pinned, and give them."""
        waiting = self.waiting[partition]
        while waiting and waiting[0].offset < floor and not waiting[0].entry.pins:
            record = waiting.popleft()
            self.bytes -= record.bytes
            entry = record.entry
            entry.untrimmed -= 1
            while entry.pending and entry.pending[0][0] <= record.offset:
                entry.pending.pop(0)
            self._settle(entry)
            yield record

    def make_room(self) -> None:
        """Forget settled tasks until there is room for new commands."""
        while self._is_short and self.settled:
            self._forget(self.settled.popitem(last=False)[1])
        metrics.OVERLAY_BYTES.set(self.bytes)
        metrics.OVERLAY_TASKS.set(len(self.entries))

    def _settle(self, entry: Entry) -> None:
        """Keep a task that is known and done with for as long as there is room; forget one that is not known.

        A parked one is forgotten too, because what parks it is dealt with in the read models.
        """
        if entry.pins or entry.untrimmed:
            return
        if entry.history is None or entry.history.parked:
            self._forget(entry)
        else:
            self.settled[entry.task_id] = entry

    def _forget(self, entry: Entry) -> None:
        del self.entries[entry.task_id]
        self.bytes -= entry.bytes
