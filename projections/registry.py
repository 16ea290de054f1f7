"""Which generations of which projections there are, and how far they have come.

A generation is one built copy of a projection in a schema of its own. The active one serves. Standby generations
are complete too: the engine writes them in the same transactions, so that they stand at the same positions and
either can take the other's place in a moment. A building one belongs to a run of `projections.replay`; a snapshot is
a frozen copy from which a later run can begin.
"""

from __future__ import annotations

from typing import Literal

import sqlalchemy as sa

SCHEMA = "taskledger"
REVISION = 2
"""Of the tables here; kept as the comment of their schema."""
State = Literal["building", "standby", "active", "snapshot"]
metadata = sa.MetaData(schema=SCHEMA)

generation = sa.Table(
    "generation",
    metadata,
    sa.Column("projection", sa.Text, primary_key=True),
    sa.Column("generation", sa.Integer, primary_key=True),
    sa.Column("definition", sa.Integer, nullable=False, comment="revision of the projection's fold and tables"),
    sa.Column("code", sa.Text, nullable=False, comment="fingerprint of the code that its rows follow from"),
    sa.Column("state", sa.Text, nullable=False, comment="building, standby, active or snapshot"),
    sa.Column("replay", sa.BigInteger, nullable=True, comment="the run that builds it"),
    sa.Column("scratch", sa.Boolean, nullable=False, server_default=sa.false(), comment="only its run needs it"),
    sa.Column("verified_at", sa.TIMESTAMP(timezone=True), nullable=True, comment="when it last equalled the log"),
    sa.Column("served_until", sa.TIMESTAMP(timezone=True), nullable=True, comment="when it was last active"),
    sa.Column("created_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=sa.func.now()),
    sa.CheckConstraint("state IN ('building', 'standby', 'active', 'snapshot')", name="generation_state"),
)
sa.Index("generation_active", generation.c.projection, unique=True, postgresql_where=sa.text("state = 'active'"))
sa.Index("generation_building", generation.c.projection, unique=True, postgresql_where=sa.text("state = 'building'"))

position = sa.Table(
    "position",
    metadata,
    sa.Column("projection", sa.Text, primary_key=True),
    sa.Column("generation", sa.Integer, primary_key=True),
    sa.Column("partition", sa.Integer, primary_key=True),
    sa.Column("next_offset", sa.BigInteger, nullable=False, comment="first offset of the log not applied yet"),
    sa.Column("updated_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=sa.func.now()),
)
of_generation = (generation.c.projection == position.c.projection) & (generation.c.generation == position.c.generation)
"""Joins positions to their generation."""

replay = sa.Table(
    "replay",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("projections", sa.ARRAY(sa.Text), nullable=False),
    sa.Column("state", sa.Text, nullable=False, comment="reading, indexing, joining, done, aborted or failed"),
    sa.Column("wanted", sa.Text, nullable=False, server_default="run", comment="run, pause or abort"),
    sa.Column("holder", sa.Text, nullable=False, comment="host and process that works on it"),
    sa.Column("lease_until", sa.TIMESTAMP(timezone=True), nullable=False, comment="past this, another may go on"),
    sa.Column("rate", sa.Integer, nullable=True, comment="most events a second; null knows no limit"),
    sa.Column("pause_above_lag", sa.BigInteger, nullable=True, comment="live lag in events above which it rests"),
    sa.Column("resting", sa.Text, nullable=True, comment="why it does not read right now"),
    sa.Column("events_done", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("events_total", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("events_per_second", sa.Float, nullable=True),
    sa.Column("error", sa.Text, nullable=True),
    sa.Column("started_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=sa.func.now()),
    sa.Column("ended_at", sa.TIMESTAMP(timezone=True), nullable=True),
)


def schema_of(projection: str, number: int) -> str:
    """Give the schema that holds one generation of a projection."""
    return f"{projection}_{number}"
