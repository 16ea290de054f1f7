"""From accepted events to the rows of `task`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.domain.task import DeletedTask, Task
from projections.batch import Rows
from projections.task import tables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from app.domain.task import State
    from projections.batch import Accepted, Judged


class TaskProjection:
    """One row a task; a deleted task keeps its id, version and times, and loses its contents.

    What could not be applied stands beside it, in the order of the log, until the task is repaired.
    """

    name = "task"
    definition = 1
    metadata = tables.metadata

    def fold(self, judged: Judged) -> Sequence[Rows]:
        """See Projection."""
        latest = {one.event.task_id: one for one in judged.accepted}
        return [
            Rows(tables.task, replaces=True, values=[_row(one) for one in latest.values()]),
            Rows(
                tables.dead_letter,
                replaces=False,
                values=judged.dead_letters,
                clears=("task_id", judged.repaired) if judged.repaired else None,
            ),
        ]


def _row(one: Accepted) -> tuple[object, ...]:
    state, event = one.after, one.event
    if isinstance(state, Task):
        return (
            state.id,
            state.title,
            state.description,
            state.status,
            state.priority,
            state.due_at,
            state.tags,
            state.created_at,
            state.updated_at,
            state.completed_at,
            state.version,
            one.offset,
        )
    assert isinstance(state, DeletedTask)  # noqa: S101 - an accepted event leaves a task or what is left of one
    deleted: tuple[object, ...] = (state.id, "", "", "deleted", 0, None, [], state.created_at, state.deleted_at, None)
    return (*deleted, event.version, one.offset)


def state_of(row: Mapping[str, object]) -> State:
    """Read a row back; the inverse of the fold."""
    if row["status"] == "deleted":
        return DeletedTask(
            id=row["id"],  # type: ignore[arg-type]
            created_at=row["created_at"],  # type: ignore[arg-type]
            deleted_at=row["updated_at"],  # type: ignore[arg-type]
            version=row["version"],  # type: ignore[arg-type]
        )
    return Task(**{name: row[name] for name in Task.__struct_fields__})  # type: ignore[arg-type]
