"""What still works while PostgreSQL or Kafka is away, and that all is right afterwards."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import TYPE_CHECKING

import pytest
from support.api import call, create
from support.read_back import check_derived
from support.service import wait_until

if TYPE_CHECKING:
    from support.service import Ledger
    from support.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.chaos]

COMMAND_TIMEOUT = 2.0
"""Seconds, as the processes here are told."""
LEEWAY = 5.0
"""Seconds for everything else, on a busy machine."""


def test_without_postgres_new_and_known_tasks_can_change(stack: Stack, ledger: Ledger) -> None:
    web = ledger.web().until_ready()
    unknown = create(web.url, "made before")
    worker = ledger.worker().until_ready()
    call(f"{web.url}/api/tasks", headers=unknown.token)
    web.kill()  # so that it knows only what it learns from now on
    web.start().until_ready()
    known = f"{web.url}/api/tasks/{create(web.url, 'known').json['id']}"
    stack.stop_database()
    try:
        made = create(web.url, "made meanwhile")
        made_url = f"{web.url}/api/tasks/{made.json['id']}"
        assert call(made_url, "PATCH", {"title": "changed meanwhile"}).json["version"] == 2
        assert call(known, "PATCH", {"title": "known and changed"}, {"If-Match": '"1"'}).json["version"] == 2
        assert call(known, "PATCH", {"title": "late"}, {"If-Match": '"1"'}).problem == (412, "version_mismatch")
        assert call(made_url).json["title"] == "changed meanwhile"
        assert call(f"{known}/complete", "POST").json["status"] == "completed"
        url = f"{web.url}/api/tasks/{unknown.json['id']}"
        for method, address, body in (
            ("GET", url, None),
            ("PATCH", url, {"title": "x"}),
            ("DELETE", url, None),
            ("GET", f"{web.url}/api/tasks", None),
            ("GET", f"{known}/history", None),
            ("POST", f"{web.url}/api/tasks", {"title": "with an id", "id": str(uuid.uuid4())}),
        ):
            answer = call(address, method, body)
            assert answer.problem == (503, "database_unavailable"), (method, address)
            assert answer.headers["retry-after"]
        health = call(f"{web.url}/api/health")
        assert (health.status, health.json["parts"]["database"]) == (503, "down")
        assert call(f"{web.url}/livez").status == call(f"{web.url}/readyz").status == 200
    finally:
        stack.start_database()
    wait_until(lambda: call(f"{web.url}/api/health").status == 200, "the service is well again", 60)
    assert call(f"{web.url}/api/tasks/{unknown.json['id']}", "PATCH", {"title": "at last"}).json["version"] == 2
    derived = asyncio.run(check_derived(ledger, worker.url))
    assert sorted((task["title"], task["version"]) for task in derived.folded.tasks.values()) == [
        ("at last", 2),
        ("changed meanwhile", 2),
        ("known and changed", 3),
    ]


def test_a_killed_postgres_loses_nothing_that_was_acknowledged(stack: Stack, ledger: Ledger) -> None:
    web = ledger.web().until_ready()
    worker = ledger.worker().until_ready()
    for number in range(50):
        create(web.url, f"before {number}")
    stack.kill_database()
    try:
        for number in range(50):
            create(web.url, f"meanwhile {number}")
    finally:
        stack.start_database()
    wait_until(lambda: call(f"{web.url}/api/health").status == 200, "the service is well again", 60)
    assert len(asyncio.run(check_derived(ledger, worker.url)).folded.tasks) == 100


def test_without_kafka_queries_answer_and_commands_say_within_their_timeout_that_they_cannot(
    stack: Stack, ledger: Ledger
) -> None:
    web = ledger.web(command_timeout=str(COMMAND_TIMEOUT)).until_ready()
    worker = ledger.worker().until_ready()
    task = create(web.url, "there before")
    url = f"{web.url}/api/tasks/{task.json['id']}"
    call(f"{web.url}/api/tasks", headers=task.token)
    keys = [{"Idempotency-Key": uuid.uuid4().hex} for _ in range(6)]
    commands = [
        ("POST", f"{web.url}/api/tasks", {"title": "new"}),
        ("POST", f"{web.url}/api/tasks", {"title": "newer"}),
        ("PATCH", url, {"title": "changed"}),
        ("PATCH", url, {"priority": 2}),
        ("POST", f"{url}/complete", None),
        ("PATCH", f"{web.url}/api/tasks/{uuid.uuid4()}", {"title": "nobody"}),
    ]
    stack.stop_broker()
    try:
        assert call(url).json == task.json
        assert call(f"{web.url}/api/tasks").json["items"] == [task.json]
        assert len(call(f"{url}/history").json["items"]) == 1
        for (method, address, body), key in zip(commands, keys, strict=True):
            begun = time.monotonic()
            answer = call(address, method, body, key)
            assert time.monotonic() - begun < COMMAND_TIMEOUT + LEEWAY
            assert answer.problem[0] == 503, answer
            assert answer.problem[1] in {"outcome_unknown", "log_unavailable", "unavailable"}
            assert answer.headers["retry-after"]
        health = call(f"{web.url}/api/health")
        assert (health.status, health.json["parts"]["log"]) == (503, "down")
    finally:
        stack.start_broker()
    wait_until(lambda: call(f"{web.url}/api/health").status == 200, "the service is well again", 60)
    statuses = []
    for (method, address, body), key in zip(commands, keys, strict=True):
        wait_until(lambda: call(address, method, body, key).status != 503, "the command is answered", 60)  # noqa: B023
        statuses.append(call(address, method, body, key).status)
    assert statuses == [201, 201, 200, 200, 200, 404]
    derived = asyncio.run(check_derived(ledger, worker.url))
    assert sorted((task["title"], task["version"]) for task in derived.folded.tasks.values()) == [
        ("changed", 4),
        ("new", 1),
        ("newer", 1),
    ]
