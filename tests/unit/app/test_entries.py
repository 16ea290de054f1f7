from __future__ import annotations

import pytest
from support.builders import COMPLETED, created, event, minute, number
from support.deadline import run

from app.domain.envelope import encode, encode_key
from app.domain.task import TaskUpdated
from app.log.entries import Examiner, read_entries, records_between, tail_entries
from app.log.memory import MemoryLog, MemoryRecord
from app.log.port import partition_of

TASK = number(1)
PARTITION = partition_of(encode_key(TASK), 2)


def filled() -> MemoryLog:
    """Hold a creation, its void twin, a completion and what cannot be read of one task; the creation of another."""
    log = MemoryLog(2)
    for each in (event(1, created()), event(1, created("late")), event(2, COMPLETED)):
        log.put(PARTITION, encode_key(TASK), encode(each))
    log.put(PARTITION, encode_key(TASK), b"?")
    log.put(1 - PARTITION, encode_key(number(2)), encode(event(1, created(), number(2))))
    return log


async def collect(entries, count=None):
    taken = []
    async for entry in entries:
        taken.append(entry)
        if len(taken) == count:
            break
    await entries.aclose()
    return taken


def verdicts(entries):
    return [(entry.offset, entry.verdict) for entry in entries]


def whole(log):
    return {0: 0, 1: 0}, run(log.ends())


def test_an_entry_says_what_the_record_is_about():
    (entry, *_) = run(collect(read_entries(filled(), {PARTITION: 0}, {PARTITION: 4})))
    assert (entry.partition, entry.offset, entry.task_id, entry.version) == (PARTITION, 0, TASK, 1)
    assert (entry.type, entry.actor, entry.time, entry.verdict) == ("task.created", "local", minute(1), "accepted")
    assert (entry.reason, entry.data) == (None, None)


def test_records_are_judged_by_those_before_them():
    log = filled()
    entries = run(collect(read_entries(log, *whole(log), task_id=TASK)))
    assert verdicts(entries) == [(0, "accepted"), (1, "void"), (2, "accepted"), (3, "poison")]
    assert entries[3].reason
    assert entries[3].time is not None


def test_a_range_that_begins_later_knows_only_what_does_not_depend_on_it():
    entries = run(collect(read_entries(filled(), {PARTITION: 1}, {PARTITION: 4})))
    assert verdicts(entries) == [(1, "?"), (2, "?"), (3, "poison")]


def test_one_task_is_judged_from_the_beginning_wherever_the_range_begins():
    log = filled()
    start, stop = {0: 0, 1: 0} | {PARTITION: 2}, run(log.ends())
    assert verdicts(run(collect(read_entries(log, start, stop, task_id=TASK)))) == [(2, "accepted"), (3, "poison")]
    assert run(records_between(log, start, stop, TASK)) == 4
    assert run(records_between(log, start, stop)) == 3
    assert run(records_between(log, {1 - PARTITION: 0}, stop, TASK)) == 0


def test_a_log_that_lost_its_beginning_gives_no_verdict():
    log = filled()
    log.truncate(PARTITION, 1)
    start = {PARTITION: 1}
    entries = run(collect(read_entries(log, start, {PARTITION: 3}, task_id=TASK)))
    assert verdicts(entries) == [(1, "?"), (2, "?")]


def test_a_tail_of_one_task_is_judged_from_the_beginning():
    entries = run(collect(tail_entries(filled(), {PARTITION: 1}, task_id=TASK), 2))
    assert verdicts(entries) == [(1, "void"), (2, "accepted")]
    assert verdicts(run(collect(tail_entries(filled(), {PARTITION: 1}), 1))) == [(1, "?")]


@pytest.mark.parametrize(("with_data", "expected"), [(False, None), (True, b'{"title":"late"')])
def test_what_an_event_says_is_there_only_where_it_is_asked_for(with_data, expected):
    log = filled()
    entries = run(collect(read_entries(log, *whole(log), task_id=TASK, with_data=with_data)))
    data = entries[1].data
    assert data is None if expected is None else bytes(data).startswith(expected)
    assert entries[3].data == ("?" if with_data else None)


def test_how_much_was_read_is_told():
    log, told = filled(), []
    run(collect(read_entries(log, *whole(log), done=told.append)))
    assert max(told) == 5


def test_histories_are_kept_for_so_many_tasks_and_others_get_no_verdict():
    examiner = Examiner(histories=1)
    seen = []
    for offset, task_id in enumerate((number(1), number(2), number(1), number(2))):
        record = MemoryRecord(offset, encode_key(task_id), encode(event(1, created(), task_id)))
        seen.append(examiner.examine(0, record, from_beginning=True).verdict)
    assert seen == ["accepted", "?", "void", "?"]


def test_a_record_that_names_no_task_is_poison_wherever_one_begins():
    entry = Examiner(with_data=True).examine(0, MemoryRecord(7, None, None), from_beginning=False)
    assert (entry.verdict, entry.task_id, entry.data, entry.bytes) == ("poison", None, None, 0)


def test_a_repair_is_told_apart():
    log = filled()
    whole_task = TaskUpdated(title="t", description="", priority=0, due_at=None, tags=[], status="open")
    log.put(PARTITION, encode_key(TASK), encode(event(3, COMPLETED)))
    log.put(PARTITION, encode_key(TASK), encode(event(4, whole_task, repairs=minute(1))))
    *_, parked, repair = run(collect(read_entries(log, *whole(log), task_id=TASK)))
    assert (parked.verdict, parked.repair) == ("parked", False)
    assert (repair.verdict, repair.repair) == ("accepted", True)
