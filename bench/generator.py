"""The load generator, a process of its own: `python -m bench.generator '{"port": 8000, "kind": "create"}'`.

Closed loop: each connection waits for its answer before it sends again. Prints the result as JSON.
"""

from __future__ import annotations

import asyncio
import math
import statistics
import sys
import time
from typing import TYPE_CHECKING, Literal

import msgspec
import uvloop

from bench.http_connection import connect, header, render

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.http_connection import Connection, Script

BODY = (
    b'{"title":"Order paper for the office printer","description":"Two boxes, recycled, from the usual shop.",'
    b'"priority":1,"tags":["office","errand"]}'
)
CREATE = render("POST", "/api/tasks", BODY)
LOST_SECONDS = 60


class Spec(msgspec.Struct, kw_only=True):
    """What to send, and for how long."""

    port: int
    kind: Literal["create", "update"]
    connections: int = 64
    warmup: float = 1.0
    seconds: float = 10.0
    count: int | None = None
    """Requests to send in place of a duration."""
    tasks: int = 1000
    """Tasks to make first, where the kind is update; each belongs to one connection."""


class Result(msgspec.Struct, kw_only=True):
    """What came of it; times are in seconds."""

    answers: int
    errors: int
    """Answers that were not 2xx; a row with any is no measure."""
    seconds: float
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return (self.answers - self.errors) / self.seconds


class Tally:
    """Counts the answers of all connections."""

    def __init__(self) -> None:
        self.stopped = False
        self.begin()

    def begin(self) -> None:
        """Count anew from now."""
        self.begun = time.perf_counter()
        self.latencies: list[float] = []
        self.errors = 0

    def count(self, status: int, body: bytes, seconds: float) -> bool:
        """Tell whether the answer was a good one."""
        self.latencies.append(seconds)
        if 200 <= status < 300:
            return True
        if not self.errors:
            sys.stderr.write(f"answered {status}: {body[:200].decode(errors='replace')}\n")
        self.errors += 1
        return False

    def result(self) -> Result:
        """Sum up what was counted so far."""
        cuts = statistics.quantiles(self.latencies, n=100)
        seconds = time.perf_counter() - self.begun
        return Result(answers=len(self.latencies), errors=self.errors, seconds=seconds, p50=cuts[49], p99=cuts[98])


class Creates:
    """Sends the same new task again and again, or so many times."""

    def __init__(self, tally: Tally, count: float = math.inf) -> None:
        self._tally = tally
        self._left = count
        self.made: list[tuple[str, bytes]] = []
        """Path and ETag of each; kept only where there is a count."""

    def request(self) -> bytes | None:
        """See Script."""
        if self._tally.stopped or self._left <= 0:
            return None
        self._left -= 1
        return CREATE

    def answered(self, status: int, head: bytes, body: bytes, seconds: float) -> None:
        """See Script."""
        if self._tally.count(status, body, seconds) and self._left < math.inf:
            self.made.append((f"/api/tasks/{msgspec.json.decode(body)['id']}", header(head, b"etag") or b""))


class Updates:
    """Changes the title of the tasks of one connection in turn, each at the version last seen."""

    def __init__(self, tally: Tally, tasks: list[tuple[str, bytes]]) -> None:
        self._tally = tally
        self._paths = [path for path, _ in tasks]
        self._etags = [etag for _, etag in tasks]
        self._sent = 0

    def request(self) -> bytes | None:
        """See Script."""
        if self._tally.stopped:
            return None
        self._sent += 1
        place = self._sent % len(self._paths)
        body = b'{"title":"Title number %d"}' % self._sent
        return render("PATCH", self._paths[place], body, If_Match=self._etags[place].decode())

    def answered(self, status: int, head: bytes, body: bytes, seconds: float) -> None:
        """See Script."""
        if self._tally.count(status, body, seconds):
            self._etags[self._sent % len(self._paths)] = header(head, b"etag") or b""


async def run(spec: Spec) -> Result:
    """Carry out a spec."""
    connections = await connect(spec.port, spec.connections)
    tally = Tally()
    if spec.count is not None:
        await _let(connections, [Creates(tally, spec.count)] * len(connections))
        return tally.result()
    scripts: Sequence[Script] = [Creates(tally)] * len(connections)
    if spec.kind == "update":
        first = Creates(Tally(), spec.tasks)
        await _let(connections, [first] * len(connections))
        scripts = [Updates(tally, first.made[place :: len(connections)]) for place in range(len(connections))]
    running = asyncio.ensure_future(_let(connections, scripts))
    await asyncio.wait({running}, timeout=spec.warmup)
    tally.begin()
    await asyncio.wait({running}, timeout=spec.seconds)
    result = tally.result()
    tally.stopped = True
    await asyncio.wait_for(running, LOST_SECONDS)
    return result


async def _let(connections: Sequence[Connection], scripts: Sequence[Script]) -> None:
    """Let each connection carry out its script; raises what the first that fails meets."""
    await asyncio.gather(*(each.begin(script) for each, script in zip(connections, scripts, strict=True)))


if __name__ == "__main__":
    print(msgspec.json.encode(uvloop.run(run(msgspec.json.decode(sys.argv[1], type=Spec)))).decode())
