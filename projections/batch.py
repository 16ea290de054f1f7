"""From records to facts: the pure half of applying a batch."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple, Protocol

from app.domain.envelope import Event, Unreadable, decode, decode_key
from app.domain.history import EMPTY, History, Verdict, read

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from uuid import UUID

    import sqlalchemy as sa

    from app.domain.task import State
    from app.log.port import Record


TASK = {"task": True}
"""Marks, as a column's `info`, the column that tells which task a row belongs to; every table has one."""

CLEARED = {"cleared": True}
"""Marks, as a table's `info`, that its rows can go again."""


class Accepted(NamedTuple):
    """An event that happened, and the task as it was right after."""

    partition: int
    offset: int
    event: Event
    after: State


class DeadLetter(NamedTuple):
    """A record that cannot be applied, in the order of the table's columns."""

    partition: int
    log_offset: int
    task_id: UUID | None
    taken_version: int | None
    verdict: str
    reason: str
    key: bytes | None
    value: bytes | None


class Judged(NamedTuple):
    """What a batch comes to."""

    accepted: list[Accepted]
    dead_letters: list[DeadLetter]
    verdicts: list[Verdict]
    histories: Mapping[UUID, History]
    """Of the tasks that the batch is about, after it."""
    repaired: set[UUID]
    """Tasks that an operator repaired: their dead letters of earlier batches hold no longer.

    Those of this batch before the repair are not in `dead_letters`, and those behind it are.
    """


class Rows(NamedTuple):
    """Rows to write to one table of a projection, all with the columns of the table in their order.

    `replaces` says that a row takes the place of the one with its primary key; else all rows are new.
    `clears` names the column of the task, and tasks whose rows go first; the table must say that it is `CLEARED`.
    """

    table: sa.Table
    replaces: bool
    values: Sequence[tuple[object, ...]]
    clears: tuple[str, Collection[object]] | None = None


class Projection(Protocol):
    """A read model: tables, and a pure fold from accepted events to their rows."""

    @property
    def name(self) -> str:
        """Name, and the stem of its schemas."""

    @property
    def definition(self) -> int:
        """Revision; a higher one is built anew, never migrated."""

    @property
    def metadata(self) -> sa.MetaData:
        """Its tables, in a schema that is called as the projection and stands for that of a generation."""

    def fold(self, judged: Judged) -> Sequence[Rows]:
        """Give the rows that a judged batch writes; folding it again gives the same rows."""


def task_column(table: sa.Table) -> sa.Column[UUID]:
    """Give the column that tells which task a row belongs to."""
    return next(column for column in table.columns if column.info.get("task"))


@cache
def task_index(table: sa.Table) -> int:
    """Give the place of that column in the rows of its table."""
    return [*table.columns].index(task_column(table))


@cache
def key_indexes(table: sa.Table) -> tuple[int, ...]:
    """Give the places of a table's primary key in its rows."""
    return tuple(number for number, column in enumerate(table.columns) if column.primary_key)


def may_clear(table: sa.Table) -> bool:
    """Tell whether rows of a table can go again, without others in their place."""
    return bool(table.info.get("cleared"))


def task_ids(records: Iterable[Record]) -> set[UUID]:
    """Give the tasks that some records are about."""
    return {task_id for record in records if (task_id := decode_key(record.key)) is not None}


def judge(
    partition: int, records: Iterable[Record], histories: Mapping[UUID, History], refused: Mapping[int, str]
) -> Judged:
    """Apply the rule of `app.domain.history` to the next records of a partition.

    `refused` names offsets whose events the database will not take, and why; they are poison although readable.
    """
    current = dict(histories)
    judged = Judged([], [], [], current, set())
    for record in records:
        event = decode(record.key, record.value)
        if record.offset in refused:
            event = Unreadable(task_id=event.task_id, version=event.version, reason=refused[record.offset])
        task_id = event.task_id
        before = current.get(task_id, EMPTY) if task_id else EMPTY
        verdict, after = read(before, event)
        if task_id:
            current[task_id] = after
        judged.verdicts.append(verdict)
        if verdict is Verdict.ACCEPTED and isinstance(event, Event):
            judged.accepted.append(Accepted(partition, record.offset, event, after.state))
            if event.repairs is not None:
                judged.repaired.add(event.task_id)
                judged.dead_letters[:] = [letter for letter in judged.dead_letters if letter.task_id != task_id]
        elif verdict is not Verdict.VOID:
            taken = after.version if after.version > before.version else None
            reason = after.parked or ""
            judged.dead_letters.append(
                DeadLetter(partition, record.offset, task_id, taken, verdict.value, reason, record.key, record.value)
            )
    return judged
