from __future__ import annotations

from contextlib import asynccontextmanager

import pytest
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import TopicPartition
from support.own_ledger import PARTITIONS, settings_for

from app.log.kafka import KafkaLog
from app.log.memory import MemoryLog
from app.log.topics import EVENTS, provision_topics


class InMemory:
    """Opens connections to one log in memory."""

    def __init__(self):
        self._log = MemoryLog(PARTITIONS)

    @asynccontextmanager
    async def opened(self):
        yield self._log

    async def truncate(self, partition, first):
        self._log.truncate(partition, first)


class OnKafka:
    """Opens connections to one log on the real broker; every one is what a process of its own has."""

    def __init__(self, stack):
        self._settings = settings_for(stack)
        self._topic = self._settings.topic_prefix + EVENTS
        self._provisioned = False

    @asynccontextmanager
    async def opened(self):
        if not self._provisioned:
            await provision_topics(self._settings)
            self._provisioned = True
        async with KafkaLog(self._settings.kafka, self._topic, PARTITIONS) as log:
            yield log

    async def truncate(self, partition, first):
        admin = AIOKafkaAdminClient(bootstrap_servers=self._settings.kafka)
        await admin.start()
        await admin.delete_records({TopicPartition(self._topic, partition): RecordsToDelete(first)})
        await admin.close()


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.stack)])
def ledger_log(request):
    """A new log: the twin, and the real one."""
    if request.param == "memory":
        return InMemory()
    return OnKafka(request.getfixturevalue("stack"))
