"""Lockstep: the generations that advance together, and the lock under which they do.

Whoever moves a position, or changes which generations move, holds the lock of the partition for the length of its
transaction. So a switch never meets half a batch, and a batch never meets half a switch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from projections import registry
from projections.database import Statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from projections.database import Connection

LOCK = 0x7461736B
"""First key of the advisory locks; the second one is the partition."""
_generation, _position = registry.generation, registry.position
_MEMBERS = Statement(
    sa.select(
        _position.c.projection,
        _position.c.generation,
        _generation.c.definition,
        _generation.c.state,
        _position.c.next_offset,
    )
    .join(_generation, registry.of_generation)
    .where(
        sa.or_(_generation.c.state == "active", _generation.c.state == "standby"),
        _position.c.partition == sa.bindparam("partition"),
    )
    .order_by(_position.c.projection, _position.c.generation)
)
_ADVANCE = Statement(
    sa.update(_position)
    .where(
        _position.c.projection == sa.bindparam("at_projection"),
        _position.c.generation == sa.bindparam("at_generation"),
        _position.c.partition == sa.bindparam("at_partition"),
    )
    .values(next_offset=sa.bindparam("next_offset"), updated_at=sa.func.now())
)


class Member(NamedTuple):
    """A generation at one partition."""

    projection: str
    generation: int
    definition: int
    state: str
    next_offset: int

    @property
    def schema(self) -> str:
        """Where its tables are."""
        return registry.schema_of(self.projection, self.generation)


async def lock(connection: Connection, partitions: Iterable[int]) -> None:
    """Take the locks of some partitions until the transaction ends; always in the same order."""
    for partition in sorted(partitions):
        await connection.execute("SELECT pg_advisory_xact_lock($1, $2)", LOCK, partition)


async def members(connection: Connection, partition: int) -> list[Member]:
    """Give the active and standby generations at a partition, by name and number; the caller holds its lock."""
    rows = await _MEMBERS.fetch(connection, partition=partition)
    return [Member(*row) for row in rows]


async def advance(
    connection: Connection, partition: int, generations: Iterable[tuple[str, int]], next_offset: int
) -> None:
    """Move generations, given by projection and number, on to an offset of a partition."""
    moves: Sequence[list[object]] = [
        _ADVANCE.arguments(
            at_projection=projection, at_generation=number, at_partition=partition, next_offset=next_offset
        )
        for projection, number in generations
    ]
    await connection.executemany(_ADVANCE.sql, moves)
