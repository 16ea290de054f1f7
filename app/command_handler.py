"""How a command becomes an event: decide on what is known, append, and read the outcome from the log."""

from __future__ import annotations

import asyncio
import os
import random
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

from app.domain.envelope import Event
from app.domain.errors import (
    Contended,
    IdempotencyMismatch,
    LogUnavailable,
    OutcomeUnknown,
    OverlayFull,
    Rejected,
    TaskParked,
    Unavailable,
)
from app.domain.history import Verdict
from app.domain.task import decide
from app.telemetry import metrics

if TYPE_CHECKING:
    from app.domain.commands import Command
    from app.domain.task import Change, DeletedTask, State, Task
    from app.overlay import Overlay
    from app.overlay_entry import Entry
    from app.read_model import Receipt

ATTEMPTS = 100
"""Races that one command may lose. Each loss means that another change happened; within one process commands of a
task queue up, so that a race is between processes, and with ten of them 100 losses in a row are a 1 in 38,000 case."""
LONGEST_BACKOFF = 0.05
"""Seconds; the wait after a lost race is random, and at most this."""
STARTING = "The service has not read the log to its end yet; nothing was changed, try again later."
APPLIED_LATER = (
    "The change was recorded, but a damaged event of the same task came between; "
    "it takes effect when an operator has dealt with that. Do not send it again."
)
_KEYS = uuid5(NAMESPACE_URL, "urn:taskledger:idempotency-key")


class Key(NamedTuple):
    """A client's Idempotency-Key: the command's id, and the fingerprint of its request."""

    command_id: UUID
    request_hash: str

    @classmethod
    def of(cls, actor: str, text: str, request_hash: str) -> Key:
        """Make it from the header's text; keys of different actors never meet."""
        return cls(uuid5(_KEYS, f"{actor}\n{text}"), request_hash)


class Request(NamedTuple):
    """A command with what surrounds it."""

    command: Command
    task_id: UUID | None
    """None where the id of a new task is ours to choose."""
    actor: str
    expected: int | None = None
    """The version that the client saw, ANY_VERSION, or None where it does not say."""
    key: Key | None = None
    traceparent: str | None = None


class Outcome(NamedTuple):
    """What a command did."""

    state: Task | DeletedTask
    position: dict[int, int]
    """A position that includes the change."""


class CommandHandler:
    """Executes commands against the log; any number of processes may do so at once."""

    def __init__(self, overlay: Overlay, timeout: float) -> None:
        """Take the overlay, and the seconds that one command may take."""
        self._overlay = overlay
        self._timeout = timeout

    async def execute(self, request: Request) -> Outcome:
        """Carry out one command.

        Raises Rejected or ValidationError where it does not fit, Unavailable where nothing was changed and the
        same request may be sent again, and OutcomeUnknown.
        """
        if not self._overlay.ready:
            raise LogUnavailable(STARTING)
        if self._overlay.memory.full:
            raise OverlayFull
        fresh = request.task_id is None and request.key is None
        task_id = request.task_id or (request.key.command_id if request.key else time_ordered_id())
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._overlay.hold(task_id, fresh=fresh) as entry,
                entry.lock,
            ):
                for attempt in range(ATTEMPTS):
                    change = await self._decide(entry, request, first=attempt == 0)
                    if isinstance(change, Outcome):
                        return change
                    fate = await self._overlay.append(entry, _event(entry, request, change))
                    if fate.verdict is Verdict.ACCEPTED:
                        return _outcome(entry, fate.state, fate.offset + 1)
                    if fate.verdict is not Verdict.VOID:
                        raise OutcomeUnknown(APPLIED_LATER)
                    metrics.LOST_RACES.inc()
                    await asyncio.sleep(_backoff(attempt))
        except TimeoutError:
            raise Unavailable from None
        raise Contended

    async def _decide(self, entry: Entry, request: Request, *, first: bool) -> Change | Outcome:
        """Give the change to append, or the outcome where there is none.

        A no, a "nothing to change" and a Rejected error alike, could come from a state that another process has
        changed already, and so it is only given after the tail has caught up. A yes needs no such care: if it is
        stale, its record loses the race.
        """
        for latest in (False, True):
            receipt = await self._find_receipt(request, look_further=first and not latest)
            if receipt is not None:
                return _repeat(entry, receipt, request)
            if entry.known.parked:
                raise TaskParked
            try:
                change = decide(entry.known.state, request.command, request.expected)
            except Rejected:
                if latest:
                    raise
            else:
                if change is not None:
                    return change
            if not latest:
                await self._overlay.catch_up(entry.partition)
        return _outcome(entry, entry.known.state, self._overlay.tail.position[entry.partition])

    async def _find_receipt(self, request: Request, *, look_further: bool) -> Receipt | None:
        """Look for what this very command did; the task is held, so that one look further than memory is enough."""
        if request.key is None:
            return None
        if look_further:
            return await self._overlay.find_receipt(request.key.command_id)
        return self._overlay.recent_receipt(request.key.command_id)


def _repeat(entry: Entry, receipt: Receipt, request: Request) -> Outcome:
    """Give the first answer again; a key that was used for another task or another body is refused."""
    if request.key is None or receipt.command_hash != request.key.request_hash:
        raise IdempotencyMismatch
    return _outcome(entry, receipt.state, receipt.offset + 1)


def _outcome(entry: Entry, state: State, next_offset: int) -> Outcome:
    assert state is not None  # noqa: S101 - an accepted command leaves a task or what is left of one
    return Outcome(state, {entry.partition: next_offset})


def _event(entry: Entry, request: Request, change: Change) -> Event:
    event_id = uuid4()
    return Event(
        id=event_id,
        task_id=entry.task_id,
        version=entry.known.version + 1,
        time=datetime.now(UTC),
        actor=request.actor,
        command_id=request.key.command_id if request.key else event_id,
        command_hash=request.key.request_hash if request.key else None,
        traceparent=request.traceparent,
        change=change,
    )


def _backoff(attempt: int) -> float:
    return random.uniform(0, min(LONGEST_BACKOFF, 0.001 * 2**attempt))  # noqa: S311 - jitter, not a secret


def time_ordered_id() -> UUID:
    """Make a UUID of version 7 (RFC 9562): milliseconds since 1970, then 74 random bits.

    New ids sort after older ones, so that the read models' indexes grow at their right edge.
    """
    milliseconds = time.time_ns() // 1_000_000
    random_bits = int.from_bytes(os.urandom(10))
    high, low = random_bits >> 62 & 0xFFF, random_bits & (1 << 62) - 1
    return UUID(int=milliseconds << 80 | 0x7 << 76 | high << 64 | 0x2 << 62 | low)
