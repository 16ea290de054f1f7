from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from support.deadline import run

from app.domain.errors import ConfigurationError
from app.log.memory import MemoryLog
from app.log.port import milliseconds_of
from app.log.positions import Moment, Offsets, Place, RecordsAgo, TimeAgo, parse, resolve

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("beginning", Place(is_end=False)),
        ("end", Place(is_end=True)),
        ("offset:0=12", Offsets({0: 12})),
        ("offset:3=7,0=12", Offsets({0: 12, 3: 7})),
        ("0:12,1:7", Offsets({0: 12, 1: 7})),
        ("-0", RecordsAgo(0)),
        ("-1000", RecordsAgo(1000)),
        ("-30s", TimeAgo(timedelta(seconds=30))),
        ("-30m", TimeAgo(timedelta(minutes=30))),
        ("-2h", TimeAgo(timedelta(hours=2))),
        ("-7d", TimeAgo(timedelta(days=7))),
        ("-1w", TimeAgo(timedelta(days=7))),
        ("2026-03-01T12:00:00Z", Moment(NOON)),
        ("2026-03-01T13:00:00.000+01:00", Moment(NOON)),
    ],
)
def test_an_expression_is_read(text, expression):
    assert parse(text) == expression


@pytest.mark.parametrize(
    "text",
    ["", "start", "1000", "-", "-h", "-1y", "-1.5h", "offset:", "offset:1", "offset:1=", "offset:1=2,", "offset:a=1",
     "offset:-1=2", "0:1,x", "0=1", "offset 0=1", " end", "END"],
)  # fmt: skip
def test_what_is_no_expression_is_told_what_is_possible(text):
    with pytest.raises(ConfigurationError, match="is no position: give beginning, end, offset:") as refusal:
        parse(text)
    assert repr(text) in refusal.value.detail


@pytest.mark.parametrize("text", ["2026-03-01", "2026-03-01T12:00:00", "2026-13-01T12:00:00Z", "2026-03-01 noon"])
def test_a_time_without_all_that_it_needs_is_told_how(text):
    with pytest.raises(ConfigurationError, match=r"is no time: write date, time and zone"):
        parse(text)


@pytest.mark.parametrize("text", ["-999999w", "-36526d", "-999999999s"])
def test_an_age_of_a_century_is_refused(text):
    with pytest.raises(ConfigurationError, match="more than a hundred years ago"):
        parse(text)


def test_a_partition_that_is_named_twice_is_refused():
    with pytest.raises(ConfigurationError, match="names a partition twice"):
        parse("offset:1=2,1=3")


def filled() -> MemoryLog:
    """Two partitions of five and three records; of the first, two are gone."""
    log = MemoryLog(2)
    for partition, count in ((0, 5), (1, 3)):
        for _ in range(count):
            log.put(partition, b"k", b"v")
    log.truncate(0, 2)
    return log


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("beginning", {0: 2, 1: 0}),
        ("end", {0: 5, 1: 3}),
        ("-1", {0: 4, 1: 2}),
        ("-4", {0: 2, 1: 0}),
        ("offset:1=3", {1: 3}),
        ("1:0,0:2", {0: 2, 1: 0}),
        ("2020-01-01T00:00:00Z", {0: 2, 1: 0}),
        ("2120-01-01T00:00:00Z", {0: 5, 1: 3}),
        ("-1h", {0: 2, 1: 0}),
    ],
)
def test_an_expression_is_resolved(text, position):
    assert run(resolve(filled(), text)) == position


def test_an_age_counts_from_the_time_that_is_given():
    log = filled()
    later = datetime.now(UTC) + timedelta(hours=2)
    assert run(resolve(log, "-1h", later)) == {0: 5, 1: 3}
    assert run(resolve(log, "-3h", later)) == {0: 2, 1: 0}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("offset:2=0", "There is no partition 2: the log has the partitions 0 to 1."),
        ("0:1", "Partition 0 has no position 1: it begins at 2 and ends at 5."),
        ("0:6", "Partition 0 has no position 6: it begins at 2 and ends at 5."),
    ],
)
def test_what_the_log_does_not_have_is_refused(text, told):
    with pytest.raises(ConfigurationError) as refusal:
        run(resolve(filled(), text))
    assert refusal.value.detail == told


@pytest.mark.parametrize(("microseconds", "milliseconds"), [(0, 0), (1, 1), (1000, 1), (123_000, 123), (123_001, 124)])
def test_a_moment_within_a_millisecond_counts_as_the_next(microseconds, milliseconds):
    seconds = int(NOON.timestamp()) * 1000
    assert milliseconds_of(NOON + timedelta(microseconds=microseconds)) == seconds + milliseconds
