"""The agent `project`: from the log into the read models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.batches import add_batch_agent

if TYPE_CHECKING:
    import faust

    from projections.engine import Engine

BATCH = 1000
"""Most records of one transaction."""
WITHIN = 0.02
"""Seconds that a batch waits for more records; half of it, on average, is how much later a change can be seen."""


def add_project_agent(stream_app: faust.App, events: faust.TopicT, engine: Engine) -> None:
    """Let the worker project."""
    add_batch_agent(stream_app, events, "project", size=BATCH, within=WITHIN, work=engine.apply)
