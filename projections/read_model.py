"""The read models as the command side and the queries see them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from app.domain.envelope import KINDS
from app.domain.history import EMPTY, History
from app.domain.task import evolve, restore
from app.read_model import Receipt, Stored
from projections import registry
from projections.database import Query, Statement
from projections.task.fold import state_of
from projections.task.tables import dead_letter, task
from projections.task_history.tables import task_history

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from app.domain.task import State
    from projections.database import Database

_generation, _position, _dead = registry.generation, registry.position, dead_letter
_POSITIONS = Statement(
    sa.select(_position.c.projection, _position.c.generation, _position.c.partition, _position.c.next_offset)
    .join(_generation, registry.of_generation)
    .where(_generation.c.state == "active")
)
# One statement, and so one moment: between two, a repair could take the dead letters that explain an old row.
_wanted = sa.select(sa.bindparam("id", type_=postgresql.UUID).label("id")).subquery("wanted")
_parked = (
    sa.select(
        sa.func.min(_dead.c.reason).label("reason"),
        sa.func.max(_dead.c.taken_version).label("taken_version"),
        sa.func.max(_dead.c.log_offset).label("dead_offset"),
    )
    .where(_dead.c.task_id == _wanted.c.id)
    .lateral("parked")
)
_TASK = Query(
    sa.select(task, _parked).select_from(
        _wanted.outerjoin(task, task.c.id == _wanted.c.id).outerjoin(_parked, sa.true())
    )
)
_RECEIPT = Query(
    sa.select(task_history.c.task_id, task_history.c.version, task_history.c.command_hash, task_history.c.log_offset)
    .where(task_history.c.command_id == sa.bindparam("command_id"), task_history.c.command_hash.is_not(None))
    .limit(1)
)
_EVENTS = Query(
    sa.select(
        task_history.c.type, task_history.c.time, task_history.c.data, task_history.c.repairs, task_history.c.version
    )
    .where(task_history.c.task_id == sa.bindparam("id"), task_history.c.version <= sa.bindparam("version"))
    .order_by(task_history.c.version)
)


class PostgresReadModel:
    """Answers `app.read_model.ReadModel` from the active generations."""

    def __init__(self, database: Database) -> None:
        """Take the database; which generations are active is looked up with the positions."""
        self._database = database
        self._schemas: dict[str, str] = {}

    async def positions(self) -> Mapping[int, int]:
        """See ReadModel; where the projections differ, the one furthest behind counts."""
        lowest: dict[int, int] = {}
        for row in await self._database.fetch(_POSITIONS):
            partition, offset = row["partition"], row["next_offset"]
            lowest[partition] = min(offset, lowest.get(partition, offset))
            self._schemas[row["projection"]] = registry.schema_of(row["projection"], row["generation"])
        return lowest

    async def schemas(self) -> Mapping[str, str]:
        """Give the schema that holds the active generation of each projection. Raises DatabaseUnavailable."""
        if not self._schemas:
            await self.positions()
        return self._schemas

    async def load(self, task_id: UUID) -> Stored:
        """See ReadModel."""
        (row,) = await self._database.fetch(_TASK.at(await self.schemas()), id=task_id)
        history, offset = EMPTY, -1
        if row["id"] is not None:
            history, offset = History(state_of(row), row["version"]), row["log_offset"]
        if row["reason"] is not None:
            history = History(history.state, max(history.version, row["taken_version"] or 0), row["reason"])
            offset = max(offset, row["dead_offset"])
        return Stored(history, offset)

    async def find_receipt(self, command_id: UUID) -> Receipt | None:
        """See ReadModel; the state is folded from the history, so that it is the first answer again."""
        schemas = await self.schemas()
        rows = await self._database.fetch(_RECEIPT.at(schemas), command_id=command_id)
        if not rows:
            return None
        task_id, version, command_hash, offset = rows[0]
        state: State = None
        for row in await self._database.fetch(_EVENTS.at(schemas), id=task_id, version=version):
            change = msgspec.json.decode(row["data"], type=KINDS[row["type"]])
            if row["repairs"] is None:
                state = evolve(state, change, task_id, row["time"])
            else:
                state = restore(change, task_id, row["time"], row["repairs"], row["version"])
        return Receipt(task_id, command_hash, state, offset)
