"""Measure how many conditional changes a second 64 clients can make to 1,000 tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.generator import Spec
from bench.rounds import in_turns
from bench.system import generate, running_peer
from bench.table import Row, Versus, at_least

if TYPE_CHECKING:
    from bench.rounds import Effort
    from bench.system import System

WHAT = "conditional updates per second, 64 connections, 1,000 tasks"
PEER = "aiohttp + asyncpg `UPDATE … WHERE version`"


def measure(system: System, effort: Effort) -> list[Row]:
    """Compare with an UPDATE on the version."""

    def rate(port: int) -> float:
        return generate(Spec(port=port, kind="update", seconds=effort.seconds)).rate

    with running_peer("aiohttp_asyncpg", system.new_database("update")) as aiohttp:
        sides = {"Taskledger": lambda: rate(system.port), PEER: lambda: rate(aiohttp)}
        ours, theirs = in_turns(system, effort.rounds, sides).values()
    return [at_least(WHAT, Versus("/s", ours, PEER, theirs), 1.2)]
