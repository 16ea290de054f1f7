from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest
from support.builders import COMPLETED, DELETED, TASK, created, event, minute, number, record
from support.deadline import run
from support.memory_read_model import MemoryReadModel
from support.process import OwnLog

from app.domain.envelope import Event, Unreadable, encode, encode_key
from app.domain.errors import Contended, DatabaseUnavailable, OutcomeUnknown, Unavailable
from app.domain.task import DeletedTask, Task, TaskUpdated
from app.log.memory import MemoryLog
from app.log.port import partition_of
from app.overlay import Overlay
from projections.dead_letters import Repairer, RepairRefused
from projections.task.dead_letters import letter_of

PARTITION = partition_of(encode_key(TASK), 4)
CREATED = event(1, created("paint"))
RETITLED = event(2, TaskUpdated(title="varnish"))
NEWER = encode(RETITLED).replace(b"task.updated", b"task.snoozed")


class Racing(OwnLog):
    """A log in which others append right before the operator does."""

    def __init__(self, shared):
        super().__init__(shared)
        self.others: list[Event] = []

    def append(self, partition, key, value, traceparent):
        if self.others:
            self._shared.put(partition, key, encode(self.others.pop(0)))
        return super().append(partition, key, value, traceparent)


class Bench:
    """An operator's process beside a log and read models that a worker keeps up to date."""

    def __init__(self, timeout):
        self.shared = MemoryLog()
        self.log = Racing(self.shared)
        self.read_model = MemoryReadModel()
        self.overlay = Overlay(self.log, self.read_model, 1 << 26)
        self.repairer = Repairer(self.overlay, self.read_model, self.dead_letters, timeout)
        self.working = True
        self.asked = 0
        self.misses = 0
        """Questions for dead letters that are answered as if there were none."""

    async def dead_letters(self, task_id):
        self.asked += 1
        if self.asked <= self.misses:
            return []
        return [letter_of(letter._asdict()) for letter in self.read_model.dead_letters if letter.task_id == task_id]

    def put(self, *contents):
        for one in contents:
            self.shared.put(PARTITION, encode_key(TASK), encode(one) if isinstance(one, Event) else one)

    async def work(self):
        while True:
            if self.working and not self.read_model.down:
                await self.read_model.catch_up(self.shared)
            await asyncio.sleep(0.001)


@asynccontextmanager
async def bench(*contents, seconds=5.0):
    made = Bench(seconds)
    made.put(*contents)
    await made.read_model.catch_up(made.shared)
    working = asyncio.create_task(made.work())
    yield made
    working.cancel()
    with suppress(asyncio.CancelledError):
        await working


def check(work, *contents, **options):
    async def opened():
        async with bench(*contents, **options) as made:
            await work(made)

    run(opened(), 30)


# --- what comes of it -----------------------------------------------------------------------


def test_discarding_goes_on_without_the_poison():
    async def work(made):
        done = await made.repairer.discard(TASK)
        assert (done.state.title, done.state.status, done.state.version) == ("paint", "completed", 5)
        assert [(letter.offset, reason) for letter, reason in done.left_out] == [(1, "it is discarded")]
        assert done.applied
        assert made.read_model.dead_letters == []
        assert made.read_model.history(TASK).state == done.state
        assert done.state.created_at == minute(1)

    check(work, CREATED, NEWER, event(3, COMPLETED))


def test_retrying_keeps_what_this_code_can_read(monkeypatch):
    """The worker that parked the task did not know the type that the record has."""

    async def work(made):
        made.read_model.dead_letters[0] = made.read_model.dead_letters[0]._replace(value=encode(RETITLED))
        done = await made.repairer.retry(TASK)
        assert (done.state.title, done.state.status, done.state.version) == ("varnish", "completed", 5)
        assert (done.left_out, made.read_model.dead_letters) == ([], [])

    check(work, CREATED, NEWER, event(3, COMPLETED))


def test_a_task_of_which_nothing_is_left_is_deleted():
    async def work(made):
        done = await made.repairer.discard(TASK)
        assert isinstance(done.state, DeletedTask)
        assert done.state.created_at == done.state.deleted_at
        assert [letter.offset for letter, _ in done.left_out] == [0, 1]

    check(work, b"garbage", event(1, COMPLETED))


def test_a_decision_can_be_looked_at_first():
    async def work(made):
        found = await made.repairer.preview(TASK, keep_poison=True)
        assert [letter.offset for letter in found.letters] == [1, 2]
        assert [letter.offset for letter, _ in found.left_out] == [1]
        assert len(made.read_model.dead_letters) == 2

    check(work, CREATED, NEWER, event(3, COMPLETED))


# --- what is refused ------------------------------------------------------------------------


def test_a_task_that_is_not_parked_is_refused():
    async def work(made):
        with pytest.raises(RepairRefused, match="is not parked"):
            await made.repairer.discard(TASK)

    check(work, CREATED)


def test_retrying_what_is_still_not_understood_is_refused():
    async def work(made):
        with pytest.raises(RepairRefused, match=r"cannot apply the record .* deploy code that can, or discard"):
            await made.repairer.retry(TASK)
        assert len(made.read_model.dead_letters) == 1

    check(work, CREATED, NEWER)


def test_retrying_loses_nothing_unless_told_to():
    async def work(made):
        made.read_model.dead_letters[0] = made.read_model.dead_letters[0]._replace(value=encode(RETITLED))
        with pytest.raises(RepairRefused, match=rf"\({PARTITION}:2\).* --leave-out"):
            await made.repairer.retry(TASK)
        done = await made.repairer.retry(TASK, leave_out=True)
        assert [letter.offset for letter, _ in done.left_out] == [2]
        assert done.state.title == "varnish"

    check(work, CREATED, NEWER, b"garbage")


# --- races ----------------------------------------------------------------------------------


def test_a_repair_that_loses_its_version_is_made_anew():
    async def work(made):
        made.log.others = [event(3, TaskUpdated(priority=3)), event(4, COMPLETED)]
        done = await made.repairer.discard(TASK)
        assert (done.state.priority, done.state.status) == (3, "completed")
        assert made.read_model.history(TASK).state == done.state

    check(work, CREATED, NEWER)


def test_a_task_that_is_deleted_meanwhile_is_not_completed():
    async def work(made):
        made.log.others = [event(3, COMPLETED)]
        done = await made.repairer.discard(TASK)
        assert done.state.status == "completed"

    async def deleted(made):
        made.log.append(PARTITION, encode_key(TASK), b"garbage", None)
        append, made.log.others = made.log.append, []

        def racing(partition, key, value, traceparent):
            if b"task.completed" in value:
                made.put(event(4, DELETED, id=number(9)))
            return append(partition, key, value, traceparent)

        made.log.append = racing
        done = await made.repairer.discard(TASK)
        assert isinstance(done.state, DeletedTask)

    check(work, CREATED, NEWER)
    check(deleted, CREATED, event(2, COMPLETED))


def test_a_completion_that_loses_its_version_is_made_anew():
    async def work(made):
        append, others = made.log.append, [event(5, TaskUpdated(priority=3), id=number(9))]

        def racing(partition, key, value, traceparent):
            if b"task.completed" in value and others:
                made.put(others.pop())
            return append(partition, key, value, traceparent)

        made.log.append = racing
        done = await made.repairer.discard(TASK)
        assert isinstance(done.state, Task)
        assert (done.state.priority, done.state.status, done.state.version) == (3, "completed", 6)

    check(work, CREATED, NEWER, event(3, COMPLETED))


@pytest.mark.parametrize("misses", [1, 3])
def test_dead_letters_that_are_not_of_the_same_moment_are_asked_for_again(misses):
    async def work(made):
        made.misses = misses
        assert (await made.repairer.discard(TASK)).state.title == "paint"

    check(work, CREATED, NEWER)


def test_what_never_fits_together_is_given_up():
    async def work(made):
        made.misses = 10**6
        with pytest.raises(Contended):
            await made.repairer.discard(TASK)

    check(work, CREATED, NEWER, seconds=20)


def test_a_repair_that_always_loses_is_given_up():
    async def work(made):
        made.log.others = [event(version, TaskUpdated(priority=1)) for version in range(3, 40)]
        with pytest.raises(Contended):
            await made.repairer.discard(TASK)

    check(work, CREATED, NEWER, seconds=20)


# --- outages --------------------------------------------------------------------------------


def test_without_a_worker_nothing_is_changed():
    async def work(made):
        made.working = False
        made.put(event(3, COMPLETED))
        with pytest.raises(Unavailable, match="see that a worker runs"):
            await made.repairer.discard(TASK)
        assert (await made.shared.ends())[PARTITION] == 3

    check(work, CREATED, NEWER, seconds=0.3)


def test_a_worker_that_stops_behind_the_repair_is_told():
    async def work(made):
        append = made.log.append

        def last(*arguments):
            made.working = False
            return append(*arguments)

        made.log.append = last
        done = await made.repairer.discard(TASK)
        assert (done.state.title, done.applied) == ("paint", False)

    check(work, CREATED, NEWER, seconds=0.5)


def test_a_repair_that_does_not_come_back_may_have_happened():
    async def work(made):
        append = made.log.append

        def silent(*arguments):
            made.log.pause()
            return append(*arguments)

        made.log.append = silent
        with pytest.raises(OutcomeUnknown, match="run the same command again"):
            await made.repairer.discard(TASK)
        made.log.go_on()
        assert made.read_model.history(TASK).parked is None

    check(work, CREATED, NEWER, seconds=0.5)


def test_without_a_database_nothing_begins():
    async def work(made):
        made.read_model.down = True
        with pytest.raises(DatabaseUnavailable):
            await made.repairer.discard(TASK)

    check(work, CREATED, NEWER)


# --- as they are shown ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "kind", "time", "readable"),
    [
        (encode(RETITLED), "task.updated", minute(2), True),
        (NEWER, "task.snoozed", minute(2), False),
        (b"garbage", None, None, False),
        (b'{"type": 7}', None, None, False),
        (None, None, None, False),
    ],
)
def test_a_dead_letter_tells_what_it_says_of_itself(value, kind, time, readable):
    row = {"partition": 1, "log_offset": 2, "task_id": TASK, "taken_version": 2, "verdict": "poison", "reason": "?"}
    letter = letter_of(row | {"key": encode_key(TASK), "value": value})
    assert (letter.type, letter.time, letter.readable) == (kind, time, readable)
    assert isinstance(letter.record, Event if readable else Unreadable)
    assert record(0, RETITLED).key == letter.key
