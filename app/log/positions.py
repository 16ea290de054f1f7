"""Positions as operators write them.

| expression | means |
|---|---|
| `beginning` | the first record that is still there, of every partition |
| `end` | where every partition ends now |
| `offset:0=12,3=7` | these offsets; partitions that are not named are left out |
| `0:12,3:7` | the same, as a consistency token says it |
| `2026-03-01T12:00:00Z` | the first record written at that time or later, of every partition |
| `-1000` | so many records before the end of every partition |
| `-30s` `-30m` `-2h` `-7d` `-4w` | the first record written so long ago or later |
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, TypeAlias

import msgspec

from app.domain.errors import ConfigurationError
from app.log.port import parse_position

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.log.port import Log

EXAMPLES = "beginning, end, offset:0=12,3=7, a consistency token, 2026-03-01T12:00:00Z, -1000 (records) or -2h"
"""What is possible, for those who wrote something else."""
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGO = re.compile(rf"-(\d{{1,9}})([{''.join(UNITS)}]?)")
_OFFSETS = re.compile(r"\d{1,18}=\d{1,18}(,\d{1,18}=\d{1,18})*")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


class Place(msgspec.Struct, frozen=True):
    """One end of every partition."""

    is_end: bool


class Offsets(msgspec.Struct, frozen=True):
    """Partitions, and the next offset of each."""

    of: dict[int, int]


class RecordsAgo(msgspec.Struct, frozen=True):
    """So many records before the end of every partition."""

    count: int


class Moment(msgspec.Struct, frozen=True):
    """A point in time."""

    time: datetime


class TimeAgo(msgspec.Struct, frozen=True):
    """So long before now."""

    time: timedelta


Expression: TypeAlias = Place | Offsets | RecordsAgo | Moment | TimeAgo


def parse(text: str) -> Expression:
    """Read an expression. Raises ConfigurationError that says what is possible."""
    if text in ("beginning", "end"):
        return Place(text == "end")
    if ago := _AGO.fullmatch(text):
        return _ago(int(ago[1]), ago[2])
    if _DATE.match(text):
        return _moment(text)
    kind, colon, named = text.partition(":")
    try:
        if kind == "offset" and colon:
            return _offsets(named)
        if text:
            return Offsets(parse_position(text))
    except ValueError:
        pass
    raise ConfigurationError(f"{text!r} is no position: give {EXAMPLES}.")


async def resolve(log: Log, text: str, now: datetime | None = None) -> Mapping[int, int]:
    """Give the next offset of each partition that an expression names, in the order of partitions.

    Every offset is in its partition: not before its beginning, and at most its end. `now` is the time that an age
    counts from, by default this machine's.
    Raises ConfigurationError for what is no position of this log, LogUnavailable.
    """
    expression = parse(text)
    beginnings = await log.beginnings()
    match expression:
        case Place(is_end):
            found = await log.ends() if is_end else beginnings
        case Offsets(named):
            found = _check(named, beginnings, await log.ends())
        case RecordsAgo(count):
            ends = await log.ends()
            found = {partition: max(beginnings[partition], end - count) for partition, end in ends.items()}
        case Moment(time):
            found = await log.offsets_at(time)
        case TimeAgo(time):
            found = await log.offsets_at((now or datetime.now(UTC)) - time)
    return dict(sorted(found.items()))


def _ago(count: int, unit: str) -> RecordsAgo | TimeAgo:
    if not unit:
        return RecordsAgo(count)
    age = timedelta(**{UNITS[unit]: count}) if count < 10**6 else timedelta.max
    if age > timedelta(weeks=5200):
        raise ConfigurationError(f"-{count}{unit} is more than a hundred years ago: give an age that the log can have.")
    return TimeAgo(age)


def _moment(text: str) -> Moment:
    try:
        return Moment(msgspec.convert(text, Annotated[datetime, msgspec.Meta(tz=True)]))
    except msgspec.ValidationError as error:
        raise ConfigurationError(
            f"{text!r} is no time: write date, time and zone as in 2026-03-01T12:00:00Z or 2026-03-01T13:00:00+01:00."
        ) from error


def _offsets(named: str) -> Offsets:
    if not _OFFSETS.fullmatch(named):
        raise ValueError(named)
    pairs = [(int(partition), int(offset)) for partition, offset in (pair.split("=") for pair in named.split(","))]
    offsets = dict(pairs)
    if len(offsets) < len(pairs):
        raise ConfigurationError(f"offset:{named} names a partition twice: name each once.")
    return Offsets(offsets)


def _check(named: Mapping[int, int], beginnings: Mapping[int, int], ends: Mapping[int, int]) -> Mapping[int, int]:
    for partition, offset in named.items():
        if partition not in ends:
            raise ConfigurationError(f"There is no partition {partition}: the log has the partitions 0 to {max(ends)}.")
        if not beginnings[partition] <= offset <= ends[partition]:
            raise ConfigurationError(
                f"Partition {partition} has no position {offset}: "
                f"it begins at {beginnings[partition]} and ends at {ends[partition]}."
            )
    return named
