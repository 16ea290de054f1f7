"""What the command side is promised by `app.read_model.ReadModel`: by Postgres, fed by the engine, and by its twin."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace
from support.builders import (
    COMPLETED,
    DELETED,
    NOON,
    REOPENED,
    TASK,
    created,
    event,
    events,
    minute,
    number,
    record,
    records,
    state_after,
    whole,
)
from support.deadline import run
from support.memory_read_model import MemoryReadModel

from app.domain.envelope import encode
from app.domain.errors import DatabaseUnavailable
from app.domain.history import EMPTY, History
from app.domain.task import TaskUpdated, evolve, restore
from app.log.memory import MemoryLog, MemoryRecord
from app.log.port import Batch
from app.read_model import Receipt, Stored
from projections.database import Database
from projections.engine import Engine
from projections.provision import provision_schema
from projections.read_model import PostgresReadModel

PARTITION = 2
FULL = created(
    title='Grüße "日本" 🎉', description="a\n\tb\\", priority=3, due_at=NOON, tags=["two words", "{x,y}", "ü"]
)


class InMemory:
    @asynccontextmanager
    async def opened(self):
        read_model = MemoryReadModel()

        async def apply(batch):
            read_model.apply(batch)

        yield read_model, apply


class OnPostgres:
    def __init__(self, url):
        self._url = url

    @asynccontextmanager
    async def opened(self):
        async with Database(self._url, connections=4) as database:
            await provision_schema(database, 4)
            yield PostgresReadModel(database), Engine(database, MemoryLog()).apply


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.stack)])
def models(request):
    """New read models: the twin, and the real ones."""
    return InMemory() if request.param == "memory" else OnPostgres(request.getfixturevalue("postgres"))


def check(models, contents, work, *, size=100):
    """Apply records of one partition, in batches of one size, and let some work ask."""

    async def connected():
        async with models.opened() as (read_model, apply):
            for start in range(0, len(contents), size):
                await apply(Batch(PARTITION, contents[start : start + size]))
            await work(read_model)

    run(connected(), 60)


def loads(models, contents, stored, task_id=TASK):
    """Fail unless a task loads as said, from records that came in batches of two."""

    async def work(read_model):
        assert await read_model.load(task_id) == stored

    check(models, contents, work, size=2)


def keyed(version, change, key, **parts):
    return event(version, change, command_id=number(key), command_hash=f"hash of {key}", **parts)


# --- positions ------------------------------------------------------------------------------


def test_nothing_is_applied_at_first(models):
    async def work(read_model):
        assert await read_model.positions() == dict.fromkeys(range(4), 0)
        assert await read_model.load(TASK) == Stored(EMPTY, -1)
        assert await read_model.find_receipt(number(1)) is None

    check(models, [], work)


@pytest.mark.parametrize("size", [1, 2, 9])
def test_positions_tell_what_was_applied(models, size):
    async def work(read_model):
        assert await read_model.positions() == {0: 0, 1: 0, 2: 3, 3: 0}

    check(models, records(events(FULL, COMPLETED, REOPENED)), work, size=size)


def test_a_batch_that_was_applied_before_changes_nothing(models):
    async def connected():
        async with models.opened() as (read_model, apply):
            everything = records(events(FULL, COMPLETED, REOPENED))
            for start, stop in [(0, 2), (0, 2), (1, 3), (0, 3)]:
                await apply(Batch(PARTITION, everything[start:stop]))
            assert (await read_model.positions())[PARTITION] == 3
            assert await read_model.load(TASK) == Stored(History(state_after(FULL, COMPLETED, REOPENED), 3), 2)

    run(connected(), 60)


# --- load -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        [FULL],
        [created()],
        [FULL, TaskUpdated(description="", due_at=None, tags=[], priority=0)],
        [FULL, COMPLETED],
        [FULL, COMPLETED, REOPENED],
        [FULL, COMPLETED, DELETED],
    ],
)
def test_a_task_loads_as_it_was_folded(models, changes):
    stored = Stored(History(state_after(*changes), len(changes)), len(changes) - 1)
    loads(models, records(events(*changes)), stored)


def test_the_place_of_a_task_is_that_of_its_own_last_record(models):
    contents = records([event(1, created()), event(1, created(), number(2)), event(2, COMPLETED, number(2))])
    loads(models, contents, Stored(History(state_after(created()), 1), 0))


def test_a_record_that_lost_its_race_leaves_no_trace(models):
    late = event(2, TaskUpdated(title="late"), id=number(99))
    contents = records([*events(created(), COMPLETED), late, event(1, FULL, id=number(98))])
    loads(models, contents, Stored(History(state_after(created(), COMPLETED), 2), 1))


@pytest.mark.parametrize("size", [1, 2, 9])
def test_a_poisoned_task_loads_parked_with_the_versions_that_are_taken(models, size):
    newer = encode(event(2, COMPLETED)).replace(b"task.completed", b"task.snoozed")
    contents = records([event(1, FULL), newer, event(3, COMPLETED), event(3, DELETED), event(4, DELETED)])

    async def work(read_model):
        stored = await read_model.load(TASK)
        assert (stored.history.state, stored.history.version, stored.offset) == (state_after(FULL), 4, 4)
        assert "task.snoozed" in stored.history.parked

    check(models, contents, work, size=size)


def test_a_task_that_begins_with_poison_loads_parked(models):
    async def work(read_model):
        stored = await read_model.load(TASK)
        assert (stored.history.state, stored.history.version, stored.offset) == (None, 0, 1)
        assert stored.history.parked

    check(models, [record(0, b"garbage"), record(1, event(5, COMPLETED))], work)


def _repaired(creation):
    """Give a task that is parked and repaired, and the task that it is then; it may begin with poison."""
    contents = [creation, b"garbage", event(2, COMPLETED), event(3, whole("mended"), repairs=minute(0))]
    if creation == b"garbage":
        contents[2:] = [event(1, COMPLETED), replace(contents[3], version=2)]
    repair = contents[3]
    return contents, restore(whole("mended"), TASK, repair.time, minute(0), repair.version)


CREATIONS = pytest.mark.parametrize("creation", [event(1, FULL), b"garbage"], ids=["known", "unknown"])


@pytest.mark.parametrize("size", [1, 2, 9])
@CREATIONS
def test_a_repaired_task_loads_as_it_was_repaired(models, size, creation):
    contents, mended = _repaired(creation)

    async def work(read_model):
        assert await read_model.load(TASK) == Stored(History(mended, mended.version), 3)
        assert (await read_model.load(number(2))).history.parked

    check(models, [*records(contents), record(4, b"garbage", number(2))], work, size=size)


@pytest.mark.parametrize("size", [1, 2, 9])
@CREATIONS
def test_a_repaired_task_can_be_parked_anew(models, size, creation):
    contents, mended = _repaired(creation)

    async def work(read_model):
        stored = await read_model.load(TASK)
        assert (stored.history.state, stored.history.version, stored.offset) == (mended, mended.version, 4)
        assert stored.history.parked

    check(models, records([*contents, b"again"]), work, size=size)


def test_poison_leaves_other_tasks_alone(models):
    contents = [
        record(0, event(1, created(), number(2))),
        record(1, b"garbage"),
        MemoryRecord(2, None, b"no key"),
        MemoryRecord(3, b"not a task", None),
        record(4, event(2, COMPLETED, number(2))),
    ]
    loads(models, contents, Stored(History(state_after(created(), COMPLETED, task_id=number(2)), 2), 4), number(2))


# --- receipts -------------------------------------------------------------------------------


def test_a_keyed_command_is_found_with_the_task_right_after_it(models):
    first, second, third = keyed(1, FULL, 71), keyed(2, COMPLETED, 72), keyed(4, DELETED, 73)
    contents = records([first, second, event(3, REOPENED), third])

    async def work(read_model):
        assert await read_model.find_receipt(number(71)) == Receipt(TASK, "hash of 71", state_after(FULL), 0)
        assert await read_model.find_receipt(number(72)) == Receipt(TASK, "hash of 72", state_after(FULL, COMPLETED), 1)
        gone = state_after(FULL, COMPLETED, REOPENED, DELETED)
        assert await read_model.find_receipt(number(73)) == Receipt(TASK, "hash of 73", gone, 3)
        assert await read_model.find_receipt(number(74)) is None

    check(models, contents, work)


def test_a_keyed_command_after_a_repair_is_found_with_the_task_right_after_it(models):
    repair = event(3, whole("mended"), repairs=minute(0))
    contents = records([b"garbage", event(1, FULL), event(2, COMPLETED), repair, keyed(4, COMPLETED, 71)])

    async def work(read_model):
        mended = restore(repair.change, TASK, minute(3), minute(0), 3)
        done = evolve(mended, COMPLETED, TASK, minute(4))
        assert await read_model.find_receipt(number(71)) == Receipt(TASK, "hash of 71", done, 4)

    check(models, contents, work)


def test_a_command_without_a_key_leaves_no_receipt(models):
    async def work(read_model):
        assert await read_model.find_receipt(event(1, FULL).command_id) is None

    check(models, records([event(1, FULL)]), work)


def test_a_keyed_command_that_lost_its_race_or_was_parked_leaves_no_receipt(models):
    contents = records(
        [event(1, FULL), keyed(1, FULL, 71, id=number(98)), b"garbage", keyed(2, COMPLETED, 72, id=number(99))]
    )

    async def work(read_model):
        assert await read_model.find_receipt(number(71)) is None
        assert await read_model.find_receipt(number(72)) is None

    check(models, contents, work)


def test_times_come_back_to_the_microsecond(models):
    precise = minute(1).replace(microsecond=123_456)
    contents = records([event(1, created(due_at=precise), time=precise), keyed(2, COMPLETED, 71, time=precise)])

    async def work(read_model):
        state = (await read_model.load(TASK)).history.state
        assert state.due_at == state.created_at == state.completed_at == precise
        assert (await read_model.find_receipt(number(71))).state == state

    check(models, contents, work)


# --- only the database ----------------------------------------------------------------------


@pytest.mark.stack
@pytest.mark.parametrize(
    "alter", [{"data": {"title": "a\x00b", "description": "", "priority": 0, "due_at": None, "tags": []}}]
)
def test_what_the_database_refuses_is_poison_and_keeps_nobody_else(postgres, alter):
    refused = json.dumps(json.loads(encode(event(1, created()))) | alter).encode()
    contents = [
        record(0, event(1, created(), number(2))),
        record(1, refused),
        record(2, event(1, created(), number(3))),
    ]

    async def work(read_model):
        assert (await read_model.load(TASK)).history.parked
        for task_id in (number(2), number(3)):
            assert (await read_model.load(task_id)).history.version == 1
        assert (await read_model.positions())[PARTITION] == 3

    check(OnPostgres(postgres), contents, work)


@pytest.mark.stack
def test_a_hole_before_a_batch_is_filled_from_the_log(postgres):
    async def connected():
        log = MemoryLog()
        contents = records(events(FULL, COMPLETED, REOPENED))
        for one in contents:
            log.put(PARTITION, one.key, one.value)
        async with Database(postgres, connections=2) as database:
            await provision_schema(database, 4)
            await Engine(database, log).apply(Batch(PARTITION, contents[2:]))
            stored = await PostgresReadModel(database).load(TASK)
            assert stored == Stored(History(state_after(FULL, COMPLETED, REOPENED), 3), 2)

    run(connected(), 60)


def test_a_database_that_is_away_is_told_as_such(models):
    async def work(read_model):
        read_model.down = True
        with pytest.raises(DatabaseUnavailable):
            await read_model.positions()
        with pytest.raises(DatabaseUnavailable):
            await read_model.load(TASK)
        with pytest.raises(DatabaseUnavailable):
            await read_model.find_receipt(number(1))

    if isinstance(models, InMemory):
        check(models, [], work)
    else:

        async def nobody_there():
            async with Database("postgresql://u@127.0.0.1:9/d", connections=1) as database:
                await work(PostgresReadModel(database))

        run(nobody_there(), 60)
