from __future__ import annotations

import pytest

from app.domain.commands import CompleteTask, CreateTask, UpdateTask
from app.domain.errors import ValidationError
from web.bodies import decode_body
from web.problems import MalformedBody


def problems(body: bytes, kind=CreateTask) -> dict[str, str]:
    with pytest.raises(ValidationError) as refusal:
        decode_body(body, kind)
    return {problem.field: problem.problem for problem in refusal.value.problems}


def test_a_good_body_becomes_a_command():
    assert decode_body(b'{"title": "a", "priority": 2}', CreateTask) == CreateTask(title="a", priority=2)
    assert decode_body(b'{"due_at": null}', UpdateTask) == UpdateTask(due_at=None)
    assert decode_body(b"{}", CompleteTask) == CompleteTask()


def test_every_bad_field_is_named_at_once_with_what_it_takes():
    body = b'{"priority": 9, "due_at": "soon", "tags": [""], "description": 1, "id": "x", "owner": "me"}'
    assert problems(body) == {
        "owner": "is not a field of this request; its fields are: title, description, priority, due_at, tags, id",
        "title": "is required",
        "description": "must be a text of at most 20,000 characters without control characters",
        "priority": "must be a whole number from 0 (none) to 3 (highest)",
        "due_at": "must be an RFC 3339 time with an offset, such as 2026-01-31T17:00:00Z or null",
        "tags": "must be a list of at most 20 texts of 1 to 50 characters, without blanks around them",
        "id": "must be a UUID",
    }


def test_a_patch_says_where_null_is_fine():
    assert problems(b'{"title": null, "tags": 1}', UpdateTask) == {
        "title": "must be a text of 1 to 500 characters on one line, not blank",
        "tags": "must be a list of at most 20 texts of 1 to 50 characters, without blanks around them or null",
    }


@pytest.mark.parametrize("field", ["status", "version", "created_at", "updated_at", "completed_at"])
def test_what_clients_see_but_cannot_set_is_explained(field):
    assert "cannot be set" in problems(b'{"%b": 1}' % field.encode(), UpdateTask)[field]


def test_a_request_without_fields_takes_none():
    assert problems(b'{"done": true}', CompleteTask) == {"done": "is not a field of this request; its fields are: none"}


@pytest.mark.parametrize("body", [b"[]", b"null", b"1", b'"title"', b"[1]"])
def test_a_body_that_is_no_object_is_told_so(body):
    assert problems(body) == {"": "the body must be a JSON object"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"{'title': 'a'}",
        b'{"title": "a"',
        b'{"title": "a"} {}',
        b'{"title": "\xff"}',
        b'{"title": "\\ud800"}',
        b"title=a",
        b'{"title": NaN}',
        b'{"title": 1, ',
        b"[1,",
        b'{"title": 1, "description": "\xff"}',
        b'{"owner": 1, "title": }',
    ],
)
def test_a_body_that_is_not_json_is_malformed_wherever_it_breaks(body):
    with pytest.raises(MalformedBody, match="not JSON"):
        decode_body(body, CreateTask)


@pytest.mark.parametrize(
    "body", [b'{"title": ' + b"[" * 100_000, b"[" * 100_000, b'{"x":' * 30_000 + b"1" + b"}" * 30_000]
)
def test_a_body_that_is_nested_without_end_is_refused(body):
    with pytest.raises((MalformedBody, ValidationError)):
        decode_body(body, CreateTask)


@pytest.mark.parametrize("number", [b"1" * 5000, b"1e999", b"-0.5", b"9" * 30])
def test_a_number_of_any_size_is_just_a_bad_value(number):
    with pytest.raises((MalformedBody, ValidationError)):
        decode_body(b'{"title": "a", "priority": %b}' % number, CreateTask)
