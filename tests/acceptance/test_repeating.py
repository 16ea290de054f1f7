"""Idempotency-Key: the first answer again, from whichever process, whenever."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest
from support.api import Answer, call, create

if TYPE_CHECKING:
    from conftest import Service
    from support.service import Ledger

pytestmark = pytest.mark.stack


def said(answer: Answer) -> tuple[int, str | None, bytes]:
    return answer.status, answer.headers.get("etag"), answer.body


def new_key() -> dict[str, str]:
    return {"Idempotency-Key": uuid.uuid4().hex}


def test_repeating_a_creation_gives_the_first_answer_and_makes_no_second_task(service: Service) -> None:
    tag, key = uuid.uuid4().hex, new_key()
    body = {"title": "once", "tags": [tag]}
    first = call(f"{service.url}/api/tasks", "POST", body, key)
    assert first.status == 201
    call(f"{service.url}/api/tasks/{first.json['id']}", "PATCH", {"title": "changed since"})
    for base in (service.url, service.other_url):
        again = call(f"{base}/api/tasks", "POST", dict(reversed(body.items())), key)
        assert said(again) == said(first)
        assert again.headers["location"] == first.headers["location"]
    listed = call(f"{service.url}/api/tasks?tag={tag}", headers=again.token).json["items"]
    assert [task["id"] for task in listed] == [first.json["id"]]


def test_repeating_every_kind_of_change_gives_the_first_answer_and_writes_one_event(service: Service) -> None:
    url = f"/api/tasks/{create(service.url, 'repeated').json['id']}"
    done = []
    for method, path, body in (
        ("PATCH", url, {"title": "second"}),
        ("POST", f"{url}/complete", None),
        ("POST", f"{url}/reopen", None),
        ("PATCH", url, {"description": "third"}),
        ("DELETE", url, None),
    ):
        key = new_key()
        first = call(service.url + path, method, body, key)
        assert first.status in {200, 204}
        done.append((method, path, body, key, first))
        for base in (service.url, service.other_url):
            assert said(call(base + path, method, body, key)) == said(first)
    for method, path, body, key, first in done:
        for base in (service.url, service.other_url):
            assert said(call(base + path, method, body, key)) == said(first)
    history = call(f"{service.url}{url}/history", headers=done[-1][4].token).json["items"]
    assert len(history) == 6


def test_a_key_that_was_used_for_something_else_is_refused(service: Service) -> None:
    key = new_key()
    first = call(f"{service.url}/api/tasks", "POST", {"title": "first"}, key)
    other = create(service.url, "other").json["id"]
    call(f"{service.url}/api/tasks?limit=1", headers=first.token)  # so that the read model has the key
    for base in (service.url, service.other_url):
        assert call(f"{base}/api/tasks", "POST", {"title": "second"}, key).problem == (422, "idempotency_mismatch")
        for method, path, body in (
            ("PATCH", f"/api/tasks/{first.json['id']}", {"title": "first"}),
            ("DELETE", f"/api/tasks/{first.json['id']}", None),
            ("PATCH", f"/api/tasks/{other}", {"title": "first"}),
            ("POST", f"/api/tasks/{other}/complete", None),
        ):
            assert call(base + path, method, body, key).problem == (422, "idempotency_mismatch")


def test_the_first_answer_outlives_the_processes(ledger: Ledger) -> None:
    worker, web = ledger.worker(), ledger.web()
    worker.until_ready()
    web.until_ready()
    key, patch_key = new_key(), new_key()
    first = call(f"{web.url}/api/tasks", "POST", {"title": "kept"}, key)
    task = f"{web.url}/api/tasks/{first.json['id']}"
    changed = call(task, "PATCH", {"priority": 3}, patch_key)
    call(f"{task}/complete", "POST")
    worker.kill()  # so that the last change is only in the log
    late = new_key()
    kept = call(task, "PATCH", {"priority": 1}, late)
    web.kill()
    web.start().until_ready()
    assert said(call(f"{web.url}/api/tasks", "POST", {"title": "kept"}, key)) == said(first)
    assert said(call(task, "PATCH", {"priority": 3}, patch_key)) == said(changed)
    assert said(call(task, "PATCH", {"priority": 1}, late)) == said(kept)
    assert call(f"{web.url}/api/tasks", "POST", {"title": "other"}, key).problem == (422, "idempotency_mismatch")
    assert call(task).headers["etag"] == '"4"'
