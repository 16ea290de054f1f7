"""`taskledger log`: look into the log."""

from __future__ import annotations

import sys
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from app.cli.operation import operate
from app.cli.options import AS_JSON, HOME
from app.cli.output import cell, progress, show_line
from app.domain.envelope import KINDS
from app.domain.errors import ConfigurationError
from app.domain.history import Verdict
from app.log.entries import read_entries, records_between, tail_entries
from app.log.positions import EXAMPLES, resolve

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping
    from pathlib import Path

    from app.cli.operation import Ledger
    from app.log.entries import Entry

COLOURS = {Verdict.VOID.value: "yellow", Verdict.POISON.value: "red", Verdict.PARKED.value: "magenta"}
WIDTHS = {"partition": 9, "offset": 10, "time": 24, "type": 14, "task": 36, "version": 7, "verdict": 8, "actor": 0}
RIGHT = ("partition", "offset", "version")

TASK = click.option("--task", "task_id", type=click.UUID, help="Only this task's records; their verdicts are exact.")
PARTITION = click.option("--partition", type=click.IntRange(0), help="Only this partition.")
LIMIT = click.option("--limit", type=click.IntRange(1), help="Stop after so many records.")
TYPE = click.option("--type", "kind", type=click.Choice(list(KINDS)), help="Only events of this type.")
DATA = click.option("--data", "with_data", is_flag=True, help="Print what the events say, task texts among it.")
FROM = click.option("--from", "start", default="beginning", show_default=True, help="Position to begin at.")
TO = click.option("--to", "stop", default="end", show_default=True, help="Position to end before.")


@click.group()
def log() -> None:
    """Look into the log: every record with what it came to.

    The verdict is accepted, void (it lost its version to an earlier record), poison (it cannot be applied) or parked
    (it waits behind poison). It is ? where the reading does not begin at the beginning of the log.

    A position is: beginning, end, offset:0=12,3=7, a consistency token such as 0:12,3:7, a time such as
    2026-03-01T12:00:00Z, -1000 (so many records before the end of each partition), -30m, -2h or -7d.
    Partitions that a position does not name are left out.
    """


@log.command("read")
@FROM
@TO
@TASK
@PARTITION
@TYPE
@LIMIT
@DATA
@AS_JSON
@HOME
def read_command(home: Path | None, **options: Any) -> None:
    """Print the records of a range, one partition after the other; with --json one object a line."""
    _scan(home, **options)


@log.command()
@click.argument("what")
@FROM
@TO
@PARTITION
@LIMIT
@DATA
@AS_JSON
@HOME
def find(what: str, home: Path | None, **options: Any) -> None:
    """Find the records of an event id, a command id or an actor; with --json one object a line."""
    _scan(home, matches=_matcher(what), task_id=None, kind=None, **options)


@log.command()
@click.option("--from", "start", default="end", show_default=True, help="Position to begin at, such as -10.")
@TASK
@PARTITION
@TYPE
@LIMIT
@DATA
@AS_JSON
@HOME
def tail(
    home: Path | None,
    *,
    start: str,
    task_id: UUID | None,
    partition: int | None,
    kind: str | None,
    limit: int | None,
    with_data: bool,
    as_json: bool,
) -> None:
    """Print records as they come, until Ctrl-C; with --json one object a line."""

    async def follow(ledger: Ledger) -> None:
        first = _only(await resolve(ledger.log, start), partition)
        entries = tail_entries(ledger.log, first, task_id=task_id, with_data=with_data)
        await _print(entries, lambda entry: kind in (None, entry.type), limit, as_json=as_json)

    with suppress(KeyboardInterrupt):
        operate(home, follow)


def _scan(
    home: Path | None,
    *,
    start: str,
    stop: str,
    task_id: UUID | None,
    partition: int | None,
    kind: str | None,
    limit: int | None,
    with_data: bool,
    as_json: bool,
    matches: Callable[[Entry], bool] = lambda _: True,
) -> None:
    """Print what is wanted of a range, and say so where there is nothing."""

    async def scan(ledger: Ledger) -> int:
        first = _only(await resolve(ledger.log, start), partition)
        last = _only(await resolve(ledger.log, stop), partition)
        total = await records_between(ledger.log, first, last, task_id)
        with progress("Reading", total) as done:
            entries = read_entries(ledger.log, first, last, task_id=task_id, with_data=with_data, done=done)
            return await _print(
                entries, lambda entry: kind in (None, entry.type) and matches(entry), limit, as_json=as_json
            )

    if not operate(home, scan):
        click.echo("No such record in this range.", err=True)


def _only(position: Mapping[int, int], partition: int | None) -> Mapping[int, int]:
    if partition is None:
        return position
    if partition not in position:
        raise ConfigurationError(f"The position names no partition {partition}: {_named(position)}.")
    return {partition: position[partition]}


def _named(position: Mapping[int, int]) -> str:
    return f"it names {cell(list(position))}" if position else f"give {EXAMPLES}"


def _matcher(what: str) -> Callable[[Entry], bool]:
    """Give what tells the entries of an id or an actor."""
    try:
        wanted = UUID(what)
    except ValueError:
        return lambda entry: entry.actor == what
    return lambda entry: wanted in (entry.event_id, entry.command_id)


async def _print(
    entries: AsyncGenerator[Entry], wanted: Callable[[Entry], bool], limit: int | None, *, as_json: bool
) -> int:
    count = 0
    async with aclosing(entries):
        async for entry in entries:
            if not wanted(entry):
                continue
            if as_json:
                show_line(entry)
            else:
                if not count:
                    click.echo(_columns({name: name for name in WIDTHS}))
                click.echo(_line(entry))
            sys.stdout.flush()
            count += 1
            if count == limit:
                break
    return count


def _line(entry: Entry) -> str:
    values = {name: cell(entry.task_id if name == "task" else getattr(entry, name)) for name in WIDTHS}
    line = _columns(values)
    if entry.repair or entry.reason:
        line += f"  ({'repair' if entry.repair else entry.reason})"
    if entry.data is not None:
        line += f"\n    {entry.data if isinstance(entry.data, str) else bytes(entry.data).decode()}"
    return click.style(line, fg=COLOURS.get(entry.verdict))


def _columns(values: Mapping[str, str]) -> str:
    return "  ".join(
        f"{values[name]:>{width}}" if name in RIGHT else f"{values[name]:<{width}}" for name, width in WIDTHS.items()
    )
