"""A record in Kafka and a row in PostgreSQL that must outlive whatever a test does."""

from __future__ import annotations

import asyncio

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

TOPIC = "kept"
READ_SECONDS = 60


def write(kafka: str, postgres: str) -> None:
    asyncio.run(_write(kafka, postgres))


def assert_kept(kafka: str, postgres: str) -> None:
    """Read both back from parts that may still be on their way up."""
    assert asyncio.run(_read(kafka, postgres)) == (b"record", "row")


async def _write(kafka: str, postgres: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic(TOPIC, num_partitions=1, replication_factor=1)])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=kafka, acks="all") as producer:
        await producer.send_and_wait(TOPIC, b"record")
    connection = await asyncpg.connect(postgres)
    await connection.execute("CREATE TABLE kept AS SELECT 'row' AS word")
    await connection.close()


async def _read(kafka: str, postgres: str) -> tuple[bytes | None, object]:
    async with asyncio.timeout(READ_SECONDS):
        while True:
            try:
                return await _read_record(kafka), await _read_row(postgres)
            except (OSError, KafkaError, asyncpg.PostgresError):
                await asyncio.sleep(0.1)


async def _read_record(kafka: str) -> bytes | None:
    consumer = AIOKafkaConsumer(TOPIC, bootstrap_servers=kafka, auto_offset_reset="earliest")
    try:
        await consumer.start()
        return (await consumer.getone()).value
    finally:
        await consumer.stop()


async def _read_row(postgres: str) -> object:
    connection = await asyncpg.connect(postgres)
    try:
        return await connection.fetchval("SELECT word FROM kept")
    finally:
        await connection.close()
