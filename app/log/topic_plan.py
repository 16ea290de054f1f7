"""What lies between the topics that exist and those that are wanted, and the way there.

The way never deletes a topic, never changes a number of partitions and never lets the log forget: what would need that
is told, and left to a person.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING, Literal

import msgspec
from aiokafka.errors import UnknownTopicOrPartitionError, for_code

from app.domain.errors import ConfigurationError, LogUnavailable
from app.log.configuration import change_config
from app.log.topics import (
    ASK_AGAIN,
    EVENTS,
    TIMEOUT_MS,
    administering,
    config_of,
    create_topics,
    read_config,
    topics,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from aiokafka.admin import AIOKafkaAdminClient

    from app.log.topics import Topic
    from app.settings import Settings


class Step(msgspec.Struct, frozen=True):
    """One difference between a topic as it is and as it is wanted.

    `create` and `set` are done by `apply`. `reassign` wants more replicas, which only a person can place.
    `wrong` is fatal: the topic can never become what is wanted.
    """

    topic: str
    action: Literal["create", "set", "reassign", "wrong"]
    what: str
    """partitions, replicas, or the name of a setting."""
    found: str | None
    wanted: str


class Existing(msgspec.Struct, frozen=True):
    """A topic as it is in Kafka."""

    partitions: int
    replicas: int
    """Of the partition that has the fewest."""
    in_sync: int
    """Replicas in sync, of the partition that has the fewest."""
    config: dict[str, str]


async def plan(settings: Settings) -> list[Step]:
    """Give what is to be done, in the order of the topics. Raises LogUnavailable."""
    async with administering(settings) as admin:
        return await _plan(admin, settings)


async def apply(settings: Settings) -> list[Step]:
    """Do what can be done, and give what was done, and what remains for a person.

    Raises ConfigurationError where a topic is wrong for good, before anything is done; LogUnavailable.
    """
    async with administering(settings) as admin:
        steps = await _plan(admin, settings)
        for step in steps:
            if step.action == "wrong":
                raise ConfigurationError(
                    f"The topic {step.topic} has {step.found} {step.what} and not {step.wanted}, which cannot be "
                    "changed: nothing was done."
                )
        new = {step.topic for step in steps if step.action == "create"}
        await create_topics(admin, settings, [topic for topic in topics(settings) if topic.name in new])
        changes: defaultdict[str, dict[str, str]] = defaultdict(dict)
        for step in steps:
            if step.action == "set":
                changes[step.topic][step.what] = step.wanted
        if changes:
            await change_config(admin, changes)
        await _until_done(admin, settings)
        return steps


def differences(topic: Topic, existing: Existing | None, settings: Settings) -> Iterator[Step]:
    """Give the steps from one topic as it is, or is not, to what is wanted."""
    if existing is None:
        yield Step(topic.name, "create", "partitions", None, str(settings.log_partitions))
        return
    if existing.partitions != settings.log_partitions:
        yield Step(topic.name, "wrong", "partitions", str(existing.partitions), str(settings.log_partitions))
    if existing.replicas < settings.replicas:
        yield Step(topic.name, "reassign", "replicas", str(existing.replicas), str(settings.replicas))
    for name, wanted in config_of(topic, settings).items():
        found = existing.config.get(name)
        if found != wanted:
            yield Step(topic.name, "set", name, found, wanted)


async def existing_topics(admin: AIOKafkaAdminClient, names: Sequence[str]) -> Mapping[str, Existing]:
    """Describe those of some topics that exist."""
    found: dict[str, Existing] = {}
    for description in await admin.describe_topics(list(names)):
        error = for_code(description["error_code"])
        if description["error_code"]:
            if error is UnknownTopicOrPartitionError:
                continue
            raise LogUnavailable(f"Kafka does not tell of the topic {description['topic']}: {error.description}.")
        partitions = description["partitions"]
        replicas = min(len(partition["replicas"]) for partition in partitions)
        in_sync = min(len(partition["isr"]) for partition in partitions)
        config = await read_config(admin, description["topic"])
        found[description["topic"]] = Existing(len(partitions), replicas, in_sync, config)
    return found


async def _plan(admin: AIOKafkaAdminClient, settings: Settings) -> list[Step]:
    wanted = topics(settings)
    existing = await existing_topics(admin, [topic.name for topic in wanted])
    steps = [step for topic in wanted for step in differences(topic, existing.get(topic.name), settings)]
    log = settings.topic_prefix + EVENTS
    for step in steps:
        if step.topic == log and step.what.startswith("retention.") and step.wanted != "-1":
            raise AssertionError(f"{step} would let the log forget")
    return steps


async def _until_done(admin: AIOKafkaAdminClient, settings: Settings) -> None:
    """Wait until the brokers tell of what the controller has decided already."""
    async with asyncio.timeout(TIMEOUT_MS / 1000):
        while True:
            if not any(step.action in ("create", "set") for step in await _plan(admin, settings)):
                return
            await asyncio.sleep(ASK_AGAIN)
