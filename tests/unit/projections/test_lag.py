from __future__ import annotations

from datetime import UTC, datetime

from support.builders import COMPLETED, TASK, created, event, minute, records

from app.domain.envelope import encode, encode_key
from app.domain.history import History
from app.log.memory import MemoryRecord
from projections.lag import HEAD, PartitionLag, TotalLag, accepted_times, totals

LATE = 1_772_366_400_000


def void(count):
    return [MemoryRecord(n, encode_key(TASK), encode(event(1, created())), LATE + n) for n in range(count)]


def test_accepted_events_count_and_void_ones_do_not():
    head = records([event(1, created()), event(1, created()), event(2, COMPLETED)])
    assert accepted_times(0, head, {}) == [(0, minute(1)), (2, minute(2))]
    assert accepted_times(0, head, {TASK: History(None, 2)}) == []


def test_where_all_that_is_looked_at_is_void_the_last_record_counts():
    known = {TASK: History(None, 1)}
    assert accepted_times(0, void(HEAD - 1), known) == []
    ((offset, time),) = accepted_times(0, void(HEAD), known)
    assert offset == HEAD - 1
    assert time == datetime.fromtimestamp((LATE + HEAD - 1) / 1000, UTC)


def test_a_projection_is_as_late_as_its_latest_partition():
    lags = [PartitionLag(name, 1, n, 0, 9, n + 1, float(n)) for name in ("a", "b") for n in (2, 5)]
    assert totals(lags) == [TotalLag("a", 9, 5.0), TotalLag("b", 9, 5.0)]
    assert totals([]) == []
