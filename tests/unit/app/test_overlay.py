from __future__ import annotations

import asyncio

import pytest
from support.builders import COMPLETED, TASK, created, event, events, minute, number, record, state_after, whole
from support.deadline import run, until
from support.memory_read_model import MemoryReadModel
from support.process import Process, process

from app.domain.envelope import encode, encode_key
from app.domain.errors import DatabaseUnavailable, LogUnavailable, OutcomeUnknown
from app.domain.history import EMPTY, Verdict
from app.domain.task import TaskUpdated
from app.log.memory import MemoryLog
from app.log.port import Appending, LogTruncated, partition_of
from app.overlay import Overlay
from app.read_model import Receipt

PARTITION = partition_of(encode_key(TASK), 4)
CREATED = created()


def write(log, *written):
    """Append events as any process would."""
    for one in written:
        log.append(partition_of(encode_key(one.task_id), 4), encode_key(one.task_id), encode(one), None)


async def caught_up(overlay):
    for partition in range(4):
        await overlay.catch_up(partition)


async def history_of(overlay, task_id=TASK):
    async with overlay.hold(task_id) as entry:
        return entry.known


# --- what it knows --------------------------------------------------------------------------


def test_a_task_is_its_row_and_the_records_after_it():
    async def check():
        log, read_model = MemoryLog(), MemoryReadModel()
        write(log, event(1, CREATED))
        await read_model.catch_up(log)
        write(log, event(2, COMPLETED))
        async with process(log, read_model) as one:
            write(log, event(3, TaskUpdated(status="open")))
            await caught_up(one.overlay)
            history = await history_of(one.overlay)
            assert (history.version, history.state) == (3, state_after(CREATED, COMPLETED, TaskUpdated(status="open")))

    run(check())


def test_an_unknown_task_has_no_history():
    async def check():
        async with process(MemoryLog(), MemoryReadModel()) as one:
            assert await history_of(one.overlay) == EMPTY

    run(check())


def test_records_that_the_row_holds_already_are_not_counted_twice():
    """The read models may be ahead of the tail."""

    async def check():
        log, read_model = MemoryLog(), MemoryReadModel()
        async with process(log, read_model) as one:
            one.log.pause()
            write(log, *events(CREATED, COMPLETED))
            await read_model.catch_up(log)
            assert (await history_of(one.overlay)).version == 2
            one.log.go_on()
            await caught_up(one.overlay)
            assert (await history_of(one.overlay)).state == state_after(CREATED, COMPLETED)

    run(check())


def test_poison_is_found_in_the_tail_and_in_the_read_model():
    async def check():
        log, read_model = MemoryLog(), MemoryReadModel()
        write(log, event(1, CREATED))
        async with process(log, read_model) as one:
            log.put(PARTITION, encode_key(TASK), b"garbage")
            await caught_up(one.overlay)
            before = await history_of(one.overlay)
            await one.project()
            assert one.overlay.memory.entries == {}
            after = await history_of(one.overlay)
            assert before == after
            assert before.parked
            assert before.version == 1

    run(check())


@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize("projected", [True, False])
def test_a_parked_task_goes_on_from_its_repair(held, projected):
    """Wherever its poison was found: in the tail, in the read model, or not yet because nobody has asked."""

    async def check():
        log, read_model = MemoryLog(), MemoryReadModel()
        write(log, event(1, CREATED))
        async with process(log, read_model) as one:
            log.put(PARTITION, encode_key(TASK), b"garbage")
            await caught_up(one.overlay)
            if projected:
                await one.project()
            if held:
                assert (await history_of(one.overlay)).parked
            repair = event(2, whole("mended"), repairs=minute(1))
            write(log, repair, event(3, COMPLETED, command_hash="hash", command_id=number(7)))
            await caught_up(one.overlay)
            history = await history_of(one.overlay)
            assert (history.parked, history.version, history.state.title) == (None, 3, "mended")
            receipt = await one.overlay.find_receipt(number(7))
            assert receipt == Receipt(TASK, "hash", history.state, 3)
            await one.project()
            assert await history_of(one.overlay) == history
            assert await one.overlay.find_receipt(number(7)) == receipt
            assert read_model.dead_letters == []
            assert list(one.overlay.memory.settled) == [TASK]

    run(check())


def test_whoever_repairs_a_parked_task_learns_the_fate_of_the_repair():
    async def check():
        log, read_model = MemoryLog(), MemoryReadModel()
        write(log, event(1, CREATED))
        log.put(PARTITION, encode_key(TASK), b"garbage")
        async with process(log, read_model) as one, one.overlay.hold(TASK) as entry:
            fate = await one.overlay.append(entry, event(2, whole("mended"), repairs=minute(1)))
            late = await one.overlay.append(entry, event(2, whole("late"), repairs=minute(1), id=number(9)))
            assert (fate.verdict, fate.state.title, late.verdict) == (Verdict.ACCEPTED, "mended", Verdict.VOID)

    run(check())


def test_a_record_that_names_no_task_is_passed_over():
    async def check():
        log = MemoryLog()
        async with process(log, MemoryReadModel()) as one:
            log.put(0, None, b"x")
            log.put(0, b"not a task", None)
            await caught_up(one.overlay)
            assert one.overlay.tail.position[0] == 2

    run(check())


def test_listeners_hear_of_each_accepted_event_with_its_place():
    async def check():
        log, heard = MemoryLog(), []
        async with process(log, MemoryReadModel()) as one:
            one.overlay.listeners.add(lambda *change: heard.append(change))
            await history_of(one.overlay)  # from now on the task is known, and so is what is void
            late = event(1, CREATED, id=number(9))
            write(log, event(1, CREATED), late, event(2, COMPLETED))
            await caught_up(one.overlay)
        assert heard == [(PARTITION, 0, event(1, CREATED)), (PARTITION, 2, event(2, COMPLETED))]

    run(check())


# --- starting -------------------------------------------------------------------------------


def test_it_is_ready_once_it_has_read_what_was_there_at_the_start():
    async def check():
        log = MemoryLog()
        write(log, *events(CREATED, COMPLETED))
        one = Process(log, MemoryReadModel())
        one.log.pause()
        following = asyncio.create_task(one.overlay.follow())
        for _ in range(20):
            await asyncio.sleep(0)
        assert not one.overlay.ready
        one.log.go_on()
        await until(lambda: one.overlay.ready)
        assert one.overlay.tail.position[PARTITION] == 2
        following.cancel()
        await asyncio.wait({following})

    run(check())


def test_it_begins_only_with_a_database():
    async def check():
        read_model = MemoryReadModel()
        read_model.down = True
        with pytest.raises(DatabaseUnavailable):
            await Overlay(MemoryLog(), read_model, 1).follow()

    run(check())


def test_it_ends_where_records_that_it_needs_are_gone():
    async def check():
        log = MemoryLog()
        write(log, *events(CREATED, COMPLETED))
        log.truncate(PARTITION, 1)
        with pytest.raises(ExceptionGroup) as end:
            await Overlay(log, MemoryReadModel(), 1000).follow()
        assert end.group_contains(LogTruncated)

    run(check())


# --- catching up ----------------------------------------------------------------------------


def test_catching_up_waits_for_all_that_was_in_the_log_when_it_was_asked():
    async def check():
        log = MemoryLog()
        async with process(log, MemoryReadModel()) as one:
            one.log.pause()
            write(log, event(1, CREATED))
            catching_up = asyncio.create_task(one.overlay.catch_up(PARTITION))
            for _ in range(20):
                await asyncio.sleep(0)
            assert not catching_up.done()
            one.log.go_on()
            await catching_up
            assert one.overlay.tail.position[PARTITION] == 1

    run(check())


class SlowEnds(MemoryLog):
    """A log whose answer to the question for its end can be held back."""

    def __init__(self):
        super().__init__()
        self.asked = 0
        self.answers = asyncio.Event()

    async def ends(self):
        self.asked += 1
        ends = await super().ends()
        if self.asked > 1:  # the first is asked by the start
            await self.answers.wait()
        return ends


def test_who_asks_together_shares_a_question_but_never_one_that_was_asked_before():
    async def check():
        log = SlowEnds()
        overlay = Overlay(log, MemoryReadModel(), 1_000_000)
        following = asyncio.create_task(overlay.follow())
        await until(lambda: overlay.ready)
        early = [asyncio.create_task(overlay.catch_up(PARTITION)) for _ in range(5)]
        await until(lambda: log.asked == 2)
        write(log, event(1, CREATED))
        late = [asyncio.create_task(overlay.catch_up(PARTITION)) for _ in range(5)]
        await asyncio.sleep(0)
        log.answers.set()
        await asyncio.gather(*early, *late)
        assert log.asked == 3
        assert overlay.tail.position[PARTITION] == 1
        following.cancel()
        await asyncio.wait({following})

    run(check())


def test_without_a_log_nobody_can_catch_up_and_everybody_is_told():
    async def check():
        log = MemoryLog()
        async with process(log, MemoryReadModel()) as one:
            one.log.down = True
            answers = await asyncio.gather(*(one.overlay.catch_up(PARTITION) for _ in range(3)), return_exceptions=True)
            assert [type(answer) for answer in answers] == [LogUnavailable] * 3
            one.log.down = False
            await one.overlay.catch_up(PARTITION)

    run(check())


def test_a_caller_that_gives_up_takes_the_answer_from_nobody():
    async def check():
        log = SlowEnds()
        overlay = Overlay(log, MemoryReadModel(), 1_000_000)
        following = asyncio.create_task(overlay.follow())
        await until(lambda: overlay.ready)
        patient, hasty = (asyncio.create_task(overlay.catch_up(PARTITION)) for _ in range(2))
        await until(lambda: log.asked == 2)
        hasty.cancel()
        await asyncio.wait({hasty})
        log.answers.set()
        await patient
        following.cancel()
        await asyncio.wait({following})

    run(check())


def test_waiting_until_applied_ends_with_the_read_models():
    async def check():
        log, read_model = MemoryLog(), MemoryReadModel()
        async with process(log, read_model) as one:
            write(log, event(1, CREATED))
            waiting = asyncio.create_task(one.overlay.wait_until_applied({PARTITION: 1}))
            await caught_up(one.overlay)
            assert not waiting.done()
            await read_model.catch_up(log)
            await waiting
            assert one.overlay.applied.position[PARTITION] == 1

    run(check())


# --- memory ---------------------------------------------------------------------------------


def test_records_go_when_the_read_models_have_them_and_known_tasks_stay():
    async def check():
        log, read_model = MemoryLog(), MemoryReadModel()
        async with process(log, read_model) as one:
            await history_of(one.overlay)
            write(log, *events(CREATED, COMPLETED), event(1, CREATED, number(2)))
            await caught_up(one.overlay)
            full = one.overlay.memory.bytes
            await one.project()
            assert not any(one.overlay.memory.waiting)
            assert set(one.overlay.memory.entries) == {TASK}
            assert 0 < one.overlay.memory.bytes < full
            read_model.down = True
            assert (await history_of(one.overlay)).version == 2

    run(check())


def test_a_known_task_that_was_trimmed_still_follows_the_tail():
    async def check():
        log, read_model = MemoryLog(), MemoryReadModel()
        async with process(log, read_model) as one:
            await history_of(one.overlay)
            write(log, event(1, CREATED))
            await caught_up(one.overlay)
            await one.project()
            write(log, event(2, COMPLETED))
            await caught_up(one.overlay)
            read_model.down = True
            assert (await history_of(one.overlay)).state == state_after(CREATED, COMPLETED)

    run(check())


def test_memory_is_given_back_to_the_last_byte():
    async def check():
        log, read_model = MemoryLog(), MemoryReadModel()
        async with process(log, read_model) as one:
            for n in range(2, 40):
                await history_of(one.overlay, number(n))
                title = TaskUpdated(title="t" * n, tags=["x"] * n)
                write(log, event(1, CREATED, number(n)), event(2, title, number(n)))
            log.put(PARTITION, encode_key(TASK), b"garbage")
            await caught_up(one.overlay)
            await one.project()
            one.overlay.memory.limit = 0
            one.overlay.memory.make_room()
            assert (one.overlay.memory.bytes, one.overlay.memory.entries, dict(one.overlay.memory.settled)) == (
                0,
                {},
                {},
            )

    run(check())


def test_memory_that_could_be_had_for_the_asking_is_not_short():
    async def check():
        log, read_model = MemoryLog(), MemoryReadModel()
        async with process(log, read_model) as one:
            memory = one.overlay.memory
            write(log, *(event(1, CREATED, number(n)) for n in range(2, 40)))
            await caught_up(one.overlay)
            for n in range(2, 40):
                await history_of(one.overlay, number(n))
            memory.limit = memory.bytes
            assert memory.full, "the read models have none of it yet"
            await one.project()
            await history_of(one.overlay, number(2))
            memory.limit = memory.bytes  # as full of settled tasks as it may be
            assert memory.settled
            assert not memory.full

    run(check())


def test_the_longest_unused_task_goes_first_and_is_read_again_when_asked_for():
    async def check():
        log, read_model = MemoryLog(), MemoryReadModel()
        async with process(log, read_model) as one:
            tasks = [number(n) for n in range(2, 12)]
            write(log, *(event(1, created(title=f"task {n}"), task_id) for n, task_id in enumerate(tasks)))
            await caught_up(one.overlay)
            await one.project()
            for task_id in [*tasks, tasks[0]]:
                await history_of(one.overlay, task_id)
            one.overlay.memory.limit = one.overlay.memory.bytes
            one.overlay.memory.make_room()
            assert tasks[0] in one.overlay.memory.entries
            assert tasks[1] not in one.overlay.memory.entries
            assert not one.overlay.memory.full
            for n, task_id in enumerate(tasks):
                assert (await history_of(one.overlay, task_id)).state.title == f"task {n}"

    run(check())


def test_a_full_overlay_reads_no_further_until_the_read_models_have_caught_up():
    async def check():
        log, read_model = MemoryLog(), MemoryReadModel()
        async with process(log, read_model, room=20_000) as one:
            for n in range(2, 100):
                write(log, event(1, created(title="t" * 500), number(n)))
                await asyncio.sleep(0)
            await until(lambda: one.overlay.memory.bytes > 20_000)
            assert one.overlay.memory.full
            assert sum(one.overlay.tail.position.values()) < 98
            catching_up = asyncio.create_task(caught_up(one.overlay))
            while not catching_up.done():
                await read_model.catch_up(log)
                await one.trim()
                await asyncio.sleep(0)
            await catching_up
            assert sum(one.overlay.tail.position.values()) == 98
            assert not one.overlay.memory.full

    run(check())


# --- races ----------------------------------------------------------------------------------


class SlowReadModel(MemoryReadModel):
    """Read models whose rows travel for as long as a test wants."""

    def __init__(self):
        super().__init__()
        self.reading = asyncio.Event()
        self.arrives = asyncio.Event()

    async def load(self, task_id):
        stored = await super().load(task_id)
        self.reading.set()
        await self.arrives.wait()
        return stored


def test_a_row_that_was_read_before_a_trim_misses_nothing():
    async def check():
        log, read_model = MemoryLog(), SlowReadModel()
        async with process(log, read_model) as one:
            write(log, *events(CREATED, COMPLETED))
            await caught_up(one.overlay)
            asking = asyncio.create_task(history_of(one.overlay))
            await read_model.reading.wait()  # the row is on its way, and still empty
            await one.project()
            read_model.arrives.set()
            assert (await asking).state == state_after(CREATED, COMPLETED)
            assert one.overlay.applied.position[PARTITION] == 2

    run(check())


def test_what_is_held_stays_and_goes_with_the_next_trim():
    async def check():
        log, read_model = MemoryLog(), MemoryReadModel()
        async with process(log, read_model) as one:
            async with one.overlay.hold(TASK):
                write(log, event(1, CREATED))
                await caught_up(one.overlay)
                await one.project()
                assert len(one.overlay.memory.waiting[PARTITION]) == 1
            await one.trim()
            assert not one.overlay.memory.waiting[PARTITION]

    run(check())


def test_two_who_ask_for_a_task_at_once_get_the_same_entry():
    async def check():
        log, read_model = MemoryLog(), SlowReadModel()
        async with process(log, read_model) as one:
            first, second = (asyncio.create_task(history_of(one.overlay)) for _ in range(2))
            await read_model.reading.wait()
            write(log, event(1, CREATED))
            await one.overlay.catch_up(PARTITION)
            read_model.arrives.set()
            assert (await first).version == (await second).version == 1

    run(check())


def test_a_task_that_could_not_be_read_is_not_taken_for_unknown():
    async def check():
        log, read_model = MemoryLog(), MemoryReadModel()
        async with process(log, read_model) as one:
            write(log, event(1, CREATED))
            await caught_up(one.overlay)
            read_model.down = True
            with pytest.raises(DatabaseUnavailable):
                await history_of(one.overlay)
            with pytest.raises(DatabaseUnavailable):
                await history_of(one.overlay, number(2))
            assert number(2) not in one.overlay.memory.entries
            read_model.down = False
            assert (await history_of(one.overlay)).version == 1

    run(check())


# --- appending ------------------------------------------------------------------------------


def test_a_writer_learns_its_fate_from_the_log():
    async def check():
        log = MemoryLog()
        async with process(log, MemoryReadModel()) as one, one.overlay.hold(TASK) as entry:
            won = await one.overlay.append(entry, event(1, CREATED))
            assert (won.verdict, won.state, won.offset) == (Verdict.ACCEPTED, state_after(CREATED), 0)
            lost = await one.overlay.append(entry, event(1, created(title="late"), id=number(9)))
            assert (lost.verdict, lost.state, lost.offset) == (Verdict.VOID, state_after(CREATED), 1)
            assert one.overlay._fates == {}

    run(check())


def test_an_acknowledgement_that_got_lost_does_not_matter_where_the_record_comes_back():
    async def check():
        log = MemoryLog()
        async with process(log, MemoryReadModel()) as one, one.overlay.hold(TASK) as entry:
            one.log.lose_acknowledgements = True
            assert (await one.overlay.append(entry, event(1, CREATED))).verdict is Verdict.ACCEPTED

    run(check())


def test_a_record_that_was_never_sent_leaves_nothing_behind():
    async def check():
        log = MemoryLog()
        async with process(log, MemoryReadModel()) as one, one.overlay.hold(TASK) as entry:
            one.log.down = True
            with pytest.raises(LogUnavailable):
                await asyncio.wait_for(one.overlay.append(entry, event(1, CREATED)), 0.01)
            assert one.overlay._fates == {}
            assert await log.ends() == dict.fromkeys(range(4), 0)

    run(check())


def test_a_record_that_was_sent_and_does_not_come_back_may_have_happened():
    async def check():
        log = MemoryLog()
        async with process(log, MemoryReadModel()) as one, one.overlay.hold(TASK) as entry:
            one.log.pause()
            with pytest.raises(OutcomeUnknown):
                await asyncio.wait_for(one.overlay.append(entry, event(1, CREATED)), 0.01)
            assert one.overlay._fates == {}
            one.log.go_on()
            await caught_up(one.overlay)
            assert entry.known.version == 1

    run(check())


def test_a_record_that_the_log_refuses_at_once_is_not_waited_for():
    async def check():
        log = MemoryLog()
        async with process(log, MemoryReadModel()) as one, one.overlay.hold(TASK) as entry:
            refused = Appending()
            refused.set_exception(LogUnavailable())
            one.log.append = lambda *_: refused
            with pytest.raises(LogUnavailable):
                await one.overlay.append(entry, event(1, CREATED))

    run(check())


def test_a_record_that_came_twice_is_accepted_once():
    """A producer that tries again may leave two copies."""

    async def check():
        log = MemoryLog()
        async with process(log, MemoryReadModel()) as one:
            one.log.pause()
            write(log, event(1, CREATED))
            async with one.overlay.hold(TASK) as entry:
                appending = asyncio.create_task(one.overlay.append(entry, event(1, CREATED)))
                await asyncio.sleep(0)
                one.log.go_on()
                assert (await appending).verdict is Verdict.ACCEPTED
                await caught_up(one.overlay)
                assert entry.known.version == 1
                assert record(0, event(1, CREATED)).value == record(1, event(1, CREATED)).value

    run(check())
