"""What an operator can do about a parked task: retry what parks it, or discard that; both through the log.

The decision is folded from the task's dead letters by `app.domain.repair` and appended like any command's event, so
that it may lose its version to another writer; it is then folded anew.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

from app.domain.commands import CompleteTask
from app.domain.envelope import Event
from app.domain.errors import Contended, OutcomeUnknown, Rejected, Unavailable
from app.domain.history import Verdict
from app.domain.repair import plan
from app.domain.task import decide, version_of
from projections.refusal import Refused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from uuid import UUID

    from app.domain.repair import Repair
    from app.domain.task import Change, State
    from app.overlay import Overlay
    from app.overlay_entry import Entry
    from app.read_model import ReadModel
    from projections.task.dead_letters import DeadLetter

ATTEMPTS = 20
"""Races that one repair may lose; whoever sends events for a parked task gives up long before."""
LONGEST_BACKOFF = 0.2
"""Seconds between two attempts, at most; the wait is random."""
ACTOR = "operator"


class RepairRefused(Refused):
    """The task cannot be repaired in this way."""

    code = "repair_refused"


class Found(NamedTuple):
    """A parked task, and what a decision about it comes to."""

    letters: Sequence[DeadLetter]
    version: int
    """The last version that was taken."""
    repair: Repair

    @property
    def left_out(self) -> list[tuple[DeadLetter, str]]:
        """Give the records that have no part in the result, and why."""
        return [(self.letters[place], reason) for place, reason in self.repair.left_out.items()]


class Repaired(NamedTuple):
    """A task that is not parked any more."""

    state: State
    left_out: Sequence[tuple[DeadLetter, str]]
    applied: bool
    """Whether the read models have it already."""


class Repairer:
    """Repairs parked tasks; the overlay is its own, and nobody else follows the log with it."""

    def __init__(
        self,
        overlay: Overlay,
        read_model: ReadModel,
        dead_letters: Callable[[UUID], Awaitable[Sequence[DeadLetter]]],
        timeout: float,
    ) -> None:
        """Take what gives a task's dead letters in order, and the seconds that one repair may take."""
        self._overlay = overlay
        self._read_model = read_model
        self._dead_letters = dead_letters
        self._timeout = timeout

    async def preview(self, task_id: UUID, *, keep_poison: bool) -> Found:
        """Tell what a decision would come to, as far as the read models know. Raises RepairRefused, Unavailable."""
        for attempt in range(ATTEMPTS):
            stored = await self._read_model.load(task_id)
            letters = await self._dead_letters(task_id)
            if not letters and not stored.history.parked:
                raise RepairRefused(f"Task {task_id} is not parked: there is nothing to repair.")
            state = stored.history.state
            taken = max((letter.version or 0 for letter in letters), default=0)
            if letters and max(taken, version_of(state)) == stored.history.version:
                records = [letter.record for letter in letters]
                return Found(letters, stored.history.version, plan(state, records, keep_poison=keep_poison))
            await asyncio.sleep(_backoff(attempt))  # a record was applied between the two questions
        raise Contended

    async def retry(self, task_id: UUID, *, leave_out: bool = False) -> Repaired:
        """Repair a task with what parks it, which this code must be able to apply now.

        `leave_out` allows to do without later records that it cannot apply. Raises RepairRefused, Unavailable where
        nothing was changed, and OutcomeUnknown.
        """

        def check(found: Found) -> None:
            reason = found.repair.left_out.get(0)
            if reason is not None:
                raise RepairRefused(
                    f"This code cannot apply the record that parks task {task_id} ({reason}): deploy code that can, "
                    "or discard the record."
                )
            if found.left_out and not leave_out:
                places = ", ".join(f"{letter.partition}:{letter.offset}" for letter, _ in found.left_out)
                raise RepairRefused(
                    f"This code cannot apply later records of task {task_id} either ({places}): deploy code that can, "
                    "or retry with --leave-out to do without them."
                )

        return await self._beside_the_log(self._repair(task_id, check, keep_poison=True))

    async def discard(self, task_id: UUID) -> Repaired:
        """Repair a task without what parks it, and without later records that cannot be applied then.

        Where nothing is left of the task, it is deleted. Raises like `retry`.
        """
        return await self._beside_the_log(self._repair(task_id, lambda _: None, keep_poison=False))

    async def _beside_the_log(self, work: Awaitable[Repaired]) -> Repaired:
        """Do some work while the overlay follows the log, whose end ends it."""
        following = asyncio.create_task(self._overlay.follow())
        working = asyncio.ensure_future(work)
        try:
            await asyncio.wait({following, working}, return_when=asyncio.FIRST_COMPLETED)
            if following.done() and not working.done():
                following.result()
            return await working
        finally:
            working.cancel()
            following.cancel()
            await asyncio.wait({following, working})

    async def _repair(self, task_id: UUID, check: Callable[[Found], None], *, keep_poison: bool) -> Repaired:
        partition = self._overlay.partition_of(task_id)
        try:
            async with asyncio.timeout(self._timeout):
                await self._overlay.catch_up(partition)  # the tail must have begun before a task is loaded
                async with self._overlay.hold(task_id) as entry:
                    found = await self._append_repair(entry, check, keep_poison=keep_poison)
                    await self._complete(entry, found.repair.changes[1:])
        except TimeoutError:
            raise Unavailable(
                "The read models do not have all records of the task in time: see that a worker runs, and try again; "
                "nothing was changed."
            ) from None
        except OutcomeUnknown:
            raise OutcomeUnknown(
                f"The repair was sent and its outcome is not known: if task {task_id} is still a dead letter "
                "in a moment, run the same command again."
            ) from None
        return Repaired(entry.known.state, found.left_out, await self._is_applied(partition))

    async def _append_repair(self, entry: Entry, check: Callable[[Found], None], *, keep_poison: bool) -> Found:
        for attempt in range(ATTEMPTS):
            await self._overlay.catch_up(entry.partition)
            await self._overlay.wait_until_applied({entry.partition: self._overlay.tail.position[entry.partition]})
            found = await self.preview(entry.task_id, keep_poison=keep_poison)
            check(found)
            now = datetime.now(UTC)
            repair = _event(entry, found.version + 1, found.repair.changes[0], now, found.repair.created_at or now)
            if (await self._overlay.append(entry, repair)).verdict is Verdict.ACCEPTED:
                return found
            await asyncio.sleep(_backoff(attempt))
        raise Contended

    async def _complete(self, entry: Entry, changes: Sequence[Change]) -> None:
        """Complete a task again that was completed, unless somebody deletes it first."""
        for attempt in range(ATTEMPTS if changes else 0):
            change = None
            with suppress(Rejected):
                change = decide(entry.known.state, CompleteTask())
            if change is None or entry.known.parked:
                return
            completion = _event(entry, entry.known.version + 1, change, datetime.now(UTC), None)
            if (await self._overlay.append(entry, completion)).verdict is Verdict.ACCEPTED:
                return
            await asyncio.sleep(_backoff(attempt))

    async def _is_applied(self, partition: int) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._timeout):
                await self._overlay.wait_until_applied({partition: self._overlay.tail.position[partition]})
                return True
        return False


def _event(entry: Entry, version: int, change: Change, time: datetime, repairs: datetime | None) -> Event:
    event_id = uuid4()
    return Event(
        id=event_id,
        task_id=entry.task_id,
        version=version,
        time=time,
        actor=ACTOR,
        command_id=event_id,
        repairs=repairs,
        change=change,
    )


def _backoff(attempt: int) -> float:
    return random.uniform(0, min(LONGEST_BACKOFF, 0.005 * 2**attempt))  # noqa: S311 - jitter, not a secret
