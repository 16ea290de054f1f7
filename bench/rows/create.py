"""Measure how many tasks a second 64 clients can make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.generator import Spec
from bench.rounds import in_turns
from bench.system import generate, output_of, running_peer
from bench.table import Row, Versus, at_least

if TYPE_CHECKING:
    from bench.rounds import Effort
    from bench.system import System

BARS = {"aiohttp + asyncpg": 1.5, "FastAPI + asyncpg": 3.5, "eventsourcing, in process": 5.0}


def measure(system: System, effort: Effort) -> list[Row]:
    """Compare with all three peers."""
    url = system.new_database("create")

    def over_http(port: int) -> float:
        return generate(Spec(port=port, kind="create", seconds=effort.seconds)).rate

    with running_peer("aiohttp_asyncpg", url) as aiohttp, running_peer("fastapi_asyncpg", url) as fastapi:
        sides = {
            "Taskledger": lambda: over_http(system.port),
            "aiohttp + asyncpg": lambda: over_http(aiohttp),
            "FastAPI + asyncpg": lambda: over_http(fastapi),
            "eventsourcing, in process": lambda: float(
                output_of("bench.peers.eventsourcing_postgres", url, str(effort.seconds))
            ),
        }
        figures = in_turns(system, effort.rounds, sides)
    what = "creates per second, 64 connections"
    ours = figures["Taskledger"]
    return [at_least(what, Versus("/s", ours, peer, figures[peer]), bar) for peer, bar in BARS.items()]
