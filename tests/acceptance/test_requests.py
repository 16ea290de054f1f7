"""The request table: what each request answers when all is well."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from support.api import call, create
from support.service import wait_until

if TYPE_CHECKING:
    from conftest import Service

pytestmark = pytest.mark.stack

FIELDS = (
    "id",
    "title",
    "description",
    "status",
    "priority",
    "due_at",
    "tags",
    "created_at",
    "updated_at",
    "completed_at",
    "version",
)
TOKEN = re.compile(r"\d+:\d+")


def test_creating_answers_201_with_the_task_its_address_and_its_version(service: Service) -> None:
    before = datetime.now(UTC)
    answer = create(service.url, "water the plants")
    task = answer.json
    assert tuple(task) == FIELDS
    assert task | {"id": "", "created_at": "", "updated_at": ""} == {
        "id": "",
        "title": "water the plants",
        "description": "",
        "status": "open",
        "priority": 0,
        "due_at": None,
        "tags": [],
        "created_at": "",
        "updated_at": "",
        "completed_at": None,
        "version": 1,
    }
    assert task["created_at"] == task["updated_at"]
    assert task["created_at"].endswith("Z")
    assert before <= datetime.fromisoformat(task["created_at"]) <= datetime.now(UTC)
    assert answer.headers["location"] == f"/api/tasks/{task['id']}"
    assert answer.headers["etag"] == '"1"'
    assert TOKEN.fullmatch(answer.headers["consistency-token"])
    assert answer.headers["content-type"] == "application/json"
    assert call(service.url + answer.headers["location"]).json == task


def test_creating_takes_every_field_and_an_id(service: Service) -> None:
    own_id = str(uuid.uuid4())
    fields = {"description": "two\nlines", "priority": 3, "due_at": "2031-05-01T12:00:00+02:00", "tags": ["a", "b c"]}
    task = create(service.url, "  everything  ", id=own_id, **fields).json
    assert (task["id"], task["title"], task["due_at"]) == (own_id, "everything", "2031-05-01T10:00:00Z")
    assert (task["description"], task["priority"], task["tags"]) == ("two\nlines", 3, ["a", "b c"])


@pytest.mark.parametrize("content_type", ["application/json", "application/merge-patch+json"])
def test_patching_changes_the_named_fields_and_null_takes_the_default(service: Service, content_type: str) -> None:
    task = create(service.url, "old", description="kept", priority=2, due_at="2031-01-01T00:00:00Z", tags=["x"]).json
    url = f"{service.url}/api/tasks/{task['id']}"
    patch = {"title": "new", "priority": None, "due_at": None, "tags": None}
    answer = call(url, "PATCH", patch, content_type=content_type)
    assert (answer.status, answer.headers["etag"]) == (200, '"2"')
    assert TOKEN.fullmatch(answer.headers["consistency-token"])
    changed = answer.json
    assert changed == task | {
        "title": "new",
        "priority": 0,
        "due_at": None,
        "tags": [],
        "updated_at": changed["updated_at"],
        "version": 2,
    }
    assert changed["updated_at"] > task["updated_at"]


def test_a_patch_that_changes_nothing_answers_200_and_writes_no_event(service: Service) -> None:
    task = create(service.url, "same", tags=["t"]).json
    url = f"{service.url}/api/tasks/{task['id']}"
    for patch in ({}, {"title": "same"}, {"title": "same", "tags": ["t"], "description": None}):
        answer = call(url, "PATCH", patch)
        assert (answer.status, answer.json, answer.headers["etag"]) == (200, task, '"1"')
        assert [item["version"] for item in call(f"{url}/history", headers=answer.token).json["items"]] == [1]


def test_completing_and_reopening_twice_writes_one_event_each(service: Service) -> None:
    task = create(service.url, "done and not done").json
    url = f"{service.url}/api/tasks/{task['id']}"
    first, second = call(f"{url}/complete", "POST"), call(f"{url}/complete", "POST")
    assert first.status == second.status == 200
    assert first.json == second.json
    assert first.json["status"] == "completed"
    assert first.json["completed_at"] == first.json["updated_at"]
    assert first.headers["etag"] == second.headers["etag"] == '"2"'
    first, second = call(f"{url}/reopen", "POST", {}), call(f"{url}/reopen", "POST", {})
    assert first.status == second.status == 200
    assert first.json == second.json
    assert (first.json["status"], first.json["completed_at"], first.json["version"]) == ("open", None, 3)
    history = call(f"{url}/history", headers=second.token).json["items"]
    assert [item["type"] for item in history] == ["task.created", "task.completed", "task.updated"]


def test_deleting_answers_204_then_404_and_410_to_who_names_a_version(service: Service) -> None:
    task = create(service.url, "short lived").json
    url = f"{service.url}/api/tasks/{task['id']}"
    answer = call(url, "DELETE")
    assert (answer.status, answer.body) == (204, b"")
    assert TOKEN.fullmatch(answer.headers["consistency-token"])
    for base in (service.url, service.other_url):
        gone = f"{base}/api/tasks/{task['id']}"
        assert call(gone).problem == (404, "task_not_found")
        assert call(gone, headers={"If-None-Match": '"1"'}).problem == (410, "task_gone")
        for method, path, body in (
            ("PATCH", "", {"title": "again"}),
            ("POST", "/complete", None),
            ("POST", "/reopen", None),
            ("DELETE", "", None),
        ):
            assert call(gone + path, method, body).problem == (404, "task_not_found")
            assert call(gone + path, method, body, {"If-Match": '"1"'}).problem == (410, "task_gone")
            assert call(gone + path, method, body, {"If-Match": "*"}).problem == (410, "task_gone")
    assert call(f"{service.url}/api/tasks", "POST", {"title": "again", "id": task["id"]}).problem == (
        409,
        "task_exists",
    )
    history = call(f"{url}/history", headers=answer.token).json["items"]
    assert [item["type"] for item in history] == ["task.created", "task.deleted"]


def test_reading_gives_the_version_and_304_to_who_has_it(service: Service) -> None:
    task = create(service.url, "read me").json
    for base in (service.url, service.other_url):
        url = f"{base}/api/tasks/{task['id']}"
        answer = call(url)
        assert (answer.status, answer.json, answer.headers["etag"]) == (200, task, '"1"')
        for known in ('"1"', 'W/"1"', '"7", "1"', "*"):
            unchanged = call(url, headers={"If-None-Match": known})
            assert (unchanged.status, unchanged.body, unchanged.headers["etag"]) == (304, b"", '"1"')
        assert call(url, headers={"If-None-Match": '"2"'}).json == task
        assert call(url, headers={"If-None-Match": '"11"'}).status == 200


def test_if_match_makes_every_change_conditional_and_412_tells_the_current_version(service: Service) -> None:
    task = create(service.url, "guarded").json
    url = f"{service.url}/api/tasks/{task['id']}"
    assert call(url, "PATCH", {"title": "second"}, {"If-Match": '"1"'}).headers["etag"] == '"2"'
    for base in (service.url, service.other_url):
        guarded = f"{base}/api/tasks/{task['id']}"
        for method, path, body in (
            ("PATCH", "", {"title": "lost"}),
            ("POST", "/complete", None),
            ("POST", "/reopen", None),
            ("DELETE", "", None),
        ):
            for stale in ('"1"', '"3"', '"nonsense"', 'W/"2"'):
                answer = call(guarded + path, method, body, {"If-Match": stale})
                assert answer.problem == (412, "version_mismatch")
                assert answer.headers["etag"] == '"2"'
    assert call(url, "PATCH", {"title": "third"}, {"If-Match": "*"}).json["version"] == 3
    assert call(f"{url}/complete", "POST", None, {"If-Match": '"3"'}).json["version"] == 4
    assert call(f"{url}/reopen", "POST", None, {"If-Match": '"4"'}).json["version"] == 5
    assert call(url, "DELETE", None, {"If-Match": '"5"'}).status == 204


def test_the_history_tells_who_did_what_when_in_pages(service: Service) -> None:
    task = create(service.url, "one", tags=["h"]).json
    url = f"{service.url}/api/tasks/{task['id']}"
    for title in ("two", "three", "four"):
        call(url, "PATCH", {"title": title})
    token = call(f"{url}/complete", "POST").token
    whole = call(f"{url}/history", headers=token)
    assert TOKEN.match(whole.headers["consistency-token"])
    items = whole.json["items"]
    assert whole.json["next"] is None
    assert [item["version"] for item in items] == [1, 2, 3, 4, 5]
    assert all(set(item) == {"version", "type", "time", "actor", "data"} for item in items)
    assert items[0]["data"] == {"title": "one", "description": "", "priority": 0, "due_at": None, "tags": ["h"]}
    assert items[0]["time"] == task["created_at"]
    assert (items[1]["type"], items[1]["data"]) == ("task.updated", {"title": "two"})
    assert (items[4]["type"], items[4]["data"]) == ("task.completed", {})
    walked, cursor = [], ""
    while cursor is not None:
        page = call(f"{url}/history?limit=2{cursor and f'&cursor={cursor}'}").json
        assert len(page["items"]) <= 2
        walked += page["items"]
        cursor = page["next"]
    assert walked == items


def test_health_and_metrics_tell_the_state_of_the_parts(service: Service) -> None:
    health = call(f"{service.url}/api/health")
    assert health.status == 200
    assert health.json["status"] == "ok"
    assert health.json["parts"] == {"log": "up", "database": "up", "overlay": "ready"}
    for base in (service.url, service.other_url, service.worker.url):
        assert call(f"{base}/livez").status == 200
        assert call(f"{base}/readyz").status == 200
    create(service.url, "counted")
    web, worker = (call(f"{base}/metrics") for base in (service.url, service.worker.url))
    assert web.status == worker.status == 200
    assert web.headers["content-type"].startswith("text/plain")
    assert b"taskledger_overlay_bytes" in web.body
    assert b"taskledger_read_back_duration_seconds_count" in web.body
    assert b'taskledger_projected_events_total{verdict="accepted"}' in worker.body


def test_the_worker_counts_the_tasks_and_their_changes(service: Service) -> None:
    create(service.url, "counted")
    wait_until(lambda: call(f"{service.url}/api/insight").json["tasks"]["open"] >= 1, "the task is counted", 30)
    insight = call(f"{service.url}/api/insight").json
    assert insight["missing_partitions"] == []
    assert set(insight["tasks"]) == {"open", "completed", "deleted"}
    assert set(insight["changes"]) == {"task.created", "task.updated", "task.completed", "task.deleted"}
    assert 1 <= insight["changes"]["task.created"]["1m"] <= insight["changes"]["task.created"]["15m"]
