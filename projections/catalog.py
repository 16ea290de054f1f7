"""Every projection there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from projections.task.fold import TaskProjection
from projections.task_history.fold import TaskHistoryProjection

if TYPE_CHECKING:
    from projections.batch import Projection

PROJECTIONS: tuple[Projection, ...] = (TaskProjection(), TaskHistoryProjection())
