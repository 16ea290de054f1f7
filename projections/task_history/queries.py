"""Pages of a task's history, oldest first."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import msgspec
import sqlalchemy as sa

from projections.database import Query
from projections.paging import Page, cut, decode_cursor
from projections.task_history.tables import task_history

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from projections.database import Database

_Version = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
_QUERY = Query(
    sa.select(
        task_history.c.version, task_history.c.type, task_history.c.time, task_history.c.actor, task_history.c.data
    )
    .where(task_history.c.task_id == sa.bindparam("id"), task_history.c.version > sa.bindparam("after"))
    .order_by(task_history.c.version)
    .limit(sa.bindparam("limit"))
)


class HistoryItem(msgspec.Struct, frozen=True):
    """One accepted event of a task, as clients see it."""

    version: int
    type: str
    time: datetime
    actor: str
    data: msgspec.Raw


async def list_history(
    database: Database, schemas: Mapping[str, str], task_id: UUID, *, limit: int, cursor: str | None = None
) -> Page[HistoryItem]:
    """Give a page of what happened to a task, oldest first; empty for an unknown task.

    `limit` is at least 1. Raises ValueError for a cursor that this function did not give, DatabaseUnavailable.
    """
    after = decode_cursor(cursor, _Version) if cursor is not None else 0
    rows = await database.fetch(_QUERY.at(schemas), id=task_id, after=after, limit=limit + 1)
    items = [
        HistoryItem(version, kind, time, actor, msgspec.Raw(data.encode())) for version, kind, time, actor, data in rows
    ]
    return cut(items, limit, key=lambda item: item.version)
