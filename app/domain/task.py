"""The task: its events, its state, how events change the state, and how commands are decided.

Everything here is pure: the clock and the ids come in as data.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import asdict, astuple, replace

from app.domain.commands import Command, CompleteTask, CreateTask, DeleteTask, Priority, ReopenTask, UpdateTask
from app.domain.errors import (
    FieldProblem,
    TaskExists,
    TaskGone,
    TaskNotFound,
    ValidationError,
    VersionMismatch,
)

# --- events ---------------------------------------------------------------------------------

Moment = Annotated[datetime, Meta(tz=True)]
"""A time with an offset; one without is not understood, since the read models could not hold it."""


class TaskCreated(Struct, frozen=True, kw_only=True, gc=False):
    """The task came to be, open, with these contents."""

    title: str
    description: str
    priority: Priority
    due_at: Moment | None
    tags: list[str]


class TaskUpdated(Struct, frozen=True, kw_only=True, gc=False):
    """The named contents took these values; `status` is only ever "open": the task was reopened."""

    title: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    priority: Priority | UnsetType = UNSET
    due_at: Moment | UnsetType | None = UNSET
    tags: list[str] | UnsetType = UNSET
    status: Literal["open"] | UnsetType = UNSET


class TaskCompleted(Struct, frozen=True, gc=False):
    """The task was done."""


class TaskDeleted(Struct, frozen=True, gc=False):
    """The task was removed for good."""


Change = TaskCreated | TaskUpdated | TaskCompleted | TaskDeleted

# --- state ----------------------------------------------------------------------------------


class Task(Struct, frozen=True, kw_only=True, gc=False):
    """A task as clients see it; the fields stand in the order of the API. Times are UTC."""

    id: UUID
    title: str
    description: str
    status: Literal["open", "completed"]
    priority: int
    due_at: datetime | None
    tags: list[str]
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None
    version: int


class DeletedTask(Struct, frozen=True, kw_only=True, gc=False):
    """What is left of a deleted task: that it was, and at which version it ended."""

    id: UUID
    created_at: datetime
    deleted_at: datetime
    version: int


State = Task | DeletedTask | None


def version_of(state: State) -> int:
    """Give the number of accepted events behind a state; 0 before the first."""
    return 0 if state is None else state.version


class ImpossibleChange(Exception):
    """The event cannot follow the state that it meets: the log was written by something else."""


# --- evolve ---------------------------------------------------------------------------------


def evolve(state: State, change: Change, task_id: UUID, time: datetime) -> Task | DeletedTask:
    """Apply one accepted change, which takes the version after the state's.

    Raises ImpossibleChange where no correct writer can have written it.
    """
    if isinstance(change, TaskCreated):
        if state is not None:
            raise ImpossibleChange("a task is created only once")
        return Task(
            id=task_id,
            **asdict(change),
            status="open",
            created_at=time,
            updated_at=time,
            completed_at=None,
            version=1,
        )
    if not isinstance(state, Task):
        raise ImpossibleChange("only an existing task can change")
    version = state.version + 1
    if isinstance(change, TaskUpdated):
        named = {name: value for name, value in asdict(change).items() if value is not UNSET}
        if "status" in named:
            named["completed_at"] = None
        return replace(state, **named, updated_at=time, version=version)
    if isinstance(change, TaskCompleted):
        return replace(state, status="completed", completed_at=time, updated_at=time, version=version)
    return DeletedTask(id=task_id, created_at=state.created_at, deleted_at=time, version=version)


def is_whole(change: Change) -> bool:
    """Tell whether a change carries all that a task is: every field and that it is open, or that it is deleted."""
    return isinstance(change, TaskDeleted) or (isinstance(change, TaskUpdated) and UNSET not in astuple(change))


def restore(change: Change, task_id: UUID, time: datetime, created_at: datetime, version: int) -> Task | DeletedTask:
    """Set a task's state from a change that carries all of it; what the task was before does not matter.

    Raises ImpossibleChange for a change that is not whole.
    """
    if not is_whole(change):
        raise ImpossibleChange("a repair carries every field of an open task, or deletes it")
    if isinstance(change, TaskUpdated):
        return Task(
            id=task_id, **asdict(change), created_at=created_at, updated_at=time, completed_at=None, version=version
        )
    return DeletedTask(id=task_id, created_at=created_at, deleted_at=time, version=version)


# --- decide ---------------------------------------------------------------------------------

ANY_VERSION = -1
"""The expectation `If-Match: *`: the task exists, at whichever version."""


def decide(state: State, command: Command, expected: int | None = None) -> Change | None:
    """Give the change that a command means in a state, or None where it is so already.

    `expected` is the version that the client saw, ANY_VERSION, or None where it does not say.
    Raises a Rejected error where the command does not fit, ValidationError for a time out of range.
    """
    if isinstance(command, CreateTask):
        if state is not None:
            raise TaskExists
        return TaskCreated(
            title=command.title.strip(),
            description=command.description,
            priority=command.priority,
            due_at=_utc(command.due_at),
            tags=_unique(command.tags),
        )
    task = _existing(state, expected)
    if isinstance(command, UpdateTask):
        return _update(task, command)
    if isinstance(command, CompleteTask):
        return None if task.status == "completed" else TaskCompleted()
    if isinstance(command, ReopenTask):
        return None if task.status == "open" else TaskUpdated(status="open")
    assert isinstance(command, DeleteTask)  # noqa: S101 - the union is exhausted; mypy holds it
    return TaskDeleted()


def _existing(state: State, expected: int | None) -> Task:
    if isinstance(state, Task):
        if expected not in (None, ANY_VERSION, state.version):
            raise VersionMismatch(state.version)
        return state
    if isinstance(state, DeletedTask) and expected is not None:
        raise TaskGone
    raise TaskNotFound


def _update(task: Task, patch: UpdateTask) -> TaskUpdated | None:
    wanted: dict[str, object] = {}
    if patch.title is not UNSET:
        wanted["title"] = patch.title.strip()
    if patch.description is not UNSET:
        wanted["description"] = patch.description or ""
    if patch.priority is not UNSET:
        wanted["priority"] = patch.priority or 0
    if patch.due_at is not UNSET:
        wanted["due_at"] = _utc(patch.due_at)
    if patch.tags is not UNSET:
        wanted["tags"] = _unique(patch.tags or [])
    changed = {name: value for name, value in wanted.items() if value != getattr(task, name)}
    return TaskUpdated(**changed) if changed else None  # type: ignore[arg-type]


_FIRST_TIME = datetime.min.replace(tzinfo=UTC)
_LAST_TIME = datetime.max.replace(tzinfo=UTC)
"""Both excluded: PostgreSQL drivers write the first and the last time of Python's calendar as infinities."""


def _utc(time: datetime | None) -> datetime | None:
    if time is None:
        return None
    with suppress(OverflowError):
        utc = time.astimezone(UTC)
        if _FIRST_TIME < utc < _LAST_TIME:
            return utc
    raise ValidationError([FieldProblem("due_at", "must be a time between the years 1 and 9999 in UTC")])


def _unique(tags: list[str]) -> list[str]:
    return list(dict.fromkeys(tags))
