"""Tasks, events and records for tests: a test names only the parts that it is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from app.domain.envelope import Event, Unreadable, encode, encode_key
from app.domain.task import Change, State, TaskCompleted, TaskCreated, TaskDeleted, TaskUpdated, evolve
from app.log.memory import MemoryRecord

if TYPE_CHECKING:
    from collections.abc import Iterable

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
COMPLETED = TaskCompleted()
DELETED = TaskDeleted()
REOPENED = TaskUpdated(status="open")


def number(n: int) -> UUID:
    """Give the n-th of some UUIDs."""
    return UUID(int=0x0194_0000_0000_7000_8000_0000_0000_0000 + n)


TASK = number(1)


def minute(n: int) -> datetime:
    return NOON + timedelta(minutes=n)


def created(title="water the plants", description="", priority=0, due_at=None, tags=()) -> TaskCreated:
    return TaskCreated(title=title, description=description, priority=priority, due_at=due_at, tags=list(tags))


def state_after(*changes: Change, task_id: UUID = TASK) -> State:
    """Fold changes that happened in the minutes 1, 2, 3 …"""
    state: State = None
    for version, change in enumerate(changes, start=1):
        state = evolve(state, change, task_id, minute(version))
    return state


def event(version: int, change: Change, task_id: UUID = TASK, **parts) -> Event:
    """Make an event of the minute of its version; its id tells the version and the task apart."""
    identity = UUID(int=(task_id.int << 16) % (1 << 128) | version)
    defaults = {"id": identity, "time": minute(version), "actor": "local", "command_id": identity}
    return Event(task_id=task_id, version=version, change=change, **(defaults | parts))


def events(*changes: Change, task_id: UUID = TASK) -> list[Event]:
    return [event(version, change, task_id) for version, change in enumerate(changes, start=1)]


def unreadable(version: int | None, reason: str = "not understood", task_id: UUID = TASK) -> Unreadable:
    return Unreadable(task_id=task_id, version=version, reason=reason)


def record(offset: int, content: Event | bytes, task_id: UUID = TASK) -> MemoryRecord:
    """Make the record of an event, or of any bytes under a task's key."""
    if isinstance(content, Event):
        return MemoryRecord(offset, encode_key(content.task_id), encode(content))
    return MemoryRecord(offset, encode_key(task_id), content)


def whole(title="put right", description="", priority=0, due_at=None, tags=()) -> TaskUpdated:
    """Give a change that carries all of an open task, as a repair does."""
    return TaskUpdated(
        title=title, description=description, priority=priority, due_at=due_at, tags=list(tags), status="open"
    )


def records(contents: Iterable[Event | bytes], start: int = 0) -> list[MemoryRecord]:
    return [record(offset, content) for offset, content in enumerate(contents, start)]
