from __future__ import annotations

from contextlib import suppress
from functools import reduce

from hypothesis import given
from hypothesis import strategies as st
from support.builders import TASK, event, number, unreadable
from support.strategies import TASKS, changes_of_state, moments, partitions, repairs, updates

from agents.outline import is_accepted, last_version
from app.domain.envelope import Event, Unreadable, decode, encode, encode_key
from app.domain.errors import Rejected
from app.domain.history import EMPTY, History, Verdict, read
from app.domain.task import decide, restore


def fold(records, history=EMPTY) -> History:
    return reduce(lambda before, one: read(before, one)[1], records, history)


def of_task(records, task_id=TASKS[0]):
    return [decode(one.key, one.value) for one in records if one.key == encode_key(task_id)]


def verdicts(records):
    history, judged = EMPTY, []
    for one in records:
        verdict, history = read(history, one)
        judged.append(verdict)
    return judged


@given(partitions(), st.integers(0, 30))
def test_a_history_is_the_same_wherever_reading_it_was_interrupted(records, cut):
    task = of_task(records)
    assert fold(task) == fold(task[cut:], fold(task[:cut]))


@given(partitions(broken=False))
def test_correct_writers_never_park_a_task(records):
    for task_id in TASKS:
        history = fold(of_task(records, task_id))
        assert history.parked is None
        assert history.version == (0 if history.state is None else history.state.version)


@given(partitions())
def test_accepted_versions_have_no_gap_and_no_double(records):
    task = [one for one in of_task(records) if isinstance(one, Unreadable) or one.repairs is None]
    accepted = [one.version for one, verdict in zip(task, verdicts(task), strict=True) if verdict is Verdict.ACCEPTED]
    assert accepted == list(range(1, len(accepted) + 1))


@given(partitions())
def test_only_a_repair_leaves_versions_out(records):
    version = 0
    for one, verdict in zip(task := of_task(records), verdicts(task), strict=True):
        if verdict is Verdict.ACCEPTED:
            assert one.version == version + 1 if one.repairs is None else one.version > version
            version = one.version


@given(partitions(), st.sets(st.integers(0, 30)), repairs, moments, st.lists(updates | changes_of_state, max_size=3))
def test_readers_that_understood_different_records_agree_from_a_repair_on(records, blind, change, created_at, later):
    newer = of_task(records)
    older = [
        unreadable(one.version) if place in blind and isinstance(one, Event) else one for place, one in enumerate(newer)
    ]
    repair = event(fold(newer).version + 1, change, TASKS[0], repairs=created_at)
    after = fold([repair], fold(newer))
    assert read(fold(older), repair) == (Verdict.ACCEPTED, after)
    assert after == History(restore(change, TASKS[0], repair.time, created_at, repair.version), repair.version)
    for command in later:
        with suppress(Rejected):
            change = decide(after.state, command)
            if change is not None:
                verdict, after = read(after, event(after.version + 1, change, TASKS[0]))
                assert (verdict, after.version) == (Verdict.ACCEPTED, after.state.version)


@given(partitions())
def test_what_the_workers_tables_remember_is_enough_to_tell_what_happened(records):
    for task_id in TASKS:
        task = of_task(records, task_id)
        accepted, last = [], 0
        for one in task:
            accepted.append(is_accepted(one, last))
            last = last_version(one, last)
        assert accepted == [verdict is Verdict.ACCEPTED for verdict in verdicts(task)]


@given(partitions())
def test_a_history_without_its_void_records_is_the_same(records):
    task = of_task(records)
    kept = [one for one, verdict in zip(task, verdicts(task), strict=True) if verdict is not Verdict.VOID]
    assert fold(kept) == fold(task)


@given(partitions(), st.data())
def test_records_that_come_again_or_too_late_change_nothing(records, data):
    task = of_task(records)
    noisy, version = [], 0
    for one in task:
        noisy.append(one)
        version = max(version, fold(noisy).version)
        for _ in range(data.draw(st.integers(0, 2))):
            earlier = [each for each in noisy if each.version is not None and each.version <= version]
            late = st.integers(1, version).map(unreadable) if version else st.nothing()
            if earlier or version:
                noisy.append(data.draw(st.sampled_from(earlier) | late if earlier else late))
    assert fold(noisy) == fold(task)


@given(partitions())
def test_the_whole_partition_read_again_changes_nothing_where_every_record_claims_a_version_that_was_decided(records):
    task = of_task(records)
    history = fold(task)
    decided = [one for one in task if one.version is not None and one.version <= history.version]
    assert fold(decided, history) == history


@given(partitions(broken=False))
def test_what_is_written_is_read_again(records):
    for one in records:
        event = decode(one.key, one.value)
        assert isinstance(event, Event)
        assert encode(event) == one.value
        assert encode_key(event.task_id) == one.key


@given(st.none() | st.binary(max_size=60), st.none() | st.binary(max_size=200))
def test_any_bytes_at_all_can_be_read(key, value):
    assert isinstance(decode(key, value), Unreadable)


@given(partitions(broken=False, max_size=3), st.data())
def test_a_damaged_record_can_be_read(records, data):
    for one in records:
        place = data.draw(st.integers(0, len(one.value) - 1))
        damaged = one.value[:place] + data.draw(st.binary(max_size=3)) + one.value[place + 1 :]
        record = decode(encode_key(TASK), damaged)
        assert record.task_id == TASK
        assert record.version is None or record.version >= 1
        assert decode(encode_key(number(99)), damaged).version is None
