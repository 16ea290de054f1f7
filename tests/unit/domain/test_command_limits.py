from __future__ import annotations

import msgspec
import pytest

from app.domain.commands import CompleteTask, CreateTask, DeleteTask, ReopenTask, UpdateTask

GOOD = {
    "title": ["x", "t" * 500, " padded ", "a\u00a0b", "naïve 日本 🎉"],
    "description": ["", "d" * 20_000, "lines\n\tand tabs\r\n"],
    "priority": [0, 3],
    "due_at": ["2026-01-31T17:00:00Z", "2026-01-31T17:00:00.123456+05:30", "0001-01-01T00:00:00Z"],
    "tags": [[], ["a"], ["two words"], ["t" * 50] * 20],
}
BAD = {
    "title": [
        "",
        "t" * 501,
        " ",
        "   ",
        "\u00a0",
        "\u2003 \u3000",
        "\u0085",
        "a\nb",
        "a\x00b",
        "\x7f",
        "a\n",
        7,
        None,
        ["a"],
    ],
    "description": ["d" * 20_001, "a\x00b", "\x1b[0m", "\x7f", 7, ["a"]],
    "priority": [-1, 4, 1.5, 1.0, "1", True],
    "due_at": ["2026-01-31T17:00:00", "2026-01-31", "tomorrow", "", 0, "2026-13-01T00:00:00Z"],
    "tags": ["a", [""], ["t" * 51], ["t"] * 21, [" a"], ["a "], ["a  b"], ["a\tb"], ["a\n"], [1], [None], {}],
}


def cases(values):
    return [
        pytest.param(field, value, id=f"{field}-{number}")
        for field in values
        for number, value in enumerate(values[field])
    ]


def create(**fields):
    return msgspec.json.decode(msgspec.json.encode({"title": "a"} | fields), type=CreateTask)


def update(**fields):
    return msgspec.json.decode(msgspec.json.encode(fields), type=UpdateTask)


@pytest.mark.parametrize(("field", "value"), cases(GOOD))
@pytest.mark.parametrize("command", [create, update])
def test_what_is_within_the_limits_is_taken(command, field, value):
    assert msgspec.to_builtins(getattr(command(**{field: value}), field)) == value


@pytest.mark.parametrize(("field", "value"), cases(BAD))
@pytest.mark.parametrize("command", [create, update])
def test_what_is_beyond_the_limits_is_refused(command, field, value):
    with pytest.raises(msgspec.ValidationError):
        command(**{field: value})


def test_a_new_task_needs_a_title_only():
    assert create() == CreateTask(title="a", description="", priority=0, due_at=None, tags=[], id=msgspec.UNSET)
    with pytest.raises(msgspec.ValidationError, match="title"):
        msgspec.json.decode(b"{}", type=CreateTask)


@pytest.mark.parametrize("field", ["description", "priority", "tags", "id"])
def test_a_new_task_takes_no_null_for_a_default(field):
    with pytest.raises(msgspec.ValidationError):
        create(**{field: None})


@pytest.mark.parametrize("task_id", ["", "1", "zz9f3a52-0000-4000-8000-000000000001", 5])
def test_an_id_is_a_uuid(task_id):
    with pytest.raises(msgspec.ValidationError):
        create(id=task_id)


@pytest.mark.parametrize("field", ["description", "priority", "due_at", "tags"])
def test_a_patch_takes_null_for_what_has_a_default(field):
    assert getattr(update(**{field: None}), field) is None


@pytest.mark.parametrize("kind", [CreateTask, UpdateTask, CompleteTask, ReopenTask, DeleteTask])
def test_a_field_that_nobody_knows_is_refused(kind):
    with pytest.raises(msgspec.ValidationError, match="owner"):
        msgspec.json.decode(
            b'{"title": "a", "owner": "me"}' if kind in {CreateTask, UpdateTask} else b'{"owner": "me"}', type=kind
        )
