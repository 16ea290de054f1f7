from __future__ import annotations

import pytest
from support.builders import (
    COMPLETED,
    DELETED,
    REOPENED,
    TASK,
    created,
    event,
    events,
    minute,
    number,
    state_after,
    unreadable,
    whole,
)

from app.domain.history import EMPTY, History, Verdict, read
from app.domain.task import TaskUpdated, restore

CREATED = created()
FIRST = event(1, CREATED)


def given(*records):
    """Read records; gives the verdict of each, and the history after all."""
    history, verdicts = EMPTY, []
    for record in records:
        verdict, history = read(history, record)
        verdicts.append(verdict)
    return verdicts, history


def test_nothing_happened_at_first():
    assert History(state=None, version=0, parked=None) == EMPTY


def test_the_first_record_of_each_version_happens():
    verdicts, history = given(*events(CREATED, COMPLETED, REOPENED, DELETED))
    assert verdicts == [Verdict.ACCEPTED] * 4
    assert history == History(state_after(CREATED, COMPLETED, REOPENED, DELETED), 4)


@pytest.mark.parametrize("version", [1, 2])
def test_a_record_of_a_version_that_is_taken_is_void(version):
    _, before = given(*events(CREATED, COMPLETED))
    late = event(version, TaskUpdated(title="late"), id=number(9))
    assert read(before, late) == (Verdict.VOID, before)


def test_a_record_that_was_delivered_again_is_void():
    verdicts, history = given(FIRST, FIRST)
    assert (verdicts, history.version) == ([Verdict.ACCEPTED, Verdict.VOID], 1)


def test_a_record_that_is_not_understood_loses_a_taken_version_too():
    _, before = given(FIRST)
    assert read(before, unreadable(1)) == (Verdict.VOID, before)


@pytest.mark.parametrize("version", [2, 3, 100])
def test_a_gap_before_a_new_task_parks_it_without_taking_a_version(version):
    verdict, history = read(EMPTY, event(version, COMPLETED))
    assert (verdict, history) == (Verdict.POISON, History(None, 0, f"version {version} follows version 0"))


@pytest.mark.parametrize("late", [event(3, COMPLETED), unreadable(3)])
def test_a_gap_parks_the_task_as_it_was(late):
    verdicts, history = given(FIRST, late)
    assert verdicts == [Verdict.ACCEPTED, Verdict.POISON]
    assert history == History(state_after(CREATED), 1, "version 3 follows version 1")


def test_the_missing_version_still_counts_when_it_comes_after_the_gap():
    verdicts, history = given(FIRST, event(3, COMPLETED), event(2, COMPLETED), event(3, REOPENED))
    assert verdicts == [Verdict.ACCEPTED, Verdict.POISON, Verdict.PARKED, Verdict.PARKED]
    assert (history.version, history.state) == (3, state_after(CREATED))


def test_a_record_that_claims_no_version_parks_the_task_and_takes_none():
    verdicts, history = given(FIRST, unreadable(None, "bad JSON"))
    assert verdicts == [Verdict.ACCEPTED, Verdict.POISON]
    assert history == History(state_after(CREATED), 1, "bad JSON")


def test_a_record_that_is_not_understood_takes_the_version_that_it_claims():
    verdicts, history = given(FIRST, unreadable(2, "newer code"))
    assert verdicts == [Verdict.ACCEPTED, Verdict.POISON]
    assert history == History(state_after(CREATED), 2, "newer code")


@pytest.mark.parametrize(
    ("before", "change", "reason"),
    [
        ([CREATED], CREATED, "a task is created only once"),
        ([CREATED, DELETED], COMPLETED, "only an existing task can change"),
        ([], COMPLETED, "only an existing task can change"),
    ],
)
def test_a_change_that_cannot_follow_takes_its_version_and_parks_the_task(before, change, reason):
    verdicts, history = given(*events(*before, change))
    assert verdicts[-1] is Verdict.POISON
    assert history == History(state_after(*before), len(before) + 1, reason)


def test_after_poison_versions_are_decided_but_nothing_is_applied():
    verdicts, history = given(
        FIRST, unreadable(2), event(3, COMPLETED), event(3, DELETED), event(4, DELETED), unreadable(5)
    )
    assert verdicts == [
        Verdict.ACCEPTED,
        Verdict.POISON,
        Verdict.PARKED,
        Verdict.VOID,
        Verdict.PARKED,
        Verdict.PARKED,
    ]
    assert history == History(state_after(CREATED), 5, "not understood")


def test_a_parked_task_stays_parked_for_the_first_reason():
    _, history = given(unreadable(None, "first"), unreadable(None, "second"), event(7, COMPLETED))
    assert history == History(None, 0, "first")


# --- repairs --------------------------------------------------------------------------------


def repair(version, change):
    return event(version, change, id=number(77), repairs=minute(0))


def repaired(version, change):
    return History(restore(change, TASK, minute(version), minute(0), version), version)


@pytest.mark.parametrize("change", [whole("mended"), DELETED])
@pytest.mark.parametrize(
    "before",
    [
        [],
        events(CREATED, COMPLETED),
        events(CREATED, DELETED),
        [unreadable(1), event(2, COMPLETED)],
        [FIRST, unreadable(None)],
        [FIRST, event(3, COMPLETED)],
        events(CREATED, CREATED),
    ],
    ids=["nothing", "completed", "deleted", "creation", "garbage", "gap", "impossible"],
)
def test_a_repair_is_the_state_from_then_on_whatever_was_before(before, change):
    _, history = given(*before)
    version = history.version + 1
    assert read(history, repair(version, change)) == (Verdict.ACCEPTED, repaired(version, change))


def test_a_repaired_task_goes_on():
    verdicts, history = given(
        FIRST, unreadable(2), event(3, COMPLETED), repair(4, whole()), event(4, DELETED), event(5, COMPLETED)
    )
    assert verdicts[3:] == [Verdict.ACCEPTED, Verdict.VOID, Verdict.ACCEPTED]
    assert (history.version, history.state.version, history.state.status) == (5, 5, "completed")


def test_a_repair_of_a_version_that_was_taken_is_void():
    _, before = given(FIRST, unreadable(2))
    assert read(before, repair(2, whole())) == (Verdict.VOID, before)


def test_a_repair_that_leaves_a_gap_repairs_nothing():
    _, before = given(FIRST, unreadable(2))
    assert read(before, repair(4, whole())) == (Verdict.POISON, before)


@pytest.mark.parametrize("change", [CREATED, COMPLETED, REOPENED])
def test_a_repair_that_does_not_say_everything_is_poison_itself(change):
    reason = "a repair carries every field of an open task, or deletes it"
    verdicts, history = given(FIRST, repair(2, change))
    assert (verdicts[-1], history) == (Verdict.POISON, History(state_after(CREATED), 2, reason))
    _, parked = given(FIRST, unreadable(2))
    assert read(parked, repair(3, change)) == (Verdict.POISON, History(state_after(CREATED), 3, "not understood"))
