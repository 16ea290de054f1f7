"""Appends to Kafka in batches: whatever came together leaves together, one batch of a partition at a time.

aiokafka's `send` does for every record what this does for every batch. A batch that fails is sent again: should the
first copy have reached the log after all, the second is void, because the first record of a version wins.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError

from app.domain.envelope import CONTENT_TYPE
from app.domain.errors import LogUnavailable, OutcomeUnknown
from app.log.port import Appending

if TYPE_CHECKING:
    from aiokafka.producer.message_accumulator import BatchBuilder

logger = logging.getLogger(__name__)

BATCH_BYTES = 512 * 1024
"""Most bytes of a batch; the largest event has about half of that, and Kafka's own limit is twice as much."""
PENDING = 10_000
"""Most records of a partition that wait to be sent; more are refused."""
RETRY_DELAY = 0.2
"""Seconds between two tries of a batch."""
GIVE_UP = 30.0
"""Seconds after which a batch is given up; the commands behind it have been answered long before."""
STOP_TIMEOUT = 3.0
_CONTENT_TYPE = ("content-type", CONTENT_TYPE.encode())


class _Pending(NamedTuple):
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]
    appending: Appending


class Writer:
    """The producing side of the log."""

    def __init__(self, servers: str, topic: str, partitions: int) -> None:
        """Take bootstrap servers, the topic's name and its number of partitions."""
        self._servers = servers
        self._topic = topic
        self._pending: list[deque[_Pending]] = [deque() for _ in range(partitions)]
        self._draining: dict[int, asyncio.Task[None]] = {}

    async def start(self) -> None:
        """Connect. Raises KafkaError."""
        self._producer = await self._start_producer()

    async def stop(self) -> None:
        """Send what is pending, for a few seconds at most, and disconnect."""
        if self._draining:
            await asyncio.wait(list(self._draining.values()), timeout=STOP_TIMEOUT)
        for task in list(self._draining.values()):
            task.cancel()
        await _stop_producer(self._producer)

    def append(self, partition: int, key: bytes, value: bytes, traceparent: str | None) -> Appending:
        """See Log."""
        appending = Appending()
        pending = self._pending[partition]
        if len(pending) >= PENDING:
            appending.set_exception(LogUnavailable())
            return appending
        headers = [_CONTENT_TYPE, ("traceparent", traceparent.encode())] if traceparent else [_CONTENT_TYPE]
        pending.append(_Pending(key, value, headers, appending))
        if partition not in self._draining:
            self._draining[partition] = asyncio.create_task(self._drain(partition))
        return appending

    async def _drain(self, partition: int) -> None:
        """Send batches until nothing is pending; those who append meanwhile fill the next one."""
        pending = self._pending[partition]
        try:
            while pending:
                batch, taken = self._fill(pending)
                if taken:
                    await self._deliver(partition, batch, taken)
        finally:
            del self._draining[partition]

    def _fill(self, pending: deque[_Pending]) -> tuple[BatchBuilder, list[_Pending]]:
        batch, taken = self._producer.create_batch(), []
        while pending:
            record = pending[0]
            if record.appending.cancelled():
                pending.popleft()  # its command has given up, and nobody is to find it in the log
                continue
            if batch.append(timestamp=None, key=record.key, value=record.value, headers=record.headers) is None:
                break
            record.appending.sent = True
            taken.append(pending.popleft())
        return batch, taken

    async def _deliver(self, partition: int, batch: BatchBuilder, taken: list[_Pending]) -> None:
        give_up = asyncio.get_running_loop().time() + GIVE_UP
        while True:
            producer = self._producer
            try:
                await (await producer.send_batch(batch, self._topic, partition=partition))
            except KafkaError as error:
                logger.warning("a batch was not acknowledged", extra={"partition": partition, "error": repr(error)})
                if asyncio.get_running_loop().time() > give_up:
                    _settle(taken, OutcomeUnknown())
                    return
                await self._renew_producer(producer, error)
                await asyncio.sleep(RETRY_DELAY)
                batch = self._producer.create_batch()
                for record in taken:
                    batch.append(timestamp=None, key=record.key, value=record.value, headers=record.headers)
            else:
                _settle(taken, None)
                return

    async def _start_producer(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._servers, acks="all", enable_idempotence=True, max_batch_size=BATCH_BYTES
        )
        try:
            await producer.start()
        except BaseException:
            await _stop_producer(producer)
            raise
        return producer

    async def _renew_producer(self, failed: AIOKafkaProducer, error: KafkaError) -> None:
        """Replace a producer that failed for good: one whose sequence of batches has a hole never recovers."""
        passes = error.retriable or isinstance(error, KafkaTimeoutError | KafkaConnectionError)
        if passes or self._producer is not failed:
            return
        with suppress(KafkaError, TimeoutError):
            renewed = await asyncio.wait_for(self._start_producer(), STOP_TIMEOUT)
            if self._producer is failed:
                self._producer, renewed = renewed, failed
            await _stop_producer(renewed)


async def _stop_producer(producer: AIOKafkaProducer) -> None:
    with suppress(KafkaError, TimeoutError):
        await asyncio.wait_for(producer.stop(), STOP_TIMEOUT)


def _settle(taken: list[_Pending], error: Exception | None) -> None:
    for record in taken:
        if record.appending.done():
            continue
        if error is None:
            record.appending.set_result(None)
        else:
            record.appending.set_exception(error)
            record.appending.exception()  # nobody need look at it
