"""Made-up histories of a correct service: each operation takes effect at one moment after its call."""

from __future__ import annotations

import math
import random
from dataclasses import replace

from support.linearizability import Answer, Kind, Operation, Request, Seen, State, step

CHANGES = [Kind.RETITLE] * 4 + [Kind.COMPLETE, Kind.REOPEN]
UNKNOWN_SHARE = 0.05


def simulate(seed: int, tasks: int = 1, clients: int = 6, each: int = 40, deletes: float = 0.0) -> list[Operation]:
    """Let clients work on tasks; some answers get lost, and what they were about may happen late or never.

    `deletes` is the share of operations that delete their task.
    """
    rng = random.Random(seed)
    history: list[Operation] = []
    for task in range(tasks):
        history += _simulate_task(rng, f"task-{task}", clients, each, deletes)
    return history


def _simulate_task(rng: random.Random, task: str, clients: int, each: int, deletes: float) -> list[Operation]:
    moments: list[tuple[float, Operation]] = []
    for process in range(clients):
        now = rng.randrange(10)
        for number in range(each):
            called, moment = now, now + rng.randrange(1, 100)
            now = moment + rng.randrange(1, 100)
            returned: float = now
            now += rng.randrange(1, 30)
            title = f"{process}.{number}"
            first = process == number == 0
            request = Request(Kind.CREATE, title) if first else _request(rng, title, deletes)
            if request.kind is not Kind.READ and rng.random() < UNKNOWN_SHARE:
                moment += rng.choice([0, 5000, math.inf])
                returned = math.inf
            operation = Operation(
                process=process, task=task, request=request, response=None, called=called, returned=returned
            )
            moments.append((moment, operation))
    return _carry_out(rng, moments)


def _request(rng: random.Random, title: str, deletes: float) -> Request:
    roll = rng.random()
    if roll < 0.05:
        return Request(Kind.CREATE, title)
    if roll < 0.4:
        return Request(Kind.READ)
    if roll < 0.4 + deletes:
        return Request(Kind.DELETE)
    kind = rng.choice(CHANGES)
    expected = -1 if rng.random() < 0.5 else None  # -1 becomes a version that was current a moment ago
    return Request(kind, title if kind is Kind.RETITLE else None, expected)


def _carry_out(rng: random.Random, moments: list[tuple[float, Operation]]) -> list[Operation]:
    state: State = Answer.NOT_FOUND
    history = []
    for moment, planned in sorted(moments, key=lambda each: each[0]):
        operation = planned
        if operation.request.expected is not None:
            version = state.version - rng.choice([0, 0, 1]) if isinstance(state, Seen) else 1
            operation = replace(operation, request=replace(operation.request, expected=version))
        if moment < math.inf:
            response, state = step(state, operation.request)
            if operation.returned < math.inf:
                operation = replace(operation, response=response)
        history.append(operation)
    return history
