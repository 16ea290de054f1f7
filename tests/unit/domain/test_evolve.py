from __future__ import annotations

import pytest
from msgspec import UNSET
from msgspec.structs import replace
from support.builders import COMPLETED, DELETED, NOON, REOPENED, TASK, created, minute, state_after, whole

from app.domain.task import DeletedTask, ImpossibleChange, Task, TaskUpdated, evolve, is_whole, restore, version_of

CREATED = created(title="paint", description="blue", priority=2, due_at=NOON, tags=["home"])
OPEN = state_after(CREATED)
DONE = state_after(CREATED, COMPLETED)
GONE = state_after(CREATED, DELETED)


def test_a_created_task_is_open_and_has_version_1():
    assert evolve(None, CREATED, TASK, minute(1)) == Task(
        id=TASK,
        title="paint",
        description="blue",
        status="open",
        priority=2,
        due_at=NOON,
        tags=["home"],
        created_at=minute(1),
        updated_at=minute(1),
        completed_at=None,
        version=1,
    )


def test_an_update_changes_the_named_contents_only():
    after = evolve(OPEN, TaskUpdated(title="varnish", due_at=None), TASK, minute(5))
    assert (after.title, after.due_at) == ("varnish", None)
    assert (after.description, after.priority, after.tags, after.status) == ("blue", 2, ["home"], "open")
    assert (after.created_at, after.updated_at, after.version) == (minute(1), minute(5), 2)


def test_an_update_of_a_completed_task_leaves_it_completed():
    after = evolve(DONE, TaskUpdated(priority=0), TASK, minute(5))
    assert (after.status, after.completed_at, after.priority) == ("completed", minute(2), 0)


def test_completing_tells_when():
    assert (DONE.status, DONE.completed_at, DONE.updated_at, DONE.version) == ("completed", minute(2), minute(2), 2)


def test_reopening_takes_the_time_of_completion_away():
    after = evolve(DONE, REOPENED, TASK, minute(3))
    assert (after.status, after.completed_at, after.updated_at, after.version) == ("open", None, minute(3), 3)


@pytest.mark.parametrize("before", [OPEN, DONE], ids=["open", "completed"])
def test_a_deleted_task_leaves_its_times_and_version(before):
    after = evolve(before, DELETED, TASK, minute(9))
    assert after == DeletedTask(id=TASK, created_at=minute(1), deleted_at=minute(9), version=before.version + 1)


@pytest.mark.parametrize("state", [OPEN, DONE, GONE], ids=["open", "completed", "deleted"])
def test_a_task_cannot_be_created_twice(state):
    with pytest.raises(ImpossibleChange):
        evolve(state, CREATED, TASK, NOON)


@pytest.mark.parametrize("state", [None, GONE], ids=["none", "deleted"])
@pytest.mark.parametrize("change", [TaskUpdated(title="x"), COMPLETED, REOPENED, DELETED])
def test_what_does_not_exist_cannot_change(state, change):
    with pytest.raises(ImpossibleChange):
        evolve(state, change, TASK, NOON)


@pytest.mark.parametrize(("state", "version"), [(None, 0), (OPEN, 1), (DONE, 2), (GONE, 2)])
def test_the_version_of_a_state_counts_its_events(state, version):
    assert version_of(state) == version


def test_a_repair_sets_all_of_an_open_task():
    after = restore(whole("mended", "green", 3, NOON, ["x"]), TASK, minute(9), minute(2), 7)
    assert after == Task(
        id=TASK,
        title="mended",
        description="green",
        status="open",
        priority=3,
        due_at=NOON,
        tags=["x"],
        created_at=minute(2),
        updated_at=minute(9),
        completed_at=None,
        version=7,
    )


def test_a_repair_can_delete():
    gone = DeletedTask(id=TASK, created_at=minute(2), deleted_at=minute(9), version=7)
    assert restore(DELETED, TASK, minute(9), minute(2), 7) == gone


@pytest.mark.parametrize("change", [CREATED, COMPLETED, REOPENED, TaskUpdated(title="x"), replace(whole(), tags=UNSET)])
def test_a_repair_is_whole(change):
    assert not is_whole(change)
    with pytest.raises(ImpossibleChange):
        restore(change, TASK, minute(9), minute(2), 7)
