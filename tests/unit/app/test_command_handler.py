from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone
from itertools import pairwise

import pytest
from support.builders import COMPLETED, TASK, created, event, events, number, state_after
from support.deadline import run, until
from support.memory_read_model import MemoryReadModel
from support.process import Process, process

from app import command_handler
from app.command_handler import APPLIED_LATER, Key, Request, time_ordered_id
from app.domain.commands import CompleteTask, CreateTask, DeleteTask, ReopenTask, UpdateTask
from app.domain.envelope import Event, decode, encode, encode_key
from app.domain.errors import (
    Contended,
    DatabaseUnavailable,
    IdempotencyMismatch,
    LogUnavailable,
    OutcomeUnknown,
    OverlayFull,
    TaskExists,
    TaskGone,
    TaskNotFound,
    TaskParked,
    Unavailable,
    ValidationError,
    VersionMismatch,
)
from app.domain.history import EMPTY, Verdict, read
from app.domain.task import ANY_VERSION, DeletedTask, TaskUpdated
from app.log.memory import MemoryLog
from app.log.port import partition_of

PARTITION = partition_of(encode_key(TASK), 4)
CREATE = CreateTask(title="water the plants", id=TASK)
CHANGES = {
    "update": UpdateTask(title="paint"),
    "complete": CompleteTask(),
    "reopen": ReopenTask(),
    "delete": DeleteTask(),
}
every_change = pytest.mark.parametrize("command", CHANGES.values(), ids=CHANGES)


def write(log, *written):
    for one in written:
        log.append(partition_of(encode_key(one.task_id), 4), encode_key(one.task_id), encode(one), None)


async def in_log(log) -> list[Event]:
    """Give every record of a log, partition by partition."""
    found = []
    for partition, end in (await log.ends()).items():
        async for batch in log.read(partition, 0, end):
            found += [decode(record.key, record.value) for record in batch.records]
    return found


async def accepted(log, task_id=TASK) -> list[Event]:
    """Give what happened to a task."""
    history, happened = EMPTY, []
    for one in await in_log(log):
        if one.task_id == task_id:
            verdict, history = read(history, one)
            if verdict is Verdict.ACCEPTED:
                happened.append(one)
    return happened


# --- one process ----------------------------------------------------------------------------


def test_a_task_goes_through_its_life():
    async def check():
        log = MemoryLog()
        async with process(log, MemoryReadModel()) as one:
            made = await one.execute(CREATE, TASK)
            assert (made.state.title, made.state.status, made.state.version) == ("water the plants", "open", 1)
            assert made.position == {PARTITION: 1}
            assert (await one.execute(UpdateTask(priority=2), TASK)).state.priority == 2
            assert (await one.execute(CompleteTask(), TASK)).state.status == "completed"
            assert (await one.execute(ReopenTask(), TASK)).state.completed_at is None
            gone = await one.execute(DeleteTask(), TASK)
            assert isinstance(gone.state, DeletedTask)
            assert gone.position == {PARTITION: 5}
        types = ["task.created", "task.updated", "task.completed", "task.updated", "task.deleted"]
        assert [one.type for one in await in_log(log)] == types

    run(check())


def test_an_event_says_who_did_it_and_by_which_command():
    async def check():
        log = MemoryLog()
        async with process(log, MemoryReadModel()) as one:
            trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
            await one.handler.execute(Request(CREATE, TASK, "someone", traceparent=trace))
            await one.execute(CompleteTask(), TASK, key="k")
        first, second = await in_log(log)
        assert (first.actor, first.traceparent, first.command_id, first.command_hash) == (
            "someone",
            trace,
            first.id,
            None,
        )
        assert (second.command_id, second.command_hash) == Key.of("local", "k", repr((CompleteTask(), TASK)))

    run(check())


def test_a_command_that_changes_nothing_writes_nothing_and_answers_with_the_task():
    async def check():
        log = MemoryLog()
        async with process(log, MemoryReadModel()) as one:
            await one.execute(CREATE, TASK)
            for command in (UpdateTask(), UpdateTask(title="water the plants"), ReopenTask()):
                outcome = await one.execute(command, TASK, expected=1)
                assert (outcome.state, outcome.position) == (
                    (await one.execute(UpdateTask(), TASK)).state,
                    {PARTITION: 1},
                )
        assert len(await in_log(log)) == 1

    run(check())


@every_change
def test_what_does_not_exist_cannot_be_changed(command):
    async def check():
        log = MemoryLog()
        async with process(log, MemoryReadModel()) as one:
            for expected in (None, 1, ANY_VERSION):
                with pytest.raises(TaskNotFound):
                    await one.execute(command, TASK, expected=expected)
        assert await in_log(log) == []

    run(check())


@every_change
def test_what_was_deleted_is_gone_for_who_saw_it(command):
    async def check():
        async with process(MemoryLog(), MemoryReadModel()) as one:
            await one.execute(CREATE, TASK)
            await one.execute(DeleteTask(), TASK, expected=1)
            with pytest.raises(TaskNotFound):
                await one.execute(command, TASK)
            with pytest.raises(TaskGone):
                await one.execute(command, TASK, expected=1)
            with pytest.raises(TaskExists):
                await one.execute(CREATE, TASK)

    run(check())


@every_change
def test_a_condition_that_does_not_hold_is_refused_with_the_current_version(command):
    async def check():
        log = MemoryLog()
        async with process(log, MemoryReadModel()) as one:
            await one.execute(CREATE, TASK)
            await one.execute(CompleteTask(), TASK)
            for expected in (0, 1, 3):
                with pytest.raises(VersionMismatch) as refusal:
                    await one.execute(command, TASK, expected=expected)
                assert refusal.value.current == 2
        assert len(await in_log(log)) == 2

    run(check())


def test_a_bad_time_is_told_at_once():
    async def check():
        log = MemoryLog()
        async with process(log, MemoryReadModel()) as one:
            one.log.down = True  # nobody need be asked
            too_early = datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))
            with pytest.raises(ValidationError):
                await one.execute(CreateTask(title="a", due_at=too_early))

    run(check())


def test_ids_are_made_in_the_order_of_time():
    made = [time_ordered_id() for _ in range(100)]
    assert len(set(made)) == 100
    assert {(one.version, one.variant) for one in made} == {(7, "specified in RFC 4122")}
    stamps = [one.int >> 80 for one in made]
    assert all(earlier <= later for earlier, later in pairwise(stamps))


def test_a_new_task_without_an_id_needs_no_database():
    async def check():
        log, read_model = MemoryLog(), MemoryReadModel()
        async with process(log, read_model) as one:
            read_model.down = True
            made = await one.execute(CreateTask(title="a"))
            assert (await one.execute(CompleteTask(), made.state.id)).state.version == 2
            with pytest.raises(DatabaseUnavailable):
                await one.execute(CompleteTask(), number(77))

    run(check())


# --- several processes ----------------------------------------------------------------------


def test_of_conditional_changes_from_two_processes_one_wins_each_version():
    async def check():
        log, read_model = MemoryLog(), MemoryReadModel()
        async with process(log, read_model) as one, process(log, read_model) as two:
            await one.execute(CREATE, TASK)
            for version in range(1, 6):
                answers = await asyncio.gather(
                    *(
                        each.execute(UpdateTask(title=f"{version}.{n}.{name}"), TASK, expected=version)
                        for n in range(20)
                        for name, each in (("one", one), ("two", two))
                    ),
                    return_exceptions=True,
                )
                won = [answer for answer in answers if not isinstance(answer, Exception)]
                lost = [answer for answer in answers if isinstance(answer, Exception)]
                assert [answer.state.version for answer in won] == [version + 1]
                assert {type(answer) for answer in lost} == {VersionMismatch}
                assert {answer.current for answer in lost} == {version + 1}
                assert (await accepted(log))[-1].change.title == won[0].state.title

    run(check())


def test_unconditional_changes_from_two_processes_all_land():
    async def check():
        log, read_model = MemoryLog(), MemoryReadModel()
        async with process(log, read_model) as one, process(log, read_model) as two:
            await one.execute(CREATE, TASK)
            wanted = [f"{n} of {name}" for n in range(30) for name in ("one", "two")]
            outcomes = await asyncio.gather(
                *((one if "one" in title else two).execute(UpdateTask(title=title), TASK) for title in wanted)
            )
            assert sorted(outcome.state.version for outcome in outcomes) == list(range(2, 62))
            happened = {event.version: event.change.title for event in await accepted(log)}
            assert all(happened[outcome.state.version] == outcome.state.title for outcome in outcomes)

    run(check(), seconds=30)


def test_of_two_who_create_the_same_task_one_does():
    async def check():
        log, read_model = MemoryLog(), MemoryReadModel()
        async with process(log, read_model) as one, process(log, read_model) as two:
            answers = await asyncio.gather(
                one.execute(CREATE, TASK), two.execute(CreateTask(title="b", id=TASK), TASK), return_exceptions=True
            )
            assert sorted(type(answer).__name__ for answer in answers) == ["Outcome", "TaskExists"]

    run(check())


@pytest.mark.parametrize(
    ("meanwhile", "command", "expected", "version"),
    [
        ([created()], CompleteTask(), None, 2),  # not found, as far as this process has read
        ([created()], CompleteTask(), 1, 2),
        ([created(), COMPLETED], DeleteTask(), 2, 3),
    ],
)
def test_no_refusal_is_given_from_a_state_that_is_behind_the_log(meanwhile, command, expected, version):
    async def check():
        log = MemoryLog()
        async with process(log, MemoryReadModel()) as one:
            one.log.pause()
            write(log, *events(*meanwhile))
            answering = asyncio.create_task(one.execute(command, TASK, expected=expected))
            for _ in range(50):
                await asyncio.sleep(0)
            assert not answering.done()
            one.log.go_on()
            assert (await answering).state.version == version

    run(check())


def test_no_change_is_called_needless_from_a_state_that_is_behind_the_log():
    async def check():
        log, read_model = MemoryLog(), MemoryReadModel()
        async with process(log, read_model) as one, process(log, read_model) as two:
            await one.execute(CREATE, TASK)
            await two.overlay.catch_up(PARTITION)
            one.log.pause()
            await two.execute(UpdateTask(title="theirs"), TASK)
            answering = asyncio.create_task(one.execute(UpdateTask(title="water the plants"), TASK))
            for _ in range(50):
                await asyncio.sleep(0)
            assert not answering.done()
            one.log.go_on()
            outcome = await answering
            assert (outcome.state.version, outcome.state.title) == (3, "water the plants")

    run(check())


def test_a_refusal_needs_the_log():
    async def check():
        async with process(MemoryLog(), MemoryReadModel()) as one:
            one.log.down = True
            with pytest.raises(LogUnavailable):
                await one.execute(CompleteTask(), TASK)

    run(check())


def test_a_command_that_keeps_losing_gives_up(monkeypatch):
    monkeypatch.setattr(command_handler, "ATTEMPTS", 3)

    async def check():
        log = MemoryLog()
        async with process(log, MemoryReadModel()) as one:
            await one.execute(CREATE, TASK)
            own = one.log.append

            def overtaken(partition, key, value, traceparent):
                mine = decode(key, value)
                write(log, event(mine.version, TaskUpdated(title=f"theirs {mine.version}"), id=number(mine.version)))
                return own(partition, key, value, traceparent)

            monkeypatch.setattr(one.log, "append", overtaken)
            with pytest.raises(Contended):
                await one.execute(UpdateTask(title="mine"), TASK)
            assert [one.change.title for one in (await accepted(log))[1:]] == ["theirs 2", "theirs 3", "theirs 4"]

    run(check())


# --- idempotency ----------------------------------------------------------------------------

KEYED = {
    "create": (CREATE, TASK),
    "create without an id": (CreateTask(title="a"), None),
    "update": (UpdateTask(title="paint"), TASK),
    "complete": (CompleteTask(), TASK),
    "delete": (DeleteTask(), TASK),
}
every_keyed = pytest.mark.parametrize(("command", "task_id"), KEYED.values(), ids=KEYED)


async def prepare(one: Process, command) -> None:
    if not isinstance(command, CreateTask):
        await one.execute(CREATE, TASK)


@every_keyed
def test_the_same_key_gives_the_first_answer_again(command, task_id):
    async def check():
        log = MemoryLog()
        async with process(log, MemoryReadModel()) as one:
            await prepare(one, command)
            first = await one.execute(command, task_id, key="k")
            written = len(await in_log(log))
            if not isinstance(first.state, DeletedTask):
                await one.execute(UpdateTask(title="since then"), first.state.id)
                written += 1
            assert await one.execute(command, task_id, key="k") == first
            assert len(await in_log(log)) == written

    run(check())


@every_keyed
def test_the_same_key_gives_the_first_answer_from_another_process_and_after_a_restart(command, task_id):
    async def check():
        log, read_model = MemoryLog(), MemoryReadModel()
        async with process(log, read_model) as one, process(log, read_model) as two:
            await prepare(one, command)
            first = await one.execute(command, task_id, key="k")
            assert await two.execute(command, task_id, key="k") == first
            await one.project()
            await two.trim()
            assert one.overlay._receipts == {}
            assert await two.execute(command, task_id, key="k") == first
            async with process(log, read_model) as restarted:
                assert await restarted.execute(command, task_id, key="k") == first
        async with process(log, MemoryReadModel()) as read_from_the_beginning:
            assert await read_from_the_beginning.execute(command, task_id, key="k") == first

    run(check())


@every_keyed
def test_the_same_key_for_another_request_is_refused(command, task_id):
    async def check():
        log, read_model = MemoryLog(), MemoryReadModel()
        async with process(log, read_model) as one, process(log, read_model) as two:
            await prepare(one, command)
            first = await one.execute(command, task_id, key="k")
            for each in (one, two):
                with pytest.raises(IdempotencyMismatch):
                    await each.execute(UpdateTask(title="something else"), first.state.id, key="k")
            await one.project()
            await two.trim()
            for each in (one, two):
                with pytest.raises(IdempotencyMismatch):
                    await each.execute(UpdateTask(title="something else"), first.state.id, key="k")
                with pytest.raises(IdempotencyMismatch):
                    await each.execute(UpdateTask(title="something else"), number(50), key="k")

    run(check())


@every_keyed
def test_of_the_same_request_from_two_processes_at_once_one_happens_and_both_are_told(command, task_id):
    async def check():
        log, read_model = MemoryLog(), MemoryReadModel()
        async with process(log, read_model) as one, process(log, read_model) as two:
            await prepare(one, command)
            answers = await asyncio.gather(
                *(each.execute(command, task_id, key="k") for each in (one, two) for _ in range(5))
            )
            assert all(answer == answers[0] for answer in answers)
            happened = await accepted(log, answers[0].state.id)
            assert len([one for one in happened if one.command_hash]) == 1

    run(check())


def test_keys_of_different_actors_never_meet():
    assert Key.of("a", "k", "h").command_id != Key.of("b", "k", "h").command_id
    assert Key.of("a", "k", "h") == Key.of("a", "k", "h")


# --- outcomes that are not known ------------------------------------------------------------


def test_a_change_that_was_sent_and_not_seen_again_is_unknown_and_its_repetition_is_safe():
    async def check():
        log = MemoryLog()
        async with process(log, MemoryReadModel(), timeout=0.05) as one:
            one.log.pause()
            with pytest.raises(OutcomeUnknown):
                await one.execute(CREATE, TASK, key="k")
            one.log.go_on()
            outcome = await one.execute(CREATE, TASK, key="k")
            assert outcome.state.version == 1
            assert len(await accepted(log)) == 1

    run(check())


def test_a_lost_acknowledgement_is_no_matter_where_the_record_comes_back():
    async def check():
        async with process(MemoryLog(), MemoryReadModel()) as one:
            one.log.lose_acknowledgements = True
            assert (await one.execute(CREATE, TASK)).state.version == 1

    run(check())


def test_without_a_log_nothing_is_changed_and_the_client_is_told_so():
    async def check():
        log = MemoryLog()
        async with process(log, MemoryReadModel(), timeout=0.05) as one:
            one.log.down = True
            with pytest.raises(LogUnavailable):
                await one.execute(CREATE, TASK)
            one.log.down = False
            assert (await one.execute(CREATE, TASK)).state.version == 1
            assert len(await in_log(log)) == 1

    run(check())


def test_what_waits_for_another_command_past_its_deadline_has_changed_nothing():
    async def check():
        log = MemoryLog()
        async with process(log, MemoryReadModel(), timeout=0.05) as one:
            await one.execute(CREATE, TASK)
            async with one.overlay.hold(TASK) as entry, entry.lock:
                with pytest.raises(Unavailable) as refusal:
                    await one.execute(CompleteTask(), TASK)
                assert type(refusal.value) is Unavailable
            assert len(await in_log(log)) == 1

    run(check())


def test_a_refusal_that_cannot_be_made_sure_of_in_time_is_not_given():
    async def check():
        log = MemoryLog()
        async with process(log, MemoryReadModel(), timeout=0.05) as one:
            one.log.pause()
            write(log, event(1, created()))
            with pytest.raises(Unavailable):
                await one.execute(CompleteTask(), TASK)

    run(check())


# --- refusals -------------------------------------------------------------------------------


def test_before_the_log_was_read_no_command_is_taken():
    async def check():
        one = Process(MemoryLog(), MemoryReadModel())
        with pytest.raises(LogUnavailable, match="not read the log"):
            await one.execute(CREATE, TASK)

    run(check())


def test_a_full_overlay_takes_no_commands_until_the_read_models_have_caught_up():
    async def check():
        log, read_model = MemoryLog(), MemoryReadModel()
        async with process(log, read_model, room=8_000) as one:
            with pytest.raises(OverlayFull):  # noqa: PT012 - which command is the first depends on the accounting
                for n in range(100):
                    await one.execute(CreateTask(title="t" * 100, id=number(n)), number(n))
            written = len(await in_log(log))
            with pytest.raises(OverlayFull):
                await one.execute(CreateTask(title="a"))
            assert len(await in_log(log)) == written
            await one.project()
            assert (await one.execute(CreateTask(title="a"))).state.version == 1
            assert (await one.execute(CompleteTask(), number(0))).state.version == 2

    run(check())


@every_change
def test_a_parked_task_is_neither_changed_nor_misjudged(command):
    async def check():
        log, read_model = MemoryLog(), MemoryReadModel()
        async with process(log, read_model) as one:
            await one.execute(CREATE, TASK)
            log.put(PARTITION, encode_key(TASK), b"garbage")
            await one.overlay.catch_up(PARTITION)
            for expected in (None, 1, 7):
                with pytest.raises(TaskParked):
                    await one.execute(command, TASK, expected=expected)
            await one.project()
            with pytest.raises(TaskParked):
                await one.execute(command, TASK)
            assert (await one.execute(CreateTask(title="another"), None)).state.version == 1

    run(check())


def test_what_a_parked_task_was_told_before_is_told_again():
    async def check():
        log = MemoryLog()
        async with process(log, MemoryReadModel()) as one:
            first = await one.execute(CREATE, TASK, key="k")
            log.put(PARTITION, encode_key(TASK), b"garbage")
            assert await one.execute(CREATE, TASK, key="k") == first

    run(check())


def test_a_change_that_poison_overtook_is_recorded_and_told_as_such():
    async def check():
        log = MemoryLog()
        async with process(log, MemoryReadModel()) as one:
            await one.execute(CREATE, TASK)
            one.log.pause()
            log.put(PARTITION, encode_key(TASK), b"garbage")
            answering = asyncio.create_task(one.execute(CompleteTask(), TASK))
            await until(lambda: len(log._records[PARTITION]) == 3)
            one.log.go_on()
            with pytest.raises(OutcomeUnknown) as told:
                await answering
            assert told.value.detail == APPLIED_LATER
            async with one.overlay.hold(TASK) as entry:
                assert (entry.known.version, entry.known.state.version) == (2, state_after(created()).version)

    run(check())
