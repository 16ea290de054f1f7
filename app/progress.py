"""Positions that only move forward, and those who wait for one."""

from __future__ import annotations

import asyncio
import heapq
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Progress:
    """The next offset of every partition, with a way to wait until it is far enough."""

    def __init__(self) -> None:
        """Start at nothing."""
        self.position: dict[int, int] = {}
        self._waiting: dict[int, list[tuple[int, int, asyncio.Future[None]]]] = {}
        self._order = count()

    @property
    def awaited(self) -> bool:
        """Tell whether anybody waits."""
        return any(self._waiting.values())

    def advance(self, partition: int, offset: int) -> None:
        """Move a partition on to its next offset and wake those who waited for it."""
        self.position[partition] = max(offset, self.position.get(partition, 0))
        waiting = self._waiting.get(partition)
        while waiting and waiting[0][0] <= offset:
            future = heapq.heappop(waiting)[2]
            if not future.done():
                future.set_result(None)

    async def wait_for(self, position: Mapping[int, int]) -> None:
        """Return once every named partition is at its offset or past it; the caller sets the deadline."""
        for partition, offset in position.items():
            if self.position.get(partition, 0) >= offset:
                continue
            waiter = (offset, next(self._order), asyncio.get_running_loop().create_future())
            waiting = self._waiting.setdefault(partition, [])
            heapq.heappush(waiting, waiter)
            try:
                await waiter[2]
            except asyncio.CancelledError:
                with suppress(ValueError):  # it was woken and gave up in the same turn
                    waiting.remove(waiter)
                    heapq.heapify(waiting)
                raise
