"""Records that could not be applied, as operators see them."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import msgspec
import sqlalchemy as sa

from app.domain.envelope import Event, Unreadable, decode
from projections.database import Query
from projections.paging import Page, cut, decode_cursor
from projections.task.tables import dead_letter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from projections.database import Database

_Offset = Annotated[int, msgspec.Meta(ge=0, lt=2**63)]
_Partition = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]


class _Place(msgspec.Struct, frozen=True, array_like=True):
    partition: _Partition
    log_offset: _Offset


class _Claims(msgspec.Struct, frozen=True):
    type: str | None = None
    time: datetime | None = None


_claims = msgspec.json.Decoder(_Claims)


class DeadLetter(msgspec.Struct, frozen=True):
    """A record that could not be applied."""

    partition: int
    offset: int
    task_id: UUID | None
    """None where its key names no task; it then holds up nothing."""
    version: int | None
    """The version that it took, if it took one."""
    verdict: str
    """poison, or parked behind poison."""
    reason: str
    """Why the task is parked."""
    type: str | None
    """What the record says of itself, as far as that can be read; no promise that it is true."""
    time: datetime | None
    """When it says that it happened."""
    readable: bool
    """Whether this code understands the record now."""
    key: bytes | None
    value: bytes | None

    @property
    def record(self) -> Event | Unreadable:
        """Read the record with this code."""
        return decode(self.key, self.value)


_AT = Query(
    sa.select(dead_letter).where(
        dead_letter.c.partition == sa.bindparam("partition"), dead_letter.c.log_offset == sa.bindparam("log_offset")
    )
)


@cache
def _query(*, of_task: bool, after: bool, limited: bool) -> Query:
    query = sa.select(dead_letter).order_by(dead_letter.c.partition, dead_letter.c.log_offset)
    if of_task:
        query = query.where(dead_letter.c.task_id == sa.bindparam("task_id", type_=dead_letter.c.task_id.type))
    if after:
        last = sa.tuple_(sa.bindparam("partition", type_=sa.Integer), sa.bindparam("log_offset", type_=sa.BigInteger))
        query = query.where(sa.tuple_(dead_letter.c.partition, dead_letter.c.log_offset) > last)
    return Query(query.limit(sa.bindparam("limit")) if limited else query)


async def list_dead_letters(
    database: Database,
    schemas: Mapping[str, str],
    *,
    task_id: UUID | None = None,
    limit: int,
    cursor: str | None = None,
) -> Page[DeadLetter]:
    """Give a page of dead letters, in the order of partitions and offsets.

    `limit` is at least 1. Raises ValueError for a cursor that this function did not give, DatabaseUnavailable.
    """
    after = decode_cursor(cursor, _Place) if cursor is not None else None
    statement = _query(of_task=task_id is not None, after=after is not None, limited=True).at(schemas)
    values: dict[str, object] = {"task_id": task_id, "limit": limit + 1}
    rows = await database.fetch(statement, **values, **(msgspec.structs.asdict(after) if after else {}))
    return cut([letter_of(row) for row in rows], limit, key=lambda letter: _Place(letter.partition, letter.offset))


async def dead_letters_of(database: Database, schemas: Mapping[str, str], task_id: UUID) -> Sequence[DeadLetter]:
    """Give all dead letters of a task in their order in the log, that which parked it first.

    Raises DatabaseUnavailable.
    """
    statement = _query(of_task=True, after=False, limited=False).at(schemas)
    return [letter_of(row) for row in await database.fetch(statement, task_id=task_id)]


async def dead_letter_at(
    database: Database, schemas: Mapping[str, str], partition: int, offset: int
) -> Sequence[DeadLetter]:
    """Give the dead letter at a place in the log, if there is one. Raises DatabaseUnavailable."""
    rows = await database.fetch(_AT.at(schemas), partition=partition, log_offset=offset)
    return [letter_of(row) for row in rows]


def letter_of(row: Mapping[str, object]) -> DeadLetter:
    """Read a row with this code."""
    key, value = row["key"], row["value"]
    assert isinstance(key, bytes | None)  # noqa: S101 - the driver knows the column's type
    assert isinstance(value, bytes | None)  # noqa: S101 - as before
    try:
        claims = _claims.decode(value or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        claims = _Claims()
    return DeadLetter(
        row["partition"],  # type: ignore[arg-type]
        row["log_offset"],  # type: ignore[arg-type]
        row["task_id"],  # type: ignore[arg-type]
        row["taken_version"],  # type: ignore[arg-type]
        row["verdict"],  # type: ignore[arg-type]
        row["reason"],  # type: ignore[arg-type]
        claims.type,
        claims.time,
        isinstance(decode(key, value), Event),
        key,
        value,
    )
