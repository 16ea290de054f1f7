"""Records that no correct writer would write park their own task and nothing else."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from support.api import call, create
from support.poison import POISON, encoded, envelope, put
from support.read_back import TYPES, check_derived, read_log, read_topic

if TYPE_CHECKING:
    from support.read_back import Derived
    from support.service import Ledger

pytestmark = pytest.mark.stack


class Spoiled:
    """A running ledger with a damaged task for each kind of poison, and some that nobody touched."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.worker, self.web = ledger.worker().until_ready(), ledger.web().until_ready()
        self.tasks = {name: create(self.web.url, name).json["id"] for name in POISON}
        self.healthy = [create(self.web.url, f"healthy {number}").json["id"] for number in range(8)]

    async def spoil(self) -> None:
        """Put each poison into the log, and a good event of the same task behind it."""
        log = await read_log(self.ledger)
        self.partitions = {(record.key or b"").decode(): record.partition for record in log}
        for name, task in self.tasks.items():
            after = envelope(task, (POISON[name].takes or 1) + 1)
            values = POISON[name].value(task), encoded(after)
            await put(self.ledger, self.partitions[task], task.encode(), *values)
        await put(self.ledger, 0, b"no task", encoded(envelope("no task", 1)))
        await put(self.ledger, 1, None, b"{}")

    def check_others_go_on(self, when: str) -> None:
        for task in self.healthy:
            changed = call(f"{self.web.url}/api/tasks/{task}", "PATCH", {"title": f"still healthy {when}"})
            assert changed.status == 200
        assert create(self.web.url, f"new {when}").status == 201

    def check_parked(self) -> None:
        for name, task in self.tasks.items():
            url = f"{self.web.url}/api/tasks/{task}"
            assert call(url).problem == (503, "task_parked"), name
            for method, path, body in (
                ("PATCH", "", {"title": "x"}),
                ("POST", "/complete", None),
                ("POST", "/reopen", None),
                ("DELETE", "", None),
            ):
                answer = call(url + path, method, body)
                assert answer.problem == (503, "task_parked"), name
                assert answer.headers["retry-after"]

    async def check_derived(self) -> None:
        derived = await check_derived(self.ledger, self.worker.url, without={*self.tasks.values(), "no task", ""})
        self._check_letters(derived)
        for name, task in self.tasks.items():
            row = derived.model.tasks[task]
            assert (row["title"], row["version"]) == (name, 1), "the row stays as it was before the poison"
        for kind in TYPES:
            for record in await read_topic(self.ledger, kind):
                event = json.loads(record.value or b"")
                assert event["actor"] == "local", f"{kind} has what nobody accepted: {event}"

    def _check_letters(self, derived: Derived) -> None:
        raw = {(record.partition, record.offset): record for record in derived.log}
        letters = sorted(derived.model.dead_letters, key=lambda letter: letter["log_offset"])
        for letter in letters:
            record = raw[letter["partition"], letter["log_offset"]]
            assert (letter["key"], letter["value"]) == (record.key, record.value)
            assert letter["reason"]
        for name, task in self.tasks.items():
            takes = POISON[name].takes
            bad, after = (letter for letter in letters if str(letter["task_id"]) == task)
            assert bad["partition"] == after["partition"] == self.partitions[task]
            assert (bad["verdict"], bad["taken_version"]) == ("poison", takes), name
            assert (after["verdict"], after["taken_version"]) == ("parked", (takes or 1) + 1), name
        unknown = {(letter["key"], letter["verdict"]) for letter in letters if letter["task_id"] is None}
        assert unknown == {(b"no task", "poison"), (None, "poison")}
        assert len(letters) == 2 * len(POISON) + len(unknown)


def test_poison_parks_its_task_and_nothing_else(ledger: Ledger) -> None:
    spoiled = Spoiled(ledger)
    asyncio.run(spoiled.spoil())
    spoiled.check_others_go_on("at first")
    asyncio.run(spoiled.check_derived())
    spoiled.check_parked()
    for process in (spoiled.worker, spoiled.web):
        process.kill()
        process.start().until_ready()
    spoiled.check_parked()
    spoiled.check_others_go_on("after a restart")
    asyncio.run(spoiled.check_derived())
