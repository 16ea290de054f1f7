"""Find the embedded parts that `taskledger up` runs, for a command that is started beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from app.domain.errors import ConfigurationError
from app.embedded.broker import PARTITIONS
from app.embedded.home import Home

if TYPE_CHECKING:
    from app.settings import Settings


def with_running_parts(settings: Settings) -> Settings:
    """Fill in Kafka and PostgreSQL where unset; raises ConfigurationError when none runs on this home."""
    if settings.kafka and settings.postgres:
        return settings
    running = Home(settings.home).running_endpoints()
    if not settings.kafka and running.kafka:
        settings = msgspec.structs.replace(
            settings,
            kafka=running.kafka,
            partitions=settings.partitions or PARTITIONS,
            replication=settings.replication or 1,
        )
    if not settings.postgres and running.postgres:
        settings = msgspec.structs.replace(settings, postgres=running.postgres)
    if not settings.kafka or not settings.postgres:
        raise ConfigurationError(
            f"No Kafka and PostgreSQL are running in {settings.home}: run `taskledger up` there first, "
            "or set TASKLEDGER_KAFKA and TASKLEDGER_POSTGRES."
        )
    return settings
