"""Measure how long after its answer a change is in PostgreSQL, at 500 changes a second."""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import TYPE_CHECKING

import uvloop

from app.domain.errors import TaskledgerError
from app.log.port import parse_position
from bench.generator import CREATE
from bench.http_connection import Connection, connect, header
from bench.system import BenchError
from bench.table import Row
from projections.database import Database
from projections.read_model import PostgresReadModel

if TYPE_CHECKING:
    from bench.rounds import Effort
    from bench.system import System

RATE = 500
CONNECTIONS = 50
POLL_SECONDS = 0.002
"""Pause between two looks at the positions; a change counts as visible when the look that found it came back."""
ANSWER_SECONDS = 30
LAST_SECONDS = 30


def measure(system: System, effort: Effort) -> list[Row]:
    """Report the delays of creates sent at an even rate."""
    system.settle()
    try:
        delays = uvloop.run(_run(system, effort.seconds * effort.rounds))
    except* (BenchError, TaskledgerError, OSError) as group:
        raise BenchError(str(group.exceptions[0])) from group
    cuts = statistics.quantiles(delays, n=100)
    system.console.log(f"{len(delays)} changes")
    what = f"answer to visible in PostgreSQL at {RATE} changes a second, p50 / p99"
    return [Row(what, f"{cuts[49] * 1000:.0f} / {cuts[98] * 1000:.0f} ms")]


async def _run(system: System, seconds: float) -> list[float]:
    answered: list[tuple[float, dict[int, int]]] = []
    connections = await connect(system.port, CONNECTIONS)
    begin = time.perf_counter() + 0.1
    async with Database(system.postgres, connections=1) as database, asyncio.TaskGroup() as group:
        sending = [
            group.create_task(_send(connection, answered, begin + place / RATE, begin + seconds))
            for place, connection in enumerate(connections)
        ]
        watching = group.create_task(_watch(PostgresReadModel(database), answered, sending))
    for connection in connections:
        connection.close()
    return watching.result()


class _Once:
    """Sends one create and keeps when its answer came, and the position that includes it."""

    def __init__(self, answers: list[tuple[float, dict[int, int]]]) -> None:
        self.problem: str | None = None
        self._requests = [CREATE]
        self._answers = answers

    def request(self) -> bytes | None:
        return self._requests.pop() if self._requests else None

    def answered(self, status: int, head: bytes, body: bytes, _: float) -> None:
        if status != 201:
            self.problem = f"answered {status}: {body[:200].decode(errors='replace')}"
            return
        token = header(head, b"consistency-token") or b""
        self._answers.append((time.perf_counter(), parse_position(token.decode())))


async def _send(connection: Connection, answers: list[tuple[float, dict[int, int]]], at: float, end: float) -> None:
    while at < end:
        await asyncio.sleep(max(0.0, at - time.perf_counter()))
        once = _Once(answers)
        await asyncio.wait_for(connection.begin(once), ANSWER_SECONDS)
        if once.problem:
            raise BenchError(once.problem)
        at += CONNECTIONS / RATE


async def _watch(
    read_model: PostgresReadModel,
    pending: list[tuple[float, dict[int, int]]],
    sending: list[asyncio.Task[None]],
) -> list[float]:
    delays: list[float] = []
    deadline = None
    while pending or not all(task.done() for task in sending):
        positions = await read_model.positions()
        now = time.perf_counter()
        left = []
        for answered, wanted in pending:
            if all(positions[partition] >= offset for partition, offset in wanted.items()):
                delays.append(max(0.0, now - answered))
            else:
                left.append((answered, wanted))
        pending[:] = left
        if all(task.done() for task in sending):
            deadline = deadline or now + LAST_SECONDS
            if now > deadline:
                raise BenchError(f"{len(pending)} changes did not become visible in {LAST_SECONDS} s")
        await asyncio.sleep(POLL_SECONDS)
    return delays
