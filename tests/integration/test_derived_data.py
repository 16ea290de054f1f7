"""Everything derived from the log equals what the log says."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from support.load import Load
from support.read_back import check_derived

if TYPE_CHECKING:
    from support.service import Ledger

pytestmark = pytest.mark.stack


def test_after_a_load_everything_derived_equals_a_fold_of_the_log_and_stays_so(ledger: Ledger) -> None:
    worker = ledger.worker()
    webs = [ledger.web().until_ready(), ledger.web().until_ready()]
    worker.until_ready()

    async def change_and_check(seed: int) -> int:
        async with Load([web.url for web in webs], seed=seed) as load:
            await load.until(acknowledged=1500)
        derived = await check_derived(ledger, worker.url)
        load.check_against(derived.folded, derived.model)
        assert derived.model.dead_letters == []
        assert {event["type"] for event in derived.folded.events} == {
            "task.created",
            "task.updated",
            "task.completed",
            "task.deleted",
        }
        return len(derived.log)

    before = asyncio.run(change_and_check(1))
    worker.stop()
    worker.start().until_ready()
    assert asyncio.run(check_derived(ledger, worker.url)).folded.accepted
    assert asyncio.run(change_and_check(2)) > before
