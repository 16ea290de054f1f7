"""Make and take away generations: their schemas, tables and rows in the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateTable

from projections import registry
from projections.catalog import fingerprint
from projections.database import Statement
from projections.rows import add_key, has_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from projections.batch import Projection
    from projections.database import Connection

_ADD = Statement(
    sa.insert(registry.generation).values(
        {
            name: sa.bindparam(name)
            for name in ("projection", "generation", "definition", "code", "state", "replay", "scratch")
        }
    )
)
_BEGIN = Statement(
    sa.insert(registry.position).values(
        {name: sa.bindparam(name) for name in ("projection", "generation", "partition", "next_offset")}
    )
)
_HIGHEST = Statement(
    sa.select(sa.func.max(registry.generation.c.generation)).where(
        registry.generation.c.projection == sa.bindparam("projection")
    )
)
_POSITION = Statement(
    sa.select(registry.position.c.partition, registry.position.c.next_offset)
    .where(
        registry.position.c.projection == sa.bindparam("projection"),
        registry.position.c.generation == sa.bindparam("generation"),
    )
    .order_by(registry.position.c.partition)
)
_FORGET = [
    Statement(
        sa.delete(table).where(
            table.c.projection == sa.bindparam("projection"), table.c.generation == sa.bindparam("generation")
        )
    )
    for table in (registry.position, registry.generation)
]


async def add_generation(
    connection: Connection,
    projection: Projection,
    number: int,
    *,
    state: registry.State,
    positions: Mapping[int, int],
    replay: int | None = None,
    scratch: bool = False,
) -> str:
    """Register a generation that stands at some positions, and make its tables without keys and indexes.

    Gives its schema.
    """
    schema = registry.schema_of(projection.name, number)
    await connection.execute(f'CREATE SCHEMA "{schema}"')
    for table in projection.metadata.sorted_tables:
        await Statement(CreateTable(table), {projection.name: schema}).execute(connection)
        await connection.execute(f'ALTER TABLE "{schema}"."{table.name}" DROP CONSTRAINT "{table.name}_pkey"')
    await _ADD.execute(
        connection,
        projection=projection.name,
        generation=number,
        definition=projection.definition,
        code=fingerprint(projection),
        state=state,
        replay=replay,
        scratch=scratch,
    )
    await connection.executemany(
        _BEGIN.sql,
        [
            _BEGIN.arguments(projection=projection.name, generation=number, partition=partition, next_offset=offset)
            for partition, offset in positions.items()
        ],
    )
    return schema


async def add_keys(connection: Connection, tables: Iterable[sa.Table], schema: str) -> None:
    """Make the primary keys of those tables that have none yet."""
    for table in tables:
        if not await has_key(connection, schema, table):
            await add_key(connection, schema, table)


async def add_indexes(connection: Connection, tables: Iterable[sa.Table], schema: str) -> None:
    """Make the indexes of some tables; those that are there stay."""
    for table in tables:
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            await Statement(CreateIndex(index, if_not_exists=True), {str(table.schema): schema}).execute(connection)


async def next_number(connection: Connection, projection: str) -> int:
    """Give the number after the highest that a projection's generations have."""
    ((highest,),) = await _HIGHEST.fetch(connection, projection=projection)
    return int(highest or 0) + 1


async def position_of(connection: Connection, projection: str, number: int) -> dict[int, int]:
    """Give the next offset of each partition that a generation has not applied."""
    rows = await _POSITION.fetch(connection, projection=projection, generation=number)
    return {row["partition"]: row["next_offset"] for row in rows}


async def drop_generation(connection: Connection, projection: str, number: int) -> None:
    """Take away a generation with its rows."""
    await connection.execute(f'DROP SCHEMA IF EXISTS "{registry.schema_of(projection, number)}" CASCADE')
    for statement in _FORGET:
        await statement.execute(connection, projection=projection, generation=number)
