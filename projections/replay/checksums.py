"""Checksums of rows: of many rows at once, so that two copies can be compared without holding either."""

from __future__ import annotations

import hashlib
import zlib
from functools import cache
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, cast

import msgspec
from sqlalchemy.dialects import postgresql

from app.domain.envelope import decode_key, encode_key
from projections.batch import task_index

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    import sqlalchemy as sa

BUCKET_ROWS = 1000
"""Tasks of a bucket, about: what has to be looked at again where a checksum differs."""
_encode = msgspec.msgpack.Encoder(enc_hook=str, order="sorted").encode
Checksum: TypeAlias = tuple[int, int]
"""How many rows, and the sum of their digests; the order of the rows does not matter."""
NO_ROWS: Checksum = (0, 0)


class Bucket(NamedTuple):
    """About a thousand tasks of one partition."""

    partition: int
    number: int


class Buckets:
    """Divides the tasks of a log into buckets."""

    def __init__(self, partitions: int, tasks: int) -> None:
        """Take the log's partitions, and about how many tasks there are."""
        self._partitions = partitions
        self._each = max(1, tasks // partitions // BUCKET_ROWS)

    def of_key(self, partition: int, key: bytes | None) -> Bucket:
        """Give the bucket of a record, by its key; those of records that name no task are all in one."""
        if decode_key(key) is None:
            return Bucket(partition, 0)
        return Bucket(partition, zlib.crc32(key or b"") // self._partitions % self._each)

    def of_row(self, table: sa.Table, row: Sequence[object]) -> Bucket:
        """Give the bucket of a row."""
        task_id = cast("UUID | None", row[task_index(table)])
        if task_id is None:
            return Bucket(cast("int", row[0]), 0)  # a dead letter that names no task, by its partition
        key = encode_key(task_id)
        return self.of_key(zlib.crc32(key) % self._partitions, key)


def digest(table: sa.Table, row: Sequence[object]) -> int:
    """Give 64 bits that tell rows of a table apart, however they were read."""
    return int.from_bytes(hashlib.blake2b(_encode(canonical(table, row)), digest_size=8).digest())


def canonical(table: sa.Table, row: Sequence[object]) -> list[object]:
    """Write a row in one way, whether it comes from a fold or from PostgreSQL, which keeps JSON in its own form."""
    json = _json_indexes(table)
    return [
        msgspec.json.decode(value) if number in json and isinstance(value, str) else value
        for number, value in enumerate(row)
    ]


def add(sums: dict[Bucket, Checksum], bucket: Bucket, row_digest: int, rows: int = 1) -> None:
    """Count a row in, or out with a negative number of rows."""
    count, total = sums.get(bucket, NO_ROWS)
    sums[bucket] = (count + rows, (total + rows * row_digest) % 2**64)


def different(expected: Mapping[Bucket, Checksum], found: Mapping[Bucket, Checksum]) -> set[Bucket]:
    """Give the buckets whose checksums differ."""
    return {
        bucket
        for bucket in expected.keys() | found.keys()
        if expected.get(bucket, NO_ROWS) != found.get(bucket, NO_ROWS)
    }


@cache
def _json_indexes(table: sa.Table) -> frozenset[int]:
    return frozenset(number for number, column in enumerate(table.columns) if isinstance(column.type, postgresql.JSONB))
