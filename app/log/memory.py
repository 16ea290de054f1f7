"""The log's twin in memory, for tests: the same promises, and outages on demand."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from msgspec import Struct

from app.domain.errors import LogUnavailable
from app.log.port import Appending, Batch, LogTruncated, milliseconds_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from datetime import datetime


class MemoryRecord(Struct, frozen=True):
    """One record."""

    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int = 0
    """Milliseconds since 1970."""


class MemoryLog:
    """A log that lives as long as the object; shared by the processes that a test plays."""

    def __init__(self, partitions: int = 4) -> None:
        """Start empty."""
        self.partitions = partitions
        self.down = False
        """While true, nothing is appended and every question is refused."""
        self.lose_acknowledgements = False
        """While true, appends happen but their callers do not hear of it."""
        self._records: list[list[MemoryRecord]] = [[] for _ in range(partitions)]
        self._first = [0] * partitions
        self._grown = asyncio.Event()

    def append(self, partition: int, key: bytes, value: bytes, traceparent: str | None) -> Appending:
        """See Log; while down, the record waits to be sent, and never is."""
        del traceparent
        appending = Appending()
        if not self.down:
            appending.sent = True
            self.put(partition, key, value)
            if not self.lose_acknowledgements:
                appending.set_result(None)
        return appending

    def put(self, partition: int, key: bytes | None, value: bytes | None) -> None:
        """Append anything at all, as a broken producer could."""
        records = self._records[partition]
        records.append(MemoryRecord(len(records), key, value, time.time_ns() // 1_000_000))
        grown, self._grown = self._grown, asyncio.Event()
        grown.set()

    async def ends(self) -> Mapping[int, int]:
        """See Log."""
        self._refuse_while_down()
        return {partition: len(records) for partition, records in enumerate(self._records)}

    async def beginnings(self) -> Mapping[int, int]:
        """See Log."""
        self._refuse_while_down()
        return dict(enumerate(self._first))

    async def offsets_at(self, moment: datetime) -> Mapping[int, int]:
        """See Log."""
        self._refuse_while_down()
        since = milliseconds_of(moment)
        return {
            partition: next((r.offset for r in records[first:] if r.timestamp >= since), len(records))
            for partition, (first, records) in enumerate(zip(self._first, self._records, strict=True))
        }

    async def tail(self, start: Mapping[int, int]) -> AsyncGenerator[Batch]:
        """See Log."""
        position = dict(start)
        while True:
            if not any(len(self._records[partition]) > offset for partition, offset in position.items()):
                await self._grown.wait()
            for partition, offset in position.items():
                records = self._slice(partition, offset, len(self._records[partition]))
                if records:
                    position[partition] = records[-1].offset + 1
                    yield Batch(partition, records)

    async def read(self, partition: int, start: int, stop: int) -> AsyncGenerator[Batch]:
        """See Log."""
        self._refuse_while_down()
        records = self._slice(partition, start, stop)
        if records:
            yield Batch(partition, records)

    def truncate(self, partition: int, first: int) -> None:
        """Forget the records before an offset, as a finite retention would."""
        self._first[partition] = first

    def _slice(self, partition: int, start: int, stop: int) -> list[MemoryRecord]:
        if start < self._first[partition]:
            raise LogTruncated(f"partition {partition} starts at {self._first[partition]}, wanted {start}")
        return self._records[partition][start:stop]

    def _refuse_while_down(self) -> None:
        if self.down:
            raise LogUnavailable
