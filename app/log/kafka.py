"""The log on Kafka."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import (
    ConsumerStoppedError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)

from app.domain.errors import LogUnavailable
from app.log.port import Batch, LogTruncated, milliseconds_of
from app.log.writer import Writer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from datetime import datetime
    from types import TracebackType

    from app.log.port import Appending

START_TIMEOUT = 30.0
"""Seconds that the brokers may take to answer before the process gives up starting."""
END_TIMEOUT = 3.0
"""Seconds that the brokers may take to tell where the log ends."""
READ_TIMEOUT = 30.0
"""Seconds without a single record after which a bounded read gives up."""
FETCH_BYTES = 4 * 1024 * 1024


class KafkaLog:
    """`task.events` in Kafka; use it as an async context manager.

    The producer, the tail and the question for the log's end have a connection each: brokers answer one
    connection in order, and a fetch that waits for new records would hold up whatever comes behind it.
    """

    def __init__(self, servers: str, topic: str, partitions: int) -> None:
        """Take bootstrap servers (`host:port`, comma separated), the topic's name and its number of partitions."""
        self.partitions = partitions
        self._servers = servers
        self._topic = topic
        self._all = [TopicPartition(topic, partition) for partition in range(partitions)]
        self._stack = AsyncExitStack()
        self._writer = Writer(servers, topic, partitions)

    async def __aenter__(self) -> Self:
        """Connect. Raises LogUnavailable."""
        try:
            async with asyncio.timeout(START_TIMEOUT):
                await self._writer.start()
                self._stack.push_async_callback(self._writer.stop)
                self._ends = await self._stack.enter_async_context(self._consumer())
        except (KafkaError, TimeoutError) as error:
            raise LogUnavailable(f"Kafka at {self._servers} does not answer: {error!r}") from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Flush what was appended and disconnect."""
        await self._stack.aclose()

    def append(self, partition: int, key: bytes, value: bytes, traceparent: str | None) -> Appending:
        """See Log."""
        return self._writer.append(partition, key, value, traceparent)

    async def ends(self) -> Mapping[int, int]:
        """See Log."""
        try:
            async with asyncio.timeout(END_TIMEOUT):
                offsets = await self._ends.end_offsets(self._all)
        except (KafkaError, TimeoutError) as error:
            raise LogUnavailable from error
        return {tp.partition: offset for tp, offset in offsets.items()}

    async def beginnings(self) -> Mapping[int, int]:
        """See Log."""
        try:
            async with asyncio.timeout(END_TIMEOUT):
                offsets = await self._ends.beginning_offsets(self._all)
        except (KafkaError, TimeoutError) as error:
            raise LogUnavailable from error
        return {tp.partition: offset for tp, offset in offsets.items()}

    async def offsets_at(self, moment: datetime) -> Mapping[int, int]:
        """See Log."""
        ends = await self.ends()  # asked first: whatever comes later than this answer is not passed over
        try:
            async with asyncio.timeout(END_TIMEOUT):
                found = await self._ends.offsets_for_times(dict.fromkeys(self._all, milliseconds_of(moment)))
        except (KafkaError, TimeoutError) as error:
            raise LogUnavailable from error
        return {tp.partition: ends[tp.partition] if at is None else at.offset for tp, at in found.items()}

    async def tail(self, start: Mapping[int, int]) -> AsyncGenerator[Batch]:
        """See Log."""
        async with self._consumer() as consumer:
            consumer.assign([TopicPartition(self._topic, partition) for partition in start])
            for partition, offset in start.items():
                consumer.seek(TopicPartition(self._topic, partition), offset)
            while True:
                for batch in await _fetch(consumer, timeout_ms=60_000):
                    yield batch

    async def read(self, partition: int, start: int, stop: int) -> AsyncGenerator[Batch]:
        """See Log."""
        if start >= stop:
            return
        source = TopicPartition(self._topic, partition)
        async with self._consumer() as consumer:
            consumer.assign([source])
            consumer.seek(source, start)
            while True:
                batches = await _fetch(consumer, timeout_ms=1000 * int(READ_TIMEOUT))
                if not batches:
                    raise LogUnavailable(f"Kafka gave no record of partition {partition} for {READ_TIMEOUT:.0f} s")
                for batch in batches:
                    records = [record for record in batch.records if record.offset < stop]
                    if records:
                        yield Batch(partition, records)
                    if batch.records[-1].offset >= stop - 1:
                        return

    @asynccontextmanager
    async def _consumer(self) -> AsyncGenerator[AIOKafkaConsumer]:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._servers,
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_max_bytes=FETCH_BYTES,
            max_partition_fetch_bytes=FETCH_BYTES // 4,
        )
        try:
            await consumer.start()
            await asyncio.sleep(0)  # to its own tasks: one that never ran fails a stop, as if we were cancelled
            yield consumer
        except KafkaError as error:
            raise LogUnavailable from error
        finally:
            await consumer.stop()


async def _fetch(consumer: AIOKafkaConsumer, timeout_ms: int) -> list[Batch]:
    try:
        fetched = await consumer.getmany(timeout_ms=timeout_ms)
    except (OffsetOutOfRangeError, NoOffsetForPartitionError) as error:
        raise LogTruncated(str(error)) from error
    except ConsumerStoppedError as error:
        raise LogUnavailable from error
    return [Batch(tp.partition, records) for tp, records in fetched.items() if records]
