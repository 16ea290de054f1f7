from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from support.builders import COMPLETED, DELETED, NOON, REOPENED, created, state_after

from app.domain.commands import CompleteTask, CreateTask, DeleteTask, ReopenTask, UpdateTask
from app.domain.errors import TaskExists, TaskGone, TaskNotFound, ValidationError, VersionMismatch
from app.domain.task import ANY_VERSION, TaskCreated, TaskUpdated, decide

NONE = state_after()
OPEN = state_after(created(title="paint", description="blue", priority=2, due_at=NOON, tags=["home", "now"]))
DONE = state_after(created(), COMPLETED)
GONE = state_after(created(), COMPLETED, DELETED)

CREATE = CreateTask(title="paint")
RETITLE = UpdateTask(title="varnish")
CHANGES = {"update": RETITLE, "complete": CompleteTask(), "reopen": ReopenTask(), "delete": DeleteTask()}
EXISTING = {"open": OPEN, "completed": DONE}
every_change = pytest.mark.parametrize("command", CHANGES.values(), ids=CHANGES)
every_existing = pytest.mark.parametrize("state", EXISTING.values(), ids=EXISTING)


# --- what happens ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "command", "change"),
    [
        (NONE, CREATE, created(title="paint")),
        (OPEN, RETITLE, TaskUpdated(title="varnish")),
        (OPEN, CompleteTask(), COMPLETED),
        (OPEN, ReopenTask(), None),
        (OPEN, DeleteTask(), DELETED),
        (DONE, RETITLE, TaskUpdated(title="varnish")),
        (DONE, CompleteTask(), None),
        (DONE, ReopenTask(), REOPENED),
        (DONE, DeleteTask(), DELETED),
    ],
)
@pytest.mark.parametrize("expectation", ["none", "any", "the current version"])
def test_a_command_that_fits_means_one_change_or_none(state, command, change, expectation):
    current = 0 if state is None else state.version
    expected = {"none": None, "any": ANY_VERSION, "the current version": current}[expectation]
    if isinstance(command, CreateTask):
        expected = None
    assert decide(state, command, expected) == change


@pytest.mark.parametrize("state", [OPEN, DONE, GONE], ids=["open", "completed", "deleted"])
def test_an_id_is_never_used_again(state):
    with pytest.raises(TaskExists):
        decide(state, CREATE)


@every_change
@pytest.mark.parametrize("expected", [None, 0, 1, ANY_VERSION])
def test_an_unknown_task_is_not_found_whatever_the_client_expects(command, expected):
    with pytest.raises(TaskNotFound):
        decide(NONE, command, expected)


@every_change
def test_a_deleted_task_is_not_found_for_who_never_saw_it(command):
    with pytest.raises(TaskNotFound):
        decide(GONE, command)


@every_change
@pytest.mark.parametrize("expected", [0, 1, 2, 3, 4, ANY_VERSION])
def test_a_deleted_task_is_gone_for_who_names_a_version(command, expected):
    with pytest.raises(TaskGone):
        decide(GONE, command, expected)


@every_change
@every_existing
@pytest.mark.parametrize("distance", [-1, 1, 100])
def test_another_version_than_the_expected_refuses_the_command_and_tells_the_current_one(command, state, distance):
    with pytest.raises(VersionMismatch) as refusal:
        decide(state, command, state.version + distance)
    assert refusal.value.current == state.version


# --- creating -------------------------------------------------------------------------------


def test_a_new_task_has_the_contents_that_were_asked_for():
    due = datetime(2026, 5, 1, 9, tzinfo=timezone(timedelta(hours=2)))
    command = CreateTask(title="  paint ", description=" blue\n", priority=3, due_at=due, tags=["b", "a", "b"])
    change = decide(None, command)
    assert change == TaskCreated(title="paint", description=" blue\n", priority=3, due_at=due, tags=["b", "a"])
    assert change.due_at.tzinfo is UTC


# --- updating -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("patch", "change"),
    [
        ({"title": " varnish "}, {"title": "varnish"}),
        ({"description": "red"}, {"description": "red"}),
        ({"description": None}, {"description": ""}),
        ({"priority": 3}, {"priority": 3}),
        ({"priority": None}, {"priority": 0}),
        ({"due_at": datetime(2027, 1, 1, tzinfo=UTC)}, {"due_at": datetime(2027, 1, 1, tzinfo=UTC)}),
        ({"due_at": None}, {"due_at": None}),
        ({"tags": ["now", "home"]}, {"tags": ["now", "home"]}),
        ({"tags": ["x", "y", "x"]}, {"tags": ["x", "y"]}),
        ({"tags": None}, {"tags": []}),
        ({"tags": []}, {"tags": []}),
        ({"title": "varnish", "description": "blue", "priority": 1}, {"title": "varnish", "priority": 1}),
    ],
)
def test_an_update_holds_just_the_contents_that_change(patch, change):
    assert decide(OPEN, UpdateTask(**patch)) == TaskUpdated(**change)


@pytest.mark.parametrize(
    "patch",
    [
        {},
        {"title": "paint"},
        {"title": " paint  "},
        {"description": "blue"},
        {"priority": 2},
        {"due_at": NOON.astimezone(timezone(timedelta(hours=-5)))},
        {"tags": ["home", "now", "home"]},
        {"title": "paint", "description": "blue", "priority": 2, "due_at": NOON, "tags": ["home", "now"]},
    ],
)
def test_an_update_to_what_is_so_already_writes_nothing(patch):
    assert decide(OPEN, UpdateTask(**patch)) is None


@pytest.mark.parametrize("patch", [{"description": None}, {"priority": None}, {"due_at": None}, {"tags": None}])
def test_a_null_where_the_default_is_already_writes_nothing(patch):
    assert decide(DONE, UpdateTask(**patch)) is None


@pytest.mark.parametrize(
    "due_at",
    [
        datetime.min.replace(tzinfo=timezone(timedelta(hours=1))),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))),
        datetime.min.replace(tzinfo=UTC),
        datetime.max.replace(tzinfo=UTC),
    ],
    ids=["before year 1", "after year 9999", "the first time", "the last time"],
)
@pytest.mark.parametrize(
    "make", [lambda due_at: CreateTask(title="a", due_at=due_at), lambda due_at: UpdateTask(due_at=due_at)]
)
def test_a_time_that_utc_cannot_write_is_a_bad_field(due_at, make):
    command = make(due_at)
    with pytest.raises(ValidationError) as refusal:
        decide(None if isinstance(command, CreateTask) else OPEN, command)
    assert [problem.field for problem in refusal.value.problems] == ["due_at"]
