"""The table that the benchmarks end in."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Row(NamedTuple):
    """One line; what does not apply is empty."""

    what: str
    ours: str
    peer: str = ""
    theirs: str = ""
    ratio: str = ""
    bar: str = ""
    met: str = ""


TIMES = "\N{MULTIPLICATION SIGN}"
HEAD = Row("what", "Taskledger", "peer", "its figure", "ratio", "bar", "met")


class Versus(NamedTuple):
    """The figures of both sides, round by round."""

    unit: str
    ours: Sequence[float]
    peer: str
    theirs: Sequence[float]


def at_least(what: str, versus: Versus, bar: float) -> Row:
    """Compare where more is better."""
    ratio, row = _compare(what, versus)
    return row._replace(bar=f"≥ {bar:g} {TIMES}", met="yes" if ratio >= bar else "no")


def at_most(what: str, versus: Versus, bar: float) -> Row:
    """Compare where less is better."""
    ratio, row = _compare(what, versus)
    return row._replace(bar=f"≤ {bar:g} {TIMES}", met="yes" if ratio <= bar else "no")


def _compare(what: str, versus: Versus) -> tuple[float, Row]:
    """Take the median of the ratios of each round, whose measures were taken right after one another."""
    unit, ours, peer, theirs = versus
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    ratio = median(ratios)
    shown = f"{ratio:.2f} {TIMES} ({min(ratios):.2f} to {max(ratios):.2f})"
    return ratio, Row(what, f"{_figure(median(ours))} {unit}", peer, f"{_figure(median(theirs))} {unit}", shown)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def markdown(rows: Iterable[Row]) -> str:
    """Give the rows as a Markdown table."""
    lines = [_line(HEAD), _line(["---"] * len(HEAD)), *map(_line, rows)]
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
