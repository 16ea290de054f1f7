"""What all agents have in common: batches of one partition, in order, each tried until it is done.

Faust takes an event whose agent raised for done, and so a batch is tried until it succeeds. There is no bound to the
tries: the batch can be given to nobody else, and the lag that grows meanwhile is what alerts watch.
"""

from __future__ import annotations

import asyncio
import logging
import random
from itertools import count
from typing import TYPE_CHECKING, Any

from app.domain.errors import Unavailable
from app.log.port import Batch
from app.telemetry import metrics

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import faust

logger = logging.getLogger(__name__)

LONGEST_BACKOFF = 5.0
"""Seconds between two tries, at most."""


def add_batch_agent(
    stream_app: faust.App,
    events: faust.TopicT,
    name: str,
    *,
    size: int,
    within: float,
    work: Callable[[Batch], Awaitable[None]],
) -> None:
    """Let the worker do some work for batches of at most `size` records, which wait `within` seconds for more."""

    @stream_app.agent(events, name=name, isolated_partitions=True)
    async def agent(stream: Any) -> None:
        async for taken in stream.take_events(size, within=within):
            messages = [event.message for event in taken]
            await until_done(name, Batch(messages[0].partition, messages), work)


async def until_done(agent: str, batch: Batch, work: Callable[[Batch], Awaitable[None]]) -> None:
    """Work on one batch, again and again while something that it needs is away."""
    where = {"agent": agent, "partition": batch.partition}
    for attempt in count():
        try:
            await work(batch)
        except Unavailable as error:
            logger.warning("a batch waits", extra=where | {"reason": error.detail})
        except Exception:
            logger.exception("a batch failed", extra=where)
        else:
            return
        metrics.BATCH_RETRIES.labels(agent).inc()
        longest = min(LONGEST_BACKOFF, 0.1 * 2 ** min(attempt, 10))
        await asyncio.sleep(random.uniform(0.5, 1) * longest)  # noqa: S311 - jitter, not a secret
