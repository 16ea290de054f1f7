"""Measure how many events a second one worker brings into PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

import msgspec

from app.domain.envelope import Event, encode, encode_key
from app.domain.task import TaskCompleted, TaskCreated, TaskUpdated
from app.embedded.broker import PARTITIONS
from app.embedded.home import free_port
from app.log.kafka import KafkaLog
from app.log.port import partition_of
from app.log.topics import EVENTS
from app.settings import Settings
from bench.rounds import in_turns
from bench.system import BenchError, started
from bench.table import Row, Versus, at_least
from projections.database import Database
from projections.provision import provision
from projections.read_model import PostgresReadModel

if TYPE_CHECKING:
    from uuid import UUID

    from app.domain.task import Change
    from bench.rounds import Effort
    from bench.system import System

PEER = "stock Faust, the same agent and batches"
WHAT = "live projection, events per second, project agent alone"
WHOLE = "the same, whole worker: project, publish and insight"
CHUNK = 2000
"""Records that wait for their acknowledgement at once while the log is filled."""
WORK_SECONDS = 300
POLL_SECONDS = 0.05


def measure(system: System, effort: Effort) -> list[Row]:
    """Let workers fold the same log from its beginning, each into a database of its own."""
    settings = Settings(
        home=system.home,
        kafka=system.kafka,
        postgres=system.new_database("projection"),
        topic_prefix=f"bench-{uuid4().hex[:8]}-",
        partitions=PARTITIONS,
        replication=1,
    )
    asyncio.run(provision(settings))
    asyncio.run(_fill(settings, effort.events))

    def rate(*command: str) -> float:
        fresh = msgspec.structs.replace(settings, postgres=system.new_database("projection"))
        asyncio.run(provision(fresh))
        name = f"bench-{uuid4().hex[:8]}"
        with started(["-m", *(part.format(name=name) for part in command)], env=_environment(fresh)):
            return asyncio.run(_rate(fresh))

    module = "bench.peers.projection_worker"
    sides = {"Taskledger": lambda: rate(module, "lean", "{name}"), PEER: lambda: rate(module, "stock", "{name}")}
    ours, theirs = in_turns(system, effort.rounds, sides).values()
    whole = rate("app.cli", "worker")
    return [at_least(WHAT, Versus("/s", ours, PEER, theirs), 2.0), Row(WHOLE, f"{whole:,.0f} /s")]


def _environment(settings: Settings) -> dict[str, str]:
    names = ("home", "kafka", "postgres", "topic_prefix", "partitions", "replication")
    own = {f"TASKLEDGER_{name.upper()}": str(getattr(settings, name)) for name in names}
    return {**os.environ, **own, "TASKLEDGER_LOG_LEVEL": "warning", "TASKLEDGER_WORKER_PORT": str(free_port())}


async def _fill(settings: Settings, count: int) -> None:
    """Write tasks that are created, renamed and completed, one after another within each round."""
    changes: list[Change] = [
        TaskCreated(title="Order paper", description="Two boxes.", priority=1, due_at=None, tags=["office"]),
        TaskUpdated(title="Order paper and ink"),
        TaskCompleted(),
    ]
    async with KafkaLog(settings.kafka or "", settings.topic_prefix + EVENTS, PARTITIONS) as log:
        for _ in range(0, count, CHUNK * len(changes)):
            tasks = [uuid4() for _ in range(min(CHUNK, count // len(changes)))]
            for version, change in enumerate(changes, start=1):
                await asyncio.gather(*(_append(log, task, version, change) for task in tasks))


async def _append(log: KafkaLog, task: UUID, version: int, change: Change) -> None:
    event = Event(
        id=uuid4(),
        task_id=task,
        version=version,
        time=datetime.now(UTC),
        actor="bench",
        command_id=uuid4(),
        change=change,
    )
    key = encode_key(task)
    await log.append(partition_of(key, PARTITIONS), key, encode(event), None)


async def _rate(settings: Settings) -> float:
    """Give the events a second between the first batch that is in PostgreSQL and the last."""
    async with (
        KafkaLog(settings.kafka or "", settings.topic_prefix + EVENTS, PARTITIONS) as log,
        Database(settings.postgres or "", connections=1) as database,
    ):
        end = sum((await log.ends()).values())
        read_model = PostgresReadModel(database)
        deadline = time.monotonic() + WORK_SECONDS
        first = begun = 0.0
        while time.monotonic() < deadline:
            done = sum((await read_model.positions()).values())
            now = time.perf_counter()
            if done and not first:
                first, begun = done, now
            if done == end:
                return (done - first) / (now - begun)
            await asyncio.sleep(POLL_SECONDS)
    raise BenchError(f"the worker projected {done} of {end} events in {WORK_SECONDS} s")
