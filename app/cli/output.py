"""What operators see: tables on a terminal, plain columns in a pipe, JSON for machines; progress on standard error.

Rows are structs or mappings. JSON has all of their fields, a table the chosen ones. JSON numbers are numbers, times
are RFC 3339, and bytes are base64.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

import click
import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Row: TypeAlias = msgspec.Struct | Mapping[str, object]

STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}
"""Colours of cells that hold just such a word."""
NOTHING = "-"


def show_rows(rows: Sequence[Row], columns: Sequence[str], *, as_json: bool, empty: str = "Nothing.") -> None:
    """Print rows as one JSON array, or as a table of some of their fields; `empty` is said where there is none."""
    if as_json:
        click.echo(to_json(rows))
    elif not rows:
        click.echo(empty)
    elif sys.stdout.isatty():
        Console().print(table(rows, columns))
    else:
        click.echo("\n".join(plain_lines(rows, columns)))


def show_object(fields: Row, *, as_json: bool) -> None:
    """Print one object as JSON, or as lines of a name and its value."""
    if as_json:
        click.echo(to_json(fields))
        return
    values = _fields(fields)
    width = max(map(len, values), default=0)
    for name, value in values.items():
        click.echo(f"{_heading(name):<{width}}  {cell(value)}")


def show_line(fields: Row) -> None:
    """Print one object of a stream as one line of JSON."""
    click.echo(to_json(fields))


def to_json(value: object) -> str:
    """Give compact JSON."""
    return msgspec.json.encode(value, enc_hook=str).decode()


def cell(value: object, *, grouped: bool = False) -> str:
    """Write a value for people; `grouped` parts the thousands of whole numbers."""
    match value:
        case None | "" | () | []:
            text = NOTHING
        case bool():
            text = "yes" if value else "no"
        case int():
            text = f"{value:,}" if grouped else str(value)
        case float():
            text = f"{value:,.1f}" if grouped else f"{value:.1f}"
        case datetime():
            text = value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        case list() | tuple():
            text = ", ".join(cell(one, grouped=grouped) for one in value)
        case bytes():
            text = value.decode(errors="replace")
        case _:
            text = str(value)
    return text


def table(rows: Sequence[Row], columns: Sequence[str]) -> Table:
    """Lay rows out for a terminal."""
    result = Table(box=SIMPLE_HEAD, pad_edge=False)
    fields = [_fields(row) for row in rows]
    for name in columns:
        right = _is_numeric([row[name] for row in fields])
        result.add_column(_heading(name), justify="right" if right else "left", overflow="fold")
    for row in fields:
        texts = [cell(row[name], grouped=True) for name in columns]
        result.add_row(*(Text(text, style=STYLES.get(text, "")) for text in texts))
    return result


def plain_lines(rows: Sequence[Row], columns: Sequence[str]) -> list[str]:
    """Lay rows out in columns of spaces, whatever the width of anything; the first line names them."""
    fields = [_fields(row) for row in rows]
    texts = [[_heading(name) for name in columns], *([cell(row[name]) for name in columns] for row in fields)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    right = [_is_numeric([row[name] for row in fields]) for name in columns]
    return [
        "  ".join(
            f"{text:>{width}}" if numeric else f"{text:<{width}}"
            for text, width, numeric in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in texts
    ]


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Callable[..., None]]:
    """Show how far some work is, on standard error where that is a terminal.

    Yields a function `show(done, total=None, what=None)`; what is None stays as it was.
    """
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    shared = sys.stdout.isatty()  # else what is printed must go its own way, and not through the bar's console
    with Progress(
        *columns, console=console, transient=True, redirect_stdout=shared, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(what, total=total)

        def show(done: int, total: int | None = None, what: str | None = None) -> None:
            bar.update(task, completed=done, total=total, description=what)

        yield show


def _fields(row: Row) -> Mapping[str, object]:
    return msgspec.structs.asdict(row) if isinstance(row, msgspec.Struct) else row


def _heading(name: str) -> str:
    return name.replace("_", " ")


def _is_numeric(values: Sequence[object]) -> bool:
    return any(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
