"""Measures taken in turns, so that whatever else slows the machine down meets all sides."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bench.system import System


class Effort(NamedTuple):
    """How long to measure."""

    rounds: int
    seconds: float
    tasks: int
    """Tasks for the memory row."""
    events: int
    """Events for the projection row."""


FULL = Effort(rounds=3, seconds=6, tasks=200_000, events=60_000)
QUICK = Effort(rounds=2, seconds=2, tasks=20_000, events=10_000)


def in_turns(system: System, rounds: int, sides: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Measure every side once a round, with nothing of the one before still going on."""
    figures: dict[str, list[float]] = defaultdict(list)
    for number in range(rounds):
        for name, measure in sides.items():
            system.settle()
            figure = measure()
            figures[name].append(figure)
            system.console.log(f"round {number + 1} of {rounds}: {name}: {figure:,.2f}")
    system.settle()
    return figures
