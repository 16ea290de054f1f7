"""Checks of Kafka and its topics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiokafka.protocol.admin import ApiVersionRequest

from app.domain.errors import LogUnavailable
from app.log.topic_plan import differences, existing_topics
from app.log.topics import EVENTS, administering, topics
from projections.doctor.findings import fail, ok, warn

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence

    from aiokafka.admin import AIOKafkaAdminClient

    from app.log.topic_plan import Existing, Step
    from app.settings import Settings
    from projections.doctor.findings import Finding

FETCH = 1
RELEASES = {18: "4.1", 17: "3.9", 16: "3.7", 15: "3.5", 13: "3.1", 12: "2.7"}
"""By the highest version of the request Fetch, the first release that has it."""
OLDEST = 12
PROVISION = "run `taskledger provision`"
APPLY = "run `taskledger topics apply`"


async def check_kafka(settings: Settings) -> AsyncGenerator[Finding]:
    """Look at the brokers and the topics; a last finding that fails says that Kafka cannot be asked."""
    try:
        async with administering(settings) as admin:
            yield await _version(admin, settings)
            wanted = topics(settings)
            existing = await existing_topics(admin, [topic.name for topic in wanted])
            log = settings.topic_prefix + EVENTS
            steps = [step for topic in wanted for step in differences(topic, existing.get(topic.name), settings)]
            for finding in log_findings(
                log, existing.get(log), [step for step in steps if step.topic == log], settings
            ):
                yield finding
            yield other_topics(existing, [step for step in steps if step.topic != log])
    except LogUnavailable as error:
        yield fail("Kafka", error.detail, "start it, or correct TASKLEDGER_KAFKA")


async def _version(admin: AIOKafkaAdminClient, settings: Settings) -> Finding:
    answer = await admin._send_request(ApiVersionRequest())  # noqa: SLF001 - the way of all its own requests
    highest = {key: high for key, _, high in answer.api_versions}.get(FETCH, 0)
    return version_finding(highest, settings.kafka or "")


def version_finding(highest_fetch: int, servers: str) -> Finding:
    """Tell the release from the highest version of the request Fetch."""
    if highest_fetch < OLDEST:
        remedy = "use Kafka 2.7 or newer; 4.3 is what Taskledger is tested with"
        return fail("Kafka", f"{servers} is older than 2.7", remedy)
    release = next(release for version, release in RELEASES.items() if version <= highest_fetch)
    return ok("Kafka", f"{servers} is release {release} or newer")


def log_findings(name: str, existing: Existing | None, steps: Sequence[Step], settings: Settings) -> Iterator[Finding]:
    """Judge the log's topic: its partitions, what it forgets, and how many replicas hold it."""
    if existing is None:
        yield fail("log", f"the topic {name} does not exist", PROVISION)
        return
    by_setting = {step.what: step for step in steps}
    if step := by_setting.get("partitions"):
        remedy = f"set TASKLEDGER_PARTITIONS={step.found} if it never changed; else restore the topic"
        yield fail("log partitions", f"{name} has {step.found} and not {step.wanted}", remedy)
    else:
        yield ok("log partitions", f"{name} has {existing.partitions}")
    forgetful = [s for s in steps if s.what.startswith(("retention.", "cleanup."))]
    if forgetful:
        yield fail("log retention", ", ".join(f"{s.what}={s.found}" for s in forgetful) + ": it forgets", APPLY)
    else:
        yield ok("log retention", "unlimited, without compaction")
    needed = max(1, settings.replicas - 1)
    minimum = int(existing.config.get("min.insync.replicas") or 1)
    if minimum < needed:
        told = f"min.insync.replicas={minimum}: what was acknowledged can be lost with {minimum} of the brokers"
        yield fail("log durability", told, APPLY)
    else:
        yield ok("log durability", f"a record counts once {minimum} of {existing.replicas} replicas have it")
    yield _replication(name, existing, settings)


def _replication(name: str, existing: Existing, settings: Settings) -> Finding:
    if existing.replicas < settings.replicas:
        remedy = "add replicas with kafka-reassign-partitions.sh"
        return warn("log replicas", f"{name} has {existing.replicas} and not {settings.replicas}", remedy)
    if existing.in_sync < existing.replicas:
        told = f"a partition of {name} has only {existing.in_sync} of {existing.replicas} replicas in sync"
        return warn("log replicas", told, "see that every broker runs and has room")
    return ok("log replicas", f"{existing.replicas}, all in sync")


def other_topics(existing: Mapping[str, Existing], steps: Sequence[Step]) -> Finding:
    """Judge the topics beside the log."""
    named = {action: [step for step in steps if step.action == action] for action in ("create", "wrong", "set")}
    if named["create"]:
        return fail("topics", "missing: " + ", ".join(step.topic for step in named["create"]), PROVISION)
    if named["wrong"]:
        told = ", ".join(f"{step.topic} has {step.found} partitions and not {step.wanted}" for step in named["wrong"])
        return fail("topics", told, "delete these topics while no worker runs, and provision: they are derived")
    if named["set"]:
        told = ", ".join(f"{step.topic}: {step.what}={step.found} and not {step.wanted}" for step in named["set"])
        return warn("topics", told, APPLY)
    return ok("topics", f"{len(existing)} there, as declared")
