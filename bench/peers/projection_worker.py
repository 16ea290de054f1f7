"""A worker with the project agent alone: `python -m bench.peers.projection_worker (lean|stock) NAME`.

Agent, engine and batches are Taskledger's either way. `lean` adds what Taskledger changes in Faust, `stock` is
Faust as it comes, on asyncio's own event loop. NAME becomes the consumer group; the rest comes from the settings.
"""

from __future__ import annotations

import asyncio
import os
import sys

import faust
import uvloop
from yarl import URL

from agents.drain import LeanTransport
from agents.project import add_project_agent
from agents.worker import WorkerApp
from app.log.topics import EVENTS
from app.settings import read_settings


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
    if kind == "lean":
        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
        stream_app.transport = LeanTransport(servers, stream_app, stream_app.loop)
    events = stream_app.topic(
        settings.topic_prefix + EVENTS, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw"
    )
    add_project_agent(stream_app, events, stream_app.engine)
    faust.Worker(stream_app, override_logging=False, redirect_stdouts=False, quiet=True).execute_from_commandline()


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2])
