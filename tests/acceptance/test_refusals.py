"""The error table: what each bad request answers."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, NamedTuple

import pytest
from support.api import call, create

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conftest import Service

pytestmark = pytest.mark.stack

TASK = "{task}"
"""In a path: a task that exists."""
NOBODY = str(uuid.uuid4())


class Refused(NamedTuple):
    """A request, and the answer that it must get."""

    method: str
    path: str
    status: int
    code: str
    body: object = None
    fields: tuple[str, ...] = ()
    """The fields that the answer must name."""
    headers: Mapping[str, str] = {}
    content_type: str = "application/json"
    allow: str | None = None


def bad_field(field: str, value: object) -> Refused:
    """A creation that fails for one field."""
    return Refused("POST", "/api/tasks", 400, "validation", {"title": "good", field: value}, (field,))


def bad_patch(field: str, value: object) -> Refused:
    return Refused("PATCH", f"/api/tasks/{TASK}", 400, "validation", {field: value}, (field,))


def bad_query(path: str, *fields: str) -> Refused:
    return Refused("GET", path, 400, "validation", None, fields)


REFUSED = {
    "unknown field": bad_field("colour", "red"),
    "server-owned field": bad_field("status", "completed"),
    "title missing": Refused("POST", "/api/tasks", 400, "validation", {}, ("title",)),
    "title null": bad_field("title", None),
    "title of a wrong type": bad_field("title", 7),
    "title empty": bad_field("title", ""),
    "title blank": bad_field("title", "   "),
    "title too long": bad_field("title", "x" * 501),
    "title of two lines": bad_field("title", "a\nb"),
    "title with NUL": bad_field("title", "a\x00b"),
    "description of a wrong type": bad_field("description", ["x"]),
    "description too long": bad_field("description", "x" * 20_001),
    "description with NUL": bad_field("description", "\x00"),
    "priority of a wrong type": bad_field("priority", "high"),
    "priority true": bad_field("priority", value=True),
    "priority with a fraction": bad_field("priority", 1.5),
    "priority too low": bad_field("priority", -1),
    "priority too high": bad_field("priority", 4),
    "time that is none": bad_field("due_at", "tomorrow"),
    "time without an offset": bad_field("due_at", "2030-01-01T10:00:00"),
    "time on no calendar": bad_field("due_at", "2030-02-30T10:00:00Z"),
    "time before the year 1 in UTC": bad_field("due_at", "0001-01-01T00:00:00+14:00"),
    "the last time of all": bad_field("due_at", "9999-12-31T23:59:59.999999Z"),
    "time as a number": bad_field("due_at", 1893456000),
    "tags of a wrong type": bad_field("tags", "home"),
    "too many tags": bad_field("tags", [f"t{number}" for number in range(21)]),
    "tag too long": bad_field("tags", ["x" * 51]),
    "tag empty": bad_field("tags", [""]),
    "tag of a wrong type": bad_field("tags", [1]),
    "id that is none": bad_field("id", "7"),
    "every bad field at once": Refused(
        "POST",
        "/api/tasks",
        400,
        "validation",
        {"title": "", "description": 1, "priority": 9, "due_at": "x", "tags": [""], "id": "y", "colour": 1, "size": 2},
        ("title", "description", "priority", "due_at", "tags", "id", "colour", "size"),
    ),
    "patch with an unknown field": bad_patch("colour", "red"),
    "patch of the status": bad_patch("status", "completed"),
    "patch of the version": bad_patch("version", 3),
    "patch of the title to null": bad_patch("title", None),
    "patch of the title to nothing": bad_patch("title", " "),
    "patch of a wrong type": bad_patch("priority", "1"),
    "patch of a bad time": bad_patch("due_at", "soon"),
    "completing with a field": Refused(
        "POST", f"/api/tasks/{TASK}/complete", 400, "validation", {"note": "x"}, ("note",)
    ),
    "body that is a list": Refused("POST", "/api/tasks", 400, "validation", [], ("",)),
    "body that is null": Refused("POST", "/api/tasks", 400, "validation", b"null", ("",)),
    "bad JSON": Refused("POST", "/api/tasks", 400, "malformed_json", b'{"title": '),
    "no body": Refused("POST", "/api/tasks", 400, "malformed_json", b""),
    "bad UTF-8": Refused("POST", "/api/tasks", 400, "malformed_json", b'{"title": "\xff"}'),
    "bad JSON in a patch": Refused("PATCH", f"/api/tasks/{TASK}", 400, "malformed_json", b"{]"),
    "bad JSON where no body is needed": Refused("POST", f"/api/tasks/{TASK}/complete", 400, "malformed_json", b"{"),
    "wrong content type": Refused(
        "POST", "/api/tasks", 415, "unsupported_media_type", b"title=x", (), {}, "text/plain"
    ),
    "merge patch where JSON is due": Refused(
        "POST", "/api/tasks", 415, "unsupported_media_type", {"title": "x"}, (), {}, "application/merge-patch+json"
    ),
    "wrong content type of a patch": Refused(
        "PATCH", f"/api/tasks/{TASK}", 415, "unsupported_media_type", b"[]", (), {}, "application/json-patch+json"
    ),
    "body over 256 KiB": Refused(
        "POST", "/api/tasks", 413, "body_too_large", {"title": "x", "description": "y" * 256 * 1024}
    ),
    "patch over 256 KiB": Refused(
        "PATCH", f"/api/tasks/{TASK}", 413, "body_too_large", {"description": "y" * 256 * 1024}
    ),
    "body of many MiB": Refused("POST", "/api/tasks", 413, "body_too_large", b" " * (8 << 20)),
    "reading an unknown id": Refused("GET", f"/api/tasks/{NOBODY}", 404, "task_not_found"),
    "reading what is no id": Refused("GET", "/api/tasks/seven", 404, "task_not_found"),
    "history of an unknown id": Refused("GET", f"/api/tasks/{NOBODY}/history", 404, "task_not_found"),
    "patching an unknown id": Refused("PATCH", f"/api/tasks/{NOBODY}", 404, "task_not_found", {"title": "x"}),
    "completing an unknown id": Refused("POST", f"/api/tasks/{NOBODY}/complete", 404, "task_not_found"),
    "reopening an unknown id": Refused("POST", f"/api/tasks/{NOBODY}/reopen", 404, "task_not_found"),
    "deleting an unknown id": Refused("DELETE", f"/api/tasks/{NOBODY}", 404, "task_not_found"),
    "deleting an unknown id at a version": Refused(
        "DELETE", f"/api/tasks/{NOBODY}", 404, "task_not_found", None, (), {"If-Match": '"1"'}
    ),
    "unknown address": Refused("GET", "/api/nothing", 404, "not_found"),
    "id that is taken": Refused("POST", "/api/tasks", 409, "task_exists", {"title": "x", "id": TASK}),
    "wrong method on the tasks": Refused("PUT", "/api/tasks", 405, "method_not_allowed", allow="GET,HEAD,POST"),
    "wrong method on a task": Refused(
        "PUT", f"/api/tasks/{TASK}", 405, "method_not_allowed", allow="DELETE,GET,HEAD,PATCH"
    ),
    "wrong method on completing": Refused(
        "GET", f"/api/tasks/{TASK}/complete", 405, "method_not_allowed", allow="POST"
    ),
    "wrong method on the history": Refused(
        "DELETE", f"/api/tasks/{TASK}/history", 405, "method_not_allowed", allow="GET,HEAD"
    ),
    "wrong method on the stream": Refused("POST", "/api/events", 405, "method_not_allowed", allow="GET"),
    "If-Match without quotes": Refused(
        "PATCH", f"/api/tasks/{TASK}", 400, "bad_header", {"title": "x"}, (), {"If-Match": "1"}
    ),
    "If-Match with a list": Refused(
        "DELETE", f"/api/tasks/{TASK}", 400, "bad_header", None, (), {"If-Match": '"1", "2"'}
    ),
    "Idempotency-Key with a blank": Refused(
        "POST", "/api/tasks", 400, "bad_header", {"title": "x"}, (), {"Idempotency-Key": "a b"}
    ),
    "Idempotency-Key too long": Refused(
        "POST", "/api/tasks", 400, "bad_header", {"title": "x"}, (), {"Idempotency-Key": "k" * 256}
    ),
    "Consistency-Token of a list": Refused(
        "GET", "/api/tasks", 400, "bad_header", None, (), {"Consistency-Token": "yesterday"}
    ),
    "Consistency-Token of a task": Refused(
        "GET", f"/api/tasks/{TASK}", 400, "bad_header", None, (), {"Consistency-Token": "1:x"}
    ),
    "Consistency-Token of a history": Refused(
        "GET", f"/api/tasks/{TASK}/history", 400, "bad_header", None, (), {"Consistency-Token": "-1:2"}
    ),
    "unknown status": bad_query("/api/tasks?status=deleted", "status"),
    "unknown parameters": bad_query("/api/tasks?colour=red&size=2", "colour", "size"),
    "limit of nothing": bad_query("/api/tasks?limit=0", "limit"),
    "limit too high": bad_query("/api/tasks?limit=201", "limit"),
    "limit that is no number": bad_query("/api/tasks?limit=all", "limit"),
    "limit with digits of another script": bad_query("/api/tasks?limit=%D9%A7", "limit"),
    "cursor that nobody gave": bad_query("/api/tasks?cursor=abc", "cursor"),
    "cursor with other letters": bad_query("/api/tasks?cursor=%C3%A4", "cursor"),
    "cursor of a history": bad_query("/api/tasks?cursor=Mw", "cursor"),
    "limit of a history": bad_query(f"/api/tasks/{TASK}/history?limit=201", "limit"),
    "cursor of a list": bad_query(f"/api/tasks/{TASK}/history?cursor=WyIyMDMxIl0", "cursor"),
    "cursor out of range": bad_query(f"/api/tasks/{TASK}/history?cursor=OTk5OTk5OTk5OTk5OTk5OTk5OTk", "cursor"),
    "tag with NUL": bad_query("/api/tasks?tag=a%00b", "tag"),
}


@pytest.fixture(scope="module")
def task(service: Service) -> str:
    """A task that no refused request may change."""
    task_id: str = create(service.url, "untouched").json["id"]
    return task_id


@pytest.mark.parametrize("refused", REFUSED.values(), ids=REFUSED.keys())
def test_a_bad_request_is_refused_with_a_problem_that_says_why(service: Service, task: str, refused: Refused) -> None:
    body = refused.body
    if isinstance(body, dict) and body.get("id") == TASK:
        body = body | {"id": task}
    url = service.url + refused.path.replace(TASK, task)
    answer = call(url, refused.method, body, refused.headers, refused.content_type)
    assert answer.problem == (refused.status, refused.code), answer.json
    assert sorted(error["field"] for error in answer.json.get("errors", [])) == sorted(refused.fields)
    assert all(error["detail"] for error in answer.json.get("errors", []))
    if refused.allow:
        assert ",".join(sorted(answer.headers["allow"].split(","))) == refused.allow
    assert call(f"{service.url}/api/tasks/{task}").headers["etag"] == '"1"'


def test_a_body_of_just_256_kib_is_read(service: Service) -> None:
    content = b'{"title": "large"' + b" " * (256 * 1024 - len(b'{"title": "large"}')) + b"}"
    assert len(content) == 256 * 1024
    assert call(f"{service.url}/api/tasks", "POST", content).status == 201
    assert call(f"{service.url}/api/tasks", "POST", content + b" ").problem == (413, "body_too_large")


def test_the_longest_of_everything_is_taken_and_given_back(service: Service) -> None:
    fields = {
        "title": "ä" * 500,
        "description": "\U0001f512\t\n" * 6_666 + "ab",
        "priority": 3,
        "due_at": "9999-12-31T23:59:59.999998Z",
        "tags": [f"{number:02d}" + "ü" * 48 for number in range(20)],
    }
    answer = create(service.url, **fields)
    assert answer.json.items() >= fields.items()
    for base in (service.url, service.other_url):
        assert call(f"{base}/api/tasks/{answer.json['id']}").json == answer.json
        listed = call(f"{base}/api/tasks?limit=200", headers=answer.token).json["items"]
        assert answer.json in listed
