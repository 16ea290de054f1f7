from __future__ import annotations

from functools import reduce

from hypothesis import given
from hypothesis import strategies as st
from support.builders import TASK, number, unreadable
from support.strategies import TASKS, partitions

from app.domain.envelope import Event, Unreadable, decode, encode, encode_key
from app.domain.history import EMPTY, History, Verdict, read


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
    task = of_task(records)
    accepted = [one.version for one, verdict in zip(task, verdicts(task), strict=True) if verdict is Verdict.ACCEPTED]
    assert accepted == list(range(1, len(accepted) + 1))


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
