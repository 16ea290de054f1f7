"""What the log says happened, worked out from its raw records alone, and what was derived from it.

Nothing here uses the service's own code, so that a mistake there is not made here again.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter, defaultdict
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from support.api import call

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from support.service import Ledger

TYPES = ("task.created", "task.updated", "task.completed", "task.deleted")
SECONDS = 120
_ROW = "SELECT * FROM task_1.task"
_HISTORY = "SELECT * FROM task_history_1.task_history"
_POSITIONS = "SELECT projection, partition, next_offset FROM taskledger.position"


class Raw(NamedTuple):
    """One record."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


class Fold(NamedTuple):
    """What happened."""

    tasks: dict[str, dict[str, Any]]
    accepted: list[Raw]
    void: list[Raw]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(record.value or b"") for record in self.accepted]

    def count(self) -> Counter[str]:
        return Counter(task["status"] for task in self.tasks.values())


def fold(records: Iterable[Raw], without: Collection[str] = (), damaged: Collection[tuple[int, int]] = ()) -> Fold:
    """Apply the rule that the first record of a version happened; fails for a gap between versions.

    `without` names tasks that are left out, because a test has damaged them. `damaged` are the places of records that
    park their task, and of those parked behind them: nothing of them counts, and the next event must be a repair.
    """
    result = Fold({}, [], [])
    parked: set[str] = set()
    for record in records:
        task_id = (record.key or b"").decode(errors="replace")
        if task_id in without:
            continue
        if record[:2] in damaged:
            parked.add(task_id)
            continue
        event = json.loads(record.value or b"")
        assert event["subject"] == task_id
        task = result.tasks.get(task_id)
        version = task["version"] if task else 0
        if event["taskversion"] <= version:
            result.void.append(record)
            continue
        assert task_id not in parked or "repairs" in event, f"it happened to a parked task: {record}"
        assert event["taskversion"] == version + 1 or task_id in parked, f"a gap after version {version} at {record}"
        parked.discard(task_id)
        result.accepted.append(record)
        after = _repaired(event) if "repairs" in event else _after(task, event)
        result.tasks[task_id] = after | {"log_offset": record.offset}
    return result


_NOTHING = {"title": "", "description": "", "priority": 0, "due_at": None, "tags": []}


def _repaired(event: dict[str, Any]) -> dict[str, Any]:
    times = {"created_at": event["repairs"], "updated_at": event["time"], "completed_at": None}
    after = {"id": event["subject"], "version": event["taskversion"]} | times
    if event["type"] == "task.deleted":
        return after | _NOTHING | {"status": "deleted"}
    assert event["type"] == "task.updated", event
    assert event["data"].keys() == {*_NOTHING, "status"}, event
    assert event["data"]["status"] == "open", event
    return after | event["data"]


def _after(task: dict[str, Any] | None, event: dict[str, Any]) -> dict[str, Any]:
    data, now = event["data"], event["time"]
    if event["type"] == "task.created":
        assert task is None, event
        times = {"created_at": now, "updated_at": now, "completed_at": None}
        return {"id": event["subject"], "status": "open", "version": 1} | times | data
    assert task is not None, event
    assert task["status"] != "deleted", event
    after = task | {"updated_at": now, "version": event["taskversion"]}
    if event["type"] == "task.updated":
        return after | data | ({"completed_at": None} if "status" in data else {})
    if event["type"] == "task.completed":
        return after | {"status": "completed", "completed_at": now}
    return after | _NOTHING | {"status": "deleted", "completed_at": None}


async def read_topic(ledger: Ledger, name: str) -> list[Raw]:
    """Give every record of a topic, partition by partition."""
    topic = ledger.prefix + name
    consumer = AIOKafkaConsumer(bootstrap_servers=ledger.stack.kafka, enable_auto_commit=False)
    await consumer.start()
    try:
        every = [TopicPartition(topic, number) for number in range(int(ledger.environment["TASKLEDGER_PARTITIONS"]))]
        consumer.assign(every)
        await consumer.seek_to_beginning(*every)
        ends = await consumer.end_offsets(every)
        records: list[Raw] = []
        async with asyncio.timeout(SECONDS):
            while any([await consumer.position(one) < ends[one] for one in every]):
                for fetched in (await consumer.getmany(timeout_ms=500)).values():
                    records += [Raw(r.partition, r.offset, r.key, r.value, tuple(r.headers)) for r in fetched]
    finally:
        await consumer.stop()
    return sorted(records, key=lambda record: record[:2])


async def read_log(ledger: Ledger) -> list[Raw]:
    return await read_topic(ledger, "task.events")


class ReadModel(NamedTuple):
    """Everything in the tables."""

    tasks: Mapping[str, dict[str, Any]]
    history: list[dict[str, Any]]
    positions: Mapping[tuple[str, int], int]
    dead_letters: list[dict[str, Any]]

    def check_equals(self, folded: Fold, without: Collection[str] = ()) -> None:
        """Fail unless rows, versions and histories are those of a fold of the log."""
        buried = [
            letter
            for letter in self.dead_letters
            if str(letter["task_id"] or (letter["key"] or b"").decode()) not in without
        ]
        assert buried == [], buried[:3]
        tasks = {task_id: row for task_id, row in self.tasks.items() if task_id not in without}
        assert tasks.keys() == folded.tasks.keys(), tasks.keys() ^ folded.tasks.keys()
        for task_id, expected in folded.tasks.items():
            for name in ("created_at", "updated_at", "completed_at", "due_at"):
                expected |= {name: expected[name] and datetime.fromisoformat(expected[name])}
            assert tasks[task_id] == expected, (tasks[task_id], expected)
        rows = {
            (str(row["task_id"]), row["version"]): row for row in self.history if str(row["task_id"]) not in without
        }
        assert len(rows) == len(folded.accepted), (len(rows), len(folded.accepted))
        for record, event in zip(folded.accepted, folded.events, strict=True):
            row = rows[event["subject"], event["taskversion"]]
            assert (str(row["event_id"]), row["type"], row["actor"]) == (event["id"], event["type"], event["actor"])
            assert (str(row["command_id"]), row["command_hash"]) == (event["commandid"], event.get("commandhash"))
            assert (row["time"], json.loads(row["data"])) == (datetime.fromisoformat(event["time"]), event["data"])
            assert (row["partition"], row["log_offset"]) == (record.partition, record.offset)
            created_at = event.get("repairs") and datetime.fromisoformat(event["repairs"])
            assert row["repairs"] == created_at, row


async def read_model(ledger: Ledger) -> ReadModel:
    """Read every table in one snapshot."""
    connection = await asyncpg.connect(ledger.postgres)
    try:
        async with connection.transaction(isolation="repeatable_read"):
            tasks = {str(row["id"]): dict(row) | {"id": str(row["id"])} for row in await connection.fetch(_ROW)}
            history = [dict(row) for row in await connection.fetch(_HISTORY)]
            positions = {(row[0], row[1]): row[2] for row in await connection.fetch(_POSITIONS)}
            dead = [dict(row) for row in await connection.fetch("SELECT * FROM task_1.dead_letter")]
    finally:
        await connection.close()
    return ReadModel(tasks, history, positions, dead)


class Derived(NamedTuple):
    """The log, and the read model once it has all of it."""

    log: list[Raw]
    folded: Fold
    model: ReadModel


async def check_derived(
    ledger: Ledger, worker_url: str, without: Collection[str] = (), damaged: Collection[tuple[int, int]] = ()
) -> Derived:
    """Wait until all of the log was worked on, and fail unless everything derived from it is right.

    Nothing may be written meanwhile; `without` and `damaged` as in `fold`.
    """
    log = await read_log(ledger)
    ends: dict[int, int] = defaultdict(int)
    for record in log:
        ends[record.partition] = record.offset + 1
    wanted = {
        (projection, partition): ends[partition]
        for projection in ("task", "task_history")
        for partition in range(int(ledger.environment["TASKLEDGER_PARTITIONS"]))
    }
    model = await read_model(ledger)
    deadline = time.monotonic() + SECONDS
    while model.positions != wanted:
        assert time.monotonic() < deadline, f"the read model is at {model.positions} and not at {wanted}"
        await asyncio.sleep(0.2)
        model = await read_model(ledger)
    folded = fold(log, without, damaged)
    model.check_equals(folded, without)
    await _check_typed_topics(ledger, folded, without)
    await _check_insight(worker_url, folded, without)
    return Derived(log, folded, model)


async def _check_typed_topics(ledger: Ledger, folded: Fold, without: Collection[str]) -> None:
    """Exactly the accepted events, each at least once, byte for byte."""
    accepted: dict[str, dict[bytes, Raw]] = {name: {} for name in TYPES}
    for record, event in zip(folded.accepted, folded.events, strict=True):
        accepted[event["type"]][record.value or b""] = record

    async def is_published(name: str) -> tuple[object, object]:
        published = [r for r in await read_topic(ledger, name) if (r.key or b"").decode() not in without]
        for one in published:
            original = accepted[name].get(one.value or b"")
            assert original, f"{name} has what did not happen: {one}"
            assert (one.key, one.partition) == (original.key, original.partition)
            assert ("content-type", b"application/cloudevents+json") in one.headers
        return {one.value for one in published}, set(accepted[name])

    for name in TYPES:
        await _until_equal(is_published, name)


async def _check_insight(worker_url: str, folded: Fold, without: Collection[str]) -> None:
    if without:
        return

    async def counts(_: str) -> tuple[object, object]:
        insight = (await asyncio.to_thread(call, f"{worker_url}/insight")).json
        wanted = {status: folded.count()[status] for status in ("open", "completed", "deleted")}
        return (insight["tasks"], insight["missing_partitions"]), (wanted, [])

    await _until_equal(counts, "insight")


async def _until_equal(question: Callable[[str], Any], name: str) -> None:
    deadline = time.monotonic() + SECONDS
    while True:
        found, wanted = await question(name)
        if found == wanted:
            return
        if time.monotonic() > deadline:
            if isinstance(found, set) and isinstance(wanted, set):
                missing = sorted(wanted - found)
                raise AssertionError(f"{name} misses {len(missing)} of {len(wanted)}, such as {missing[:3]}")
            raise AssertionError(f"{name}: {found} is not {wanted}")
        await asyncio.sleep(0.5)
