"""The embedded Kafka and PostgreSQL for tests: started once, with faults on request."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
import uuid
from typing import TYPE_CHECKING, Any, Self

import asyncpg
from rich.console import Console

from app.embedded.broker import broker
from app.embedded.child import Child
from app.embedded.database import database
from app.embedded.home import Home
from app.embedded.jars import cache_folder, fetch_jars

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

START_SECONDS = 120
STOP_SECONDS = 15


class Stack:
    """Kafka and PostgreSQL on a home of their own. Every method blocks until its effect is there."""

    kafka: str
    """Bootstrap address; stays the same over restarts."""

    def __init__(self, path: Path) -> None:
        self.home = Home(path)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="stack", daemon=True)

    def __enter__(self) -> Self:
        self.home.prepare()
        jars = fetch_jars(cache_folder(), Console(stderr=True))
        program, self.kafka = broker(self.home, jars)
        self._broker = Child(program, self.home, _quiet)
        program, self._url = database(self.home)
        self._database = Child(program, self.home, _quiet)
        self._thread.start()
        try:
            self._run(self._start(self._broker, self._database))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._stop(self._broker, self._database))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def new_database(self) -> str:
        """Create an empty database; returns its URL."""
        name = f"test_{uuid.uuid4().hex}"

        async def create() -> None:
            connection = await asyncpg.connect(self._url)
            await connection.execute(f"CREATE DATABASE {name}")
            await connection.close()

        self._run(create())
        return self._url.replace("@/taskledger?", f"@/{name}?")

    def start_broker(self) -> None:
        self._run(self._start(self._broker))

    def stop_broker(self) -> None:
        self._run(self._stop(self._broker))

    def kill_broker(self) -> None:
        self._run(self._kill(self._broker))

    def restart_broker(self) -> None:
        self.stop_broker()
        self.start_broker()

    def start_database(self) -> None:
        self._run(self._start(self._database))

    def stop_database(self) -> None:
        self._run(self._stop(self._database))

    def kill_database(self) -> None:
        self._run(self._kill(self._database))

    async def _start(self, *children: Child) -> None:
        deadline = self._loop.time() + START_SECONDS
        await asyncio.gather(*(self._start_one(child, deadline) for child in children))

    async def _start_one(self, child: Child, deadline: float) -> None:
        await child.start()
        ready = asyncio.create_task(child.until_ready(deadline))
        ended = asyncio.create_task(child.until_ended())
        await asyncio.wait({ready, ended}, return_when=asyncio.FIRST_COMPLETED)
        failed = ended.done()
        ended.cancel()
        if failed:
            ready.cancel()
            raise AssertionError(f"{child.name} ended: {child.log.read_text()[-2000:]}")
        await ready

    async def _stop(self, *children: Child) -> None:
        await asyncio.gather(*(child.stop(STOP_SECONDS) for child in children))

    async def _kill(self, child: Child) -> None:
        child.kill(signal.SIGKILL)
        await child.until_ended()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(START_SECONDS + 5)


def _quiet(name: str, line: str) -> None:
    if " ERROR " in line or "FATAL:" in line or "PANIC:" in line:
        sys.stderr.write(f"{name}: {line}\n")
