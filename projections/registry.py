"""Which generations of which projections there are, how far they have come, and what could not be applied.

A generation is one built copy of a projection in a schema of its own; the active one serves. All active
generations advance together, in the same transactions, and so stand at the same positions.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

SCHEMA = "taskledger"
metadata = sa.MetaData(schema=SCHEMA)

generation = sa.Table(
    "generation",
    metadata,
    sa.Column("projection", sa.Text, primary_key=True),
    sa.Column("generation", sa.Integer, primary_key=True),
    sa.Column("definition", sa.Integer, nullable=False, comment="revision of the projection's fold and tables"),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("created_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=sa.func.now()),
)
sa.Index("generation_active", generation.c.projection, unique=True, postgresql_where=generation.c.active)

position = sa.Table(
    "position",
    metadata,
    sa.Column("projection", sa.Text, primary_key=True),
    sa.Column("generation", sa.Integer, primary_key=True),
    sa.Column("partition", sa.Integer, primary_key=True),
    sa.Column("next_offset", sa.BigInteger, nullable=False, comment="first offset of the log not applied yet"),
    sa.Column("updated_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=sa.func.now()),
)

dead_letter = sa.Table(
    "dead_letter",
    metadata,
    sa.Column("partition", sa.Integer, primary_key=True),
    sa.Column("log_offset", sa.BigInteger, primary_key=True),
    sa.Column("task_id", postgresql.UUID, nullable=True, index=True, comment="null where the key names no task"),
    sa.Column("taken_version", sa.Integer, nullable=True, comment="the version that the record took, if it took one"),
    sa.Column("verdict", sa.Text, nullable=False, comment="poison, or parked behind poison"),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("key", sa.LargeBinary, nullable=True),
    sa.Column("value", sa.LargeBinary, nullable=True),
    sa.Column("created_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=sa.func.now()),
)


def schema_of(projection: str, number: int) -> str:
    """Give the schema that holds one generation of a projection."""
    return f"{projection}_{number}"
