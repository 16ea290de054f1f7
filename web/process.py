"""The web process: serve until told to stop, or until the tail of the log ends."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from typing import TYPE_CHECKING

import uvloop
from aiohttp import web

from app.domain.errors import ConfigurationError
from web.http_app import build_http_app
from web.service import Service

if TYPE_CHECKING:
    from app.settings import Settings

logger = logging.getLogger(__name__)

SHUTDOWN_TIMEOUT = 5.0
"""Seconds that requests in flight get to finish."""


GC_THRESHOLD = 20_000
"""New objects between two looks for cycles. Requests leave next to none, and the overlay keeps many objects alive, so
that Python's 700 made the collector walk them again and again."""


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises ConfigurationError, and whatever ended the tail: the process must be started anew then.
    """
    gc.set_threshold(GC_THRESHOLD)
    uvloop.run(serve(settings))


async def serve(settings: Settings) -> None:
    """Serve on the running event loop; see run."""
    stopping = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stopping.set)
    async with Service(settings) as service:
        runner = web.AppRunner(build_http_app(service), access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT)
        await runner.setup()
        try:
            await _listen(runner, settings)
            following = asyncio.create_task(service.follow())
            stopped = asyncio.create_task(stopping.wait())
            await asyncio.wait({following, stopped}, return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            if following.done():
                logger.critical("the tail of the log ended", extra={"error": repr(following.exception())})
                following.result()
        finally:
            await runner.cleanup()
        following.cancel()
        await asyncio.wait({following})


async def _listen(runner: web.AppRunner, settings: Settings) -> None:
    try:
        await web.TCPSite(runner, settings.host, settings.port).start()
    except OSError as error:
        raise ConfigurationError(
            f"Port {settings.port} on {settings.host} cannot be used ({error.strerror}): "
            "stop what uses it, or choose another with --port or TASKLEDGER_PORT."
        ) from error
    logger.info("listening", extra={"url": f"http://{settings.host}:{settings.port}"})
