"""Batches as a worker can get them after a rebalance: with records left out, repeated, or out of order."""

from __future__ import annotations

import pytest
from support.builders import TASK, created, event, records
from support.deadline import run

from app.domain.task import TaskUpdated
from app.log.memory import MemoryLog
from app.log.port import Batch
from projections.database import Database
from projections.engine import Engine
from projections.provision import provision_schema
from projections.read_model import PostgresReadModel

pytestmark = pytest.mark.stack

ALL = records([event(1, created()), *(event(version, TaskUpdated(title=f"{version}")) for version in range(2, 11))])


@pytest.mark.parametrize(
    "offsets",
    [
        [[0, 1, 5, 6], [7, 8, 9]],
        [[0, 2, 4, 6, 8], [9]],
        [[3], [9]],
        [[0, 1, 2, 1, 2, 3], [2, 3, 4, 9]],
        [[9, 0, 1]],
    ],
)
def test_whatever_a_batch_leaves_out_is_read_again_from_the_log(postgres: str, offsets: list[list[int]]) -> None:
    async def apply() -> None:
        log = MemoryLog()
        for one in ALL:
            log.put(0, one.key, one.value)
        async with Database(postgres, connections=2) as database:
            await provision_schema(database, 4)
            engine, read_model = Engine(database, log), PostgresReadModel(database)
            for batch in offsets:
                await engine.apply(Batch(0, [ALL[offset] for offset in batch]))
                assert (await read_model.positions())[0] == max(batch) + 1
            history = (await read_model.load(TASK)).history
            assert (history.parked, history.version) == (None, 10)

    run(apply(), 60)
