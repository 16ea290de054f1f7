"""The histories of tasks as a generation of the projection `task` holds them: what the rule judges by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from app.domain.history import EMPTY, History
from projections.database import Query
from projections.task.fold import state_of
from projections.task.tables import dead_letter, task

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from uuid import UUID

    from projections.database import Connection

_IDS = sa.bindparam("ids", type_=postgresql.ARRAY(postgresql.UUID))
_TASKS = Query(sa.select(task).where(task.c.id == sa.any_(_IDS)))
_PARKED = Query(
    sa.select(
        dead_letter.c.task_id,
        sa.func.max(dead_letter.c.taken_version).label("version"),
        sa.func.min(dead_letter.c.reason).label("reason"),
    )
    .where(dead_letter.c.task_id == sa.any_(_IDS))
    .group_by(dead_letter.c.task_id)
)


async def load_histories(
    connection: Connection, schemas: Mapping[str, str], ids: Collection[UUID]
) -> dict[UUID, History]:
    """Read the histories of some tasks; those that have none are left out."""
    wanted = list(ids)
    histories: dict[UUID, History] = {}
    for row in await _TASKS.at(schemas).fetch(connection, ids=wanted):
        histories[row["id"]] = History(state_of(row), row["version"])
    for row in await _PARKED.at(schemas).fetch(connection, ids=wanted):
        history = histories.get(row["task_id"], EMPTY)
        version = max(history.version, row["version"] or 0)
        histories[row["task_id"]] = History(history.state, version, row["reason"])
    return histories
