"""Whether a recorded history of concurrent operations on tasks could have come from a correct service.

A history is linearizable when every operation can be given one moment between its call and its return
at which it takes effect, such that the operations in that order do what one task on one machine
would do. Tasks do not influence one another, so each is judged alone. The search is that of Wing and
Gong with Lowe's memory of (operations done, state), and two shortcuts that lose no history:

- The model gives one response to a request in a state. An operation that may come next, fits, and leaves the
  state as it is, is taken at once: whatever order exists without it exists with it in front.
- An operation of unknown outcome is only ever tried where it changes the state. Where it would not,
  it is the same as not having happened yet.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

STEPS = 2_000_000
"""States that the search looks at before it gives up: some ten seconds."""
SHOWN = 6
"""Operations shown of those that led to the point where the search got stuck."""


class Kind(Enum):
    CREATE = "create"
    READ = "read"
    RETITLE = "retitle"
    COMPLETE = "complete"
    REOPEN = "reopen"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Request:
    kind: Kind
    title: str | None = None
    expected: int | None = None
    """The version in If-Match."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A task as an answer shows it; as a state: the task exists."""

    version: int
    title: str
    status: str


class Answer(Enum):
    """The answers that show no task. NOT_FOUND and DELETED are states as well."""

    EXISTS = "exists already"
    NOT_FOUND = "not found"
    GONE = "gone"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Mismatch:
    """If-Match named another version than the current one."""

    current: int


Response = Seen | Answer | Mismatch
State = Seen | Answer
"""NOT_FOUND before the task is created, DELETED after its end: no client can see at which version that was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One attempt at one request, as its client saw it. Times are in nanoseconds."""

    process: int
    task: str
    request: Request
    response: Response | None
    """None where the outcome is unknown: it took effect once, at any time after the call, or never."""
    called: int
    returned: float
    """Infinity where the outcome is unknown."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A task's operations that no order explains, at the point up to which the most of them could be."""

    task: str
    state: State
    before: Sequence[Operation]
    """The last ones that could be explained, in an order that explains them."""
    stuck: Sequence[Operation]
    """Those of which one had to come next."""

    def __str__(self) -> str:
        zero = min(operation.called for operation in [*self.before, *self.stuck])
        lines = [f"task {self.task} is not linearizable; the best explanation ends like this:"]
        lines += [f"    {_line(operation, zero)}" for operation in self.before]
        lines.append(f"  state: {_show(self.state)}; none of these can come next:")
        for operation in self.stuck:
            would = "" if operation.response is None else f", would be: {_show(step(self.state, operation.request)[0])}"
            lines.append(f"    {_line(operation, zero)}{would}")
        return "\n".join(lines)


class SearchTooLong(Exception):
    """The search was given up, so that nothing is known about the history."""


def step(state: State, request: Request) -> tuple[Response, State]:
    """Carry out a request on one task: the model that the service is held against."""
    if request.kind is Kind.CREATE:
        if state is not Answer.NOT_FOUND:
            return Answer.EXISTS, state
        assert request.title is not None
        created = Seen(1, request.title, "open")
        return created, created
    if not isinstance(state, Seen):
        gone = state is Answer.DELETED and request.expected is not None
        return Answer.GONE if gone else Answer.NOT_FOUND, state
    if request.expected not in (None, state.version):
        return Mismatch(state.version), state
    if request.kind is Kind.DELETE:
        return Answer.DELETED, Answer.DELETED
    changed = _change(state, request)
    return changed, changed


def _change(task: Seen, request: Request) -> Seen:
    title = task.title if request.title is None else request.title
    status = {Kind.COMPLETE: "completed", Kind.REOPEN: "open"}.get(request.kind, task.status)
    if (title, status) == (task.title, task.status):
        return task
    return Seen(task.version + 1, title, status)


def check(history: Sequence[Operation], steps: int = STEPS) -> Violation | None:
    """Give the first task whose operations no order explains, or None when there is none.

    Raises SearchTooLong where a task takes more steps than given.
    """
    tasks: dict[str, list[Operation]] = defaultdict(list)
    for operation in history:
        tasks[operation.task].append(operation)
    for operations in tasks.values():
        if violation := _Search(operations, steps).run():
            return violation
    return None


class _Way(NamedTuple):
    """The operations that led to a point, the last first."""

    operation: Operation
    before: _Way | None


@dataclass(frozen=True, slots=True)
class _Point:
    """A place in the search."""

    done: int = 0
    """Bit i stands for operation i."""
    state: State = Answer.NOT_FOUND
    oldest: int = 0
    """Every known operation before this one is done."""
    count: int = 0
    """Known operations that are done."""
    way: _Way | None = None


class _Search:
    def __init__(self, operations: Sequence[Operation], steps: int) -> None:
        ordered = sorted(operations, key=lambda operation: operation.called)
        self._known = [operation for operation in ordered if operation.response is not None]
        self._unknown = [operation for operation in ordered if operation.response is None]
        self._steps = steps

    def run(self) -> Violation | None:
        points = [_Point()]
        looked_at: set[tuple[int, State]] = set()
        best = points[0]
        while points:
            point = self._take_unchanging(points.pop())
            if point.oldest == len(self._known):
                return None
            if (point.done, point.state) in looked_at:
                continue
            looked_at.add((point.done, point.state))
            if len(looked_at) > self._steps:
                raise SearchTooLong(f"task {self._known[0].task}: gave up after {self._steps} steps")
            best = max(best, point, key=lambda each: each.count)
            points.extend(self._next(point))
        stuck = [self._operation(index) for index in self._candidates(best)]
        return Violation(stuck[0].task, best.state, [*_last(best)], stuck)

    def _take_unchanging(self, point: _Point) -> _Point:
        """Do every known operation that may come next and leaves the state as it is."""
        again = True
        while again:
            again = False
            for index in self._candidates(point):
                operation = self._operation(index)
                if operation.response is not None and step(point.state, operation.request) == (
                    operation.response,
                    point.state,
                ):
                    point = self._do(point, index, point.state)
                    again = True
        return point

    def _next(self, point: _Point) -> Iterator[_Point]:
        """Give the points one change further, the most likely last, as the search takes that one first."""
        for index in sorted(self._candidates(point), reverse=True):
            operation = self._operation(index)
            response, state = step(point.state, operation.request)
            if state != point.state and operation.response in (None, response):
                yield self._do(point, index, state)

    def _candidates(self, point: _Point) -> list[int]:
        """Give the operations that may come next: those called before any that is left has returned."""
        found = []
        returned = math.inf
        for group, start in ((self._known, point.oldest), (self._unknown, 0)):
            base = 0 if group is self._known else len(self._known)
            for place in range(start, len(group)):
                if group[place].called > returned:
                    break
                if not point.done >> (base + place) & 1:
                    found.append(base + place)
                    returned = min(returned, group[place].returned)
        return found

    def _do(self, point: _Point, index: int, state: State) -> _Point:
        done = point.done | 1 << index
        oldest = point.oldest
        while oldest < len(self._known) and done >> oldest & 1:
            oldest += 1
        known = index < len(self._known)
        return _Point(done, state, oldest, point.count + known, _Way(self._operation(index), point.way))

    def _operation(self, index: int) -> Operation:
        known = len(self._known)
        return self._known[index] if index < known else self._unknown[index - known]


def _last(point: _Point) -> list[Operation]:
    way, found = point.way, list[Operation]()
    while way and len(found) < SHOWN:
        found.append(way.operation)
        way = way.before
    return found[::-1]


def _line(operation: Operation, zero: int) -> str:
    request = operation.request
    wanted = "".join(
        [
            request.kind.value,
            f" {request.title!r}" if request.title is not None else "",
            f" if at version {request.expected}" if request.expected is not None else "",
        ]
    )
    span = f"{(operation.called - zero) / 1e6:.3f} to {(operation.returned - zero) / 1e6:.3f} ms"
    return f"[{span}] client {operation.process}: {wanted} -> {_show(operation.response)}"


def _show(response: Response | None) -> str:
    if isinstance(response, Seen):
        return f"version {response.version}, {response.title!r}, {response.status}"
    if isinstance(response, Mismatch):
        return f"mismatch, it is at version {response.current}"
    return "outcome unknown" if response is None else response.value
