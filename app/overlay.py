"""The overlay: what this process has read of the log beyond the read models.

It tails every partition from the positions that the read models had applied, so that a task's state
is its row plus the records after that row, with no hole between. Records go again once the read
models have them. A task whose history is known stays known, because the tail sees whatever comes
next; such tasks are kept as long as there is room.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, NamedTuple

from app.domain.envelope import Event, decode, encode, encode_key
from app.domain.errors import DatabaseUnavailable, LogUnavailable, OutcomeUnknown
from app.domain.history import EMPTY, Verdict, read
from app.log.end import LogEnd
from app.log.port import partition_of
from app.overlay_memory import Memory
from app.progress import Progress
from app.read_model import Receipt
from app.telemetry import metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from uuid import UUID

    from app.domain.envelope import Unreadable
    from app.domain.task import State
    from app.log.port import Batch, Log
    from app.overlay_entry import Entry
    from app.read_model import ReadModel

logger = logging.getLogger(__name__)

TRIM_INTERVAL = 0.25
"""Seconds between two looks at the read models' positions while nobody waits for them."""
AWAITED_INTERVAL = 0.02
"""The same while somebody does."""


class Fate(NamedTuple):
    """What became of a record that this process appended."""

    verdict: Verdict
    state: State
    """The task right after the record."""
    offset: int


class _Hold:
    """A task held for the length of an `async with` block; a generator would cost a command three times as much."""

    __slots__ = ("_entry", "_overlay")

    def __init__(self, overlay: Overlay, entry: Entry) -> None:
        self._overlay = overlay
        self._entry = entry

    async def __aenter__(self) -> Entry:
        self._overlay.memory.pin(self._entry)
        if self._entry.history is None:
            try:
                await self._overlay.load(self._entry)
            except BaseException:
                self._overlay.memory.release(self._entry)
                raise
        return self._entry

    async def __aexit__(self, *_: object) -> None:
        self._overlay.memory.release(self._entry)


class Overlay:
    """The tail of the log, folded per task. `follow()` runs for as long as the process serves."""

    def __init__(self, log: Log, read_model: ReadModel, limit_bytes: int) -> None:
        """Take the log, the read models to start from, and the most memory to use, in bytes."""
        self._log = log
        self._read_model = read_model
        self._end = LogEnd(log)
        self._receipts: dict[UUID, Receipt] = {}
        self._fates: dict[UUID, asyncio.Future[Fate]] = {}
        self._trimmed = asyncio.Event()
        self._hurry = asyncio.Event()
        self.memory = Memory(log.partitions, limit_bytes)
        self.listeners: set[Callable[[int, int, Event], None]] = set()
        """Called with (partition, offset, event) for every event that is not known to be void."""
        self.tail = Progress()
        """What this process has read."""
        self.applied = Progress()
        """What the read models have applied, as last seen."""
        self.ready = False
        """Whether the tail has reached the log's end as it was after the start."""

    def partition_of(self, task_id: UUID) -> int:
        """Give the partition that holds a task."""
        return partition_of(encode_key(task_id), self._log.partitions)

    # --- following the log ------------------------------------------------------------------

    async def follow(self) -> None:
        """Tail the log until cancelled.

        Raises DatabaseUnavailable or LogUnavailable where it cannot begin, LogTruncated where records are gone.
        """
        start = await self._read_model.positions()
        for partition, offset in start.items():
            self.applied.advance(partition, offset)
            self.tail.advance(partition, offset)
        async with asyncio.TaskGroup() as group, aclosing(self._log.tail(start)) as batches:
            group.create_task(self._trim_forever())
            group.create_task(self._become_ready())
            async for batch in batches:
                self._observe(batch)
                while self.memory.exhausted:
                    self._trimmed.clear()
                    await self._trimmed.wait()

    async def _become_ready(self) -> None:
        while not self.ready:
            with suppress(LogUnavailable):
                await self.tail.wait_for(await self._log.ends())
                self.ready = True
                logger.info("the overlay has reached the log's end")
                return
            await asyncio.sleep(TRIM_INTERVAL)

    async def _trim_forever(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), TRIM_INTERVAL)
                await asyncio.sleep(AWAITED_INTERVAL)
            with suppress(DatabaseUnavailable):
                self._trim(await self._read_model.positions())
            if not self.applied.awaited:
                self._hurry.clear()

    def _observe(self, batch: Batch) -> None:
        for record in batch.records:
            event = decode(record.key, record.value)
            if event.task_id is None:
                continue  # nobody can ask for it; the projections keep it as a dead letter
            entry = self.memory.entry(event.task_id, batch.partition)
            command_id = event.command_id if isinstance(event, Event) and event.command_hash else None
            self.memory.add(entry, record.offset, len(record.value or b""), command_id)
            if entry.history is None:
                entry.pending.append((record.offset, event))
                verdict = Verdict.ACCEPTED if isinstance(event, Event) else Verdict.POISON
            else:
                verdict = self._read(entry, record.offset, event)
            if verdict is Verdict.ACCEPTED and isinstance(event, Event):
                for listener in self.listeners:
                    listener(batch.partition, record.offset, event)
        self.tail.advance(batch.partition, batch.records[-1].offset + 1)
        self.memory.make_room()

    def _read(self, entry: Entry, offset: int, event: Event | Unreadable) -> Verdict:
        """Fold one record into a known history and tell the command that wrote it."""
        verdict, history = read(entry.known, event)
        self.memory.set_history(entry, history)
        if isinstance(event, Event):
            if event.command_hash and verdict is Verdict.ACCEPTED:
                self._receipts[event.command_id] = Receipt(entry.task_id, event.command_hash, history.state, offset)
            fate = self._fates.get(event.id)
            if fate is not None and not fate.done():
                fate.set_result(Fate(verdict, history.state, offset))
        return verdict

    def _trim(self, positions: Mapping[int, int]) -> None:
        """Let go of what the read models have."""
        for partition, floor in positions.items():
            for record in self.memory.trim(partition, floor):
                if record.command_id is not None:
                    self._receipts.pop(record.command_id, None)
            self.applied.advance(partition, floor)
        self.memory.make_room()
        self._trimmed.set()

    # --- asking -----------------------------------------------------------------------------

    def hold(self, task_id: UUID, *, fresh: bool = False) -> _Hold:
        """Give a task with its history, and keep it here until the `async with` block ends.

        `fresh` promises that the id was made just now, so that nobody need look for it.
        Raises DatabaseUnavailable where only the read model knows the task.
        """
        entry = self.memory.entry(task_id, self.partition_of(task_id))
        if fresh:
            self.memory.set_history(entry, EMPTY)
        return _Hold(self, entry)

    async def load(self, entry: Entry) -> None:
        """Read the row of a pinned task, and what came after it."""
        stored = await self._read_model.load(entry.task_id)
        if entry.history is not None:
            return  # another command loaded it meanwhile
        pending, entry.pending = entry.pending, []
        self.memory.set_history(entry, stored.history)
        for offset, event in pending:
            if offset > stored.offset:
                self._read(entry, offset, event)

    async def find_receipt(self, command_id: UUID) -> Receipt | None:
        """Give what a keyed command did, wherever and whenever it was accepted, as far as the tail has read.

        Exact for a task that the caller holds. Raises DatabaseUnavailable.
        """
        stored = await self._read_model.find_receipt(command_id)
        return stored or self._receipts.get(command_id)

    def recent_receipt(self, command_id: UUID) -> Receipt | None:
        """Give what a keyed command did, if it is among the records kept here."""
        return self._receipts.get(command_id)

    async def catch_up(self, partition: int) -> None:
        """Return once the tail has everything that was in the partition when the call began.

        Raises LogUnavailable.
        """
        ends = await self._end.ask()
        await self.tail.wait_for({partition: ends[partition]})

    async def wait_until_applied(self, position: Mapping[int, int]) -> None:
        """Return once the read models have a position; the caller sets the deadline."""
        self._hurry.set()
        await self.applied.wait_for(position)

    # --- appending --------------------------------------------------------------------------

    async def append(self, entry: Entry, event: Event) -> Fate:
        """Append an event of a task that the caller holds, and read its fate from the log.

        The caller sets the deadline. Raises LogUnavailable where the record was certainly not appended, also when the
        deadline passes before it was sent, and OutcomeUnknown when it passes later: the record may still get there.
        """
        loop = asyncio.get_running_loop()
        begun = loop.time()
        fate: asyncio.Future[Fate] = loop.create_future()
        self._fates[event.id] = fate
        appending = self._log.append(entry.partition, encode_key(event.task_id), encode(event), event.traceparent)
        try:
            if appending.done() and isinstance(appending.exception(), LogUnavailable):
                raise LogUnavailable
            result = await fate
        except asyncio.CancelledError:
            if appending.sent:
                raise OutcomeUnknown from None
            appending.cancel()
            raise LogUnavailable from None
        finally:
            del self._fates[event.id]
        metrics.READ_BACK_SECONDS.observe(loop.time() - begun)
        return result
