"""From accepted events to the rows of `task_history`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from projections.batch import Accepted, Rows
from projections.task_history import tables

if TYPE_CHECKING:
    from collections.abc import Sequence

_encoder = msgspec.json.Encoder()


class TaskHistoryProjection:
    """One row an accepted event."""

    name = "task_history"
    definition = 1
    metadata = tables.metadata

    def fold(self, accepted: Sequence[Accepted]) -> Sequence[Rows]:
        """See Projection."""
        return [Rows(tables.task_history, replaces=False, values=[_row(one) for one in accepted])]


def _row(one: Accepted) -> tuple[object, ...]:
    event = one.event
    return (
        event.task_id,
        event.version,
        event.id,
        event.type,
        event.time,
        event.actor,
        event.command_id,
        event.command_hash,
        _encoder.encode(event.change).decode(),
        one.partition,
        one.offset,
    )
