"""The log as people look at it: each record with what it is about, and what it came to.

What a record came to follows from its task's records before it. So it is known where a partition is read from the very
beginning, and where it does not depend on them; else the verdict is `?`.
"""

from __future__ import annotations

from contextlib import aclosing
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from app.domain.envelope import Event, decode, encode_key
from app.domain.history import EMPTY, History, Verdict, read
from app.log.port import partition_of, written_at

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from app.domain.envelope import Unreadable
    from app.log.port import Batch, Log, Record

HISTORIES = 100_000
"""Most tasks whose histories are kept to judge by, some hundred bytes each; records of further ones get no verdict."""
UNKNOWN = "?"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A record. Where it is no event that this code can read, only what is known of it is set."""

    partition: int
    offset: int
    time: datetime | None
    """When the event happened; for what cannot be read, when it was written."""
    type: str | None
    task_id: UUID | None
    version: int | None
    verdict: str
    """accepted, void, poison, parked, or ? where that is not known."""
    reason: str | None
    """Why it is poison."""
    repair: bool
    """Whether it is an operator's repair of a parked task."""
    actor: str | None
    event_id: UUID | None
    command_id: UUID | None
    bytes: int
    data: msgspec.Raw | str | None = None
    """What changed, as JSON, or all of a record that cannot be read; only where it is asked for."""


class Examiner:
    """Judges the records of some partitions in their order."""

    def __init__(self, *, with_data: bool = False, histories: int = HISTORIES) -> None:
        """Say whether entries have their data, and how many histories may be kept."""
        self._with_data = with_data
        self._room = histories
        self._known: dict[UUID, History] = {}

    def examine(self, partition: int, record: Record, *, from_beginning: bool) -> Entry:
        """Give the entry of the next record; `from_beginning` says that all before it in its partition were seen."""
        event = decode(record.key, record.value)
        verdict, reason = self._judge(event, from_beginning=from_beginning)
        readable = event if isinstance(event, Event) else None
        return Entry(
            partition=partition,
            offset=record.offset,
            time=readable.time if readable else written_at(record),
            type=readable.type if readable else None,
            task_id=event.task_id,
            version=event.version,
            verdict=verdict,
            reason=reason,
            repair=readable is not None and readable.repairs is not None,
            actor=readable.actor if readable else None,
            event_id=readable.id if readable else None,
            command_id=readable.command_id if readable else None,
            bytes=len(record.value or b""),
            data=_data_of(readable, record) if self._with_data else None,
        )

    def _judge(self, event: Event | Unreadable, *, from_beginning: bool) -> tuple[str, str | None]:
        task_id = event.task_id
        before = self._known.get(task_id, EMPTY) if task_id else EMPTY
        if task_id and task_id not in self._known and not (from_beginning and len(self._known) < self._room):
            if event.version is not None:
                return UNKNOWN, None
            return Verdict.POISON.value, read(EMPTY, event)[1].parked
        verdict, after = read(before, event)
        if task_id:
            self._known[task_id] = after
        return verdict.value, after.parked if verdict is Verdict.POISON else None


async def read_entries(
    log: Log,
    start: Mapping[int, int],
    stop: Mapping[int, int],
    *,
    task_id: UUID | None = None,
    with_data: bool = False,
    done: Callable[[int], None] = lambda _: None,
) -> AsyncGenerator[Entry]:
    """Yield what lies between two positions, one partition after the other; both name the partitions that count.

    The records of one task are read from the beginning of its partition, so that their verdicts are exact. `done` is
    told how many records were read, as of `records_between`. Raises LogUnavailable, LogTruncated.
    """
    beginnings = await log.beginnings()
    examiner, count = Examiner(with_data=with_data), 0
    for partition, first in _wanted(start, stop, beginnings, task_id, log.partitions).items():
        async with aclosing(log.read(partition, first, stop[partition])) as batches:
            async for batch in batches:
                for entry in _examine(examiner, batch, task_id, from_beginning=first == 0):
                    if entry.offset >= start[partition]:
                        yield entry
                count += len(batch.records)
                done(count)


async def records_between(
    log: Log, start: Mapping[int, int], stop: Mapping[int, int], task_id: UUID | None = None
) -> int:
    """Give how many offsets `read_entries` has to read."""
    wanted = _wanted(start, stop, await log.beginnings(), task_id, log.partitions)
    return sum(stop[partition] - first for partition, first in wanted.items())


async def tail_entries(
    log: Log, start: Mapping[int, int], *, task_id: UUID | None = None, with_data: bool = False
) -> AsyncGenerator[Entry]:
    """Yield what comes from a position on, for ever; of one task with exact verdicts.

    Raises LogUnavailable, LogTruncated.
    """
    beginnings = await log.beginnings()
    wanted = _wanted(start, start, beginnings, task_id, log.partitions) if task_id else start
    examiner = Examiner(with_data=with_data)
    async with aclosing(log.tail(wanted)) as batches:
        async for batch in batches:
            exact = wanted[batch.partition] == 0
            for entry in _examine(examiner, batch, task_id, from_beginning=exact):
                if entry.offset >= start[batch.partition]:
                    yield entry


def _wanted(
    start: Mapping[int, int],
    stop: Mapping[int, int],
    beginnings: Mapping[int, int],
    task_id: UUID | None,
    partitions: int,
) -> dict[int, int]:
    """Give the partitions that must be read, and from where."""
    if task_id is None:
        return {partition: start[partition] for partition in sorted(start.keys() & stop.keys())}
    partition = partition_of(encode_key(task_id), partitions)
    return {partition: beginnings[partition]} if partition in start and partition in stop else {}


def _examine(examiner: Examiner, batch: Batch, task_id: UUID | None, *, from_beginning: bool) -> list[Entry]:
    key = encode_key(task_id) if task_id else None
    return [
        examiner.examine(batch.partition, record, from_beginning=from_beginning)
        for record in batch.records
        if key is None or record.key == key
    ]


def _data_of(event: Event | None, record: Record) -> msgspec.Raw | str | None:
    if event is None:
        return None if record.value is None else record.value.decode(errors="replace")
    return msgspec.Raw(msgspec.json.encode(event.change))
