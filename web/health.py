"""Health: is the process alive, is it ready, and how is each part."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from app.domain.errors import DatabaseUnavailable, LogUnavailable
from web.service import SERVICE

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from web.service import Service

PROBE_TIMEOUT = 2.0
"""Seconds that one part may take to answer before it counts as down."""


async def livez(request: web.Request) -> web.Response:
    """GET /livez: 200 as long as the process can answer at all; a restart would not help otherwise."""
    del request
    return web.Response(text="alive\n")


async def readyz(request: web.Request) -> web.Response:
    """GET /readyz: 200 once the overlay has caught up with the log, and commands can be decided."""
    if request.app[SERVICE].overlay.ready:
        return web.Response(text="ready\n")
    return web.Response(status=503, text="catching up with the log\n", headers={"Retry-After": "1"})


async def health(request: web.Request) -> web.Response:
    """GET /api/health: the state of each part; 200 where all is well, else 503."""
    service = request.app[SERVICE]
    overlay = service.overlay
    log, database = await asyncio.gather(_probe(_ask_log(service)), _probe(service.read_model.positions()))
    lag = {
        str(partition): offset - overlay.applied.position.get(partition, 0)
        for partition, offset in sorted(overlay.tail.position.items())
    }
    well = log == database == "up" and overlay.ready and not overlay.memory.full
    body = {
        "status": "ok" if well else "degraded",
        "parts": {
            "log": log,
            "database": database,
            "overlay": "full" if overlay.memory.full else "ready" if overlay.ready else "catching up",
        },
        "read_model_lag_events": lag,
    }
    return web.Response(status=200 if well else 503, body=msgspec.json.encode(body), content_type="application/json")


async def metrics(request: web.Request) -> web.Response:
    """GET /metrics: Prometheus metrics of this process."""
    del request
    return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _ask_log(service: Service) -> None:
    if not service.overlay.ready:
        raise LogUnavailable
    await service.log.ends()


async def _probe(question: Awaitable[object]) -> str:
    try:
        await asyncio.wait_for(question, PROBE_TIMEOUT)
    except (LogUnavailable, DatabaseUnavailable, TimeoutError):
        return "down"
    return "up"
