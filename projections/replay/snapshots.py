"""Snapshots: frozen copies of verified generations, from which a later run can begin instead of the log's beginning.

A snapshot is used only by the very code that verified it: where the fingerprint differs, the rows might.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from projections import lockstep, registry
from projections.catalog import JUDGE, PROJECTIONS, find, fingerprint
from projections.database import Statement
from projections.generations import add_generation, drop_generation, next_number, position_of
from projections.refusal import Refused

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from projections.database import Connection, Database
    from projections.replay.builder import Target

_generation = registry.generation
_SNAPSHOTS = Statement(
    sa.select(_generation.c.projection, _generation.c.generation, _generation.c.code)
    .where(_generation.c.state == "snapshot")
    .order_by(_generation.c.generation.desc())
)
_ACTIVE = Statement(
    sa.select(
        _generation.c.projection,
        _generation.c.generation,
        _generation.c.definition,
        _generation.c.code,
        _generation.c.verified_at,
    )
    .where(_generation.c.state == "active")
    .order_by(_generation.c.projection)
)


async def take(database: Database) -> Mapping[int, int]:
    """Copy the active generations, all at one position; older snapshots go. Gives the position.

    Raises Refused where one was never verified by this very code, DatabaseUnavailable.
    """
    async with database.connection() as connection, connection.transaction(isolation="repeatable_read"):
        older = await _SNAPSHOTS.fetch(connection)
        position: Mapping[int, int] = {}
        for row in await _ACTIVE.fetch(connection):
            name, number = row["projection"], row["generation"]
            projection = find(name, row["definition"])
            if projection is None or row["verified_at"] is None or row["code"] != fingerprint(projection):
                raise Refused(
                    f"Generation {number} of {name} was not verified by this code: run `replay verify` first."
                )
            position = await position_of(connection, name, number)
            target = await next_number(connection, name)
            await add_generation(connection, projection, target, state="snapshot", positions=position)
            await _copy(connection, name, number, target)
        for row in older:
            await drop_generation(connection, row["projection"], row["generation"])
    return position


async def fitting(connection: Connection, projections: Collection[str]) -> Mapping[int, int] | None:
    """Give the position of the snapshots from which some projections can be built, or None."""
    numbers = await _numbers(connection, {*projections, JUDGE})
    return await position_of(connection, JUDGE, numbers[JUDGE]) if numbers else None


async def fill(connection: Connection, targets: Sequence[Target]) -> None:
    """Begin new, empty generations with snapshots, where there is one of this very code for each of them."""
    numbers = await _numbers(connection, {target.projection.name for target in targets})
    for target in targets if numbers else ():
        name = target.projection.name
        await _copy(connection, name, numbers[name], target.generation)
        for partition, offset in (await position_of(connection, name, numbers[name])).items():
            await lockstep.advance(connection, partition, [(name, target.generation)], offset)


async def _numbers(connection: Connection, projections: Collection[str]) -> dict[str, int]:
    """Give the snapshot of each projection, or nothing where one has none of this very code."""
    own = {projection.name: fingerprint(projection) for projection in PROJECTIONS}
    found = {
        row["projection"]: row["generation"]
        for row in await _SNAPSHOTS.fetch(connection)
        if row["code"] == own.get(row["projection"])
    }
    return {name: found[name] for name in projections} if found.keys() >= set(projections) else {}


async def _copy(connection: Connection, projection: str, source: int, target: int) -> None:
    old, new = registry.schema_of(projection, source), registry.schema_of(projection, target)
    for row in await connection.fetch("SELECT table_name FROM information_schema.tables WHERE table_schema = $1", old):
        table = row["table_name"]
        await connection.execute(f'INSERT INTO "{new}"."{table}" SELECT * FROM "{old}"."{table}"')  # noqa: S608 - our own names
