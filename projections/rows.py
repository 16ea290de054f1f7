"""Rows on their way into the tables of a generation."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from projections.database import Query

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from projections.batch import Rows
    from projections.database import Connection


def upsert(table: sa.Table) -> sa.ClauseElement:
    """Give the statement that writes one row in place of the one with its primary key."""
    insert = postgresql.insert(table).values({column.name: sa.bindparam(column.name) for column in table.columns})
    keys = [column.name for column in table.primary_key]
    return insert.on_conflict_do_update(
        index_elements=keys,
        set_={column.name: insert.excluded[column.name] for column in table.columns if column.name not in keys},
    )


@cache
def _upsert(table: sa.Table) -> Query:
    return Query(upsert(table))


async def write(connection: Connection, schemas: Mapping[str, str], rows: Rows) -> None:
    """Write rows to the schema that stands for that of their table. Raises what asyncpg raises."""
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
