"""Commands and reads of one task are linearizable, whatever happens to the worker and the broker meanwhile."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import Counter
from typing import TYPE_CHECKING

import aiohttp
import pytest
from support.history import HistoryClient
from support.linearizability import Answer, Kind, Operation, Seen, check

if TYPE_CHECKING:
    from support.service import Ledger, Process
    from support.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.chaos]

SEED = 20_260_301
CLIENTS = 12
TASKS = 20
BETWEEN_FAULTS = 500
"""Definite answers that the clients must get before the next fault."""
PAUSE = 0.03
"""Seconds between two operations of one client: the search for an order is what takes time."""
PATIENCE = 90


class Clients:
    """Clients of all web processes that work on the same few tasks."""

    def __init__(self, webs: list[Process], session: aiohttp.ClientSession) -> None:
        self._clients = [HistoryClient(session, webs[number % len(webs)].url, number) for number in range(CLIENTS)]
        self._tasks = [str(uuid.UUID(int=random.Random(f"{SEED} {slot}").getrandbits(128))) for slot in range(TASKS)]
        self._seen: dict[str, int] = {}
        self.stopping = False

    @property
    def history(self) -> list[Operation]:
        return [operation for client in self._clients for operation in client.history]

    @property
    def definite(self) -> int:
        return sum(operation.response is not None for operation in self.history)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for number, client in enumerate(self._clients):
                group.create_task(self._run(client, number))

    async def _run(self, client: HistoryClient, number: int) -> None:
        chance = random.Random(f"{SEED} client {number}")
        count = 0
        while not self.stopping:
            count += 1
            slot = chance.randrange(TASKS)
            task, title = self._tasks[slot], f"{number}.{count}"
            expected = self._seen.get(task) if chance.random() < 0.5 else None
            response = await self._perform(client, chance, task, title, expected)
            if isinstance(response, Seen):
                self._seen[task] = response.version
            elif response in (Answer.DELETED, Answer.GONE) and self._tasks[slot] == task:
                self._tasks[slot] = str(uuid.UUID(int=chance.getrandbits(128)))
            await asyncio.sleep(PAUSE)

    async def _perform(
        self, client: HistoryClient, chance: random.Random, task: str, title: str, expected: int | None
    ) -> object:
        match chance.choices(["read", "retitle", "complete", "reopen", "create", "delete"], [6, 6, 2, 2, 3, 0.4])[0]:
            case "read":
                return await client.read(task)
            case "retitle":
                return await client.retitle(task, title, expected)
            case "complete":
                return await client.complete(task, expected)
            case "reopen":
                return await client.reopen(task, expected)
            case "create":
                return await client.create(task, title)
            case _:
                return await client.delete(task, expected)

    async def until(self, definite: int) -> None:
        """Wait until so many more operations had a definite answer."""
        wanted = self.definite + definite
        async with asyncio.timeout(PATIENCE):
            while True:
                if self.definite >= wanted:
                    return
                await asyncio.sleep(0.1)


def test_recorded_histories_are_linearizable_while_worker_and_broker_fail(stack: Stack, ledger: Ledger) -> None:
    worker = ledger.worker()
    webs = [ledger.web().until_ready(), ledger.web().until_ready()]
    worker.until_ready()

    async def restart_worker() -> None:
        await asyncio.to_thread(worker.kill)
        worker.start()

    async def kill_broker() -> None:
        await asyncio.to_thread(stack.kill_broker)
        await asyncio.to_thread(stack.start_broker)

    async def record() -> list[Operation]:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as group:
            clients = Clients(webs, session)
            group.create_task(clients.run())
            for fault in (
                restart_worker,
                lambda: asyncio.to_thread(stack.restart_broker),
                restart_worker,
                kill_broker,
                restart_worker,
            ):
                await clients.until(BETWEEN_FAULTS)
                await fault()
            await clients.until(2 * BETWEEN_FAULTS)
            clients.stopping = True
        return clients.history

    history = asyncio.run(record())
    answered = Counter(operation.request.kind for operation in history if operation.response is not None)
    assert answered.total() >= 3000, answered
    assert min(answered[kind] for kind in (Kind.READ, Kind.RETITLE, Kind.CREATE, Kind.COMPLETE)) >= 100, answered
    assert answered[Kind.DELETE] >= 10, answered
    violation = check(history)
    assert violation is None, f"\n{violation}"
