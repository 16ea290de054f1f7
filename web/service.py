"""What the web process is made of, and the background work that keeps it up to date."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Self

from aiohttp import ClientSession, ClientTimeout, web

from app.command_handler import CommandHandler
from app.domain.errors import DatabaseUnavailable, LogUnavailable
from app.log.kafka import KafkaLog
from app.log.topics import EVENTS, check_log
from app.overlay import Overlay
from projections.database import Database
from projections.read_model import PostgresReadModel
from web.feed import Feed

if TYPE_CHECKING:
    from types import TracebackType

    from app.settings import Settings

logger = logging.getLogger(__name__)

LONGEST_DELAY = 5.0
"""Seconds between two tries to reach Kafka or PostgreSQL at the start; the first follow faster."""


class Service:
    """The parts of one web process; use it as an async context manager."""

    def __init__(self, settings: Settings) -> None:
        """Build the parts; nothing is connected yet."""
        self.settings = settings
        self.log = KafkaLog(settings.kafka or "", settings.topic_prefix + EVENTS, settings.log_partitions)
        self.database = Database(settings.postgres or "", settings.database_connections)
        self.read_model = PostgresReadModel(self.database)
        self.overlay = Overlay(self.log, self.read_model, settings.overlay_bytes)
        self.commands = CommandHandler(self.overlay, settings.command_timeout)
        self.feed = Feed(self.overlay)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Open the connections that can wait; following the log begins with `follow`."""
        await self._stack.enter_async_context(self.database)
        self.http = await self._stack.enter_async_context(ClientSession(timeout=ClientTimeout(total=2)))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close everything."""
        await self._stack.aclose()

    async def follow(self) -> None:
        """Connect to the log as soon as it is there, and keep the overlay up to date until cancelled.

        Raises ConfigurationError for a log that cannot keep its promises, LogTruncated, and whatever else ends the
        tail: a process whose tail has ended must be started anew.
        """
        delay = 0.1
        while True:
            try:
                await check_log(self.settings)
                await self._stack.enter_async_context(self.log)
                await self.read_model.positions()
                break
            except (LogUnavailable, DatabaseUnavailable) as error:
                logger.warning("waiting for Kafka and PostgreSQL", extra={"reason": error.detail})
            await asyncio.sleep(delay)
            delay = min(LONGEST_DELAY, delay * 2)
        await self.overlay.follow()


SERVICE = web.AppKey("SERVICE", Service)
