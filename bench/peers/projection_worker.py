"""A worker with the project agent alone: `python -m bench.peers.projection_worker (lean|stock) NAME`.

The engine and the size of batches are Taskledger's either way. `lean` has what Taskledger changes in Faust, `stock` is
Faust as it comes: its `take`, its consumer, asyncio's own event loop. NAME becomes the consumer group; the rest comes
from the settings.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import faust
import uvloop
from yarl import URL

from agents.batches import add_agent
from agents.drain import LeanTransport
from agents.project import BATCH, GATHER, Project
from agents.worker import WorkerApp
from app.log.port import Batch
from app.log.topics import EVENTS
from app.settings import read_settings

WITHIN = 0.02
"""Seconds that the stock agent's batch waits for more records."""


def run(kind: str, name: str) -> None:
    """Work until SIGTERM."""
    settings = read_settings(os.environ)
    servers = [URL(f"kafka://{settings.kafka}")]
    stream_app = WorkerApp(
        settings,
        id=name,
        broker=servers,
        store="memory://",
        topic_partitions=settings.log_partitions,
        topic_allow_declare=False,
        topic_disable_leader=True,
        key_serializer="raw",
        value_serializer="raw",
        consumer_auto_offset_reset="earliest",
        web_enabled=False,
        datadir=str(settings.home / "faust"),
    )
    loop = uvloop.new_event_loop() if kind == "lean" else asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    if kind == "lean":
        stream_app.transport = LeanTransport(servers, stream_app, stream_app.loop)
    events = stream_app.topic(
        settings.topic_prefix + EVENTS, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw"
    )
    if kind == "lean":
        project = Project(stream_app.engine, stream_app.read_model)
        add_agent(stream_app, events, project, size=BATCH, gather=GATHER)
    else:
        add_stock_agent(stream_app, events)
    worker = faust.Worker(stream_app, loop=loop, override_logging=False, redirect_stdouts=False, quiet=True)
    worker.execute_from_commandline()


def add_stock_agent(stream_app: WorkerApp, events: faust.TopicT) -> None:
    """Project as Faust's guide shows it: take a batch, work on it."""

    @stream_app.agent(events, name="project", isolated_partitions=True)
    async def project(stream: Any) -> None:
        async for taken in stream.take_events(BATCH, within=WITHIN):
            messages = [event.message for event in taken]
            await stream_app.engine.apply(Batch(messages[0].partition, messages))


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2])
