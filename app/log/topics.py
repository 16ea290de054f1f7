"""Every topic that Taskledger uses, in one table; provisioned before anything starts.

Faust ignores, with a warning, a topic that does not exist when its worker starts, so that the
changelogs of its tables stand here too.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import GroupCoordinatorNotAvailableError, KafkaError, TopicAlreadyExistsError, for_code
from msgspec import Struct

from app.domain.envelope import KINDS
from app.domain.errors import ConfigurationError, LogUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from app.settings import Settings

EVENTS = "task.events"
TYPED = tuple(KINDS)
WORKER_GROUP = "event-service"
PUBLISHED_TABLE = "published"
INSIGHT_TASKS_TABLE = "insight-tasks"
INSIGHT_COUNTS_TABLE = "insight-counts"
INSIGHT_RATES_TABLE = "insight-rates"

DAY_MS = 24 * 3600 * 1000
TIMEOUT_MS = 30_000
ASK_AGAIN = 0.1
"""Seconds between two questions for something that the brokers are about to have."""


class Topic(Struct, frozen=True):
    """One topic; all have as many partitions as the log, so that a task keeps its partition."""

    name: str
    config: dict[str, str]


def topics(settings: Settings) -> list[Topic]:
    """Give the topics of one ledger, with their names as they are in Kafka."""
    log = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
    typed = {"cleanup.policy": "delete", "retention.ms": str(7 * DAY_MS)}
    changelog = {"cleanup.policy": "compact", "segment.ms": str(DAY_MS)}
    windowed = {"cleanup.policy": "compact,delete", "retention.ms": str(DAY_MS)}
    group = settings.topic_prefix + WORKER_GROUP
    return [
        Topic(settings.topic_prefix + EVENTS, log),
        *(Topic(settings.topic_prefix + name, typed) for name in TYPED),
        Topic(f"{group}-{PUBLISHED_TABLE}-changelog", changelog),
        Topic(f"{group}-{INSIGHT_TASKS_TABLE}-changelog", changelog),
        Topic(f"{group}-{INSIGHT_COUNTS_TABLE}-changelog", changelog),
        Topic(f"{group}-{INSIGHT_RATES_TABLE}-changelog", windowed),
    ]


async def provision_topics(settings: Settings) -> None:
    """Make the topics that are missing and check the log's; run again, it changes nothing.

    Raises ConfigurationError where the log would not keep its promises.
    """
    wanted = topics(settings)
    async with administering(settings) as admin:
        existing = set(await admin.list_topics())
        await create_topics(admin, settings, [topic for topic in wanted if topic.name not in existing])
        await see_topics(admin, [topic.name for topic in wanted])
        await _check_log(admin, settings)
        await _find_coordinator(admin, settings.topic_prefix + WORKER_GROUP)


async def create_topics(admin: AIOKafkaAdminClient, settings: Settings, missing: Sequence[Topic]) -> None:
    """Make some topics; those that somebody else has made meanwhile stay. Raises ConfigurationError."""
    if not missing:
        return
    response = await admin.create_topics(
        [
            NewTopic(topic.name, settings.log_partitions, settings.replicas, topic_configs=config_of(topic, settings))
            for topic in missing
        ],
        timeout_ms=TIMEOUT_MS,
    )
    for name, code, *_ in response.topic_errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            raise ConfigurationError(f"The topic {name} could not be made: {error.description}.")


def config_of(topic: Topic, settings: Settings) -> dict[str, str]:
    """Give the configuration of a topic; all but one replica must have a record before it counts as written."""
    return topic.config | {"min.insync.replicas": str(max(1, settings.replicas - 1))}


async def check_log(settings: Settings) -> None:
    """Raise ConfigurationError where the log's topic has lost what the design rests on, LogUnavailable."""
    async with administering(settings) as admin:
        await _check_log(admin, settings)


@asynccontextmanager
async def administering(settings: Settings) -> AsyncGenerator[AIOKafkaAdminClient]:
    """Lend a connection for administration. Raises LogUnavailable, also for what the block does with it."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka, request_timeout_ms=TIMEOUT_MS)
    try:
        await admin.start()
        yield admin
    except (KafkaError, TimeoutError) as error:
        raise LogUnavailable(
            f"Kafka at {settings.kafka} cannot be used ({error!r}): check TASKLEDGER_KAFKA and that it is up."
        ) from error
    finally:
        await admin.close()


async def see_topics(admin: AIOKafkaAdminClient, names: list[str]) -> None:
    """Wait until the brokers tell of all topics, which the controller made a moment before they hear of it."""
    async with asyncio.timeout(TIMEOUT_MS / 1000):
        while True:
            if not any(description["error_code"] for description in await admin.describe_topics(names)):
                return
            await asyncio.sleep(ASK_AGAIN)


async def _find_coordinator(admin: AIOKafkaAdminClient, group: str) -> None:
    """Wait until the brokers have made what they keep consumer groups in, which they do at the first question."""
    async with asyncio.timeout(TIMEOUT_MS / 1000):
        while True:
            try:
                await admin.find_coordinator(group)
            except GroupCoordinatorNotAvailableError:
                await asyncio.sleep(ASK_AGAIN)
            else:
                return


async def _check_log(admin: AIOKafkaAdminClient, settings: Settings) -> None:
    name = settings.topic_prefix + EVENTS
    (description,) = await admin.describe_topics([name])
    if description["error_code"]:
        raise ConfigurationError(f"The topic {name} does not exist: run `taskledger provision` first.")
    found = len(description["partitions"])
    if found != settings.log_partitions:
        raise ConfigurationError(
            f"The topic {name} has {found} partitions and not {settings.log_partitions}: their number is fixed for "
            f"life, because a task's order lives in one partition. "
            f"Set TASKLEDGER_PARTITIONS={found} if it never changed."
        )
    config = await read_config(admin, name)
    for key in ("retention.ms", "retention.bytes"):
        if config[key] != "-1":
            raise ConfigurationError(
                f"The topic {name} has {key}={config[key]} and would forget tasks: set {key}=-1 on it."
            )
    if config["cleanup.policy"] != "delete":
        raise ConfigurationError(
            f"The topic {name} has cleanup.policy={config['cleanup.policy']} and would forget changes: "
            "set it to delete."
        )


async def read_config(admin: AIOKafkaAdminClient, topic: str) -> dict[str, str]:
    """Give the configuration that is in force for a topic."""
    (response,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    ((_, _, _, _, entries),) = response.resources
    return {entry[0]: entry[1] for entry in entries}
