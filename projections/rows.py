"""Rows on their way into the tables of a generation."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import AddConstraint

from projections.database import Query, Statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from projections.batch import Rows
    from projections.database import Connection


def upsert(table: sa.Table) -> sa.ClauseElement:
    """Give the statement that writes one row in place of the one with its primary key."""
    return _replacing(
        table, postgresql.insert(table).values({column.name: sa.bindparam(column.name) for column in table.columns})
    )


def _replacing(table: sa.Table, insert: postgresql.Insert) -> sa.ClauseElement:
    keys = [column.name for column in table.primary_key]
    return insert.on_conflict_do_update(
        index_elements=keys,
        set_={column.name: insert.excluded[column.name] for column in table.columns if column.name not in keys},
    )


@cache
def _upsert(table: sa.Table) -> Query:
    return Query(upsert(table))


@cache
def _clear(table: sa.Table, column: str) -> Query:
    wanted = sa.bindparam("values", type_=postgresql.ARRAY(table.c[column].type))
    return Query(sa.delete(table).where(table.c[column] == sa.any_(wanted)))


async def write(connection: Connection, schemas: Mapping[str, str], rows: Rows) -> None:
    """Write rows to the schema that stands for that of their table. Raises what asyncpg raises."""
    if rows.clears is not None:
        column, values = rows.clears
        await connection.execute(_clear(rows.table, column).at(schemas).sql, list(values))
    if not rows.values:
        return
    if rows.replaces:
        await connection.executemany(_upsert(rows.table).at(schemas).sql, rows.values)
    else:
        await copy(connection, schemas[str(rows.table.schema)], rows.table, rows.values)


async def copy(connection: Connection, schema: str, table: sa.Table, values: Iterable[Sequence[object]]) -> None:
    """Add rows that are new, with all columns of the table in their order."""
    columns = [column.name for column in table.columns]
    await connection.copy_records_to_table(table.name, schema_name=schema, columns=columns, records=values)


async def merge(connection: Connection, schema: str, table: sa.Table, values: Iterable[Sequence[object]]) -> None:
    """Write many rows at once, in place of those with their primary keys; in a transaction.

    A table without a primary key is taken to be empty, and has one afterwards.
    """
    if not await has_key(connection, schema, table):
        await copy(connection, schema, table, values)
        await add_key(connection, schema, table)
        return
    staging = f"merging_{schema}_{table.name}"
    await connection.execute(f'CREATE TEMP TABLE "{staging}" (LIKE "{schema}"."{table.name}") ON COMMIT DROP')
    await connection.copy_records_to_table(staging, records=values)
    await Statement(_upsert_from(table, staging), {str(table.schema): schema}).execute(connection)
    await connection.execute(f'DROP TABLE "{staging}"')


async def add_key(connection: Connection, schema: str, table: sa.Table) -> None:
    """Make the primary key of a table that has none."""
    clause = AddConstraint(table.primary_key, isolate_from_table=False)  # else no table made later would have one
    await Statement(clause, {str(table.schema): schema}).execute(connection)


async def has_key(connection: Connection, schema: str, table: sa.Table) -> bool:
    """Tell whether a table has a primary key yet."""
    return bool(await connection.fetchval(_HAS_KEY, f'"{schema}"."{table.name}"'))


_HAS_KEY = "SELECT EXISTS (SELECT FROM pg_index WHERE indrelid = $1::text::regclass AND indisprimary)"


def _upsert_from(table: sa.Table, staging: str) -> sa.ClauseElement:
    names = [column.name for column in table.columns]
    return _replacing(
        table,
        postgresql.insert(table).from_select(names, sa.select(*map(sa.column, names)).select_from(sa.table(staging))),
    )
