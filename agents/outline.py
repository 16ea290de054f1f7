"""What the tables remember of a task's history: just enough to apply the rule of `app.domain.history`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.domain.envelope import Event, Unreadable
from app.domain.task import TaskCreated, TaskDeleted

if TYPE_CHECKING:
    from typing import TypeGuard

ENDED = -1
"""In place of a version: nothing more can happen to the task, for it was deleted, or a damaged record parked it."""


def is_accepted(record: Event | Unreadable, last: int) -> TypeGuard[Event]:
    """Tell whether a task's next record happened, after the last version that did; 0 before the first."""
    return (
        isinstance(record, Event)
        and last != ENDED
        and record.version == last + 1
        and isinstance(record.change, TaskCreated) == (last == 0)
    )


def last_version(record: Event | Unreadable, last: int) -> int:
    """Give the last version once a record was read."""
    if is_accepted(record, last):
        return ENDED if isinstance(record.change, TaskDeleted) else record.version
    is_void = record.version is not None and record.version <= last
    return last if is_void else ENDED
