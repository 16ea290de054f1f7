"""Workers come and go under load."""

from __future__ import annotations

import asyncio
import time
from statistics import quantiles
from typing import TYPE_CHECKING

import pytest
from support.load import Load
from support.read_back import check_derived

if TYPE_CHECKING:
    from support.service import Ledger

pytestmark = [pytest.mark.stack, pytest.mark.chaos, pytest.mark.timeout(400)]

SLOWER = 4
"""Times by which the slowest commands may be slower while workers come and go,"""
AT_LEAST = 0.5
"""or this many seconds, since a process that starts takes a processor for itself."""
WINDOW = 800
"""Commands in one look at the latencies."""


def test_a_worker_that_joins_and_leaves_delays_no_command_and_loses_and_doubles_nothing(ledger: Ledger) -> None:
    worker = ledger.worker()
    webs = [ledger.web().until_ready(), ledger.web().until_ready()]
    worker.until_ready()
    second = ledger.worker().until_ready()
    second.stop()

    def p99(load: Load, since: float) -> float:
        window = [seconds for at, seconds in load.latencies if at >= since]
        return quantiles(window, n=100)[-1]

    async def play() -> None:
        async with Load([web.url for web in webs], clients=8, seed=9, rate=20) as load:
            await load.until(acknowledged=200)
            since = time.monotonic()
            await load.until(acknowledged=WINDOW)
            before, since = p99(load, since), time.monotonic()
            for leave in (second.stop, second.kill, second.stop):
                second.start()
                await asyncio.to_thread(second.until_ready)
                await load.until(acknowledged=WINDOW // 4)
                await asyncio.to_thread(leave)
                await load.until(acknowledged=WINDOW // 4)
            during = p99(load, since)
        assert during <= max(SLOWER * before, AT_LEAST), (before, during)
        assert set(load.statuses) <= {"200", "201", "204", "404 task_not_found"}, load.statuses
        derived = await check_derived(ledger, worker.url)
        load.check_against(derived.folded, derived.model)
        worker.kill()  # what it remembers must not be needed
        worker.start().until_ready()
        async with Load([web.url for web in webs], clients=8, seed=10) as more:
            await more.until(acknowledged=WINDOW)
        derived = await check_derived(ledger, worker.url)
        more.check_against(derived.folded, derived.model)

    asyncio.run(play())
