"""The agent `publish`: accepted events, byte for byte, to the topic of their type.

At least once: a crash between sending and remembering sends again, with the same CloudEvents id.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from agents.batches import TableFollower, finish
from agents.durable_table import durable_table
from agents.outline import is_accepted, last_version
from app.domain.envelope import CONTENT_TYPE, decode, encode_key
from app.log.topics import PUBLISHED_TABLE
from app.telemetry import metrics

if TYPE_CHECKING:
    import faust

    from agents.durable_table import DurableTable
    from app.log.port import Batch, Log

BATCH = 500
"""Most records that are sent before the table remembers them."""
GATHER = 0.0
"""Seconds that a batch waits for more records."""
SEND_TIMEOUT = 30.0
"""Seconds that Kafka may take to acknowledge one batch."""
_HEADERS = {"content-type": CONTENT_TYPE.encode()}


def publisher(stream_app: faust.App, log: Log, topic_prefix: str) -> TableFollower:
    """Make the follower that publishes; its table holds what `outline` remembers of each task."""
    published = durable_table(stream_app, PUBLISHED_TABLE, int, key_type=bytes)
    return TableFollower("publish", log, published, partial(forward, published=published, topic_prefix=topic_prefix))


async def forward(batch: Batch, published: DurableTable, topic_prefix: str) -> None:
    """Send the accepted events of a batch, then remember them; only then the batch is done."""
    producer = published.app.producer
    latest: dict[bytes, int] = {}
    sent = []
    types: Counter[str] = Counter()
    for record in batch.records:
        event = decode(record.key, record.value)
        if event.task_id is None:
            continue
        key = encode_key(event.task_id)
        last = latest.get(key) or published.get(key) or 0
        latest[key] = last_version(event, last)
        if is_accepted(event, last):
            topic = topic_prefix + event.type
            sent.append(await producer.send(topic, key, record.value, batch.partition, None, _HEADERS))
            types[event.type] += 1
    async with asyncio.timeout(SEND_TIMEOUT):
        await asyncio.gather(*sent)
    for kind, events in types.items():
        metrics.PUBLISHED_EVENTS.labels(kind).inc(events)
    for key, version in latest.items():
        published[key] = version
    await finish(published, batch)
