"""`taskledger replay`: build projections anew beside those that serve, verify, switch, roll back."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import click

from app.cli.cluster import ClusterCommand
from app.cli.operation import complete, opened, operate
from app.cli.options import AS_JSON, HOME
from app.cli.output import progress, show_object, show_rows
from app.domain.errors import TaskledgerError
from app.log.topics import EVENTS
from projections import switching
from projections.database import Database
from projections.replay import build, claim, runs
from projections.replay.diff import diff as compare
from projections.replay.plan import plan as make_plan
from projections.replay.snapshots import take
from projections.replay.verify import Verifier

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from pathlib import Path

    from app.cli.operation import Ledger
    from app.settings import Settings
    from projections.replay.verify import Verified

T = TypeVar("T")
LOOK_SECONDS = 0.25
"""Seconds between two updates of a progress bar."""
NICENESS = 10
"""Of a process that folds the log: commands and queries on the same machine come first."""
NAMES = click.argument("projections", nargs=-1, metavar="[PROJECTION]...")
DIFFERENT = 3
"""Exit code of `verify` where something is not what the log says."""
RUN_COLUMNS = (
    "id",
    "projections",
    "state",
    "wanted",
    "holder",
    "events_done",
    "events_total",
    "events_per_second",
    "seconds_left",
    "rate",
    "pause_above_lag",
    "resting",
    "error",
    "started_at",
    "ended_at",
)


@click.group(invoke_without_command=True)
@click.pass_context
def replay(context: click.Context) -> None:
    """Build projections anew from the log, beside the ones that serve.

    The usual way: `plan`, `run`, `verify`, `diff`, `switch`, and `drop` or `rollback`. Without a command: `plan`.
    """
    if context.invoked_subcommand is None:
        context.invoke(plan, projections=(), start=None, home=None, as_json=False)


@replay.command(cls=ClusterCommand)
@NAMES
@click.option("--from", "start", metavar="POSITION", help="Count from here: beginning, offset:0=12, a time, -2h …")
@HOME
@AS_JSON
def plan(projections: tuple[str, ...], start: str | None, home: Path | None, *, as_json: bool) -> None:
    """Tell what a run would read and write; changes nothing."""
    found = operate(home, lambda ledger: make_plan(ledger.database, ledger.log, projections, start))
    if as_json:
        show_object(found, as_json=True)
        return
    columns = ["projection", "active_generation", "active_definition", "definition", "rows", "disk_bytes"]
    show_rows(found.projections, columns, as_json=False)
    show_rows(found.partitions, ["partition", "beginning", "start", "end", "events"], as_json=False)
    begins = "a snapshot" if found.from_snapshot else "the log"
    click.echo(
        f"{found.events:,} events from {begins}, about {_duration(found.seconds)} and {_size(found.disk_bytes)}."
    )
    for warning in found.warnings:
        click.secho(f"warning: {warning}", fg="yellow", err=True)


@replay.command(cls=ClusterCommand)
@NAMES
@click.option("--rate", type=click.IntRange(min=1), help="Most events a second; `replay limit` changes it meanwhile.")
@click.option(
    "--pause-above-lag", type=click.IntRange(min=0), help="Rest while the live projections are further behind."
)
@click.option("--accept-truncated-log", is_flag=True, help="Build from a log that no longer has its beginning.")
@click.option("--no-snapshot", is_flag=True, help="Read the whole log, even where a snapshot fits.")
@click.option("--verify", "verify_after", is_flag=True, help="Verify afterwards.")
@click.option("--switch", "switch_after", is_flag=True, help="Verify and switch afterwards.")
@HOME
@AS_JSON
def run(
    projections: tuple[str, ...],
    rate: int | None,
    pause_above_lag: int | None,
    home: Path | None,
    *,
    accept_truncated_log: bool,
    no_snapshot: bool,
    verify_after: bool,
    switch_after: bool,
    as_json: bool,
) -> None:
    """Build new generations, of all projections or of some, until they stand by in lockstep with the live ones.

    An interrupted run goes on from its last checkpoint. Ctrl-C leaves it to be gone on with.
    """
    request = claim.Request(
        projections=projections,
        rate=rate,
        pause_above_lag=pause_above_lag,
        accept_truncated=accept_truncated_log,
        use_snapshots=not no_snapshot,
    )
    _run(request, home, as_json=as_json)
    if verify_after or switch_after:
        _verify(projections, home, active=False, as_json=as_json)
    if switch_after:
        _switch(switching.switch, projections, home, as_json=as_json)


@replay.command(cls=ClusterCommand)
@HOME
@AS_JSON
def resume(home: Path | None, *, as_json: bool) -> None:
    """End a pause; go on with a run whose process is gone."""
    found = operate(home, lambda ledger: runs.want(ledger.database, "run"))
    if found.is_held:
        click.echo(f"Run {found.id} goes on at {found.holder}.")
    else:
        _run(claim.Request(), home, as_json=as_json)


@replay.command()
@HOME
def pause(home: Path | None) -> None:
    """Let the run rest after its next checkpoint, until `resume`."""
    found = operate(home, lambda ledger: runs.want(ledger.database, "pause"))
    click.echo(f"Run {found.id} pauses. `taskledger replay resume` lets it go on.")


@replay.command()
@click.option("--rate", type=click.IntRange(min=1), help="Most events a second. [default: no limit]")
@click.option("--pause-above-lag", type=click.IntRange(min=0), help="Live lag above which it rests. [default: never]")
@HOME
def limit(rate: int | None, pause_above_lag: int | None, home: Path | None) -> None:
    """Change the limits of the run that goes on; one that is not given is lifted."""
    found = operate(home, lambda ledger: runs.limit(ledger.database, rate=rate, pause_above_lag=pause_above_lag))
    click.echo(f"Run {found.id} keeps to {rate or 'any'} events/s and rests above a lag of {pause_above_lag or 'any'}.")


@replay.command()
@HOME
def abort(home: Path | None) -> None:
    """End the run, and take away what it has built."""

    async def work(ledger: Ledger) -> runs.Run:
        found = await runs.want(ledger.database, "abort")
        if not found.is_held:
            await claim.give_up(ledger.database, found)
        return found

    found = operate(home, work)
    click.echo(f"Run {found.id} {'ends within a second' if found.is_held else 'is ended'}; nothing of it stays.")


@replay.command(cls=ClusterCommand)
@HOME
@AS_JSON
def status(home: Path | None, *, as_json: bool) -> None:
    """Show the run that goes on, or the last one, and every generation."""

    async def work(ledger: Ledger) -> tuple[runs.Run | None, Sequence[switching.Generation]]:
        async with ledger.database.connection() as connection:
            return await runs.latest_of(connection), await switching.generations(connection)

    found, generations = operate(home, work)
    fields = {name: getattr(found, name) for name in RUN_COLUMNS} if found else {}
    if as_json:
        held = found.is_held if found else None
        show_object({"run": {**fields, "is_held": held} if found else None, "generations": generations}, as_json=True)
        return
    if found:
        show_object({**fields, "holder": found.holder if found.is_held else f"{found.holder} (gone)"}, as_json=False)
    else:
        click.echo("No run yet.")
    show_rows(
        generations,
        ["projection", "generation", "definition", "state", "verified_at", "served_until", "created_at"],
        as_json=False,
    )


@replay.command(cls=ClusterCommand)
@NAMES
@click.option("--active", is_flag=True, help="Verify the generations that serve, and not those that stand by.")
@HOME
@AS_JSON
def verify(projections: tuple[str, ...], home: Path | None, *, active: bool, as_json: bool) -> None:
    """Fold the log and compare every row with it. Exit code 3 where something differs."""
    _verify(projections, home, active=active, as_json=as_json)


@replay.command(cls=ClusterCommand)
@NAMES
@HOME
@AS_JSON
def diff(projections: tuple[str, ...], home: Path | None, *, as_json: bool) -> None:
    """Show what a switch would change for readers."""
    columns = [
        "projection", "table", "was", "would_be", "rows_removed", "rows_added", "rows_changed",
        "columns_removed", "columns_added", "columns_changed", "examples",
    ]  # fmt: skip
    show_rows(_patiently(home, lambda database: compare(database, projections)), columns, as_json=as_json)


@replay.command(cls=ClusterCommand)
@NAMES
@HOME
@AS_JSON
def switch(projections: tuple[str, ...], home: Path | None, *, as_json: bool) -> None:
    """Let the new, verified generations serve."""
    _switch(switching.switch, projections, home, as_json=as_json)


@replay.command(cls=ClusterCommand)
@NAMES
@HOME
@AS_JSON
def rollback(projections: tuple[str, ...], home: Path | None, *, as_json: bool) -> None:
    """Let the generations serve that served before."""
    _switch(switching.rollback, projections, home, as_json=as_json)


@replay.command(cls=ClusterCommand)
@NAMES
@click.option("--snapshots", is_flag=True, help="Drop the snapshots as well.")
@HOME
@AS_JSON
def drop(projections: tuple[str, ...], home: Path | None, *, snapshots: bool, as_json: bool) -> None:
    """Take away the generations that stand by; after this there is no way back to them but a new run."""
    dropped = operate(home, lambda ledger: switching.drop(ledger.database, projections, snapshots=snapshots))
    show_rows(dropped, ["projection", "generation", "state"], as_json=as_json, empty="Nothing stands by.")


@replay.command(cls=ClusterCommand)
@HOME
@AS_JSON
def snapshot(home: Path | None, *, as_json: bool) -> None:
    """Freeze copies of the verified generations that serve; later runs of the same code begin with them."""
    position = _patiently(home, take)
    rows = [{"partition": partition, "position": offset} for partition, offset in sorted(position.items())]
    show_rows(rows, ["partition", "position"], as_json=as_json)


# --- work ---------------------------------------------------------------------------------------


def _run(request: claim.Request, home: Path | None, *, as_json: bool) -> None:
    _yield_to_others()

    async def work(settings: Settings) -> runs.Run | None:
        async with opened(settings, build.LONG_STATEMENT) as ledger:
            job = build.Build(ledger.database, _source(ledger), request, settings.replay_bytes)
            with progress("building") as show:
                await _beside(
                    job.complete(),
                    lambda: show(job.progress.done, job.progress.total, job.progress.resting or job.progress.state),
                )
            return await runs.latest(ledger.database)

    try:
        found = complete(home, work)
    except KeyboardInterrupt:
        raise TaskledgerError("Interrupted: `taskledger replay resume` goes on from the last checkpoint.") from None
    if found and as_json:
        show_object({name: getattr(found, name) for name in RUN_COLUMNS}, as_json=True)
    elif found:
        seconds = (found.ended_at - found.started_at).total_seconds() if found.ended_at else 0.0
        built = ", ".join(found.projections)
        click.echo(f"Run {found.id} built {built} from {found.events_done:,} events in {_duration(seconds)}.")


def _verify(projections: tuple[str, ...], home: Path | None, *, active: bool, as_json: bool) -> None:
    _yield_to_others()

    async def work(settings: Settings) -> Sequence[Verified]:
        async with opened(settings, build.LONG_STATEMENT) as ledger:
            verifier = Verifier(ledger.database, _source(ledger), settings.replay_bytes)
            with progress("verifying") as show:
                return await _beside(
                    verifier.verify(projections, active=active), lambda: show(verifier.done, verifier.total)
                )

    results = complete(home, work)
    if as_json:
        show_rows(results, [], as_json=True)
    else:
        columns = ["projection", "generation", "rows", "events", "differing_checksums"]
        show_rows(results, columns, as_json=False)
        differences = [one for result in results for one in result.differences]
        show_rows(
            differences, ["table", "key", "problem", "columns"], as_json=False, empty="Every row is what the log says."
        )
    if not all(one.is_equal for one in results):
        raise SystemExit(DIFFERENT)


def _switch(
    work: Callable[[Database, tuple[str, ...]], Coroutine[Any, Any, Sequence[switching.Switched]]],
    projections: tuple[str, ...],
    home: Path | None,
    *,
    as_json: bool,
) -> None:
    done = operate(home, lambda ledger: work(ledger.database, projections))
    show_rows(done, ["projection", "was", "now"], as_json=as_json)


def _patiently(home: Path | None, work: Callable[[Database], Coroutine[Any, Any, T]]) -> T:
    """Do what may take PostgreSQL longer than an ordinary statement."""

    async def connected(settings: Settings) -> T:
        async with Database(settings.postgres or "", 2, statement_timeout=build.LONG_STATEMENT) as database:
            return await work(database)

    return complete(home, connected)


def _source(ledger: Ledger) -> build.Source:
    settings = ledger.settings
    return build.Source(ledger.log, settings.kafka or "", settings.topic_prefix + EVENTS)


async def _beside(work: Coroutine[Any, Any, T], look: Callable[[], None]) -> T:
    """Do some work, and look at it four times a second."""
    task = asyncio.ensure_future(work)
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=LOOK_SECONDS)
            look()
        return task.result()
    finally:
        task.cancel()
        await asyncio.wait({task})


def _yield_to_others() -> None:
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _size(count: int) -> str:
    return f"{count / 1024**2:,.0f} MiB"
