"""Verify: fold the log independently of any generation, and compare every row.

First checksums: one of about a thousand tasks each, for every table. Where they differ, the rows themselves. The log is
always read from its beginning; snapshots, and what a run had built, take no part. Tables are read in one snapshot
of PostgreSQL, so that everything goes on meanwhile.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import sqlalchemy as sa

from app.domain.envelope import decode_key
from app.log.bulk import BulkReader
from app.log.port import Batch
from projections import lockstep, registry
from projections.batch import judge
from projections.catalog import JUDGE, find, fingerprint, names
from projections.database import Statement
from projections.refusal import Refused
from projections.replay.builder import Target
from projections.replay.checksums import Buckets, Bucket, add, canonical, different, digest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from uuid import UUID

    from app.domain.history import History
    from projections.database import Connection, Database
    from projections.replay.builder import Source

TASK_BYTES = 2_000
"""Memory that a task takes while the log is folded, about."""
SHOWN = 100
"""Differing rows that are named, at most, and buckets that are looked into."""
FETCH = 5_000
"""Rows read from PostgreSQL at a time."""
_generation = registry.generation
_MARK = Statement(
    sa.update(_generation)
    .where(_generation.c.projection == sa.bindparam("name"), _generation.c.generation == sa.bindparam("number"))
    .values(verified_at=sa.bindparam("at", type_=_generation.c.verified_at.type), code=sa.bindparam("own"))
)


class Difference(msgspec.Struct, frozen=True):
    """A row that is not what the log says; `columns` names where, for one that differs."""

    table: str
    key: str
    problem: str
    """missing, extra or differs"""
    columns: list[str]


class Verified(msgspec.Struct, frozen=True):
    """What came of comparing one generation with the log."""

    projection: str
    generation: int
    rows: int
    events: int
    differing_checksums: int
    differences: list[Difference]

    @property
    def is_equal(self) -> bool:
        """Whether it holds exactly what the log says."""
        return not self.differing_checksums


class _Wanted(NamedTuple):
    """Which tasks a pass over the log is about: a share of all, and of those all buckets or some."""

    share: int
    shares: int
    buckets: Buckets
    only: set[Bucket] | None = None

    def takes(self, partition: int, key: bytes | None) -> bool:
        if zlib.crc32(key or b"", 1) % self.shares != self.share:
            return False
        return self.only is None or self.buckets.of_key(partition, key) in self.only


class _Table(NamedTuple):
    """A table of a generation."""

    table: sa.Table
    schema: str


Sums = dict[_Table, dict[Bucket, Checksum]]


class Verifier:
    """Compares generations with the log; `done` of `total` tells how far it is, in records read."""

    def __init__(self, database: Database, source: Source, limit_bytes: int) -> None:
        """Take the database (with time for LONG_STATEMENT), the log, and the most memory for tasks."""
        self.done = self.total = 0
        self._database = database
        self._source = source
        self._limit = limit_bytes

    async def verify(self, projections: Collection[str] = (), *, active: bool = False) -> Sequence[Verified]:
        """Verify the newest standby generation of each projection, or with `active` the one that serves.

        A projection without a standby generation is left out; without any, Refused is raised. What equals the log is
        marked as verified, what does not loses the mark. Raises LogUnavailable, LogTruncated, DatabaseUnavailable.
        """
        async with self._database.connection() as connection:
            async with connection.transaction(isolation="repeatable_read"):
                targets = await _choose(connection, names(projections), active=active)
                results = await self._compare(connection, targets)
            for one, target in zip(results, targets, strict=True):
                statement = _MARK_EQUAL if one.is_equal else _MARK_DIFFERENT
                code = fingerprint(target.projection)
                await statement.execute(connection, name=one.projection, number=one.generation, own=code)
        return results

    async def _compare(self, connection: Connection, targets: Sequence[Target]) -> Sequence[Verified]:
        position = await _position_of(connection, targets)
        beginnings = await self._source.log.beginnings()
        tables = [_Table(table, target.schema) for target in targets for table in target.projection.metadata.sorted_tables]
        rows = {each: await _count(connection, each) for each in tables}
        tasks = max(rows.values())
        buckets = Buckets(len(position), tasks)
        shares = 1 + tasks * TASK_BYTES // self._limit
        events = sum(position.values()) - sum(beginnings.values())
        self.total = events * shares
        expected: Sums = {each: {} for each in tables}
        for share in range(shares):
            wanted = _Wanted(share, shares, buckets)
            await self._fold(targets, beginnings, position, wanted, _Summing(expected, buckets))
        found: Sums = {each: {} for each in tables}
        for each in tables:
            async for row in _rows(connection, each):
                add(found[each], buckets.of_row(each.table, row), digest(each.table, row))
        suspects = {each: different(expected[each], found[each]) for each in tables}
        looked_into = set(sorted(bucket for those in suspects.values() for bucket in those)[:SHOWN])
        differences: dict[_Table, list[Difference]] = {each: [] for each in tables}
        if looked_into:
            self.total += events
            kept = _Keeping(tables)
            await self._fold(targets, beginnings, position, _Wanted(0, 1, buckets, looked_into), kept)
            for each in tables:
                actual = {
                    _key(each.table, row): row
                    async for row in _rows(connection, each)
                    if buckets.of_row(each.table, row) in looked_into
                }
                differences[each] = _differences(each.table, kept.rows[each], actual)
        return [
            Verified(
                target.projection.name,
                target.generation,
                rows=sum(rows[each] for each in tables if each.schema == target.schema),
                events=events,
                differing_checksums=sum(len(suspects[each]) for each in tables if each.schema == target.schema),
                differences=[one for each in tables if each.schema == target.schema for one in differences[each]][:SHOWN],
            )
            for target in targets
        ]

    async def _fold(
        self,
        targets: Sequence[Target],
        start: Mapping[int, int],
        stop: Mapping[int, int],
        wanted: _Wanted,
        sink: _Summing | _Keeping,
    ) -> None:
        """Read the log once, and hand over the rows of the wanted tasks."""
        histories: dict[UUID, History] = {}
        async with BulkReader(self._source.servers, self._source.topic, start, stop) as reader:
            async for chunk in reader:
                for partition, records in chunk:
                    self.done += len(records)
                    mine = [record for record in records if wanted.takes(partition, record.key)]
                    known = {one: histories[one] for one in task_ids(mine) if one in histories}
                    judged = judge(partition, mine, known, {})
                    histories.update(judged.histories)
                    for target in targets:
                        for rows in target.projection.fold(judged):
                            sink.take(_Table(rows.table, target.schema), rows)
        sink.finish()
