from __future__ import annotations

from support.builders import (
    COMPLETED,
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

from app.domain.history import EMPTY, History, Verdict
from app.log.memory import MemoryRecord
from projections.batch import Accepted, DeadLetter, judge, task_ids

FIRST, SECOND = events(created(), COMPLETED)


def test_accepted_events_come_with_their_place_and_the_task_after_them():
    judged = judge(3, records([FIRST, SECOND], start=7), {}, {})
    assert judged.accepted == [
        Accepted(3, 7, FIRST, state_after(created())),
        Accepted(3, 8, SECOND, state_after(created(), COMPLETED)),
    ]
    assert (judged.dead_letters, judged.verdicts) == ([], [Verdict.ACCEPTED] * 2)


def test_histories_that_are_known_are_gone_on_with():
    judged = judge(0, records([FIRST, SECOND], start=8), {TASK: History(state_after(created()), 1)}, {})
    assert judged.verdicts == [Verdict.VOID, Verdict.ACCEPTED]


def test_the_histories_that_are_given_are_not_changed():
    given = {TASK: EMPTY}
    judge(0, records([FIRST]), given, {})
    assert given == {TASK: EMPTY}


def test_a_record_that_cannot_be_applied_is_kept_whole():
    broken = record(5, event(2, created()))
    judged = judge(1, [record(4, FIRST), broken], {}, {})
    assert judged.dead_letters == [
        DeadLetter(1, 5, TASK, 2, "poison", "a task is created only once", broken.key, broken.value)
    ]


def test_a_record_behind_poison_is_kept_with_the_version_that_it_takes():
    parked = History(state_after(created()), 1, "garbage")
    judged = judge(1, [record(4, SECOND), record(5, b"?")], {TASK: parked}, {})
    assert [(letter.taken_version, letter.verdict, letter.reason) for letter in judged.dead_letters] == [
        (2, "parked", "garbage"),
        (None, "poison", "garbage"),
    ]


def test_a_record_whose_key_names_no_task_is_kept_and_parks_nobody():
    judged = judge(1, [MemoryRecord(0, b"me", b"?"), record(1, FIRST)], {}, {})
    assert judged.verdicts == [Verdict.POISON, Verdict.ACCEPTED]
    assert judged.dead_letters == [
        DeadLetter(1, 0, None, None, "poison", "the record's key is not a task id", b"me", b"?")
    ]


def test_what_the_database_refuses_is_poison_that_takes_its_version():
    judged = judge(0, records([FIRST, SECOND]), {}, {0: "too long"})
    assert judged.verdicts == [Verdict.POISON, Verdict.PARKED]
    assert [(letter.taken_version, letter.reason) for letter in judged.dead_letters] == [
        (1, "too long"),
        (2, "too long"),
    ]


def test_the_tasks_of_a_batch_are_those_that_its_keys_name():
    batch = [record(0, FIRST), record(1, b"?", number(2)), MemoryRecord(2, None, b""), MemoryRecord(3, b"me", b"")]
    assert task_ids(batch) == {TASK, number(2)}


def test_a_repair_takes_the_place_of_the_dead_letters_before_it():
    other = number(2)
    contents = [FIRST, b"?", event(1, COMPLETED, other), event(2, whole(), repairs=minute(0)), b"again"]
    judged = judge(0, records(contents), {}, {})
    assert judged.repaired == {TASK}
    assert [(letter.log_offset, letter.task_id) for letter in judged.dead_letters] == [(2, other), (4, TASK)]
    assert judged.verdicts == [
        Verdict.ACCEPTED,
        Verdict.POISON,
        Verdict.POISON,
        Verdict.ACCEPTED,
        Verdict.POISON,
    ]


def test_a_repair_that_the_database_refuses_repairs_nothing():
    judged = judge(0, records([b"?", event(1, whole(), repairs=minute(0))]), {}, {1: "too long"})
    assert judged.repaired == set()
    assert [letter.verdict for letter in judged.dead_letters] == ["poison", "parked"]
