"""What an operator's decision about a parked task comes to: the changes that set the task right.

`retry` keeps the poison, where this code can apply it now; `discard` goes on without it. Both are appended to the
log as an event that `repairs`, so that every reader takes the decision from there.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from app.domain.envelope import Event
from app.domain.history import History, Verdict, read
from app.domain.task import Change, Task, TaskCompleted, TaskDeleted, TaskUpdated, version_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.domain.envelope import Unreadable
    from app.domain.task import State

DISCARDED = "it is discarded"
EARLIER_REPAIR = "it is an earlier repair that could not be applied"


class Repair(Struct, frozen=True):
    """What is to be appended, and what is lost by it."""

    changes: list[Change]
    """The first repairs the task; one that completes it again may follow."""
    created_at: datetime | None
    """When the task was created, or None where nothing is left of it."""
    left_out: dict[int, str]
    """Places in the parked records, from 0, of those that have no part in the result, and why."""


def plan(last_good: State, parked: Sequence[Event | Unreadable], *, keep_poison: bool) -> Repair:
    """Read the parked records of a task again, on the last state that was applied.

    They come in their order in the log, the one that parked the task first, and without void ones. What the rule of
    `app.domain.history` does not accept is left out, and so is the first where it is not kept; the others go on as if
    it had changed nothing.
    """
    history = History(last_good, version_of(last_good))
    left_out: dict[int, str] = {}
    for place, record in enumerate(parked):
        verdict, after = read(history, record)
        unwanted = None if keep_poison else _why_unwanted(place, record)
        if unwanted is None and verdict is Verdict.ACCEPTED:
            history = after
        else:
            left_out[place] = unwanted or after.parked or verdict.value
            history = History(history.state, after.version)
    return _set_to(history.state, left_out)


def _why_unwanted(place: int, record: Event | Unreadable) -> str | None:
    if place == 0:
        return DISCARDED
    return EARLIER_REPAIR if isinstance(record, Event) and record.repairs is not None else None


def _set_to(state: State, left_out: dict[int, str]) -> Repair:
    if not isinstance(state, Task):
        return Repair([TaskDeleted()], state.created_at if state else None, left_out)
    changes: list[Change] = [
        TaskUpdated(
            title=state.title,
            description=state.description,
            priority=state.priority,
            due_at=state.due_at,
            tags=state.tags,
            status="open",
        )
    ]
    if state.status == "completed":
        changes.append(TaskCompleted())
    return Repair(changes, state.created_at, left_out)
