"""The agent `project`: from the log into the read models."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from projections.engine import Engine
    from projections.read_model import PostgresReadModel

BATCH = 1000
"""Most records of one transaction."""
GATHER = 0.0
"""Seconds that a batch waits for more records; those that were fetched together come together."""


class Project:
    """The engine as a follower of the log; its positions are in Postgres."""

    name = "project"

    def __init__(self, engine: Engine, read_model: PostgresReadModel) -> None:
        """Take the engine, and what tells its positions."""
        self.apply = engine.apply
        self._read_model = read_model

    async def position(self, partition: int) -> int:
        """See Follower. Raises DatabaseUnavailable."""
        return (await self._read_model.positions())[partition]
