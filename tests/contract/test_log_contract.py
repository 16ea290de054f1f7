"""What every implementation of `app.log.port.Log` promises."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, aclosing
from datetime import UTC, datetime, timedelta

import pytest
from support.builders import TASK, created, event, number
from support.deadline import run, until

from app.domain.envelope import decode, encode, encode_key
from app.domain.history import EMPTY, Verdict, read
from app.domain.task import TaskUpdated
from app.log.port import LogTruncated, written_at

SECONDS = 60
KEY = encode_key(TASK)


def check(ledger_log, work):
    """Let some work use a log, with a deadline."""

    async def connected():
        async with ledger_log.opened() as log:
            await work(log)

    run(connected(), SECONDS)


async def append(log, partition, *values):
    for value in values:
        await log.append(partition, KEY, value, None)


async def take(batches, count):
    """Take so many records of a tail as (partition, offset, value)."""
    taken = []
    async for batch in batches:
        taken += [(batch.partition, record.offset, record.value) for record in batch.records]
        if len(taken) >= count:
            return taken
    raise AssertionError(f"the tail ended after {taken}")


async def read_all(log, partition, start, stop):
    return [
        (record.offset, record.value) async for batch in log.read(partition, start, stop) for record in batch.records
    ]


def test_a_new_log_is_empty(ledger_log):
    async def work(log):
        assert log.partitions == 4
        assert await log.ends() == await log.beginnings() == dict.fromkeys(range(4), 0)

    check(ledger_log, work)


def test_what_was_appended_is_in_the_log_at_once(ledger_log):
    async def work(log):
        for count in range(1, 4):
            await log.append(2, KEY, b"x", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
            assert await log.ends() == {0: 0, 1: 0, 2: count, 3: 0}
        assert (await log.beginnings())[2] == 0

    check(ledger_log, work)


def test_an_append_tells_when_it_was_sent(ledger_log):
    async def work(log):
        appending = log.append(0, KEY, b"x", None)
        await appending
        assert appending.sent

    check(ledger_log, work)


def test_records_of_a_partition_keep_their_order_key_and_value(ledger_log):
    async def work(log):
        values = [f"{n}".encode() for n in range(500)]
        await asyncio.gather(*(log.append(1, encode_key(number(n)), value, None) for n, value in enumerate(values)))
        found = [record async for batch in log.read(1, 0, 500) for record in batch.records]
        assert [record.value for record in found] == values
        assert [record.key for record in found] == [encode_key(number(n)) for n in range(500)]
        offsets = [record.offset for record in found]
        assert offsets == sorted(set(offsets))

    check(ledger_log, work)


def test_a_tail_begins_where_it_is_told_to_and_goes_on_with_what_comes(ledger_log):
    async def work(log):
        await append(log, 0, b"a", b"b", b"c")
        await append(log, 3, b"d")
        async with aclosing(log.tail({0: 1, 1: 0, 2: 0, 3: 1})) as batches:
            assert await take(batches, 2) == [(0, 1, b"b"), (0, 2, b"c")]
            later = asyncio.create_task(take(batches, 3))
            await append(log, 3, b"e", b"f")
            await append(log, 1, b"g")
            assert sorted(await later) == [(1, 0, b"g"), (3, 1, b"e"), (3, 2, b"f")]

    check(ledger_log, work)


def test_a_tail_of_some_partitions_leaves_the_others_out(ledger_log):
    async def work(log):
        await append(log, 0, b"a")
        await append(log, 1, b"b")
        async with aclosing(log.tail({1: 0})) as batches:
            assert await take(batches, 1) == [(1, 0, b"b")]

    check(ledger_log, work)


def test_a_bounded_read_gives_just_what_was_asked_for(ledger_log):
    async def work(log):
        await append(log, 2, b"a", b"b", b"c", b"d")
        assert await read_all(log, 2, 1, 3) == [(1, b"b"), (2, b"c")]
        assert await read_all(log, 2, 0, 4) == [(0, b"a"), (1, b"b"), (2, b"c"), (3, b"d")]
        assert await read_all(log, 2, 3, 3) == []

    check(ledger_log, work)


def test_records_that_are_gone_are_never_passed_over(ledger_log):
    async def work(log):
        await append(log, 0, b"a", b"b", b"c")
        await ledger_log.truncate(0, 2)
        assert await log.beginnings() == {0: 2, 1: 0, 2: 0, 3: 0}
        with pytest.raises(LogTruncated):
            await read_all(log, 0, 1, 3)
        async with aclosing(log.tail({0: 0, 1: 0})) as batches:
            with pytest.raises(LogTruncated):
                await take(batches, 1)
        assert await read_all(log, 0, 2, 3) == [(2, b"c")]

    check(ledger_log, work)


def test_of_many_writers_of_the_same_version_all_readers_see_the_same_one_first(ledger_log):
    """Four processes race for each of five versions; three read meanwhile, and one afterwards."""

    async def winners(log, versions):
        history, won = EMPTY, []
        async with aclosing(log.tail({1: 0})) as batches:
            async for batch in batches:
                for record in batch.records:
                    one = decode(record.key, record.value)
                    verdict, history = read(history, one)
                    if verdict is Verdict.ACCEPTED:
                        won.append(one.id)
                if len(won) == versions:
                    return won
        raise AssertionError("the tail ended")

    async def work(log):
        async with AsyncExitStack() as stack:
            logs = [log, *[await stack.enter_async_context(ledger_log.opened()) for _ in range(3)]]
            readers = [asyncio.create_task(winners(each, 5)) for each in logs[:3]]
            for version in range(1, 6):
                change = created() if version == 1 else TaskUpdated(title=f"title {version}")
                rivals = [event(version, change, id=number(version * 100 + n)) for n in range(20)]
                await asyncio.gather(
                    *(logs[n % 4].append(1, KEY, encode(rival), None) for n, rival in enumerate(rivals))
                )
            first, *others = await asyncio.gather(*readers)
            assert [(winner.int - number(0).int) // 100 for winner in first] == [1, 2, 3, 4, 5]
            assert all(other == first for other in others)
            assert await winners(logs[3], 5) == first
            assert (await log.ends())[1] == 100

    check(ledger_log, work)


def test_a_record_whose_writer_gives_up_before_it_was_sent_never_comes(ledger_log):
    async def work(log):
        appendings = [log.append(0, KEY, str(n).encode(), None) for n in range(200)]
        for appending in appendings:
            if not appending.sent:
                appending.cancel()
        left = [str(n).encode() for n, appending in enumerate(appendings) if not appending.cancelled()]
        await asyncio.gather(*(appending for appending in appendings if not appending.cancelled()))
        await append(log, 0, b"last")
        end = (await log.ends())[0]
        assert [value for _, value in await read_all(log, 0, 0, end)] == [*left, b"last"]

    check(ledger_log, work)


def test_a_tail_that_nobody_reads_any_more_can_be_closed(ledger_log):
    async def work(log):
        batches = log.tail(dict.fromkeys(range(4), 0))
        waiting = asyncio.create_task(anext(batches))
        await asyncio.sleep(0)
        waiting.cancel()
        await until(waiting.done)
        await batches.aclose()
        await append(log, 0, b"a")
        assert (await log.ends())[0] == 1

    check(ledger_log, work)


def test_a_time_leads_to_the_first_record_written_then_or_later(ledger_log):
    async def tick():
        """Let the clock of the writers, which counts milliseconds, go on."""
        now = datetime.now(UTC)
        moment = now.replace(microsecond=now.microsecond // 1000 * 1000) + timedelta(milliseconds=1)
        await until(lambda: datetime.now(UTC) >= moment)
        return moment

    async def work(log):
        before = await tick()
        await append(log, 0, b"a", b"b")
        between = await tick()
        await append(log, 0, b"c")
        await append(log, 2, b"d")
        after = await tick()
        assert await log.offsets_at(datetime(1960, 1, 1, tzinfo=UTC)) == dict.fromkeys(range(4), 0)
        assert await log.offsets_at(before) == dict.fromkeys(range(4), 0)
        assert await log.offsets_at(between) == {0: 2, 1: 0, 2: 0, 3: 0}
        assert await log.offsets_at(after) == await log.ends() == {0: 3, 1: 0, 2: 1, 3: 0}
        written = [written_at(record) async for batch in log.read(0, 0, 3) for record in batch.records]
        assert before <= written[0] <= written[1] < between <= written[2] < after

    check(ledger_log, work)
