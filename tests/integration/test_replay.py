"""The way of an operator: build beside what serves, verify, switch, roll back."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from support.api import call, create

if TYPE_CHECKING:
    from support.service import Ledger

pytestmark = pytest.mark.stack


def replay(ledger: Ledger, *words: str, code: int = 0) -> str:
    command = [sys.executable, "-m", "app.cli", "replay", *words]
    done = subprocess.run(command, env=ledger.environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
    return done.stdout + done.stderr


def verified(ledger: Ledger, code: int = 0) -> dict[str, Any]:
    return {one["projection"]: one for one in json.loads(replay(ledger, "verify", "--json", code=code))}


def execute(ledger: Ledger, *statements: str) -> None:
    async def work() -> None:
        connection = await asyncpg.connect(ledger.postgres)
        for statement in statements:
            await connection.execute(statement)
        await connection.close()

    asyncio.run(work())


def test_a_new_generation_serves_only_where_it_equals_the_log_and_the_old_one_comes_back(ledger: Ledger) -> None:
    web = ledger.web().until_ready()
    ledger.worker().until_ready()
    answers = [create(web.url, f"task {number}") for number in range(30)]
    for answer in answers[:10]:
        assert call(f"{web.url}/api/tasks/{answer.json['id']}/complete", "POST").status == 200
    replay(ledger, "run")
    assert "verify" in replay(ledger, "switch", code=1), "nobody has compared it with the log yet"

    execute(
        ledger,
        "UPDATE task_2.task SET title = 'planted' WHERE title = 'task 1'",
        "DELETE FROM task_2.task WHERE title = 'task 2'",
        "INSERT INTO task_history_2.task_history SELECT gen_random_uuid(), version, event_id, type, time, actor, "
        "command_id, command_hash, repairs, data, partition, log_offset FROM task_history_2.task_history LIMIT 1",
    )
    found = verified(ledger, code=3)
    task_problems = {(one["problem"], tuple(one["columns"])) for one in found["task"]["differences"]}
    assert task_problems == {("differs", ("title",)), ("missing", ())}
    assert [one["problem"] for one in found["task_history"]["differences"]] == ["extra"]
    replay(ledger, "switch", code=1)
    replay(ledger, "drop")

    replay(ledger, "run", "--switch")
    last = create(web.url, "after the switch")
    listed = call(f"{web.url}/api/tasks?limit=200", headers=last.token).json["items"]
    assert len(listed) == 31
    replay(ledger, "rollback")
    last = create(web.url, "after the way back")
    assert len(call(f"{web.url}/api/tasks?limit=200", headers=last.token).json["items"]) == 32
    assert all(not one["differing_checksums"] for one in verified(ledger).values()), "it stood by in lockstep"
