"""The worker's HTTP pages: its health, its metrics, and the insight of all workers together."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from aiohttp import ClientError, ClientSession, ClientTimeout
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from agents.insight import SHOWN, STATUSES, of_partition
from app.log.topics import TYPED

if TYPE_CHECKING:
    import faust

    from agents.insight import InsightTables
    from agents.worker import WorkerApp

ASK_TIMEOUT = 1.0
"""Seconds that another worker may take to tell its part."""


def add_pages(stream_app: WorkerApp, events: faust.TopicT, tables: InsightTables) -> None:
    """Serve `/livez`, `/readyz`, `/metrics`, `/insight` and, for other workers, `/insight/own`."""

    @stream_app.page("/livez")
    async def livez(page: Any, request: Any) -> Any:
        del request
        return page.text("alive\n")

    @stream_app.page("/readyz")
    async def readyz(page: Any, request: Any) -> Any:
        del request
        ready = stream_app.recovered and not stream_app.rebalancing and not stream_app.in_recovery
        return page.text("ready\n" if ready else "rebalancing or recovering tables\n", status=200 if ready else 503)

    @stream_app.page("/metrics")
    async def metrics(page: Any, request: Any) -> Any:
        del request
        return page.bytes(generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    @stream_app.page("/insight/own")
    async def own_insight(page: Any, request: Any) -> Any:
        del request
        return page.json(_own(stream_app, events, tables))

    @stream_app.page("/insight")
    async def insight(page: Any, request: Any) -> Any:
        del request
        return page.json(await _insight(stream_app, events, tables))


def _own(stream_app: faust.App, events: faust.TopicT, tables: InsightTables) -> dict[str, Any]:
    name = events.get_topic_name()
    assigned = sorted(tp.partition for tp in stream_app.consumer.assignment() if tp.topic == name)
    return {str(partition): of_partition(tables, partition, time.time()) for partition in assigned}


async def _insight(stream_app: faust.App, events: faust.TopicT, tables: InsightTables) -> dict[str, Any]:
    """Add up what every worker knows; partitions that nobody could speak for are named."""
    partitions = _own(stream_app, events, tables)
    others = set(stream_app.assignor.tables_metadata()) - {str(stream_app.conf.canonical_url).rstrip("/")}
    async with ClientSession(timeout=ClientTimeout(total=ASK_TIMEOUT)) as http:
        for part in await asyncio.gather(*(_ask(http, url) for url in sorted(others))):
            partitions |= part
    tasks: Counter[str] = Counter()
    changes: Counter[str] = Counter()
    for part in partitions.values():
        tasks.update(part["tasks"])
        changes.update(part["changes"])
    everything = {str(partition) for partition in range(stream_app.conf.topic_partitions)}
    return {
        "tasks": {status: tasks[status] for status in STATUSES},
        "changes": {kind: {f"{shown}m": changes[f"{kind}/{shown}"] for shown in SHOWN} for kind in TYPED},
        "missing_partitions": sorted(map(int, everything - set(partitions))),
    }


async def _ask(http: ClientSession, url: str) -> dict[str, Any]:
    try:
        async with http.get(f"{url}/insight/own") as answer:
            answer.raise_for_status()
            part: dict[str, Any] = await answer.json()
            return part
    except (ClientError, TimeoutError):
        return {}
