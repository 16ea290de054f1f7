"""Checks of clocks: no promise rests on them, but lag in seconds and the times of events do."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from app.log.port import written_at
from projections.doctor.findings import ok, warn

if TYPE_CHECKING:
    from app.log.port import Log
    from projections.doctor.findings import Finding

TOLERANCE = timedelta(seconds=1)
LAST_TIMEOUT = 5.0
"""Seconds to wait for the last record of every partition."""
SYNCHRONIZE = "synchronize the clocks of the machines (NTP)"


def clock_finding(check: str, before: datetime, there: datetime, after: datetime) -> Finding:
    """Compare another clock's answer with our own from before and after the question."""
    early, late = before - there, there - after
    difference = max(early, late, timedelta())
    if difference > TOLERANCE:
        sign = "behind" if early > late else "ahead"
        return warn(check, f"{difference.total_seconds():.1f} s {sign} of this machine's", SYNCHRONIZE)
    return ok(check, f"within {TOLERANCE.total_seconds():.0f} s of this machine's")


async def check_last_record(log: Log) -> Finding:
    """See that the last records of the log are not from the future: their writers' clocks may differ from this one."""
    beginnings, ends = await log.beginnings(), await log.ends()
    last = {partition: end - 1 for partition, end in ends.items() if end > beginnings[partition]}
    latest: datetime | None = None
    try:
        async with asyncio.timeout(LAST_TIMEOUT), aclosing(log.tail(last)) as batches:
            missing = set(last)
            while missing:
                batch = await anext(batches)
                missing.discard(batch.partition)
                written = written_at(batch.records[-1])
                latest = max(filter(None, (latest, written)), default=None)
    except TimeoutError:
        pass  # some partitions end in what is no record
    if latest is None:
        return ok("clock of the writers", "the log has no record yet")
    return last_record_finding(latest, datetime.now(UTC))


def last_record_finding(latest: datetime, now: datetime) -> Finding:
    """Judge the time of the log's latest record."""
    if latest - now > TOLERANCE:
        told = f"the last record was written {(latest - now).total_seconds():.1f} s in the future"
        return warn("clock of the writers", told, SYNCHRONIZE)
    return ok("clock of the writers", f"the last record was written {latest.isoformat(timespec='seconds')}")
