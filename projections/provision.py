"""Make what has to exist before anything starts: topics, schemas, tables, the first generations."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import asyncpg
import sqlalchemy as sa
from sqlalchemy.schema import CreateTable

from app.domain.errors import ConfigurationError, DatabaseUnavailable
from app.log.topics import provision_topics
from projections import registry
from projections.catalog import PROJECTIONS
from projections.database import Database, Statement
from projections.generations import add_generation, add_indexes, add_keys

if TYPE_CHECKING:
    from app.settings import Settings
    from projections.database import Connection

logger = logging.getLogger(__name__)

LOCK = 0x7461736B
"""Key of the advisory lock that keeps two provisioners apart."""
_MARK = "revision "


def run(settings: Settings) -> None:
    """Provision everything; run again, it changes nothing. Raises ConfigurationError."""
    asyncio.run(provision(settings))


async def provision(settings: Settings) -> None:
    """Provision the topics first, so that no read model ever stands without a log."""
    await provision_topics(settings)
    async with Database(settings.postgres or "", connections=1) as database:
        try:
            await provision_schema(database, settings.log_partitions)
        except (DatabaseUnavailable, asyncpg.PostgresError) as error:
            cause = error.__cause__ or error
            raise ConfigurationError(
                f"PostgreSQL cannot be used ({cause}): check TASKLEDGER_POSTGRES and that it is up."
            ) from error


async def provision_schema(database: Database, partitions: int) -> None:
    """Make the registry, and generation 1 of each projection that has none. Raises DatabaseUnavailable.

    A registry of an older revision goes, with all read models: they are derived, and the worker fills them again.
    """
    async with database.transaction() as connection:
        await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
        await _drop_older(connection)
        await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{registry.SCHEMA}"')
        await connection.execute(f"COMMENT ON SCHEMA \"{registry.SCHEMA}\" IS '{_MARK}{registry.REVISION}'")
        for table in registry.metadata.sorted_tables:
            await Statement(CreateTable(table, if_not_exists=True)).execute(connection)
        await add_indexes(connection, registry.metadata.sorted_tables, registry.SCHEMA)
        rows = await Statement(sa.select(registry.generation.c.projection)).fetch(connection)
        present = {row["projection"] for row in rows}
        for projection in PROJECTIONS:
            if projection.name not in present:
                schema = await add_generation(
                    connection, projection, 1, state="active", positions=dict.fromkeys(range(partitions), 0)
                )
                await add_keys(connection, projection.metadata.sorted_tables, schema)
                await add_indexes(connection, projection.metadata.sorted_tables, schema)


async def _drop_older(connection: Connection) -> None:
    found = await connection.fetchval(
        "SELECT coalesce(obj_description(oid, 'pg_namespace'), '') FROM pg_namespace WHERE nspname = $1",
        registry.SCHEMA,
    )
    if found is None:
        return
    revision = int(found.removeprefix(_MARK)) if found.startswith(_MARK) else 1
    if revision > registry.REVISION:
        raise ConfigurationError(
            f"The registry in PostgreSQL has revision {revision} and this code knows {registry.REVISION}: "
            "deploy the newer code."
        )
    if revision < registry.REVISION:
        logger.warning("building the read models anew", extra={"revision": registry.REVISION, "before": revision})
        rows = await connection.fetch(f"SELECT projection, generation FROM {registry.SCHEMA}.generation")  # noqa: S608
        for schema in [*(registry.schema_of(*row) for row in rows), registry.SCHEMA]:
            await connection.execute(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE')
