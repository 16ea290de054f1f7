"""What the rest of Taskledger needs of a log.

Kafka (`app.log.kafka`) is the real one; `app.log.memory` is its twin for tests and passes the same
contract tests.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Record(Protocol):
    """One record as it stands in the log."""

    @property
    def offset(self) -> int:
        """Place in its partition; offsets rise, and may leave gaps."""

    @property
    def key(self) -> bytes | None:
        """The task id as text."""

    @property
    def value(self) -> bytes | None:
        """The event."""


def written_at(record: Record) -> datetime | None:
    """Give when a record of `Log.read` or `Log.tail` was written, by its writer's clock; None where it does not say."""
    milliseconds: int | None = getattr(record, "timestamp", None)
    return None if milliseconds is None or milliseconds < 0 else _EPOCH + timedelta(milliseconds=milliseconds)


def milliseconds_of(moment: datetime) -> int:
    """Give the first whole millisecond since 1970 at a moment or later; 0 for what was before."""
    return max(0, -((_EPOCH - moment) // timedelta(milliseconds=1)))


class Batch(NamedTuple):
    """Some records of one partition, in order."""

    partition: int
    records: Sequence[Record]


def runs(batch: Batch) -> Iterator[Batch]:
    """Cut a batch wherever a record is not the one after the record before, so that a hole shows as a late beginning.

    Faust drops records that come while it pauses its flow, and goes on with those after them.
    """
    partition, records = batch
    first = 0
    for index in range(1, len(records)):
        if records[index].offset != records[index - 1].offset + 1:
            yield Batch(partition, records[first:index])
            first = index
    yield Batch(partition, records[first:])


class Appending(asyncio.Future[None]):
    """A record on its way to the log."""

    sent = False
    """Whether it has left, and so may be in the log whatever happens."""


class Log(Protocol):
    """The append-only topic `task.events`."""

    @property
    def partitions(self) -> int:
        """Number of partitions, fixed for life."""

    def append(self, partition: int, key: bytes, value: bytes, traceparent: str | None) -> Appending:
        """Append a record; what is returned is done once every in-sync replica has it.

        It fails with LogUnavailable where the record was certainly not appended, with OutcomeUnknown where it may have
        been. Cancelled before it was `sent`, the record never comes to be in the log.
        """

    async def ends(self) -> Mapping[int, int]:
        """Give the offset after the last replicated record of every partition, as of after the call began.

        Raises LogUnavailable.
        """

    async def beginnings(self) -> Mapping[int, int]:
        """Give the offset of the first record that is still there, of every partition. Raises LogUnavailable."""

    async def offsets_at(self, moment: datetime) -> Mapping[int, int]:
        """Give, for every partition, the offset of the first record that was written at a moment or later.

        It goes by the clocks of the writers, in milliseconds. Where there is no such record it is the end.
        Raises LogUnavailable.
        """

    def tail(self, start: Mapping[int, int]) -> AsyncGenerator[Batch]:
        """Yield every record from the given offsets on, for ever; outlives outages of the brokers.

        Raises LogTruncated where a wanted record is no longer there.
        """

    def read(self, partition: int, start: int, stop: int) -> AsyncGenerator[Batch]:
        """Yield the records of one partition with start <= offset < stop, then end.

        Raises LogUnavailable, LogTruncated.
        """


class LogTruncated(Exception):
    """Records that are needed were removed from the log: its retention must be unlimited."""


_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")


def partition_of(key: bytes, partitions: int) -> int:
    """Give the partition of a key: its CRC-32, modulo; what librdkafka calls consistent.

    Only Taskledger writes the log, and names the partition of each record, so that this need agree with nobody else;
    the murmur2 of Kafka's Java client takes thirty times as long in Python.
    """
    return zlib.crc32(key) % partitions


def position_text(position: Mapping[int, int]) -> str:
    """Write a position as a consistency token: `partition:next offset`, comma separated, in order."""
    return ",".join(f"{partition}:{offset}" for partition, offset in sorted(position.items()))


def parse_position(text: str) -> dict[int, int]:
    """Read a consistency token. Raises ValueError for anything that position_text did not write."""
    position: dict[int, int] = {}
    for part in text.split(",") if text else []:
        partition, colon, offset = part.partition(":")
        if not (colon and _NUMBER.fullmatch(partition) and _NUMBER.fullmatch(offset)):
            raise ValueError(text)
        position[int(partition)] = int(offset)
    return position
