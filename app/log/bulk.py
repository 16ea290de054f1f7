"""Read a long stretch of the log at once, for rebuilds: librdkafka fetches and splits batches outside Python.

Measured beside aiokafka in turns, it gave twice as many records a second, and 1.6 times as many with their decoding.
The tail of a web process stays with aiokafka: it waits for single records, on the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

from confluent_kafka import Consumer, KafkaError, TopicPartition
from msgspec import Struct

from app.domain.errors import LogUnavailable
from app.log.port import Batch, LogTruncated

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping
    from types import TracebackType

    from confluent_kafka import Message

logger = logging.getLogger(__name__)

CHUNK = 5000
"""Records of a chunk, where they are small; it has less than SLICE more."""
CHUNK_BYTES = 8 * 1024 * 1024
"""Bytes of keys and values after which a chunk is full, whatever their number."""
SLICE = 250
"""Records taken from librdkafka at a time."""
AHEAD_KIB = 32 * 1024
"""KiB that librdkafka fetches ahead, and one answer of a broker more."""
ANSWER_BYTES = 8 * 1024 * 1024
"""Bytes of one answer of a broker, all partitions together."""
PATIENCE = 60.0
"""Seconds without a record after which the brokers count as gone."""
LINGER = 0.1
"""Seconds that a chunk waits for more records before it is given as it is."""
GROUP = "taskledger-bulk-reader"
"""A name, for librdkafka wants one; the group is neither joined nor committed to."""
RECONNECT_MS = 1000
"""Longest pause between two tries to reach a broker."""
_END = KafkaError._PARTITION_EOF  # noqa: SLF001 - librdkafka's own codes are called like this
_GONE = frozenset({KafkaError._AUTO_OFFSET_RESET, KafkaError._LOG_TRUNCATION, KafkaError.OFFSET_OUT_OF_RANGE})  # noqa: SLF001


class BulkRecord(Struct, frozen=True, gc=False):
    """One record."""

    offset: int
    key: bytes | None
    value: bytes | None


class BulkReader:
    """The records from `start` up to `stop` of a topic, once, in chunks; use it as an async context manager.

    It belongs to no consumer group and commits nothing, so nobody notices that it reads. While a chunk is worked on,
    a thread gets the next one ready; no more than that is kept, and what librdkafka fetches ahead.
    """

    def __init__(
        self,
        servers: str,
        topic: str,
        start: Mapping[int, int],
        stop: Mapping[int, int],
        *,
        patience: float = PATIENCE,
    ) -> None:
        """Take bootstrap servers, a topic, and for each partition its first offset and the one after its last.

        A partition without a `stop`, or with one that is not after its `start`, is not read. `patience` is the seconds
        that an outage may take: the reader goes on by itself when the brokers are back in time.
        """
        self._servers = servers
        self._topic = topic
        self._start = {partition: offset for partition, offset in start.items() if offset < stop.get(partition, 0)}
        self._left = {partition: stop[partition] for partition in self._start}
        self._patience = patience
        self._closing = False
        self._trouble = "no answer"

    async def __aenter__(self) -> Self:
        """Begin to fetch; whether the brokers answer shows with the first chunk."""
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="bulk-reader")
        self._consumer = Consumer(self._configuration(), logger=logger)
        self._consumer.assign([TopicPartition(self._topic, *place) for place in self._start.items()])
        self._next = self._run_take()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop fetching."""
        self._closing = True
        # In the one thread, and so never while the consumer is being asked for records.
        closed = asyncio.get_running_loop().run_in_executor(self._thread, self._consumer.close)
        await asyncio.gather(self._next, closed, return_exceptions=True)
        self._thread.shutdown(wait=False)

    def __aiter__(self) -> AsyncIterator[list[Batch]]:
        """Give chunks: a run of records, in order, for each partition that has any in it; all partitions side by side.

        Ends when every partition was read to its stop; where its last offsets hold no records (Kafka's transaction
        markers, say), with the last record before them. Can be gone through once.

        Raises LogTruncated where wanted records are gone, LogUnavailable where no record came for too long.
        """
        return self._chunks()

    async def _chunks(self) -> AsyncGenerator[list[Batch]]:
        while chunk := await self._next:
            self._next = self._run_take()
            yield chunk

    def _run_take(self) -> asyncio.Future[list[Batch]]:
        return asyncio.get_running_loop().run_in_executor(self._thread, self._take)

    def _take(self) -> list[Batch]:
        """Wait, in the thread, for the next chunk; an empty one is the end."""
        runs: dict[int, list[BulkRecord]] = {partition: [] for partition in self._left}
        count = size = 0
        deadline = time.monotonic() + self._patience
        while self._left and not self._closing and count < CHUNK and size < CHUNK_BYTES:
            messages = self._consumer.consume(SLICE, LINGER)
            if count and not messages:
                break
            for message in messages:
                taken = self._sort(message, runs)
                if taken:
                    count += 1
                    size += taken
            if not count and time.monotonic() > deadline:
                raise LogUnavailable(
                    f"Kafka gave no record of {self._topic} for {self._patience:.0f} s ({self._trouble}): "
                    "check that its brokers are up, then run this again."
                )
        return [Batch(partition, records) for partition, records in runs.items() if records]

    def _sort(self, message: Message, runs: Mapping[int, list[BulkRecord]]) -> int:
        """Put a message into the run of its partition; give its bytes, or 0 where it is no wanted record."""
        error = message.error()
        at_end = error is not None and error.code() == _END
        if error is not None and not at_end:
            self._note(error)
            return 0
        partition, offset = message.partition(), message.offset()
        stop = self._left.get(partition) if partition is not None else None
        if partition is None or offset is None or stop is None:
            return 0  # it was fetched before its partition was paused
        if offset + (not at_end) >= stop:
            del self._left[partition]
            self._consumer.pause([TopicPartition(self._topic, partition)])
        if at_end or offset >= stop:
            return 0
        key, value = message.key(), message.value()
        runs[partition].append(BulkRecord(offset, key, value))
        return 1 + len(key or b"") + len(value or b"")

    def _note(self, error: KafkaError) -> None:
        """Keep what librdkafka, which tries again by itself, has met. Raises LogTruncated."""
        if error.code() in _GONE:
            raise LogTruncated(f"{self._topic}: {error.str()}")
        self._trouble = error.str()

    def _configuration(self) -> dict[str, object]:
        return {
            "bootstrap.servers": self._servers,
            "group.id": GROUP,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
            "isolation.level": "read_uncommitted",  # as everyone else reads the log
            "enable.partition.eof": True,
            "queued.min.messages": 10 * CHUNK,
            "queued.max.messages.kbytes": AHEAD_KIB,
            "fetch.max.bytes": ANSWER_BYTES,
            "fetch.wait.max.ms": int(1000 * LINGER),
            "fetch.queue.backoff.ms": 5,
            "reconnect.backoff.max.ms": RECONNECT_MS,
            "error_cb": self._note,
        }
