from __future__ import annotations

import asyncio

import pytest
from support.deadline import run, until

from app.progress import Progress


async def started(work):
    """Start a task and let it run until it waits."""
    task = asyncio.create_task(work)
    await asyncio.sleep(0)
    return task


def test_a_position_that_is_there_is_not_waited_for():
    async def check():
        progress = Progress()
        progress.advance(0, 5)
        await progress.wait_for({0: 5})
        await progress.wait_for({0: 1, 7: 0})
        assert not progress.awaited

    run(check())


def test_who_waits_goes_on_once_every_partition_is_far_enough():
    async def check():
        progress = Progress()
        waiting = await started(progress.wait_for({0: 2, 1: 3}))
        progress.advance(0, 2)
        progress.advance(1, 2)
        await asyncio.sleep(0)
        assert not waiting.done()
        assert progress.awaited is True
        progress.advance(1, 3)
        await waiting
        assert not progress.awaited

    run(check())


def test_all_who_wait_for_as_much_or_less_go_on_together():
    async def check():
        progress = Progress()
        waiting = [await started(progress.wait_for({0: offset})) for offset in (3, 1, 2, 1, 9)]
        progress.advance(0, 3)
        await asyncio.gather(*waiting[:4])
        assert not waiting[4].done()
        progress.advance(0, 100)
        await waiting[4]

    run(check())


def test_a_position_never_goes_back():
    async def check():
        progress = Progress()
        progress.advance(0, 5)
        progress.advance(0, 3)
        assert progress.position == {0: 5}

    run(check())


def test_the_first_offset_of_a_partition_may_be_0():
    progress = Progress()
    progress.advance(3, 0)
    assert progress.position == {3: 0}


def test_who_gave_up_is_forgotten():
    async def check():
        progress = Progress()
        patient = await started(progress.wait_for({0: 10}))
        for offset in (5, 10, 10**12):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(progress.wait_for({0: offset}), 0.001)
        patient.cancel()
        await until(patient.done)
        assert not progress.awaited

    run(check())


def test_who_gives_up_keeps_nobody_else_from_going_on():
    async def check():
        progress = Progress()
        waiting = [await started(progress.wait_for({0: offset})) for offset in (1, 2, 3)]
        waiting[0].cancel()
        await until(waiting[0].done)
        progress.advance(0, 2)
        await waiting[1]
        assert progress.awaited is True
        progress.advance(0, 3)
        await waiting[2]

    run(check())
