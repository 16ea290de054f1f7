"""The agent `insight`: how many tasks there are in each status, and how many changes there were lately.

The counts are exact: one key of a table holds a partition's counts together with the offset up to which they
count. The rates may count a change twice, or miss one, when a worker crashes.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from agents.batches import TableFollower, finish
from agents.durable_table import durable_table
from agents.outline import is_accepted, last_version
from app.domain.envelope import decode, encode_key
from app.domain.task import TaskCompleted, TaskCreated, TaskDeleted, TaskUpdated
from app.log.topics import INSIGHT_COUNTS_TABLE, INSIGHT_RATES_TABLE, INSIGHT_TASKS_TABLE, TYPED

if TYPE_CHECKING:
    from collections.abc import Mapping

    import faust

    from agents.durable_table import DurableTable
    from app.domain.task import Change
    from app.log.port import Batch, Log

BATCH = 1000
"""Most records that are counted at once."""
GATHER = 0.25
"""Seconds that a batch waits for more records: the fewer batches, the fewer changes of the tables."""
MINUTE = timedelta(minutes=1)
KEPT = timedelta(minutes=16)
"""How long the rates of a minute are kept: the 15 that are shown, and the one that is running."""
SHOWN = (1, 5, 15)
"""Minutes that the shown rates reach back."""
STATUSES = ("open", "completed", "deleted")


class InsightTables(NamedTuple):
    """The tables of this agent."""

    tasks: DurableTable
    """Task to its [what `outline` remembers, status]."""
    counts: DurableTable
    """`partition:` to its {status: tasks, "next_offset": first record that is not counted}."""
    rates: DurableTable
    """`partition:type` to the number of events of a minute, by the time of the event."""


def insight_tables(stream_app: faust.App) -> InsightTables:
    """Declare the tables."""
    tables = InsightTables(
        tasks=durable_table(stream_app, INSIGHT_TASKS_TABLE, list, key_type=bytes),
        counts=durable_table(stream_app, INSIGHT_COUNTS_TABLE, dict),
        rates=durable_table(stream_app, INSIGHT_RATES_TABLE, int),
    )
    tables.rates.tumbling(MINUTE, expires=KEPT)
    return tables


def counter(log: Log, tables: InsightTables) -> TableFollower:
    """Make the follower that counts."""
    return TableFollower("insight", log, tables.tasks, partial(count, tables=tables))


async def count(batch: Batch, tables: InsightTables) -> None:
    """Count the accepted events of a batch.

    The counts reach Kafka before the tasks do: after a crash in between, the records are read again, counted no
    second time because of their offsets, and their tasks are written then.
    """
    partition = batch.partition
    counts = dict(tables.counts.get(f"{partition}:") or {})
    counted_up_to = counts.get("next_offset", 0)
    latest: dict[bytes, tuple[int, str | None]] = {}
    for record in batch.records:
        event = decode(record.key, record.value)
        if event.task_id is None:
            continue
        key = encode_key(event.task_id)
        last, before = latest.get(key) or tables.tasks.get(key) or (0, None)
        if not is_accepted(event, last):
            latest[key] = (last_version(event, last), before)
            continue
        after = status_after(before, event.change)
        latest[key] = (last_version(event, last), after)
        if record.offset >= counted_up_to:
            _move(counts, before, after)
            tables.rates.add(f"{partition}:{event.type}", 1, event.time.timestamp())
    counts["next_offset"] = max(counted_up_to, batch.records[-1].offset + 1)
    tables.counts[f"{partition}:"] = counts
    await tables.rates.flush(partition)
    await tables.counts.flush(partition)
    for key, value in latest.items():
        tables.tasks[key] = value
    await finish(tables.tasks, batch)


def status_after(status: str | None, change: Change) -> str | None:
    """Give the status that a change leaves."""
    match change:
        case TaskCreated():
            return "open"
        case TaskCompleted():
            return "completed"
        case TaskDeleted():
            return "deleted"
        case TaskUpdated():
            return "open" if change.status == "open" else status


def _move(counts: dict[str, int], before: str | None, after: str | None) -> None:
    if before == after:
        return
    if before is not None:
        counts[before] = counts.get(before, 0) - 1
    if after is not None:
        counts[after] = counts.get(after, 0) + 1


def of_partition(tables: InsightTables, partition: int, now: float) -> Mapping[str, Mapping[str, int]]:
    """Give one partition's counts by status, and its events by `type/minutes` at a time in seconds since 1970."""
    counts = tables.counts.get(f"{partition}:") or {}
    changes: dict[str, int] = {}
    for kind in TYPED:
        minutes = [tables.rates.value_at(f"{partition}:{kind}", now - 60 * age) for age in range(max(SHOWN))]
        changes |= {f"{kind}/{shown}": sum(minutes[:shown]) for shown in SHOWN}
    return {"tasks": {status: counts.get(status, 0) for status in STATUSES}, "changes": changes}
