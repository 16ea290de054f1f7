from __future__ import annotations

import asyncio
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from support.builders import record
from support.memory_read_model import MemoryReadModel
from support.strategies import TASKS, partitions

from app.domain.envelope import decode, decode_key
from app.domain.history import EMPTY, Verdict, read
from app.log.memory import MemoryRecord
from app.log.port import Batch
from projections.batch import Judged, judge
from projections.task.fold import TaskProjection, state_of
from projections.task.tables import task as task_table

PARTITION = 2


def project(records, cuts=(), repeats=()) -> MemoryReadModel:
    """Apply the records in batches that end at the cuts; batches in `repeats` are delivered twice."""
    read_model = MemoryReadModel()
    edges = sorted({0, *(cut for cut in cuts if 0 < cut < len(records)), len(records)})
    for number, (start, stop) in enumerate(pairwise(edges)):
        for _ in range(2 if number in repeats else 1):
            read_model.apply(Batch(PARTITION, records[start:stop]))
    return read_model


def renumbered(records):
    return [MemoryRecord(offset, one.key, one.value) for offset, one in enumerate(records)]


def contents(read_model, *, tasks=TASKS, places=True):
    """Give the rows of some tasks, with or without their places in the log."""
    without = set() if places else {"log_offset", "partition"}
    return {
        name: {
            key: {column: value for column, value in row.items() if column not in without}
            for key, row in table.items()
            if key[0] in tasks
        }
        for name, table in read_model.tables.items()
    }


cuts = st.sets(st.integers(1, 30))


@given(partitions(), cuts, st.sets(st.integers(0, 10)))
def test_rows_and_dead_letters_do_not_depend_on_batches_or_on_deliveries(records, cuts, repeats):
    whole, parts = project(records), project(records, cuts, repeats)
    assert contents(whole) == contents(parts)
    assert whole.dead_letters == parts.dead_letters
    assert whole.position == parts.position


@given(partitions(), cuts)
def test_records_that_lost_their_race_leave_no_trace(records, cuts):
    verdicts = judge(PARTITION, records, {}, {}).verdicts
    kept = [one for one, verdict in zip(records, verdicts, strict=True) if verdict is not Verdict.VOID]
    with_voids, without = project(records, cuts), project(renumbered(kept))
    assert contents(with_voids, places=False) == contents(without, places=False)
    assert [letter[2:] for letter in with_voids.dead_letters] == [letter[2:] for letter in without.dead_letters]


@given(partitions(broken=False), st.integers(0, 30), st.binary(max_size=9), cuts)
def test_poison_parks_its_task_and_leaves_the_others_alone(records, place, garbage, cuts):
    poisoned = renumbered([*records[:place], record(0, b"\xff" + garbage, TASKS[0]), *records[place:]])
    clean, damaged = project(records), project(poisoned, cuts)
    others = TASKS[1:]
    assert contents(damaged, tasks=others, places=False) == contents(clean, tasks=others, places=False)
    assert {letter.task_id for letter in damaged.dead_letters} == {TASKS[0]}
    assert damaged.history(TASKS[0]).parked
    assert contents(damaged, tasks=TASKS[:1], places=False) == contents(
        project(records[:place]), tasks=TASKS[:1], places=False
    )


@given(partitions(), cuts)
def test_the_read_model_holds_what_a_fold_of_the_log_gives(records, cuts):
    read_model = project(records, cuts)
    for task_id in TASKS:
        history = EMPTY
        for one in records:
            if decode_key(one.key) == task_id:
                _, history = read(history, decode(one.key, one.value))
        stored = read_model.history(task_id)
        assert (stored.state, stored.version) == (history.state, history.version)
        assert (stored.parked is None) == (history.parked is None)
        rows = [row for (owner, _), row in read_model.tables["task_history"].items() if owner == task_id]
        for before, row in pairwise([{"version": 0}, *rows]):
            assert row["version"] > before["version"] if row["repairs"] else row["version"] == before["version"] + 1


@given(partitions())
def test_every_record_is_applied_or_void_or_a_dead_letter_up_to_a_repair(records):
    judged = judge(PARTITION, records, {}, {})
    assert len(judged.verdicts) == len(records)
    assert len(judged.accepted) == judged.verdicts.count(Verdict.ACCEPTED)
    repaired = {accepted.event.task_id: accepted.offset for accepted in judged.accepted if accepted.event.repairs}
    assert set(repaired) == judged.repaired
    assert [letter.log_offset for letter in judged.dead_letters] == [
        one.offset
        for one, verdict in zip(records, judged.verdicts, strict=True)
        if verdict in {Verdict.POISON, Verdict.PARKED} and one.offset > repaired.get(decode_key(one.key), -1)
    ]


@given(partitions())
def test_a_row_read_back_is_the_state_that_it_was_made_of(records):
    columns = [column.name for column in task_table.columns]
    for accepted in judge(PARTITION, records, {}, {}).accepted:
        rows, _ = TaskProjection().fold(Judged([accepted], [], [], {}, set()))
        (row,) = rows.values
        assert state_of(dict(zip(columns, row, strict=True))) == accepted.after


@given(partitions(), cuts)
def test_a_task_loads_with_the_place_of_the_last_record_that_was_applied(records, cuts):
    read_model = project(records, cuts)
    for task_id in TASKS:
        stored = asyncio.run(read_model.load(task_id))
        later = [one for one in records if one.offset > stored.offset and decode_key(one.key) == task_id]
        assert all(read(stored.history, decode(one.key, one.value))[0] is Verdict.VOID for one in later)
