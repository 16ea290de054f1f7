"""Web processes without HTTP: overlays and command handlers that share a log and read models in memory."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager, suppress
from typing import TYPE_CHECKING

from support.deadline import until

from app.command_handler import CommandHandler, Key, Outcome, Request
from app.domain.errors import LogUnavailable
from app.overlay import Overlay

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from uuid import UUID

    from support.memory_read_model import MemoryReadModel

    from app.domain.commands import Command
    from app.log.memory import MemoryLog

ROOM = 64 * 1024 * 1024


class OwnLog:
    """One process's way to a shared log, with outages of its own, and a tail that can be held back."""

    def __init__(self, shared: MemoryLog) -> None:
        self.partitions = shared.partitions
        self.down = False
        """While true, nothing is appended and every question is refused."""
        self.lose_acknowledgements = False
        self._shared = shared
        self._flowing = asyncio.Event()
        self._flowing.set()

    def pause(self) -> None:
        """Hold the tail back."""
        self._flowing.clear()

    def go_on(self) -> None:
        self._flowing.set()

    def append(self, partition, key, value, traceparent):
        faults = self._shared.down, self._shared.lose_acknowledgements
        self._shared.down, self._shared.lose_acknowledgements = self.down, self.lose_acknowledgements
        appending = self._shared.append(partition, key, value, traceparent)
        self._shared.down, self._shared.lose_acknowledgements = faults
        return appending

    async def ends(self):
        if self.down:
            raise LogUnavailable
        return await self._shared.ends()

    async def beginnings(self):
        return await self._shared.beginnings()

    async def tail(self, start):
        async with aclosing(self._shared.tail(start)) as batches:
            async for batch in batches:
                await self._flowing.wait()
                yield batch

    def read(self, partition, start, stop):
        return self._shared.read(partition, start, stop)


class Process:
    """A log, an overlay that follows it, and a handler of commands."""

    def __init__(self, log: MemoryLog, read_model: MemoryReadModel, *, room: int = ROOM, timeout: float = 5.0) -> None:
        self.log = OwnLog(log)
        self.read_model = read_model
        self.overlay = Overlay(self.log, read_model, room)
        self.handler = CommandHandler(self.overlay, timeout)

    async def execute(
        self, command: Command, task_id: UUID | None = None, *, expected: int | None = None, key: str | None = None
    ) -> Outcome:
        """Execute a command; an Idempotency-Key goes with the fingerprint of the command and its task."""
        known = Key.of("local", key, repr((command, task_id))) if key is not None else None
        return await self.handler.execute(Request(command, task_id, "local", expected, known))

    async def trim(self) -> None:
        """Let the overlay go of what the read models have, as it does several times a second."""
        self.overlay._trim(await self.read_model.positions())

    async def project(self) -> None:
        """Let the read models apply the whole log, and the overlay see that."""
        await self.read_model.catch_up(self.log)
        await self.trim()


@asynccontextmanager
async def process(log: MemoryLog, read_model: MemoryReadModel, **options) -> AsyncGenerator[Process]:
    """Start a process that is ready; its tail is stopped in the end."""
    started = Process(log, read_model, **options)
    following = asyncio.create_task(started.overlay.follow())
    try:
        await until(lambda: started.overlay.ready or following.done())
        if following.done():
            following.result()
        yield started
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
