"""From accepted events to the rows of `task_history`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from projections.batch import Rows
from projections.task_history import tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from projections.batch import Accepted, Judged

_encoder = msgspec.json.Encoder()


class TaskHistoryProjection:
    """One row an accepted event."""

    name = "task_history"
    definition = 1
    metadata = tables.metadata

    def fold(self, judged: Judged) -> Sequence[Rows]:
        """See Projection."""
        return [Rows(tables.task_history, replaces=False, values=[_row(one) for one in judged.accepted])]


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
        event.repairs,
        _encoder.encode(event.change).decode(),
        one.partition,
        one.offset,
    )
