"""`taskledger positions` and `taskledger lag`."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import click
import msgspec
from rich.console import Console
from rich.live import Live

from app.cli.operation import operate
from app.cli.options import AS_JSON, HOME
from app.cli.output import plain_lines, show_line, show_rows, table
from projections.lag import PartitionLag, measure, standings, totals

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any

    from app.cli.operation import Ledger

POSITIONS = ["projection", "generation", "state", "partition", "position", "beginning", "end", "updated_at"]
LAG = ["projection", "generation", "partition", "position", "end", "events", "seconds"]
WATCH_INTERVAL = 1.0


@click.command()
@AS_JSON
@HOME
def positions(home: Path | None, *, as_json: bool) -> None:
    """Show how far each projection has come, and where the log begins and ends.

    A position is the first offset that is not applied yet. Generations that are building stand elsewhere.
    """
    rows = operate(home, lambda ledger: standings(ledger.log, ledger.database))
    show_rows(rows, POSITIONS, as_json=as_json, empty="No projection: run `taskledger provision` first.")


@click.command()
@click.option("--watch", is_flag=True, help="Measure every second until Ctrl-C; with --json one object a line.")
@AS_JSON
@HOME
def lag(home: Path | None, *, watch: bool, as_json: bool) -> None:
    """Show how far the projections are behind the log, in events and in seconds.

    Events are records from the position to the end. Seconds are the age of the oldest accepted event among them, 0
    where there is none. The last line of a projection adds up events and has the longest time.
    """

    async def once(ledger: Ledger) -> None:
        _show(await measure(ledger.log, ledger.database), as_json=as_json)

    async def again(ledger: Ledger) -> None:
        if as_json or not sys.stdout.isatty():
            while True:
                await once(ledger)
                sys.stdout.flush()
                await asyncio.sleep(WATCH_INTERVAL)
        with Live(console=Console(), auto_refresh=False) as live:
            while True:
                live.update(table(_with_totals(await measure(ledger.log, ledger.database)), LAG), refresh=True)
                await asyncio.sleep(WATCH_INTERVAL)

    if watch:
        with suppress(KeyboardInterrupt):
            operate(home, again)
    else:
        operate(home, once)


def _show(lags: Sequence[PartitionLag], *, as_json: bool) -> None:
    if as_json:
        show_line({"partitions": lags, "totals": totals(lags)})
    elif sys.stdout.isatty():
        Console().print(table(_with_totals(lags), LAG))
    else:
        click.echo("\n".join(plain_lines(_with_totals(lags), LAG)))


def _with_totals(lags: Sequence[PartitionLag]) -> list[dict[str, Any]]:
    """Put behind the partitions of each projection a row for all of them."""
    rows: list[dict[str, Any]] = []
    for total in totals(lags):
        rows += [msgspec.structs.asdict(one) for one in lags if one.projection == total.projection]
        sums = {"partition": "all", "position": None, "end": None, "events": total.events, "seconds": total.seconds}
        rows.append(rows[-1] | sums)
    return rows
