"""Diff: what a switch would change for those who read a projection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from projections import registry
from projections.catalog import find, names
from projections.refusal import Refused
from projections.switching import generations

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import sqlalchemy as sa

    from projections.database import Connection, Database

EXAMPLES = 5
"""Keys that are named for each table."""


class Changed(msgspec.Struct, frozen=True):
    """How one table would differ for its readers."""

    projection: str
    table: str
    was: int
    """The generation that serves."""
    would_be: int
    rows_removed: int
    rows_added: int
    rows_changed: int
    columns_removed: list[str]
    columns_added: list[str]
    columns_changed: dict[str, int]
    """Column to the number of rows in which it differs."""
    examples: list[str]
    """Keys of some rows that differ."""


async def diff(database: Database, projections: Collection[str] = ()) -> Sequence[Changed]:
    """Compare the newest standby generation of each projection with the active one, in one snapshot of PostgreSQL.

    Raises Refused where there is no standby generation, DatabaseUnavailable.
    """
    async with database.connection() as connection, connection.transaction(isolation="repeatable_read"):
        every = await generations(connection)
        found: list[Changed] = []
        for name in names(projections):
            active = next(one for one in every if one.projection == name and one.state == "active")
            standby = [one for one in every if one.projection == name and one.state == "standby"]
            if not standby:
                continue
            old, new = find(name, active.definition), find(name, standby[-1].definition)
            if old is None or new is None:
                raise Refused(f"This code does not have both definitions of {name}: use the version that built it.")
            tables = {table.name: table for table in old.metadata.sorted_tables}
            for table in new.metadata.sorted_tables:
                if table.name in tables:
                    numbers = active.generation, standby[-1].generation
                    found.append(await _compare(connection, name, tables[table.name], table, numbers))
    if not found:
        raise Refused("There is no standby generation to compare: build one with `taskledger replay run`.")
    return found


async def _compare(
    connection: Connection, name: str, old: sa.Table, new: sa.Table, numbers: tuple[int, int]
) -> Changed:
    keys = [column.name for column in new.primary_key]
    before, after = [column.name for column in old.columns], [column.name for column in new.columns]
    shared = [column for column in after if column in before and column not in keys]
    joined = (
        f'"{registry.schema_of(name, numbers[0])}"."{old.name}" a '
        f'FULL JOIN "{registry.schema_of(name, numbers[1])}"."{new.name}" b USING ({", ".join(keys)})'
    )
    removed, added = f"b.{_present(new)} IS NULL", f"a.{_present(old)} IS NULL"
    differs = {column: f"(a.{column} IS DISTINCT FROM b.{column})" for column in shared}
    both = f"NOT ({removed}) AND NOT ({added})"
    changed = f"{both} AND ({' OR '.join(differs.values()) or 'false'})"
    counts = [removed, added, changed, *(f"{both} AND {each}" for each in differs.values())]
    # Everything in these statements is a name of our own tables.
    select = ", ".join(f"count(*) FILTER (WHERE {each})" for each in counts)
    row = list((await connection.fetch(f"SELECT {select} FROM {joined}"))[0].values())  # noqa: S608
    texts = " || ' ' || ".join(f"{key}::text" for key in keys)
    examples = await connection.fetch(
        f"SELECT {texts} FROM {joined} WHERE {removed} OR {added} OR {changed} ORDER BY 1 LIMIT {EXAMPLES}"  # noqa: S608
    )
    return Changed(
        projection=name,
        table=new.name,
        was=numbers[0],
        would_be=numbers[1],
        rows_removed=row[0],
        rows_added=row[1],
        rows_changed=row[2],
        columns_removed=[column for column in before if column not in after],
        columns_added=[column for column in after if column not in before],
        columns_changed={column: rows for column, rows in zip(shared, row[3:], strict=True) if rows},
        examples=[example[0] for example in examples],
    )


def _present(table: sa.Table) -> str:
    """Name a column that is never null, beside the key."""
    keys = set(table.primary_key)
    return next(column.name for column in table.columns if not column.nullable and column not in keys)
