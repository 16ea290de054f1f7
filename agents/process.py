"""The worker process."""

from __future__ import annotations

import asyncio
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import faust
import uvloop

from agents.worker import build_worker
from app.log.topics import check_log

if TYPE_CHECKING:
    from app.settings import Settings


def run(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT. Raises ConfigurationError for a log that cannot keep its promises."""
    asyncio.run(check_log(settings))
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    with TemporaryDirectory() as scratch:
        worker = faust.Worker(
            build_worker(settings, scratch), loop=loop, override_logging=False, redirect_stdouts=False, quiet=True
        )
        worker.execute_from_commandline()
