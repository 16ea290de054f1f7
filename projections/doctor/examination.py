"""All checks, in the order in which one needs the other."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from typing import TYPE_CHECKING

from app.domain.errors import TaskledgerError
from app.log.kafka import KafkaLog
from app.log.topics import EVENTS
from projections.database import Database
from projections.doctor.clocks import check_last_record
from projections.doctor.findings import fail
from projections.doctor.kafka import check_kafka
from projections.doctor.machine import check_disk, check_web, check_worker
from projections.doctor.postgres import check_postgres
from projections.doctor.read_models import check_positions, check_registry

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from app.settings import Settings
    from projections.doctor.findings import Finding

logger = logging.getLogger(__name__)

TIMEOUT = 45.0
"""Seconds that one group of checks may take."""


async def examine(settings: Settings, *, embedded: bool) -> AsyncGenerator[Finding]:
    """Yield what every check finds; those whose part does not answer are left out.

    `embedded` says that Kafka or PostgreSQL live in the home of the settings. Never raises.
    """
    kafka_well = postgres_well = registered = True
    async with Database(settings.postgres or "", connections=1) as database:
        async for finding in _bounded("Kafka", check_kafka(settings)):
            kafka_well &= finding.outcome != "fail" or finding.check not in ("Kafka", "log", "log partitions")
            yield finding
        async for finding in _bounded("PostgreSQL", check_postgres(database)):
            postgres_well &= finding.outcome != "fail" or finding.check != "PostgreSQL"
            yield finding
        if postgres_well:
            async for finding in _bounded("registry", check_registry(database)):
                registered &= finding.outcome != "fail"
                yield finding
        if kafka_well:
            wanted = database if postgres_well and registered else None
            async for finding in _bounded("positions", _check_log(settings, wanted)):
                yield finding
    for finding in await asyncio.gather(check_worker(settings), check_web(settings)):
        yield finding
    if embedded:
        yield check_disk(settings.home)


async def _check_log(settings: Settings, database: Database | None) -> AsyncGenerator[Finding]:
    async with KafkaLog(settings.kafka or "", settings.topic_prefix + EVENTS, settings.log_partitions) as log:
        if database:
            async for finding in check_positions(log, database):
                yield finding
        yield await check_last_record(log)


async def _bounded(check: str, findings: AsyncGenerator[Finding]) -> AsyncGenerator[Finding]:
    """Turn whatever goes wrong in a group of checks into a finding too."""
    collected: list[Finding] = []
    try:
        async with asyncio.timeout(TIMEOUT), aclosing(findings):
            async for finding in findings:
                collected.append(finding)  # noqa: PERF401 - what was found before a failure counts
    except TaskledgerError as error:
        collected.append(fail(check, error.detail, "see the findings before this one"))
    except TimeoutError:
        collected.append(fail(check, f"no answer within {TIMEOUT:.0f} s", "see that its machine is reachable"))
    except Exception as error:
        logger.debug("a check failed", exc_info=True)
        collected.append(fail(check, f"the check itself failed: {error!r}", "report this"))
    for finding in collected:
        yield finding
