"""Recent changes for live streams: a bounded window of the log, and a bounded queue for each client."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from app.telemetry import metrics

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from app.domain.envelope import Event
    from app.overlay import Overlay

WINDOW = 10_000
"""Changes that a client may have missed and still resume from."""
QUEUE = 1_000
"""Changes that a client may be slow by before its stream ends; it then resumes from the window."""


class Change(NamedTuple):
    """One change on its way to clients."""

    partition: int
    offset: int
    event: Event


class Feed:
    """Tells live streams which tasks changed.

    It tells of every change at least once. It may tell of a record that lost its race in another process too, and so
    clients read the task that it names.
    """

    def __init__(self, overlay: Overlay) -> None:
        """Listen to an overlay."""
        self._overlay = overlay
        self._window: deque[Change] = deque(maxlen=WINDOW)
        self._floor: dict[int, int] = {}
        """For every partition the first offset that the window still covers."""
        self._queues: set[asyncio.Queue[Change | None]] = set()
        overlay.listeners.add(self._on_event)

    def _on_event(self, partition: int, offset: int, event: Event) -> None:
        if not self._window:
            self._floor = dict(self._overlay.tail.position)
        change = Change(partition, offset, event)
        if len(self._window) == WINDOW:
            oldest = self._window[0]
            self._floor[oldest.partition] = oldest.offset + 1
        self._window.append(change)
        for queue in list(self._queues):
            if queue.full():
                self._end(queue)
                metrics.STREAM_DROPS.inc()
            else:
                queue.put_nowait(change)

    def position(self) -> dict[int, int]:
        """Give the position that a stream which begins now begins at."""
        return dict(self._overlay.tail.position)

    def since(self, position: Mapping[int, int]) -> list[Change] | None:
        """Give the changes after a position, or None where some of them are no longer known."""
        end = self._overlay.tail.position
        if any(position.get(partition, 0) < first for partition, first in (self._floor or end).items()):
            return None
        if any(offset > end.get(partition, 0) for partition, offset in position.items()):
            return None  # of another log, or of a process that has read further than this one
        return [change for change in self._window if change.offset >= position.get(change.partition, 0)]

    @contextmanager
    def subscribe(self) -> Generator[asyncio.Queue[Change | None]]:
        """Give a queue of the changes from now on; None in it means that the stream must end."""
        queue: asyncio.Queue[Change | None] = asyncio.Queue(QUEUE)
        self._queues.add(queue)
        metrics.STREAM_CLIENTS.inc()
        try:
            yield queue
        finally:
            self._queues.discard(queue)
            metrics.STREAM_CLIENTS.dec()

    def close(self) -> None:
        """End every stream, for the process stops; the clients come back to another one."""
        for queue in list(self._queues):
            self._end(queue)

    def _end(self, queue: asyncio.Queue[Change | None]) -> None:
        self._queues.discard(queue)
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(None)
