"""The worker: the only Faust app, and what its agents work with."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import faust
from yarl import URL

from agents import insight as insight_agent
from agents import project as project_agent
from agents import publish as publish_agent
from agents.batches import add_agent
from agents.drain import LeanTransport
from agents.insight import counter, insight_tables
from agents.pages import add_pages
from agents.project import Project
from agents.publish import publisher
from app.domain.errors import Unavailable
from app.log.kafka import KafkaLog
from app.log.topics import EVENTS, WORKER_GROUP
from projections.database import Database
from projections.engine import Engine
from projections.read_model import PostgresReadModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agents.batches import Follower
    from app.settings import Settings

logger = logging.getLogger(__name__)

STUCK_CHECK = 5.0
"""Seconds between two looks for partitions that do not move."""


class WorkerApp(faust.App):
    """A Faust app that opens the log and the database before its agents start."""

    def __init__(self, settings: Settings, **options: Any) -> None:
        """Build the parts; nothing is connected yet."""
        self.ledger_log = KafkaLog(settings.kafka or "", settings.topic_prefix + EVENTS, settings.log_partitions)
        self.database = Database(settings.postgres or "", settings.database_connections)
        self.engine = Engine(self.database, self.ledger_log)
        self.read_model = PostgresReadModel(self.database)
        self._opened = AsyncExitStack()
        self.recovered = False
        """Whether the agents have had their partitions, and the tables their contents, once."""
        super().__init__(**options)

    async def on_start(self) -> None:
        """Connect. Raises LogUnavailable; the process then ends, and is started anew."""
        await super().on_start()
        await self._opened.enter_async_context(self.database)
        await self._opened.enter_async_context(self.ledger_log)

    async def on_started(self) -> None:
        """Begin to serve, which Faust does once the tables are recovered."""
        await super().on_started()
        self.recovered = True

    async def on_stop(self) -> None:
        """Disconnect."""
        await super().on_stop()
        await self._opened.aclose()


def build_worker(settings: Settings, scratch: str) -> WorkerApp:
    """Make the app with its agents, tables and pages; `scratch` is a folder that Faust wants and leaves empty."""
    servers = [URL(f"kafka://{server}") for server in (settings.kafka or "").split(",")]
    stream_app = WorkerApp(
        settings,
        id=settings.topic_prefix + WORKER_GROUP,
        broker=servers,
        store="memory://",
        topic_partitions=settings.log_partitions,
        topic_replication_factor=settings.replicas,
        topic_allow_declare=False,
        topic_disable_leader=True,
        key_serializer="raw",
        value_serializer="raw",
        consumer_auto_offset_reset="earliest",
        broker_session_timeout=10.0,
        broker_heartbeat_interval=2.0,
        stream_wait_empty=False,
        web_bind=settings.host,
        web_host=settings.host,
        web_port=settings.worker_port,
        datadir=scratch,
    )
    stream_app.transport = LeanTransport(servers, stream_app, stream_app.loop)
    events = stream_app.topic(
        settings.topic_prefix + EVENTS, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw"
    )
    tables = insight_tables(stream_app)
    project = Project(stream_app.engine, stream_app.read_model)
    publish = publisher(stream_app, stream_app.ledger_log, settings.topic_prefix)
    insight = counter(stream_app.ledger_log, tables)
    add_agent(stream_app, events, project, size=project_agent.BATCH, gather=project_agent.GATHER)
    add_agent(stream_app, events, publish, size=publish_agent.BATCH, gather=publish_agent.GATHER)
    add_agent(stream_app, events, insight, size=insight_agent.BATCH, gather=insight_agent.GATHER)
    add_pages(stream_app, events, tables)
    stream_app.task(partial(watch_for_holes, stream_app, events, (project, publish, insight)))
    return stream_app


async def watch_for_holes(stream_app: WorkerApp, events: faust.TopicT, followers: Sequence[Follower]) -> None:
    """Fill what no batch will ever reveal: records that Faust has committed and that no newer one follows."""
    before: dict[tuple[str, int], int] = {}
    while not stream_app.should_stop:
        await stream_app.sleep(STUCK_CHECK)
        assigned = [tp.partition for tp in stream_app.consumer.assignment() if tp.topic == events.get_topic_name()]
        try:
            ends = await stream_app.ledger_log.ends()
            for follower in followers:
                for partition in assigned:
                    at = await follower.position(partition)
                    if at < ends[partition] and at == before.get((follower.name, partition)):
                        await _fill(stream_app, follower, partition, at, ends[partition])
                    before[follower.name, partition] = at
        except Unavailable as error:
            logger.warning("cannot look for holes", extra={"reason": error.detail})


async def _fill(stream_app: WorkerApp, follower: Follower, partition: int, start: int, stop: int) -> None:
    logger.warning("a partition stands still", extra={"agent": follower.name, "partition": partition, "at": start})
    async for batch in stream_app.ledger_log.read(partition, start, stop):
        await follower.apply(batch)
