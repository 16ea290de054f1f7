"""The table of accepted events."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from projections.batch import TASK

metadata = sa.MetaData(schema="task_history")

task_history = sa.Table(
    "task_history",
    metadata,
    sa.Column("task_id", postgresql.UUID, primary_key=True, info=TASK),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("event_id", postgresql.UUID, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("time", sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("command_id", postgresql.UUID, nullable=False),
    sa.Column("command_hash", sa.Text, nullable=True, comment="set where the client sent an Idempotency-Key"),
    sa.Column("repairs", sa.TIMESTAMP(timezone=True), nullable=True, comment="in a repair: when the task was created"),
    sa.Column("data", postgresql.JSONB, nullable=False, comment="the event's data, in the newest revision"),
    sa.Column("partition", sa.Integer, nullable=False),
    sa.Column("log_offset", sa.BigInteger, nullable=False),
)
sa.Index(
    "task_history_command",
    task_history.c.command_id,
    postgresql_where=task_history.c.command_hash.is_not(None),
)
