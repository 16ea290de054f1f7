"""The table of tasks, and that of the records that could not be applied: together the state that the rule judges by."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from projections.batch import CLEARED, TASK

metadata = sa.MetaData(schema="task")

task = sa.Table(
    "task",
    metadata,
    sa.Column("id", postgresql.UUID, primary_key=True, info=TASK),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False, comment="open, completed or deleted"),
    sa.Column("priority", sa.SmallInteger, nullable=False),
    sa.Column("due_at", sa.TIMESTAMP(timezone=True), nullable=True),
    sa.Column("tags", postgresql.ARRAY(sa.Text), nullable=False),
    sa.Column("created_at", sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column("updated_at", sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column("completed_at", sa.TIMESTAMP(timezone=True), nullable=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("log_offset", sa.BigInteger, nullable=False, comment="the last event of the task that is in this row"),
)

_shown = task.c.status != sa.literal_column("'deleted'")
sa.Index("task_newest", task.c.created_at.desc(), task.c.id.desc(), postgresql_where=_shown)
sa.Index("task_newest_by_status", task.c.status, task.c.created_at.desc(), task.c.id.desc(), postgresql_where=_shown)
sa.Index("task_tags", task.c.tags, postgresql_using="gin")

dead_letter = sa.Table(
    "dead_letter",
    metadata,
    sa.Column("partition", sa.Integer, primary_key=True),
    sa.Column("log_offset", sa.BigInteger, primary_key=True),
    sa.Column(
        "task_id", postgresql.UUID, nullable=True, index=True, info=TASK, comment="null where the key names none"
    ),
    sa.Column("taken_version", sa.Integer, nullable=True, comment="the version that the record took, if it took one"),
    sa.Column("verdict", sa.Text, nullable=False, comment="poison, or parked behind poison"),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("key", sa.LargeBinary, nullable=True),
    sa.Column("value", sa.LargeBinary, nullable=True),
    info=CLEARED,
)
