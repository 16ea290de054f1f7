"""`taskledger doctor` and `taskledger topics` on real parts, well and damaged."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.structs import TopicPartition
from support.api import create
from support.commands import taskledger
from support.read_back import read_log
from support.service import wait_until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from support.service import Ledger

pytestmark = pytest.mark.stack


def examine(ledger: Ledger, **changed: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """Give the exit code of the doctor, and its findings by check; every trouble comes with what to do."""
    run = taskledger(ledger.environment | changed, "doctor", "--json")
    findings = json.loads(run.out)
    assert all(finding["remedy"] for finding in findings if finding["outcome"] != "ok"), findings
    assert run.err == ""
    return run.code, {finding["check"]: finding for finding in findings}


def troubles(findings: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {check: one["outcome"] for check, one in findings.items() if one["outcome"] != "ok"}


def administer(ledger: Ledger, work: Callable[[AIOKafkaAdminClient], Awaitable[object]]) -> None:
    async def connected() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=ledger.stack.kafka)
        await admin.start()
        try:
            await work(admin)
        finally:
            await admin.close()

    asyncio.run(connected())


def query(ledger: Ledger, statement: str) -> None:
    async def connected() -> None:
        connection = await asyncpg.connect(ledger.postgres)
        await connection.execute(statement)
        await connection.close()

    asyncio.run(connected())


def configured(ledger: Ledger, topic: str, **config: str) -> None:
    values = {name.replace("_", "."): value for name, value in config.items()}
    resource = ConfigResource(ConfigResourceType.TOPIC, ledger.prefix + topic, configs=values)
    administer(ledger, lambda admin: admin.alter_configs([resource]))


def plan(ledger: Ledger) -> tuple[int, list[tuple[str, str, str]]]:
    run = taskledger(ledger.environment, "topics", "plan", "--json")
    steps = json.loads(run.out)
    return run.code, [(step["action"], step["topic"].removeprefix(ledger.prefix), step["what"]) for step in steps]


def test_all_is_well_where_everything_runs(ledger: Ledger) -> None:
    worker = ledger.worker()
    web = ledger.web().until_ready()
    worker.until_ready()
    task = create(web.url, "fine").json["id"]
    ports = {"TASKLEDGER_PORT": str(web.port), "TASKLEDGER_WORKER_PORT": str(worker.port)}
    code, findings = examine(ledger, **ports)
    assert (code, troubles(findings)) == (0, {})
    table = taskledger(ledger.environment | ports, "doctor")
    assert table.code == 0
    assert [line.split()[0] for line in table.out.splitlines()] == ["outcome", *["ok"] * len(findings)]

    async def spoil() -> None:
        (record,) = await read_log(ledger)
        async with AIOKafkaProducer(bootstrap_servers=ledger.stack.kafka, acks="all") as producer:
            await producer.send_and_wait(ledger.prefix + "task.events", b"?", task.encode(), record.partition)

    asyncio.run(spoil())
    wait_until(lambda: troubles(examine(ledger, **ports)[1]) == {"dead letters": "warn"}, "the letter is there", 30)
    worker.kill()
    web.kill()
    code, findings = examine(ledger, **ports)
    assert (code, troubles(findings)) == (0, {"dead letters": "warn", "worker": "warn", "web": "warn"})
    named = ports | {"TASKLEDGER_WORKER_URL": worker.url}
    assert troubles(examine(ledger, **named)[1])["worker"] == "fail"


def test_what_does_not_answer_is_named_and_the_rest_is_looked_at(ledger: Ledger) -> None:
    ports = {"TASKLEDGER_PORT": "9", "TASKLEDGER_WORKER_PORT": "9"}
    code, findings = examine(ledger, TASKLEDGER_KAFKA="127.0.0.1:9", **ports)
    assert (code, findings["Kafka"]["outcome"], findings["registry"]["outcome"]) == (1, "fail", "ok")
    code, findings = examine(ledger, TASKLEDGER_POSTGRES="postgresql://x@127.0.0.1:9/x", **ports)
    assert (code, findings["PostgreSQL"]["outcome"], findings["log partitions"]["outcome"]) == (1, "fail", "ok")
    assert "registry" not in findings
    code, findings = examine(ledger, TASKLEDGER_KAFKAS="x")
    assert (code, list(findings)) == (1, ["settings"])
    code, findings = examine(ledger, TASKLEDGER_POSTGRES=ledger.stack.new_database(), **ports)
    assert (code, findings["registry"]["outcome"]) == (1, "fail")
    assert "taskledger provision" in findings["registry"]["remedy"]


def test_positions_that_this_log_does_not_have_are_found(ledger: Ledger) -> None:
    query(ledger, "UPDATE taskledger.position SET next_offset = 7 WHERE partition = 2 AND projection = 'task'")
    code, findings = examine(ledger)
    assert (code, findings["positions"]["outcome"]) == (1, "fail")
    assert "task is at 7 of partition 2 beyond the end: the log was replaced" in findings["positions"]["found"]
    lag = taskledger(ledger.environment, "lag")
    assert (lag.code, lag.out) == (1, "")
    assert "is at 7 of partition 2, which ends at 0" in lag.err
    query(ledger, "UPDATE taskledger.position SET next_offset = 0")

    async def forget() -> None:
        async with AIOKafkaProducer(bootstrap_servers=ledger.stack.kafka, acks="all") as producer:
            for _ in range(3):
                await producer.send_and_wait(ledger.prefix + "task.events", b"?", b"?", 1)

    asyncio.run(forget())
    source = TopicPartition(ledger.prefix + "task.events", 1)
    administer(ledger, lambda admin: admin.delete_records({source: RecordsToDelete(2)}))
    code, findings = examine(ledger)
    assert (code, findings["positions"]["outcome"], findings["log beginning"]["outcome"]) == (1, "fail", "warn")
    query(ledger, "UPDATE taskledger.generation SET definition = 999 WHERE projection = 'task_history'")
    assert "this code does not know task_history in definition 999" in examine(ledger)[1]["registry"]["found"]


def test_topics_are_compared_and_put_right(ledger: Ledger) -> None:
    assert plan(ledger) == (0, [])
    administer(ledger, lambda admin: admin.delete_topics([ledger.prefix + "task.deleted"]))
    configured(ledger, "task.events", retention_ms="604800000", retention_bytes="-1", max_message_bytes="2000000")
    wanted = (3, [("set", "task.events", "retention.ms"), ("create", "task.deleted", "partitions")])
    wait_until(lambda: plan(ledger) == wanted, "the brokers tell of what was changed", 30)
    code, findings = examine(ledger)
    assert (code, findings["log retention"]["outcome"], findings["topics"]["outcome"]) == (1, "fail", "fail")

    done = taskledger(ledger.environment, "topics", "apply")
    assert done.code == 0, done
    assert plan(ledger) == (0, [])
    assert "Every topic is as it should be." in taskledger(ledger.environment, "topics", "plan").out

    async def untouched(admin: AIOKafkaAdminClient) -> None:
        resource = ConfigResource(ConfigResourceType.TOPIC, ledger.prefix + "task.events")
        (answer,) = await admin.describe_configs([resource])
        config = {entry[0]: entry[1] for entry in answer.resources[0][4]}
        assert (config["max.message.bytes"], config["retention.ms"]) == ("2000000", "-1")

    administer(ledger, untouched)


def test_a_wrong_number_of_partitions_is_told_and_left_alone(ledger: Ledger) -> None:
    topic = ledger.prefix + "task.updated"
    administer(ledger, lambda admin: admin.create_partitions({topic: NewPartitions(6)}))
    configured(ledger, "task.created", retention_ms="1000000", cleanup_policy="delete")
    wanted = (1, [("set", "task.created", "retention.ms"), ("wrong", "task.updated", "partitions")])
    wait_until(lambda: plan(ledger) == wanted, "the brokers tell of what was changed", 30)
    refused = taskledger(ledger.environment, "topics", "apply")
    assert (refused.code, refused.out) == (2, "")
    assert f"The topic {topic} has 6 partitions and not 4, which cannot be changed: nothing was done." in refused.err
    assert plan(ledger) == wanted
