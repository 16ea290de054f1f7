from __future__ import annotations

import pytest
from msgspec.structs import replace
from support.builders import (
    COMPLETED,
    DELETED,
    NOON,
    REOPENED,
    created,
    event,
    minute,
    number,
    state_after,
    unreadable,
    whole,
)

from app.domain.history import History, Verdict, read
from app.domain.repair import DISCARDED, EARLIER_REPAIR, Repair, plan
from app.domain.task import TaskUpdated

CREATED = created("paint", "blue", 2, NOON, ["home"])
OPEN = state_after(CREATED)
DONE = state_after(CREATED, COMPLETED)
GONE = state_after(CREATED, DELETED)
AS_IT_IS = whole("paint", "blue", 2, NOON, ["home"])


def test_poison_that_can_be_read_now_is_kept_with_what_follows_it():
    parked = [event(2, TaskUpdated(title="varnish")), event(3, TaskUpdated(priority=0))]
    changes = [replace(AS_IT_IS, title="varnish", priority=0)]
    assert plan(OPEN, parked, keep_poison=True) == Repair(changes, minute(1), {})


def test_discarded_poison_is_as_if_it_had_changed_nothing():
    parked = [event(2, TaskUpdated(title="varnish")), event(3, TaskUpdated(priority=0))]
    changes = [replace(AS_IT_IS, priority=0)]
    assert plan(OPEN, parked, keep_poison=False) == Repair(changes, minute(1), {0: DISCARDED})


@pytest.mark.parametrize("keep_poison", [True, False])
def test_what_is_not_understood_is_left_out_and_takes_its_version_along(keep_poison):
    parked = [unreadable(2, "newer"), event(3, REOPENED), unreadable(None, "garbage"), event(4, COMPLETED)]
    found = plan(
        DONE, [replace(one, version=one.version and one.version + 1) for one in parked], keep_poison=keep_poison
    )
    assert found.changes == [AS_IT_IS, COMPLETED]
    assert found.left_out == {0: "newer" if keep_poison else DISCARDED, 2: "garbage"}


@pytest.mark.parametrize(
    ("last_good", "parked", "changes"),
    [
        (OPEN, [unreadable(2), event(3, COMPLETED)], [AS_IT_IS, COMPLETED]),
        (OPEN, [unreadable(2), event(3, COMPLETED), event(4, REOPENED)], [AS_IT_IS]),
        (DONE, [unreadable(3)], [AS_IT_IS, COMPLETED]),
        (OPEN, [unreadable(2), event(3, DELETED)], [DELETED]),
        (GONE, [unreadable(3)], [DELETED]),
    ],
)
def test_the_task_is_what_its_other_events_make_of_it(last_good, parked, changes):
    assert plan(last_good, parked, keep_poison=False) == Repair(changes, minute(1), {0: DISCARDED})


def test_a_task_whose_creation_is_discarded_is_deleted():
    found = plan(None, [unreadable(1), event(2, COMPLETED)], keep_poison=False)
    assert found == Repair([DELETED], None, {0: DISCARDED, 1: "only an existing task can change"})


def test_a_creation_that_can_be_read_now_is_when_the_task_was_created():
    found = plan(None, [event(1, CREATED), event(2, COMPLETED)], keep_poison=True)
    assert found == Repair([AS_IT_IS, COMPLETED], minute(1), {})


def test_a_version_that_is_missing_cannot_be_made_up_for():
    found = plan(OPEN, [event(4, COMPLETED), event(2, TaskUpdated(title="varnish"))], keep_poison=True)
    assert found == Repair([replace(AS_IT_IS, title="varnish")], minute(1), {0: "version 4 follows version 1"})


def test_a_repair_that_came_to_nothing_goes_with_the_poison():
    parked = [unreadable(2), event(3, whole("never"), repairs=minute(0)), event(4, TaskUpdated(title="varnish"))]
    found = plan(OPEN, parked, keep_poison=False)
    assert found == Repair([replace(AS_IT_IS, title="varnish")], minute(1), {0: DISCARDED, 1: EARLIER_REPAIR})
    kept = plan(OPEN, parked, keep_poison=True)
    assert kept == Repair([whole("varnish")], minute(0), {0: "not understood"})


@pytest.mark.parametrize("keep_poison", [True, False])
def test_what_is_planned_can_be_appended(keep_poison):
    parked = [unreadable(2), event(3, COMPLETED)]
    found, history = plan(OPEN, parked, keep_poison=keep_poison), History(OPEN, 3, "not understood")
    repairs = found.created_at
    for place, change in enumerate(found.changes):
        verdict, history = read(history, event(4 + place, change, id=number(50 + place), repairs=repairs))
        repairs = None
        assert verdict is Verdict.ACCEPTED
    assert (history.parked, history.version, history.state.status) == (None, 5, "completed")
