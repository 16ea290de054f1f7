"""Make what has to exist before anything starts: topics, schemas, tables, the first generations."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateTable

from app.domain.errors import ConfigurationError, DatabaseUnavailable
from app.log.topics import provision_topics
from projections import registry
from projections.catalog import PROJECTIONS
from projections.database import Database, Statement

if TYPE_CHECKING:
    from app.settings import Settings
    from projections.batch import Projection
    from projections.database import Connection

LOCK = 0x7461736B
"""Key of the advisory lock that keeps two provisioners apart."""


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
    """Make the registry, and generation 1 of each projection that has none. Raises DatabaseUnavailable."""
    async with database.transaction() as connection:
        await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
        await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{registry.SCHEMA}"')
        await _create_tables(connection, registry.metadata, registry.SCHEMA)
        rows = await connection.fetch(Statement(sa.select(registry.generation.c.projection)).sql)
        present = {row["projection"] for row in rows}
        for projection in PROJECTIONS:
            if projection.name not in present:
                await _create_first_generation(connection, projection, partitions)


async def _create_first_generation(connection: Connection, projection: Projection, partitions: int) -> None:
    schema = registry.schema_of(projection.name, 1)
    await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
    await _create_tables(connection, projection.metadata, schema)
    generation = Statement(
        sa.insert(registry.generation).values(
            projection=projection.name, generation=1, definition=projection.definition, active=True
        )
    )
    await connection.execute(generation.sql, *generation.arguments())
    position = Statement(
        sa.insert(registry.position).values(
            projection=projection.name, generation=1, partition=sa.bindparam("partition"), next_offset=0
        )
    )
    await connection.executemany(
        position.sql, [position.arguments(partition=partition) for partition in range(partitions)]
    )


async def _create_tables(connection: Connection, metadata: sa.MetaData, schema: str) -> None:
    schemas = {metadata.schema or schema: schema}
    for table in metadata.sorted_tables:
        await connection.execute(Statement(CreateTable(table, if_not_exists=True), schemas).sql)
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            await connection.execute(Statement(CreateIndex(index, if_not_exists=True), schemas).sql)
