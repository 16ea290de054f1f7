from __future__ import annotations

import json
from urllib.request import Request, urlopen

import pytest
from support.service import wait_until

pytestmark = pytest.mark.stack


def call(url: str, method: str = "GET", body: object = None, **headers: str) -> tuple[int, dict[str, str], object]:
    data = None if body is None else json.dumps(body).encode()
    request = Request(url, data=data, method=method, headers={"Content-Type": "application/json", **headers})
    with urlopen(request, timeout=20) as answer:
        text = answer.read()
        return answer.status, dict(answer.headers), json.loads(text) if text else None


def test_a_created_task_is_listed_with_its_history_and_counted(service_url: str) -> None:
    status, headers, task = call(f"{service_url}/api/tasks", "POST", {"title": "see it everywhere"})
    assert status == 201
    token = {"Consistency-Token": headers["Consistency-Token"]}
    listed = call(f"{service_url}/api/tasks", **token)[2]
    assert task in listed["items"]
    (event,) = call(f"{service_url}/api/tasks/{task['id']}/history", **token)[2]["items"]
    assert (event["version"], event["type"]) == (1, "task.created")
    wait_until(
        lambda: call(f"{service_url}/api/insight")[2]["tasks"]["open"] >= 1, "the worker has counted the task", 30
    )
