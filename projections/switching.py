"""Let another generation serve: switch, roll back, drop.

Both the generation that served and the one that will are in lockstep, so that the switch itself is one small
transaction: whoever reads next reads the other copy at the same position.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec
import sqlalchemy as sa

from projections import lockstep, registry
from projections.catalog import find, names
from projections.database import Statement
from projections.generations import drop_generation
from projections.refusal import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from projections.database import Connection, Database

GRACE = 60.0
"""Seconds that a generation is kept after it served: web processes learn of a switch within a second."""
_generation, _position = registry.generation, registry.position
_ALL = Statement(sa.select(_generation).order_by(_generation.c.projection, _generation.c.generation))
_POSITIONS = Statement(
    sa.select(_position.c.projection, _position.c.generation, _position.c.partition, _position.c.next_offset)
)
_one = (_generation.c.projection == sa.bindparam("name"), _generation.c.generation == sa.bindparam("number"))
_DEMOTE = Statement(sa.update(_generation).where(*_one).values(state="standby", served_until=sa.func.clock_timestamp()))
_PROMOTE = Statement(sa.update(_generation).where(*_one).values(state="active"))


class Generation(msgspec.Struct, frozen=True):
    """One built copy of a projection."""

    projection: str
    generation: int
    definition: int
    code: str
    state: str
    replay: int | None
    scratch: bool
    verified_at: datetime | None
    served_until: datetime | None
    created_at: datetime


class Switched(msgspec.Struct, frozen=True):
    """One projection that is served by another generation now."""

    projection: str
    was: int
    now: int


async def generations(connection: Connection) -> Sequence[Generation]:
    """Give all generations, by projection and number."""
    return [Generation(*row) for row in await _ALL.fetch(connection)]


async def switch(database: Database, projections: Collection[str] = ()) -> Sequence[Switched]:
    """Let the newest generations serve that have not served yet; without names, those of all projections that have one.

    Raises Refused where one was not verified, lags, or is of a definition that this code does not have, and where
    there is none; then nothing was changed. Raises DatabaseUnavailable.
    """

    def fresh(standby: Sequence[Generation]) -> Generation | None:
        chosen = [one for one in standby if one.served_until is None]
        if chosen and chosen[-1].verified_at is None:
            raise Refused(
                f"Generation {chosen[-1].generation} of {chosen[-1].projection} has not been found equal to the log: "
                "run `taskledger replay verify` first."
            )
        return chosen[-1] if chosen else None

    return await _exchange(database, projections, fresh, "There is no new generation: build one with `replay run`.")


async def rollback(database: Database, projections: Collection[str] = ()) -> Sequence[Switched]:
    """Let the generations serve that served before; without names, those of all projections that have one.

    Raises Refused where there is none or it lags, DatabaseUnavailable.
    """

    def former(standby: Sequence[Generation]) -> Generation | None:
        served = [(one.served_until, one) for one in standby if one.served_until is not None]
        return max(served, key=lambda pair: pair[0])[1] if served else None

    return await _exchange(database, projections, former, "There is no generation that served before.")


async def drop(
    database: Database, projections: Collection[str] = (), *, snapshots: bool = False
) -> Sequence[Generation]:
    """Take away all standby generations, of the named projections or of all, and with `snapshots` those too.

    Raises Refused where one served within the last minute, DatabaseUnavailable.
    """
    states = {"standby", "snapshot"} if snapshots else {"standby"}
    async with database.transaction() as connection:
        every = await _locked(connection)
        (now,) = (await connection.fetchrow("SELECT clock_timestamp()")).values()
        doomed = [one for one in every if one.state in states and one.projection in names(projections)]
        for one in doomed:
            if one.served_until is not None and (now - one.served_until).total_seconds() < GRACE:
                raise Refused(
                    f"Generation {one.generation} of {one.projection} served less than {GRACE:.0f} s ago, and queries "
                    "may still read it: try again in a minute."
                )
            await drop_generation(connection, one.projection, one.generation)
    return doomed


async def _exchange(
    database: Database,
    projections: Collection[str],
    choose: Callable[[Sequence[Generation]], Generation | None],
    nothing: str,
) -> Sequence[Switched]:
    async with database.transaction() as connection:
        every = await _locked(connection)
        done = []
        for name in names(projections):
            mine = [one for one in every if one.projection == name]
            active = next(one for one in mine if one.state == "active")
            chosen = choose([one for one in mine if one.state == "standby"])
            if chosen is None:
                if projections:
                    raise Refused(f"{name}: {nothing}")
                continue
            await _check(connection, active, chosen)
            await _DEMOTE.execute(connection, name=name, number=active.generation)
            await _PROMOTE.execute(connection, name=name, number=chosen.generation)
            done.append(Switched(name, active.generation, chosen.generation))
        if not done:
            raise Refused(nothing)
    return done


async def _check(connection: Connection, active: Generation, chosen: Generation) -> None:
    if find(chosen.projection, chosen.definition) is None:
        raise Refused(
            f"Generation {chosen.generation} of {chosen.projection} has definition {chosen.definition}, which this "
            "code does not have: use the version that built it."
        )
    at: dict[int, dict[int, int]] = {active.generation: {}, chosen.generation: {}}
    for row in await _POSITIONS.fetch(connection):
        if row["projection"] == active.projection and row["generation"] in at:
            at[row["generation"]][row["partition"]] = row["next_offset"]
    if at[active.generation] != at[chosen.generation]:
        raise Refused(
            f"Generation {chosen.generation} of {chosen.projection} fell behind, because a worker without its "
            "definition took part: finish the roll-out, drop it and build it again."
        )


async def _locked(connection: Connection) -> Sequence[Generation]:
    """Stop the live projections for the length of the transaction, then look."""
    partitions = {row["partition"] for row in await _POSITIONS.fetch(connection)}
    await lockstep.lock(connection, partitions)
    return await generations(connection)
