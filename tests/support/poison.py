"""Records that no correct writer would write."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from aiokafka import AIOKafkaProducer

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.service import Ledger


def envelope(task: str, version: int, kind: str = "task.updated", **parts: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": "/taskledger",
        "type": kind,
        "subject": task,
        "time": datetime.now(UTC).isoformat(),
        "datacontenttype": "application/json",
        "dataschema": f"urn:taskledger:{kind}:1",
        "data": {"title": "by a stranger"},
        "taskversion": version,
        "commandid": str(uuid.uuid4()),
        "actor": "stranger",
    } | parts


def encoded(event: dict[str, Any]) -> bytes:
    return json.dumps(event).encode()


class Poison(NamedTuple):
    """A bad record for a task at version 1."""

    value: Callable[[str], bytes | None]
    takes: int | None
    """The version that it takes in the task's history."""


CREATED = {"title": "again", "description": "", "priority": 0, "due_at": None, "tags": []}
POISON = {
    "bad JSON": Poison(lambda _: b'{"specversion": ', None),
    "no JSON at all": Poison(lambda _: b"\xff\x00", None),
    "null value": Poison(lambda _: None, None),
    "unknown type": Poison(lambda task: encoded(envelope(task, 2, "task.exploded")), 2),
    "newer revision": Poison(lambda task: encoded(envelope(task, 2, dataschema="urn:taskledger:task.updated:99")), 2),
    "data of a wrong type": Poison(lambda task: encoded(envelope(task, 2, data={"title": 7})), 2),
    "version gap": Poison(lambda task: encoded(envelope(task, 4)), None),
    "subject of another task": Poison(lambda _: encoded(envelope(str(uuid.uuid4()), 2)), None),
    "second creation": Poison(lambda task: encoded(envelope(task, 2, "task.created", data=CREATED)), 2),
    "title with NUL": Poison(lambda task: encoded(envelope(task, 2, data={"title": "a\x00b"})), 2),
    "actor with NUL": Poison(lambda task: encoded(envelope(task, 2, actor="a\x00b")), 2),
    "priority out of range": Poison(lambda task: encoded(envelope(task, 2, data={"priority": 70_000})), 2),
    "half a character": Poison(lambda task: encoded(envelope(task, 2, data={"description": "\ud83d"})), None),
}


async def put(ledger: Ledger, partition: int, key: bytes | None, *values: bytes | None) -> None:
    async with AIOKafkaProducer(bootstrap_servers=ledger.stack.kafka, acks="all") as producer:
        for value in values:
            await producer.send_and_wait(ledger.prefix + "task.events", value, key, partition)
