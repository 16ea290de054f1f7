"""How fast a run may read, and when it has to rest."""

from __future__ import annotations

import asyncio
import time
from collections import deque

from projections.replay.runs import Orders

WINDOW = 10.0
"""Seconds over which the speed is told."""
STEP = 0.25
"""Seconds between two looks at changed orders while the run waits."""


class Pace:
    """Keeps a run to its operators' orders."""

    def __init__(self) -> None:
        """Begin without limits."""
        self.orders = Orders()
        self.live_lag = 0
        """Events that the live projections are behind, as last seen."""
        self._marks: deque[tuple[float, int]] = deque([(time.monotonic(), 0)])
        self._credit_since = time.monotonic()
        self._credited = 0
        self._rate: int | None = None

    @property
    def rest_reason(self) -> str | None:
        """Say why the run must not read right now, or None."""
        if self.orders.wanted == "pause":
            return "paused by an operator"
        most = self.orders.pause_above_lag
        if most is not None and self.live_lag > most:
            return f"the live projections are {self.live_lag} events behind, and it rests above {most}"
        return None

    @property
    def speed(self) -> float | None:
        """Events a second, lately; None before anything was read."""
        (begun, first), (ended, last) = self._marks[0], self._marks[-1]
        return (last - first) / (ended - begun) if ended > begun and last > first else None

    def count(self, events: int) -> None:
        """Note that so many events more were read."""
        now = time.monotonic()
        self._marks.append((now, self._marks[-1][1] + events))
        while len(self._marks) > 2 and now - self._marks[0][0] > WINDOW:  # noqa: PLR2004 - a speed needs two
            self._marks.popleft()
        self._credited += events

    def restart(self) -> None:
        """Forget how fast it was before a rest."""
        self._marks = deque([(time.monotonic(), self._marks[-1][1])])
        self._credit_since, self._credited = time.monotonic(), 0

    async def keep(self) -> None:
        """Wait as long as the rate demands; it may change while this waits."""
        while (rate := self.orders.rate) is not None:
            if rate != self._rate:
                self._rate, self._credit_since, self._credited = rate, time.monotonic(), 0
            ahead = self._credited / rate - (time.monotonic() - self._credit_since)
            if ahead <= 0 or self.rest_reason or self.orders.wanted == "abort":
                return
            await asyncio.sleep(min(ahead, STEP))
