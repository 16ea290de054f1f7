from __future__ import annotations

import re

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from support.deadline import run
from support.own_ledger import settings_for

from app.domain.errors import ConfigurationError, LogUnavailable
from app.log.topics import EVENTS, TYPED, check_log, provision_topics, topics
from app.settings import Settings

pytestmark = pytest.mark.stack
SECONDS = 60


async def with_admin(settings, work):
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    await admin.start()
    try:
        return await work(admin)
    finally:
        await admin.close()


async def described(settings):
    """Give partitions and configuration of each topic of a ledger."""

    async def work(admin):
        found = {}
        for topic in await admin.list_topics():
            if topic.startswith(settings.topic_prefix):
                (description,) = await admin.describe_topics([topic])
                (response,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
                config = {entry[0]: entry[1] for entry in response.resources[0][4]}
                found[topic] = (len(description["partitions"]), config)
        return found

    return await with_admin(settings, work)


async def configure(settings, **config):
    changed = {name.replace("_", "."): value for name, value in config.items()}

    async def work(admin):
        topic = settings.topic_prefix + EVENTS
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=changed)])

    await with_admin(settings, work)
    await until_log(settings, lambda _, seen: seen.items() >= changed.items())


async def until_log(settings, accepts):
    """Wait until the broker tells of what the controller has decided already."""
    while not accepts(*(await described(settings))[settings.topic_prefix + EVENTS]):
        pass


async def refusals(settings):
    """Give what provisioning and checking say."""
    told = []
    for work in (provision_topics, check_log):
        with pytest.raises(ConfigurationError) as refusal:
            await work(settings)
        told.append(refusal.value.detail)
    return told


def test_every_topic_is_made_as_declared(stack):
    settings = settings_for(stack)

    async def check():
        await provision_topics(settings)
        await check_log(settings)
        made = await described(settings)
        assert set(made) == {topic.name for topic in topics(settings)}
        for topic in topics(settings):
            partitions, config = made[topic.name]
            assert partitions == 4
            assert config.items() >= topic.config.items()
        assert {settings.topic_prefix + name for name in (EVENTS, *TYPED)} < set(made)

    run(check(), SECONDS)


def test_provisioning_again_changes_nothing(stack):
    settings = settings_for(stack)

    async def check():
        await provision_topics(settings)
        await configure(settings, retention_ms="-1", retention_bytes="-1", max_message_bytes="2000000")
        before = await described(settings)
        await provision_topics(settings)
        assert await described(settings) == before

    run(check(), SECONDS)


def test_a_log_that_does_not_exist_is_named_with_what_to_do(stack):
    settings = settings_for(stack)
    with pytest.raises(ConfigurationError, match="taskledger provision"):
        run(check_log(settings), SECONDS)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"retention_ms": "604800000"}, r"retention.ms=604800000.*would forget tasks: set retention.ms=-1"),
        ({"retention_bytes": "1000000"}, r"retention.bytes=1000000.*would forget tasks: set retention.bytes=-1"),
        ({"cleanup_policy": "compact"}, r"cleanup.policy=compact.*would forget changes: set it to delete"),
    ],
)
def test_a_log_that_would_forget_is_refused_with_what_to_do(stack, config, told):
    settings = settings_for(stack)

    async def check():
        await provision_topics(settings)
        await configure(settings, **({"retention_ms": "-1", "retention_bytes": "-1"} | config))
        for text in await refusals(settings):
            assert re.search(told, text), text
            assert settings.topic_prefix + EVENTS in text

    run(check(), SECONDS)


def test_a_log_with_another_number_of_partitions_is_refused_with_what_to_do(stack):
    settings = settings_for(stack)

    async def check():
        await provision_topics(settings)
        await with_admin(
            settings, lambda admin: admin.create_partitions({settings.topic_prefix + EVENTS: NewPartitions(6)})
        )
        await until_log(settings, lambda partitions, _: partitions == 6)
        for text in await refusals(settings):
            assert "has 6 partitions and not 4" in text
            assert "TASKLEDGER_PARTITIONS=6" in text

    run(check(), SECONDS)


def test_a_log_that_somebody_else_made_is_checked_too(stack):
    settings = settings_for(stack)

    async def check():
        topic = NewTopic(settings.topic_prefix + EVENTS, num_partitions=4, replication_factor=1)
        await with_admin(settings, lambda admin: admin.create_topics([topic]))
        with pytest.raises(ConfigurationError, match=r"retention\.ms"):
            await provision_topics(settings)

    run(check(), SECONDS)


def test_more_replicas_than_brokers_are_refused(stack):
    settings = settings_for(stack, replication=3)
    with pytest.raises(ConfigurationError, match=r"could not be made|cannot be made"):
        run(provision_topics(settings), SECONDS)


def test_a_broker_that_is_not_there_is_named():
    settings = Settings(kafka="127.0.0.1:9", partitions=4, replication=1)
    with pytest.raises(LogUnavailable, match=r"127\.0\.0\.1:9.*TASKLEDGER_KAFKA"):
        run(provision_topics(settings), SECONDS)
