"""The one rule that every reader of the log applies: the first record of a version happened.

A task's records share a partition, so all readers meet them in the same order. The rule looks at
nothing but that order, and so every reader reaches the same answer without talking to another.

A task that is parked waits for an operator, whose decision is a record in the log as well: an event that `repairs`
carries the whole task, and the task goes on from there for every reader, also for one that never took it for parked.
"""

from __future__ import annotations

from enum import Enum

from msgspec import Struct
from msgspec.structs import replace

from app.domain.envelope import Event, Unreadable
from app.domain.task import ImpossibleChange, State, evolve, restore


class Verdict(Enum):
    """What a record turned out to be."""

    ACCEPTED = "accepted"
    """It was the first of its version, and happened."""
    VOID = "void"
    """It lost its version to an earlier record; nothing happened."""
    POISON = "poison"
    """No correct writer of this code's age wrote it; its task is parked."""
    PARKED = "parked"
    """It took its version, but cannot be applied until an operator has dealt with the poison before it."""


class History(Struct, frozen=True, gc=False):
    """A task's history as far as it was read.

    `version` counts accepted records. It runs ahead of the state's own version only while the task
    is parked: from then on versions are still decided, but nothing is applied, up to the next repair.
    """

    state: State = None
    version: int = 0
    parked: str | None = None
    """Why the task is parked, or None."""


EMPTY = History()


def read(history: History, record: Event | Unreadable) -> tuple[Verdict, History]:
    """Judge the next record of a task and give the history that includes it."""
    if record.version is not None and record.version <= history.version:
        return Verdict.VOID, history
    if record.version != history.version + 1:
        return Verdict.POISON, _park(history, history.version, _why_not_next(history, record))
    repairs = isinstance(record, Event) and record.repairs is not None
    if history.parked and not repairs:
        return Verdict.PARKED, replace(history, version=record.version)
    try:
        return Verdict.ACCEPTED, History(_apply(history, record), record.version)
    except ImpossibleChange as error:
        return Verdict.POISON, _park(history, record.version, str(error))


def _apply(history: History, record: Event | Unreadable) -> State:
    if isinstance(record, Unreadable):
        raise ImpossibleChange(record.reason)
    if record.repairs is not None:
        return restore(record.change, record.task_id, record.time, record.repairs, record.version)
    return evolve(history.state, record.change, record.task_id, record.time)


def _why_not_next(history: History, record: Event | Unreadable) -> str:
    if isinstance(record, Unreadable) and record.version is None:
        return record.reason
    return f"version {record.version} follows version {history.version}"


def _park(history: History, version: int, reason: str) -> History:
    return History(history.state, version, history.parked or reason)
