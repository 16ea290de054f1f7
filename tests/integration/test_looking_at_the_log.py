"""What operators are told about the log and the lag, against an independent reading of both."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka import AIOKafkaProducer
from support.api import call, create
from support.commands import taskledger
from support.read_back import fold, read_log
from support.service import Ledger, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.read_back import Raw
    from support.stack import Stack

pytestmark = pytest.mark.stack
TASKS = 12


class Told:
    """A ledger that no worker has projected yet: tasks, some of them changed, void records, and one poisoned task."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        web = ledger.web().until_ready()
        self.tasks = [create(web.url, f"secret {n}").json["id"] for n in range(TASKS)]
        for task in self.tasks[:4]:
            call(f"{web.url}/api/tasks/{task}/complete", "POST")
        self.poisoned = self.tasks[-1]
        asyncio.run(self._spoil())
        web.stop()
        self.log = asyncio.run(read_log(ledger))
        self.folded = fold(self.log, without=[self.poisoned])

    async def _spoil(self) -> None:
        """Append a void record for each of four tasks, and poison with a good event behind it for another."""
        log = await read_log(self.ledger)
        first = {(record.key or b"").decode(): record for record in reversed(log)}
        async with AIOKafkaProducer(bootstrap_servers=self.ledger.stack.kafka, acks="all") as producer:
            for task in self.tasks[4:8]:
                await self._put(producer, first[task], first[task].value)
            creation = json.loads(first[self.poisoned].value or b"")
            for version, data in ((2, {"title": 7}), (3, {"title": "secret"})):
                update = creation | {"id": str(uuid.uuid4()), "type": "task.updated", "taskversion": version}
                update |= {"dataschema": "urn:taskledger:task.updated:1", "data": data}
                await self._put(producer, first[self.poisoned], json.dumps(update).encode())

    async def _put(self, producer: AIOKafkaProducer, like: Raw, value: bytes | None) -> None:
        await producer.send_and_wait(self.ledger.prefix + "task.events", value, like.key, like.partition)

    def run(self, *arguments: str) -> Any:
        return taskledger(self.ledger.environment, *arguments)


@pytest.fixture(scope="module")
def told(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    with Ledger(stack, tmp_path_factory.mktemp("told")) as ledger:
        yield Told(ledger)


def places(records: list[Any]) -> list[tuple[int, int]]:
    return [(record["partition"], record["offset"]) for record in records]


def test_every_record_is_read_with_its_verdict(told: Told) -> None:
    read = told.run("log", "read", "--json").lines
    assert places(read) == [record[:2] for record in told.log]
    verdicts = {(one["partition"], one["offset"]): one["verdict"] for one in read}
    for verdict, records in (("accepted", told.folded.accepted), ("void", told.folded.void)):
        assert {verdicts[record[:2]] for record in records} == {verdict}
    of_poisoned = [one["verdict"] for one in read if one["task_id"] == told.poisoned]
    assert of_poisoned == ["accepted", "poison", "parked"]
    assert Counter(verdicts.values()) == {"accepted": TASKS + 4, "void": 4, "poison": 1, "parked": 1}
    for one, record in zip(read, told.log, strict=True):
        event = json.loads(record.value or b"")
        assert one["bytes"] == len(record.value or b"")
        assert (one["task_id"], one["version"]) == (event["subject"], event["taskversion"])
        if one["verdict"] != "poison":
            assert one["event_id"] == event["id"]
            assert datetime.fromisoformat(one["time"]) == datetime.fromisoformat(event["time"])


def test_texts_of_tasks_are_shown_only_where_they_are_asked_for(told: Told) -> None:
    for options in ([], ["--json"]):
        silent = told.run("log", "read", *options)
        assert silent.code == 0
        assert "secret" not in silent.out
        assert "secret 3" in told.run("log", "read", "--data", *options).out


def test_people_get_a_line_for_each_record(told: Told) -> None:
    heading, *lines = told.run("log", "read").out.splitlines()
    assert heading.split() == ["partition", "offset", "time", "type", "task", "version", "verdict", "actor"]
    assert len(lines) == len(told.log)
    (bad,) = (line for line in lines if " poison " in line)
    assert "(" in bad


def test_a_task_is_read_from_the_beginning_whatever_the_range(told: Told) -> None:
    task = told.tasks[5]
    places_of_task = [record[:2] for record in told.log if (record.key or b"").decode() == task]
    assert places(told.run("log", "read", "--task", task, "--json").lines) == places_of_task
    partition, last = places_of_task[-1]
    (void,) = told.run("log", "read", "--task", task, "--from", f"offset:{partition}={last}", "--json").lines
    assert (void["offset"], void["verdict"]) == (last, "void")


def test_a_range_that_begins_later_knows_no_verdict_but_that_of_damage(told: Told) -> None:
    bad = next(record for record in told.log if (record.key or b"").decode() == told.poisoned)
    read = told.run("log", "read", "--from", f"offset:{bad.partition}={bad.offset + 1}", "--json").lines
    assert {one["verdict"] for one in read} == {"?"}


@pytest.mark.parametrize(
    "options", [["--partition", "1"], ["--limit", "3"], ["--type", "task.completed"], ["--to", "0:2"]]
)
def test_a_reading_can_be_narrowed(told: Told, options: list[str]) -> None:
    everything = told.run("log", "read", "--json").lines
    expected = {
        "--partition": [one for one in everything if one["partition"] == 1],
        "--limit": everything[:3],
        "--type": [one for one in everything if one["type"] == "task.completed"],
        "--to": [one for one in everything if one["partition"] == 0 and one["offset"] < 2],
    }[options[0]]
    assert told.run("log", "read", *options, "--json").lines == expected


def test_records_are_found_by_event_command_and_actor(told: Told) -> None:
    event = told.folded.events[5]
    same = [record[:2] for record in told.log if event["id"] in (record.value or b"").decode()]
    assert places(told.run("log", "find", event["id"], "--json").lines) == same
    assert same[0] in places(told.run("log", "find", event["commandid"], "--json").lines)
    assert len(told.run("log", "find", event["actor"], "--json").lines) == len(told.log) - 1
    nothing = told.run("log", "find", str(uuid.uuid4()), "--json")
    assert (nothing.lines, nothing.err) == ([], "No such record in this range.\n")


def test_a_position_that_is_none_is_one_sentence(told: Told) -> None:
    run = told.run("log", "read", "--from", "yesterday")
    assert (run.code, run.out) == (2, "")
    assert run.err.startswith("error: 'yesterday' is no position: give beginning, end, ")
    assert run.err.count("\n") == 1


def test_a_tail_goes_on_with_what_comes_until_it_is_interrupted(told: Told) -> None:
    ledger = told.ledger
    command = [sys.executable, "-m", "app.cli", "log", "tail", "--from", "-1", "--json"]
    tail = subprocess.Popen(command, env=ledger.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert tail.stdout is not None
        ends = {record.partition: record.offset for record in told.log}
        seen = [json.loads(tail.stdout.readline()) for _ in ends]
        assert sorted(places(seen)) == sorted(ends.items())
        record = told.log[-1]

        async def put() -> None:
            async with AIOKafkaProducer(bootstrap_servers=ledger.stack.kafka, acks="all") as producer:
                await told._put(producer, record, record.value)

        asyncio.run(put())
        assert places([json.loads(tail.stdout.readline())]) == [(record.partition, record.offset + 1)]
        tail.send_signal(signal.SIGINT)
        assert tail.wait(20) == 0
        assert tail.stderr is not None
        assert tail.stderr.read() == ""
    finally:
        tail.kill()
        tail.communicate()


def ends_of(log: list[Raw]) -> dict[int, int]:
    return {
        partition: max((r.offset + 1 for r in log if r.partition == partition), default=0) for partition in range(4)
    }


def check_lag(ledger: Ledger, positions: dict[int, int], oldest: dict[int, datetime]) -> None:
    """Compare what `lag` says with what the log says."""
    ends = ends_of(asyncio.run(read_log(ledger)))
    before = datetime.now(UTC)
    told = taskledger(ledger.environment, "lag", "--json").json
    after = datetime.now(UTC)
    assert [(one["projection"], one["partition"]) for one in told["partitions"]] == [
        (projection, partition) for projection in ("task", "task_history") for partition in range(4)
    ]
    for one in told["partitions"]:
        partition = one["partition"]
        assert (one["position"], one["end"]) == (positions[partition], ends[partition])
        assert one["events"] == ends[partition] - positions[partition]
        low, high = ((now - oldest.get(partition, now)).total_seconds() for now in (before, after))
        assert low <= one["seconds"] <= high, one
    for total in told["totals"]:
        assert total["events"] == sum(ends.values()) - sum(positions.values())
        assert total["seconds"] == max(
            o["seconds"] for o in told["partitions"] if o["projection"] == total["projection"]
        )


def test_lag_is_the_number_of_records_and_the_age_of_the_oldest_accepted_event(ledger: Ledger) -> None:
    told = Told(ledger)
    oldest: dict[int, datetime] = {}
    for record in told.log:
        time = datetime.fromisoformat(json.loads(record.value or b"")["time"])
        oldest.setdefault(record.partition, time)
    check_lag(ledger, dict.fromkeys(range(4), 0), oldest)

    worker = ledger.worker().until_ready()
    ends = ends_of(told.log)

    def positions() -> dict[int, int]:
        rows = taskledger(ledger.environment, "positions", "--json").json
        return {row["partition"]: row["position"] for row in rows if row["projection"] == "task_history"}

    wait_until(lambda: positions() == ends, "the worker has applied everything", 60)
    check_lag(ledger, ends, {})
    rows = taskledger(ledger.environment, "positions", "--json").json
    assert {(row["projection"], row["generation"], row["state"]) for row in rows} == {
        ("task", 1, "active"),
        ("task_history", 1, "active"),
    }
    assert all((row["beginning"], row["end"]) == (0, ends[row["partition"]]) for row in rows)
    worker.kill()

    # What lost its version is a record behind, and no second; an accepted event behind it counts from its own time.
    void = told.folded.void[0]
    hour_ago = datetime.now(UTC) - timedelta(hours=1)

    async def put(value: bytes | None) -> None:
        async with AIOKafkaProducer(bootstrap_servers=ledger.stack.kafka, acks="all") as producer:
            await told._put(producer, void, value)

    asyncio.run(put(void.value))
    check_lag(ledger, ends, {})
    task = told.folded.tasks[(void.key or b"").decode()]
    update = json.loads(void.value or b"") | {"id": str(uuid.uuid4()), "type": "task.updated"}
    update |= {"dataschema": "urn:taskledger:task.updated:1", "data": {}, "taskversion": task["version"] + 1}
    asyncio.run(put(json.dumps(update | {"time": hour_ago.isoformat()}).encode()))
    check_lag(ledger, ends, {void.partition: hour_ago})


def test_lag_is_watched_until_it_is_interrupted(told: Told) -> None:
    command = [sys.executable, "-m", "app.cli", "lag", "--watch", "--json"]
    watch = subprocess.Popen(command, env=told.ledger.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert watch.stdout is not None
        first, second = (json.loads(watch.stdout.readline()) for _ in range(2))
        assert first["totals"][0]["seconds"] < second["totals"][0]["seconds"]
        watch.send_signal(signal.SIGINT)
        assert watch.wait(20) == 0
    finally:
        watch.kill()
        watch.communicate()


@pytest.mark.parametrize("arguments", [["lag"], ["positions"], ["log", "read"], ["log", "tail"], ["topics", "plan"]])
def test_without_kafka_an_operator_is_told_so_in_one_sentence(told: Told, arguments: list[str]) -> None:
    run = taskledger(told.ledger.environment | {"TASKLEDGER_KAFKA": "127.0.0.1:9"}, *arguments)
    assert (run.code, run.out) == (1, "")
    assert run.err.startswith("error: Kafka at 127.0.0.1:9 ")
    assert run.err.count("\n") == 1


@pytest.mark.parametrize("command", ["lag", "positions"])
def test_without_postgres_an_operator_is_told_so_in_one_sentence(told: Told, command: str) -> None:
    run = taskledger(told.ledger.environment | {"TASKLEDGER_POSTGRES": "postgresql://x@127.0.0.1:9/x"}, command)
    assert (run.code, run.out) == (1, "")
    assert run.err == "error: PostgreSQL cannot be reached; nothing was changed, try again later.\n"


@pytest.mark.parametrize("command", ["lag", "positions"])
def test_a_database_that_is_not_provisioned_is_told_in_one_sentence(told: Told, command: str, postgres: str) -> None:
    run = taskledger(told.ledger.environment | {"TASKLEDGER_POSTGRES": postgres}, command)
    assert (run.code, run.out) == (2, "")
    assert "run `taskledger provision` with it first" in run.err
    assert run.err.count("\n") == 1
