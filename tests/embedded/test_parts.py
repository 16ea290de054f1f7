from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

if TYPE_CHECKING:
    from support.stack import Stack

pytestmark = pytest.mark.stack


def test_a_killed_broker_comes_back_at_the_same_address_with_its_records(stack: Stack) -> None:
    topic = "survives-a-kill"
    asyncio.run(_produce(stack.kafka, topic, b"before"))
    stack.kill_broker()
    stack.start_broker()
    assert asyncio.run(_read_first(stack.kafka, topic)) == b"before"


def test_a_killed_database_comes_back_at_the_same_url_with_its_rows(stack: Stack, postgres: str) -> None:
    asyncio.run(_execute(postgres, "CREATE TABLE kept AS SELECT 1 AS number"))
    stack.kill_database()
    stack.start_database()
    assert asyncio.run(_fetch(postgres, "SELECT number FROM kept")) == 1


async def _produce(bootstrap: str, topic: str, value: bytes) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        await producer.send_and_wait(topic, value)


async def _read_first(bootstrap: str, topic: str) -> bytes | None:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    async with asyncio.timeout(30), consumer:
        return (await consumer.getone()).value


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(statement)
    await connection.close()


async def _fetch(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    value = await connection.fetchval(query)
    await connection.close()
    return value
