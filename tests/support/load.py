"""Many clients that change tasks at once and remember what they were told."""

from __future__ import annotations

import asyncio
import json
import random
import time
import uuid
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple, Self

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from support.read_back import Fold, ReadModel

PATIENCE = 120.0
"""Seconds for which a command is sent again before the client says that the service is broken."""
TRY = 15.0
"""Seconds that a client waits for one answer."""
PAUSE = 0.2


class Acknowledged(NamedTuple):
    """A change that the service said has happened."""

    client: int
    task: str
    version: int | None
    """None for a deletion, whose answer names no version."""
    title: str | None


class _Command(NamedTuple):
    method: str
    path: str
    title: str | None = None


class Load:
    """Clients that create, retitle, complete, reopen and delete tasks of one another.

    Each command has an Idempotency-Key and is sent again, to whichever process, until there is an answer. Every title
    is used once in the whole test.
    """

    def __init__(self, urls: Sequence[str], clients: int = 8, seed: int = 1, rate: float = 1000.0) -> None:
        """Take the web processes to use, and the most commands a second of one client."""
        self.acknowledged: list[Acknowledged] = []
        self.statuses: Counter[str] = Counter()
        self.latencies: list[tuple[float, float]] = []
        """(when it was answered, seconds) of each command that was answered at the first try."""
        self._urls = urls
        self._clients = clients
        self._seed = seed
        self._least = 1 / rate
        self._tasks: list[str] = []
        self._running: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=TRY)
        self._session = aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0))
        self._stopping = asyncio.Event()
        self._running = [asyncio.create_task(self._run(number)) for number in range(self._clients)]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let every client finish its command."""
        self._stopping.set()
        try:
            await asyncio.gather(*self._running)
        finally:
            await self._session.close()

    async def until(self, acknowledged: int, seconds: float = PATIENCE) -> None:
        """Wait until so many more changes are acknowledged."""
        wanted = len(self.acknowledged) + acknowledged
        async with asyncio.timeout(seconds):
            while len(self.acknowledged) < wanted:
                for task in self._running:
                    if task.done():
                        task.result()
                await asyncio.sleep(0.05)

    def check_against(self, folded: Fold, model: ReadModel) -> None:
        """Fail unless every acknowledged change is in the read model, once and in order."""
        rows = {(str(row["task_id"]), row["version"]): row for row in model.history}
        titles = Counter(t for row in model.history if (t := json.loads(row["data"]).get("title")))
        assert [title for title, times in titles.items() if times > 1] == []
        deleted = {task_id for task_id, task in folded.tasks.items() if task["status"] == "deleted"}
        latest: dict[tuple[int, str], int] = {}
        for change in self.acknowledged:
            if change.version is None:
                assert change.task in deleted, change
                continue
            row = rows.get((change.task, change.version))
            assert row is not None, f"{change} is lost"
            if change.title is not None:
                assert json.loads(row["data"])["title"] == change.title, change
                order = (change.client, change.task)
                assert latest.get(order, 0) < change.version, f"{change} came before {latest[order]}"
                latest[order] = change.version

    async def _run(self, client: int) -> None:
        chance = random.Random(f"{self._seed} {client}")
        number = 0
        while not self._stopping.is_set():
            begun = time.monotonic()
            number += 1
            title = f"{client}.{number} of {self._seed}"
            kind = chance.choices(["create", "retitle", "complete", "reopen", "delete"], [3, 10, 2, 2, 1])[0]
            await self._send(client, self._command(chance, kind, title))
            await asyncio.sleep(max(0.0, self._least - (time.monotonic() - begun)))

    def _command(self, chance: random.Random, kind: str, title: str) -> _Command:
        if kind == "create" or not self._tasks:
            return _Command("POST", "/api/tasks", title)
        task = self._tasks[-1 - int(chance.random() ** 3 * min(len(self._tasks), 50))]
        path = f"/api/tasks/{task}"
        if kind == "retitle":
            return _Command("PATCH", path, title)
        return _Command("DELETE", path) if kind == "delete" else _Command("POST", f"{path}/{kind}")

    async def _send(self, client: int, command: _Command) -> None:
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        body = None if command.title is None else {"title": command.title}
        begun = time.monotonic()
        for attempt in range(10_000):
            url = self._urls[(client + attempt) % len(self._urls)] + command.path
            try:
                async with self._session.request(command.method, url, json=body, headers=headers) as answer:
                    status, content = answer.status, await answer.read()
            except (aiohttp.ClientError, TimeoutError) as error:
                self.statuses[type(error).__name__] += 1
            else:
                code = json.loads(content)["code"] if status >= 400 else ""
                self.statuses[f"{status} {code}".strip()] += 1
                if status != 503:
                    assert status < 400 or code == "task_not_found", (command, status, content)
                    if not attempt:
                        self.latencies.append((time.monotonic(), time.monotonic() - begun))
                    self._remember(client, command, status, content)
                    return
            assert time.monotonic() - begun < PATIENCE, f"{command} had no answer: {self.statuses}"
            await asyncio.sleep(PAUSE)

    def _remember(self, client: int, command: _Command, status: int, content: bytes) -> None:
        if status == 204:
            self.acknowledged.append(Acknowledged(client, command.path.split("/")[3], None, None))
        elif status < 300:
            task = json.loads(content)
            if status == 201:
                self._tasks.append(task["id"])
            self.acknowledged.append(Acknowledged(client, task["id"], task["version"], command.title))
