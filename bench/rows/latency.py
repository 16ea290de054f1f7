"""Measure how long one client waits for a new task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.generator import Spec
from bench.rounds import in_turns
from bench.system import generate, running_peer
from bench.table import Row, Versus, at_most

if TYPE_CHECKING:
    from bench.rounds import Effort
    from bench.system import System

WHAT = "create latency, one connection, p50"
PEER = "FastAPI + asyncpg"


def measure(system: System, effort: Effort) -> list[Row]:
    """Compare with FastAPI."""

    def p50(port: int) -> float:
        return generate(Spec(port=port, kind="create", connections=1, seconds=effort.seconds)).p50 * 1000

    with running_peer("fastapi_asyncpg", system.new_database("latency")) as fastapi:
        sides = {"Taskledger": lambda: p50(system.port), PEER: lambda: p50(fastapi)}
        ours, theirs = in_turns(system, effort.rounds, sides).values()
    return [at_most(WHAT, Versus("ms", ours, PEER, theirs), 2.5)]
