"""The run of a replay as the registry knows it: who works on it, how far it is, and what operators want of it.

There is one run at a time. Its holder renews a lease; when the lease is over, another process may go on from the
last checkpoint. Whoever lost the lease finds out before it writes anything more, because each checkpoint renews it.
"""

from __future__ import annotations

import os
import socket
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec
import sqlalchemy as sa

from projections import registry
from projections.database import Statement
from projections.refusal import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from projections.database import Connection, Database

LEASE = 10.0
"""Seconds that a holder may be silent before another process may go on in its place."""
LOCK = 0x7265706C
"""Key of the advisory lock under which runs begin and are taken over."""
_replay = registry.replay


class LeaseLost(Refused):
    """Another process has taken this run over, or an operator ended it; this one stops."""

    code = "lease_lost"


class Run(msgspec.Struct, frozen=True):
    """A run; times are UTC, `lease_left` is in seconds and negative where the holder is gone."""

    id: int
    projections: list[str]
    state: str
    wanted: str
    holder: str
    lease_left: float
    rate: int | None
    pause_above_lag: int | None
    resting: str | None
    events_done: int
    events_total: int
    events_per_second: float | None
    error: str | None
    started_at: datetime
    ended_at: datetime | None

    @property
    def is_over(self) -> bool:
        """Whether nothing will be done any more."""
        return self.ended_at is not None

    @property
    def is_held(self) -> bool:
        """Whether a process works on it."""
        return not self.is_over and self.lease_left > 0

    @property
    def seconds_left(self) -> float | None:
        """How long reading will still take at the speed of now; None where that cannot be told."""
        if self.is_over or not self.events_per_second:
            return None
        return max(0, self.events_total - self.events_done) / self.events_per_second


_COLUMNS = [
    sa.extract("epoch", _replay.c.lease_until - sa.func.clock_timestamp()).cast(sa.Float).label("lease_left")
    if name == "lease_left"
    else _replay.c[name]
    for name in Run.__struct_fields__
]
_LATEST = Statement(sa.select(*_COLUMNS).order_by(_replay.c.id.desc()).limit(1))
_lease = sa.func.clock_timestamp() + sa.text(f"interval '{LEASE} seconds'")
_BEGIN = Statement(
    sa.insert(_replay)
    .values(
        projections=sa.bindparam("projections"),
        state="reading",
        holder=sa.bindparam("holder"),
        lease_until=_lease,
        rate=sa.bindparam("rate"),
        pause_above_lag=sa.bindparam("pause_above_lag"),
    )
    .returning(_replay.c.id)
)
_TAKE_OVER = Statement(
    sa.update(_replay)
    .where(_replay.c.id == sa.bindparam("run"))
    .values(holder=sa.bindparam("new_holder"), lease_until=_lease, wanted="run", error=None, resting=None)
)
_RENEW = Statement(
    sa.update(_replay)
    .where(_replay.c.id == sa.bindparam("run"), _replay.c.holder == sa.bindparam("me"), _replay.c.ended_at.is_(None))
    .values(
        lease_until=_lease,
        state=sa.bindparam("now_state"),
        resting=sa.bindparam("now_resting"),
        events_done=sa.bindparam("done"),
        events_total=sa.bindparam("total"),
        events_per_second=sa.bindparam("speed"),
    )
    .returning(_replay.c.wanted, _replay.c.rate, _replay.c.pause_above_lag)
)
_END = Statement(
    sa.update(_replay)
    .where(_replay.c.id == sa.bindparam("run"), _replay.c.ended_at.is_(None))
    .values(
        state=sa.bindparam("last_state"),
        ended_at=sa.func.clock_timestamp(),
        lease_until=sa.func.clock_timestamp(),
        resting=None,
    )
)
_STEP_BACK = Statement(
    sa.update(_replay)
    .where(_replay.c.id == sa.bindparam("run"), _replay.c.holder == sa.bindparam("me"), _replay.c.ended_at.is_(None))
    .values(lease_until=sa.func.clock_timestamp(), error=sa.bindparam("reason"), resting=None)
)
_WANT = Statement(sa.update(_replay).where(_replay.c.id == sa.bindparam("run")).values(wanted=sa.bindparam("want")))
_LIMIT = Statement(
    sa.update(_replay)
    .where(_replay.c.id == sa.bindparam("run"))
    .values(rate=sa.bindparam("new_rate"), pause_above_lag=sa.bindparam("new_lag"))
)


class Orders(msgspec.Struct, frozen=True):
    """What operators want of a run."""

    wanted: str = "run"
    rate: int | None = None
    pause_above_lag: int | None = None


class Progress(msgspec.Struct):
    """What a run tells of itself."""

    state: str = "reading"
    resting: str | None = None
    done: int = 0
    total: int = 0
    speed: float | None = None


def own_name() -> str:
    """Name this process as a holder."""
    return f"{socket.gethostname()}:{os.getpid()}"


async def latest(database: Database) -> Run | None:
    """Give the run that goes on, or else the last one. Raises DatabaseUnavailable."""
    async with database.connection() as connection:
        return await latest_of(connection)


async def latest_of(connection: Connection) -> Run | None:
    """See `latest`."""
    rows = await _LATEST.fetch(connection)
    return Run(*rows[0]) if rows else None


async def begin(
    connection: Connection, projections: Sequence[str], holder: str, *, rate: int | None, pause_above_lag: int | None
) -> int:
    """Register a new run and give its id; the transaction holds LOCK. Raises Refused while another goes on."""
    before = await latest_of(connection)
    if before is not None and not before.is_over:
        raise Refused(f"Run {before.id} of {before.holder} goes on: wait for it, or abort it with `replay abort`.")
    ((run,),) = await _BEGIN.fetch(
        connection, projections=list(projections), holder=holder, rate=rate, pause_above_lag=pause_above_lag
    )
    return int(run)


async def take_over(connection: Connection, run: Run, holder: str) -> None:
    """Go on with a run in its holder's place; the transaction holds LOCK. Raises Refused where that is alive."""
    if run.is_held:
        raise Refused(
            f"Run {run.id} is worked on by {run.holder}: see `replay status`, or end it there with `replay abort`."
        )
    await _TAKE_OVER.execute(connection, run=run.id, new_holder=holder)


async def renew(connection: Connection, run: int, holder: str, progress: Progress) -> Orders:
    """Renew the lease and tell how far the run is; gives what operators want. Raises LeaseLost."""
    rows = await _RENEW.fetch(
        connection,
        run=run,
        me=holder,
        now_state=progress.state,
        now_resting=progress.resting,
        done=progress.done,
        total=progress.total,
        speed=progress.speed,
    )
    if not rows:
        raise LeaseLost
    return Orders(*rows[0])


async def step_back(connection: Connection, run: int, holder: str, reason: str | None) -> None:
    """Give the lease up, so that another process can go on at once."""
    await _STEP_BACK.execute(connection, run=run, me=holder, reason=reason)


async def end(connection: Connection, run: int, state: str) -> None:
    """Mark a run as over: done or aborted."""
    await _END.execute(connection, run=run, last_state=state)


async def want(database: Database, wanted: str) -> Run:
    """Tell the run that goes on to pause, run or abort. Raises Refused where none goes on, DatabaseUnavailable."""
    run = await _going_on(database)
    async with database.connection() as connection:
        await _WANT.execute(connection, run=run.id, want=wanted)
    return run


async def limit(database: Database, *, rate: int | None, pause_above_lag: int | None) -> Run:
    """Change the limits of the run that goes on; None is no limit. Raises Refused, DatabaseUnavailable."""
    run = await _going_on(database)
    async with database.connection() as connection:
        await _LIMIT.execute(connection, run=run.id, new_rate=rate, new_lag=pause_above_lag)
    return run


async def _going_on(database: Database) -> Run:
    run = await latest(database)
    if run is None or run.is_over:
        raise Refused("No run goes on: begin one with `taskledger replay run`.")
    return run
