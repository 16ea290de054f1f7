"""Consistency-Token: a query includes the change that gave it, or says that it cannot yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.api import call, create

if TYPE_CHECKING:
    from conftest import Service
    from support.service import Ledger

pytestmark = pytest.mark.stack


def test_a_list_with_the_token_of_a_creation_always_has_the_task(service: Service) -> None:
    for number in range(200):
        answer = create(service.url, f"see me {number}")
        base = service.other_url if number % 2 else service.url
        first = call(f"{base}/api/tasks?limit=1", headers=answer.token)
        assert first.json["items"] == [answer.json], number


def test_a_history_with_the_token_of_a_change_always_has_the_change(service: Service) -> None:
    url = f"/api/tasks/{create(service.url, 'changed often').json['id']}"
    for version in range(2, 52):
        token = call(service.url + url, "PATCH", {"title": f"version {version}"}).token
        history = call(f"{service.other_url}{url}/history?limit=200", headers=token).json["items"]
        assert len(history) == version


def test_without_a_worker_a_query_with_a_token_says_that_the_read_model_is_behind(ledger: Ledger) -> None:
    web = ledger.web(freshness_timeout="0.5").until_ready()
    task = create(web.url, "not projected yet")
    for path in ("/api/tasks", f"/api/tasks/{task.json['id']}/history"):
        behind = call(web.url + path, headers=task.token)
        assert behind.problem == (503, "read_model_behind")
        assert behind.headers["retry-after"]
    url = f"{web.url}/api/tasks/{task.json['id']}"
    assert call(url, headers=task.token).json == task.json, "one task is answered from the log"
    assert call(f"{web.url}/api/tasks").json["items"] == []
    health = call(f"{web.url}/api/health")
    assert sum(health.json["read_model_lag_events"].values()) == 1
    assert call(f"{web.url}/api/insight").problem == (503, "worker_unavailable")
    changed = call(url, "PATCH", {"title": "still changes"}, {"If-Match": '"1"'})
    assert changed.json["version"] == 2
    worker = ledger.worker().until_ready()
    last = call(f"{url}/complete", "POST")
    later = ledger.web(worker_url=worker.url, freshness_timeout="60").until_ready()
    assert call(f"{later.url}/api/tasks", headers=last.token).json["items"] == [last.json]
