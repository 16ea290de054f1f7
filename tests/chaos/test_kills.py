"""kill -9 of everything, at random points under load."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest
from support.load import Load
from support.read_back import check_derived

if TYPE_CHECKING:
    from support.service import Ledger, Process
    from support.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.chaos, pytest.mark.timeout(400)]

MOST_BETWEEN = 400
"""Changes that are acknowledged between two kills, at most; how many is left to chance."""


def test_after_kills_of_everything_each_acknowledged_change_is_there_once_in_order(
    stack: Stack, ledger: Ledger
) -> None:
    worker = ledger.worker()
    webs = [ledger.web().until_ready(), ledger.web().until_ready()]
    worker.until_ready()
    chance = random.Random(7)
    victims = ["worker", "web 0", "web 1", "broker", "worker", "web 0", "broker", "worker"]
    chance.shuffle(victims)

    async def restart(process: Process) -> None:
        await asyncio.to_thread(process.kill)
        process.start()
        await asyncio.to_thread(process.until_ready)

    async def kill(victim: str) -> None:
        if victim == "broker":
            await asyncio.to_thread(stack.kill_broker)
            await asyncio.to_thread(stack.start_broker)
        else:
            await restart(worker if victim == "worker" else webs[int(victim[-1])])

    async def play() -> None:
        async with Load([web.url for web in webs], clients=10, seed=7, rate=40) as load:
            for victim in victims:
                await load.until(acknowledged=chance.randrange(MOST_BETWEEN))
                await kill(victim)
            await load.until(acknowledged=MOST_BETWEEN)
        derived = await check_derived(ledger, worker.url)
        load.check_against(derived.folded, derived.model)
        assert len(load.acknowledged) > 1000, load.statuses
        assert derived.model.dead_letters == []

    asyncio.run(play())


def test_a_worker_killed_between_its_steps_repeats_nothing_and_leaves_nothing_out(ledger: Ledger) -> None:
    """A worker that comes back finds a backlog, and so is killed in the midst of sending, writing and committing."""
    web = ledger.web().until_ready()
    worker = ledger.worker().until_ready()
    chance = random.Random(8)

    async def play() -> None:
        async with Load([web.url], clients=10, seed=8, rate=60) as load:
            for number in range(6):
                await load.until(acknowledged=chance.randrange(200))
                if number % 3 == 2:
                    await asyncio.to_thread(worker.stop)  # in order, but in the midst of its work all the same
                else:
                    await asyncio.to_thread(worker.kill)
                worker.start()
                await asyncio.to_thread(worker.until_ready)
        derived = await check_derived(ledger, worker.url)
        load.check_against(derived.folded, derived.model)
        assert len(load.acknowledged) > 1000, load.statuses

    asyncio.run(play())
