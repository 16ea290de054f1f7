"""An operator's command at work: its connections, and its errors in one sentence."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import asyncpg

from app.cli.options import settings_of_a_part
from app.domain.errors import ConfigurationError, TaskledgerError
from app.log.kafka import KafkaLog
from app.log.port import LogTruncated
from app.log.topics import EVENTS
from projections.database import STATEMENT_TIMEOUT, Database

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine
    from pathlib import Path
    from typing import Any

    from app.settings import Settings

T = TypeVar("T")
_MISSING = (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError, asyncpg.UndefinedColumnError)


class Ledger(NamedTuple):
    """What a command works on."""

    settings: Settings
    log: KafkaLog
    database: Database


@asynccontextmanager
async def opened(settings: Settings, statement_timeout: float = STATEMENT_TIMEOUT) -> AsyncGenerator[Ledger]:
    """Connect to the log; PostgreSQL is asked when it is first needed. Raises LogUnavailable.

    `statement_timeout` is the seconds that one statement may take.
    """
    log = KafkaLog(settings.kafka or "", settings.topic_prefix + EVENTS, settings.log_partitions)
    async with log, Database(settings.postgres or "", settings.database_connections, statement_timeout) as database:
        yield Ledger(settings, log, database)


def operate(home: Path | None, work: Callable[[Ledger], Coroutine[Any, Any, T]]) -> T:
    """Do some work on the ledger of the settings, or of the running `up`, and give what it gives.

    Raises TaskledgerError, whose text is one sentence that says what to do, and KeyboardInterrupt.
    """

    async def connected(settings: Settings) -> T:
        async with opened(settings) as ledger:
            return await work(ledger)

    return complete(home, connected)


def complete(home: Path | None, work: Callable[[Settings], Coroutine[Any, Any, T]]) -> T:
    """Do some work that makes its own connections; else like `operate`."""
    settings = settings_of_a_part(home=home)
    if settings.log_level != "debug":
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what fails is told in one sentence, not in its lines
    try:
        return asyncio.run(work(settings))
    except LogTruncated as error:
        raise TaskledgerError(
            f"The log no longer has what is needed ({error}): its retention must be unlimited, see `taskledger doctor`."
        ) from error
    except _MISSING as error:
        raise ConfigurationError(
            f"PostgreSQL lacks what this version needs ({error}): run `taskledger provision` with it first."
        ) from error
    except asyncpg.PostgresError as error:
        raise TaskledgerError(f"PostgreSQL refuses it ({error}): see `taskledger doctor`.") from error
