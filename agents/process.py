"""The worker process."""

from __future__ import annotations

import asyncio
import socket
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import faust
import uvloop

from agents.worker import build_worker
from app.domain.errors import ConfigurationError
from app.log.topics import check_log

if TYPE_CHECKING:
    from app.settings import Settings


def run(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT.

    Raises ConfigurationError for a log that cannot keep its promises and for a taken port, LogUnavailable.
    """
    asyncio.run(check_log(settings))
    _check_port(settings)
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    with TemporaryDirectory() as scratch:
        worker = faust.Worker(
            build_worker(settings, scratch), loop=loop, override_logging=False, redirect_stdouts=False, quiet=True
        )
        worker.execute_from_commandline()


def _check_port(settings: Settings) -> None:
    """Find out now what Faust would otherwise end with a traceback for."""
    try:
        with socket.create_server((settings.host, settings.worker_port)):
            pass
    except OSError as error:
        raise ConfigurationError(
            f"Port {settings.worker_port} on {settings.host} cannot be used ({error.strerror}): "
            "stop what uses it, or choose another with TASKLEDGER_WORKER_PORT."
        ) from error
