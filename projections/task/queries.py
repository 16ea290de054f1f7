"""Pages of tasks, newest first."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from app.domain.task import Task
from projections.database import Query
from projections.paging import Page, cut, decode_cursor
from projections.task.fold import state_of
from projections.task.tables import task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from projections.database import Database


class _After(msgspec.Struct, frozen=True, array_like=True):
    created_at: Annotated[datetime, msgspec.Meta(tz=True)]
    id: UUID


@cache
def _query(*, by_status: bool, by_tag: bool, after: bool) -> Query:
    # The first condition is written as in the partial indexes, so that the planner sees that they apply.
    query = sa.select(task).where(task.c.status != sa.literal_column("'deleted'"))
    if by_status:
        query = query.where(task.c.status == sa.bindparam("status"))
    if by_tag:
        query = query.where(task.c.tags.contains(sa.bindparam("tags", type_=postgresql.ARRAY(sa.Text))))
    if after:
        last = sa.tuple_(
            sa.bindparam("created_at", type_=task.c.created_at.type), sa.bindparam("id", type_=task.c.id.type)
        )
        query = query.where(sa.tuple_(task.c.created_at, task.c.id) < last)
    return Query(query.order_by(task.c.created_at.desc(), task.c.id.desc()).limit(sa.bindparam("limit")))


async def list_tasks(
    database: Database,
    schemas: Mapping[str, str],
    *,
    status: str | None = None,
    tag: str | None = None,
    limit: int,
    cursor: str | None = None,
) -> Page[Task]:
    """Give a page of tasks that are not deleted, newest first.

    `limit` is at least 1. Raises ValueError for a cursor that this function did not give, DatabaseUnavailable.
    """
    after = decode_cursor(cursor, _After) if cursor is not None else None
    statement = _query(by_status=status is not None, by_tag=tag is not None, after=after is not None).at(schemas)
    values: dict[str, object] = {"status": status, "tags": [tag], "limit": limit + 1}
    rows = await database.fetch(statement, **values, **(msgspec.structs.asdict(after) if after else {}))
    tasks = [state for row in rows if isinstance(state := state_of(row), Task)]
    return cut(tasks, limit, key=lambda task: _After(task.created_at, task.id))
