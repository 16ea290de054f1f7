"""What the tables remember of a task's history: just enough to apply the rule of `app.domain.history`.

That is one number: the last version that was taken, or, where the task was deleted or parked, -1 minus that version.
After the latter nothing but an operator's repair can happen. It is 0 before the first record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.domain.envelope import Event, Unreadable
from app.domain.task import TaskCreated, TaskDeleted, is_whole

if TYPE_CHECKING:
    from typing import TypeGuard


def is_accepted(record: Event | Unreadable, last: int) -> TypeGuard[Event]:
    """Tell whether a task's next record happened, after what is remembered of those before."""
    if not isinstance(record, Event) or record.version != _version(last) + 1:
        return False
    if record.repairs is not None:
        return is_whole(record.change)
    return last >= 0 and isinstance(record.change, TaskCreated) == (last == 0)


def last_version(record: Event | Unreadable, last: int) -> int:
    """Give what is to be remembered once a record was read."""
    if is_accepted(record, last):
        return _ended(record.version) if isinstance(record.change, TaskDeleted) else record.version
    version = _version(last)
    if record.version is not None and record.version <= version:
        return last  # void
    return _ended(version + 1 if record.version == version + 1 else version)


def _version(last: int) -> int:
    return last if last >= 0 else -1 - last


def _ended(version: int) -> int:
    return -1 - version
