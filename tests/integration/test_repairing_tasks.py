"""An operator repairs parked tasks by the command line, beside the running service; the log tells all others."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from support.api import call, create
from support.poison import POISON, encoded, envelope, put
from support.read_back import check_derived, read_log, read_model

from app.log.kafka import KafkaLog
from app.log.port import partition_of
from projections.database import Database
from projections.engine import Engine
from projections.provision import provision_schema

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from support.service import Ledger

pytestmark = pytest.mark.stack

KINDS = ["bad JSON", "unknown type", "version gap", "second creation"]
NEWER_CODE = """
from app.domain import upcasting

upcast = upcasting.upcast

def newer(kind, schema, data):
    if schema == "urn:taskledger:task.retitled:1":
        return "task.updated", {"title": data["to"]}
    return upcast(kind, schema, data)

upcasting.upcast = newer
"""
"""Knows an event type more; Python imports it as `sitecustomize` where it is on the path."""


class Operated:
    """A running ledger, and an operator's terminal."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.worker, self.web = ledger.worker().until_ready(), ledger.web().until_ready()
        self.damaged: set[tuple[int, int]] = set()

    def run(self, *words: str, code: Path | None = None, answer: str = "") -> subprocess.CompletedProcess[str]:
        """Run `taskledger dead-letters`, and answer what it asks."""
        environment = self.ledger.environment | ({"PYTHONPATH": str(code)} if code else {})
        command = [sys.executable, "-m", "app.cli", "dead-letters", *words]
        return subprocess.run(
            command, env=environment, input=answer, capture_output=True, text=True, check=False, timeout=120
        )

    def taskledger(self, *words: str, code: Path | None = None, said: str = "") -> Any:
        """Run `taskledger dead-letters` and give its JSON; with `said`, fail unless it is refused with that."""
        ran = self.run(*words, "--json", code=code)
        assert (ran.returncode == 0) == (not said), ran.stderr
        assert said in ran.stderr
        return json.loads(ran.stdout) if ran.stdout else None

    def look_and_think_better_of_it(self, task: str) -> None:
        shown = self.run("list", "--task", task, "--limit", "1")
        assert shown.returncode == 0, shown.stderr
        assert task in shown.stdout
        assert "There are more: --cursor " in shown.stderr
        asked = self.run("discard", task, answer="n\n")
        assert asked.returncode == 1
        assert "it is discarded" in asked.stderr
        assert self.task(task) == (503, "task_parked")

    def spoil(self, damage: dict[str, Sequence[bytes | None]]) -> None:
        """Put records of some tasks into the log, none of which can be applied."""

        async def write() -> None:
            async with KafkaLog(self.ledger.stack.kafka, self.ledger.prefix + "task.events", 4) as log:
                before = await log.ends()
            for task, values in damage.items():
                await put(self.ledger, partition(task), task.encode(), *values)
            self.damaged |= {
                (record.partition, record.offset)
                for record in await read_log(self.ledger)
                if record.offset >= before[record.partition]
            }

        asyncio.run(write())

    def check(self, without: Sequence[str] = ()) -> None:
        asyncio.run(check_derived(self.ledger, self.worker.url, without, self.damaged))

    def task(self, task: str, url: str | None = None) -> Any:
        answer = call(f"{url or self.web.url}/api/tasks/{task}")
        return answer.json if answer.status == 200 else answer.problem


def partition(task: str) -> int:
    return partition_of(task.encode(), 4)


def test_a_parked_task_goes_on_once_its_poison_is_discarded(ledger: Ledger) -> None:
    operated = Operated(ledger)
    tasks = {kind: create(operated.web.url, kind).json["id"] for kind in KINDS}
    done = create(operated.web.url, "done").json["id"]
    assert call(f"{operated.web.url}/api/tasks/{done}/complete", "POST").status == 200
    unborn = str(uuid.uuid4())
    operated.spoil(
        {
            task: [POISON[kind].value(task), encoded(envelope(task, (POISON[kind].takes or 1) + 1))]
            for kind, task in tasks.items()
        }
        | {done: [b"garbage"], unborn: [b"garbage", encoded(envelope(unborn, 1, "task.completed", data={}))]}
    )
    parked = [*tasks.values(), done, unborn]
    operated.check(without=parked)
    for task in parked:
        assert operated.task(task) == (503, "task_parked")

    listed = operated.taskledger("list")
    assert {letter["task_id"] for letter in listed["items"]} == set(parked)
    assert len(listed["items"]) == 2 * len(KINDS) + 3
    (letter, _) = operated.taskledger("show", tasks["unknown type"])
    assert (letter["verdict"], letter["type"], letter["readable"]) == ("poison", "task.exploded", False)
    operated.taskledger("retry", tasks["bad JSON"], said="deploy code that can, or discard the record")
    operated.taskledger("discard", "no task", said="holds up nothing")

    first, *others = parked
    operated.look_and_think_better_of_it(first)
    assert operated.taskledger("discard", first, "--yes")["applied"]
    assert operated.task(first)["title"] == "by a stranger"
    assert operated.task(others[0]) == (503, "task_parked")
    operated.check(without=others)
    for task in others:
        assert operated.taskledger("discard", task, "--yes")["applied"]
    operated.taskledger("discard", first, "--yes", said="is not parked")
    assert operated.taskledger("list") == {"items": [], "next": None}

    operated.check()
    for kind, task in tasks.items():
        found = operated.task(task)
        assert (found["title"], found["version"]) == ("by a stranger", (POISON[kind].takes or 1) + 2)
        history = call(f"{operated.web.url}/api/tasks/{task}/history").json["items"]
        assert [(item["version"], item["actor"]) for item in history] == [(1, "local"), (found["version"], "operator")]
        url = f"{operated.web.url}/api/tasks/{task}"
        changed = call(url, "PATCH", {"title": f"{kind}, mended"}, headers={"If-Match": f'"{found["version"]}"'})
        assert (changed.status, changed.json["version"]) == (200, found["version"] + 1)
    assert operated.task(done)["status"] == "completed"
    assert operated.task(unborn) == (404, "task_not_found")
    operated.check()
    titles = {item["title"] for item in call(f"{operated.web.url}/api/tasks").json["items"]}
    assert titles == {*(f"{kind}, mended" for kind in KINDS), "done"}

    before = {task: operated.task(task) for task in parked}
    for process in (operated.worker, operated.web):
        process.kill()
        process.start().until_ready()
    assert {task: operated.task(task) for task in parked} == before
    assert call(f"{operated.web.url}/api/tasks/{first}/complete", "POST").status == 200
    operated.check()
    asyncio.run(check_read_again(ledger))


async def check_read_again(ledger: Ledger) -> None:
    """Fail unless the log, read from its beginning, gives the very rows of the live read models."""
    live = await read_model(ledger)
    anew = ledger.stack.new_database()
    async with (
        KafkaLog(ledger.stack.kafka, ledger.prefix + "task.events", 4) as log,
        Database(anew, connections=2) as database,
    ):
        await provision_schema(database, 4)
        engine = Engine(database, log)
        for number, end in (await log.ends()).items():
            async for batch in log.read(number, 0, end):
                await engine.apply(batch)
    kept, ledger.postgres = ledger.postgres, anew
    try:
        again = await read_model(ledger)
    finally:
        ledger.postgres = kept
    assert again.tasks == live.tasks
    assert again.positions == live.positions
    assert again.dead_letters == live.dead_letters
    assert sorted(again.history, key=_place) == sorted(live.history, key=_place)


def _place(row: dict[str, Any]) -> tuple[int, int]:
    return row["partition"], row["log_offset"]


def test_what_newer_code_can_read_is_retried_with_it_and_older_processes_follow(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "newer").mkdir()
    (tmp_path / "newer" / "sitecustomize.py").write_text(NEWER_CODE)
    operated = Operated(ledger)
    task = create(operated.web.url, "before").json["id"]
    unborn = str(uuid.uuid4())
    retitled = encoded(envelope(task, 2, "task.retitled", data={"to": "retitled"}))
    created = encoded(envelope(unborn, 1, "task.retitled", data={"to": "no creation"}))
    operated.spoil({task: [retitled, encoded(envelope(task, 3, "task.completed", data={}))], unborn: [created]})
    operated.check(without=[task, unborn])
    operated.taskledger("retry", task, said="deploy code that can")
    (shown, _) = operated.taskledger("show", task, code=tmp_path / "newer")
    assert shown["readable"]
    assert "retitled" in operated.run("show", task).stdout
    operated.taskledger("retry", unborn, code=tmp_path / "newer", said="only an existing task can change")

    repaired = operated.taskledger("retry", task, code=tmp_path / "newer")
    assert (repaired["status"], repaired["version"], repaired["left_out"]) == ("completed", 5, [])
    assert operated.taskledger("discard", unborn, "--yes")["status"] == "deleted"
    found = operated.task(task)
    assert (found["title"], found["status"], found["version"]) == ("retitled", "completed", 5)
    operated.check()
    assert call(f"{operated.web.url}/api/tasks/{task}/reopen", "POST").json["version"] == 6
    operated.check()

    environment = operated.web.environment
    operated.web.kill()
    operated.web.environment = environment | {"PYTHONPATH": str(tmp_path / "newer")}
    operated.web.start().until_ready()
    assert operated.task(task)["version"] == 6
