"""Verify: fold the log independently of any generation, and compare every row.

First checksums: one of about a thousand tasks each, for every table. Where they differ, the rows themselves. The log is
always read from its beginning; snapshots, and what a run had built, take no part. Tables are read in one snapshot
of PostgreSQL, so that everything goes on meanwhile.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import msgspec
import sqlalchemy as sa

from app.log.bulk import BulkReader
from projections import registry
from projections.batch import judge, key_indexes, may_clear, task_ids, task_index
from projections.catalog import find, fingerprint, names
from projections.database import Statement
from projections.generations import position_of
from projections.refusal import Refused
from projections.replay.builder import Target
from projections.replay.checksums import Bucket, Buckets, Checksum, add, canonical, different, digest
from projections.switching import generations

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
    from uuid import UUID

    from app.domain.history import History
    from projections.batch import Rows
    from projections.database import Connection, Database
    from projections.replay.build import Source

TASK_BYTES = 2_000
"""Memory that a task takes while the log is folded, about."""
SHOWN = 100
"""Differing rows that are named, at most, and buckets that are looked into."""
FETCH = 5_000
"""Rows read from PostgreSQL at a time."""
_generation = registry.generation
_mark = sa.update(_generation).where(
    _generation.c.projection == sa.bindparam("name"), _generation.c.generation == sa.bindparam("number")
)
_MARK_EQUAL = Statement(_mark.values(verified_at=sa.func.clock_timestamp(), code=sa.bindparam("own")))
_MARK_DIFFERENT = Statement(_mark.values(verified_at=None, code=sa.bindparam("own")))
Key: TypeAlias = tuple[object, ...]


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


Sums: TypeAlias = dict[_Table, dict[Bucket, Checksum]]


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
        position = await _common_position(connection, targets)
        beginnings = await self._source.log.beginnings()
        tables = [
            _Table(table, target.schema) for target in targets for table in target.projection.metadata.sorted_tables
        ]
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
                differences=[one for each in tables if each.schema == target.schema for one in differences[each]][
                    :SHOWN
                ],
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


class _Summing:
    """Adds the rows up; those that later records can replace or clear are kept as digests until the end."""

    def __init__(self, sums: Sums, buckets: Buckets) -> None:
        self._sums = sums
        self._buckets = buckets
        self._open: dict[_Table, dict[Key, tuple[Bucket, int, object]]] = {}

    def take(self, where: _Table, rows: Rows) -> None:
        table = where.table
        waiting = self._open.setdefault(where, {})
        if rows.clears is not None:
            cleared = set(rows.clears[1])
            for key in [key for key, (_, _, task) in waiting.items() if task in cleared]:
                del waiting[key]
        for row in rows.values:
            bucket, value = self._buckets.of_row(table, row), digest(table, row)
            if rows.replaces or may_clear(table):
                waiting[_key(table, row)] = (bucket, value, row[task_index(table)])
            else:
                add(self._sums[where], bucket, value)

    def finish(self) -> None:
        for where, waiting in self._open.items():
            for bucket, value, _ in waiting.values():
                add(self._sums[where], bucket, value)
        self._open.clear()


class _Keeping:
    """Keeps the rows themselves."""

    def __init__(self, tables: Sequence[_Table]) -> None:
        self.rows: dict[_Table, dict[Key, Sequence[object]]] = {each: {} for each in tables}

    def take(self, where: _Table, rows: Rows) -> None:
        kept = self.rows[where]
        if rows.clears is not None:
            cleared = set(rows.clears[1])
            for key in [key for key, row in kept.items() if row[task_index(where.table)] in cleared]:
                del kept[key]
        for row in rows.values:
            kept[_key(where.table, row)] = row

    def finish(self) -> None:
        """Leave everything as it is."""


def _differences(
    table: sa.Table, expected: Mapping[Key, Sequence[object]], found: Mapping[Key, Sequence[object]]
) -> list[Difference]:
    names_of = [column.name for column in table.columns]
    differences = []
    for key in sorted(expected.keys() | found.keys(), key=str):
        wanted, actual = expected.get(key), found.get(key)
        columns: list[str] = []
        if wanted is not None and actual is not None:
            pairs = zip(names_of, canonical(table, wanted), canonical(table, actual), strict=True)
            columns = [name for name, mine, theirs in pairs if mine != theirs]
            if not columns:
                continue
        problem = "missing" if actual is None else "extra" if wanted is None else "differs"
        differences.append(Difference(table.name, " ".join(map(str, key)), problem, columns))
    return differences


def _key(table: sa.Table, row: Sequence[object]) -> Key:
    return tuple(row[index] for index in key_indexes(table))


async def _choose(connection: Connection, wanted: Sequence[str], *, active: bool) -> Sequence[Target]:
    every = await generations(connection)
    targets = []
    for name in wanted:
        mine = [one for one in every if one.projection == name and one.state == ("active" if active else "standby")]
        if mine:
            projection = find(name, mine[-1].definition)
            if projection is None:
                raise Refused(f"This code does not have definition {mine[-1].definition} of {name}.")
            targets.append(Target(projection, mine[-1].generation))
    if not targets:
        raise Refused("There is no standby generation: build one with `replay run`, or verify what serves: --active.")
    return targets


async def _common_position(connection: Connection, targets: Sequence[Target]) -> Mapping[int, int]:
    found = [await position_of(connection, target.projection.name, target.generation) for target in targets]
    if any(position != found[0] for position in found):
        raise Refused("The generations are not at one position: verify them one by one, by name.")
    return found[0]


async def _count(connection: Connection, where: _Table) -> int:
    return int(await connection.fetchval(f'SELECT count(*) FROM "{where.schema}"."{where.table.name}"'))  # noqa: S608


async def _rows(connection: Connection, where: _Table) -> AsyncGenerator[Sequence[object]]:
    columns = ", ".join(f'"{column.name}"' for column in where.table.columns)
    cursor = connection.cursor(f'SELECT {columns} FROM "{where.schema}"."{where.table.name}"', prefetch=FETCH)  # noqa: S608
    async for row in cursor:
        yield tuple(row)
