"""What `app.log.bulk.BulkReader` promises, on the real broker."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import TopicPartition
from support.builders import TASK, number
from support.deadline import run
from support.own_ledger import PARTITIONS, settings_for

from app.domain.envelope import encode_key
from app.domain.errors import LogUnavailable
from app.log import bulk
from app.log.bulk import BulkReader
from app.log.kafka import KafkaLog
from app.log.port import LogTruncated
from app.log.topics import EVENTS, provision_topics

pytestmark = pytest.mark.stack
SECONDS = 120
KEY = encode_key(TASK)
BEGINNING = dict.fromkeys(range(PARTITIONS), 0)


class OwnLog:
    """A log of a test's own."""

    def __init__(self, stack):
        self.settings = settings_for(stack)
        self.topic = self.settings.topic_prefix + EVENTS

    @asynccontextmanager
    async def opened(self):
        await provision_topics(self.settings)
        async with KafkaLog(self.settings.kafka, self.topic, PARTITIONS) as log:
            yield log

    def reader(self, start, stop, **options):
        return BulkReader(self.settings.kafka, self.topic, start, stop, **options)

    async def read(self, start, stop, **options):
        """Give what the reader gives as {partition: [(offset, key, value), …]}."""
        found = {}
        async with self.reader(start, stop, **options) as reader:
            async for chunk in reader:
                collect(chunk, found)
        return found


@pytest.fixture
def own_log(stack):
    return OwnLog(stack)


def collect(chunk, found):
    for partition, records in chunk:
        assert records
        found.setdefault(partition, []).extend((record.offset, record.key, record.value) for record in records)


def check(own_log, work, seconds=SECONDS):
    """Let some work use a log, with a deadline."""

    async def connected():
        async with own_log.opened() as log:
            await work(log)

    run(connected(), seconds)


async def fill(log, counts, size=10):
    """Append so many records to each partition; give what a reader has to find there."""
    expected = {
        partition: [(n, encode_key(number(n)), f"{partition}-{n}".encode().ljust(size)) for n in range(count)]
        for partition, count in counts.items()
    }
    for partition, records in expected.items():
        for begin in range(0, len(records), 5000):
            some = records[begin : begin + 5000]
            await asyncio.gather(*(log.append(partition, key, value, None) for _, key, value in some))
    return expected


def test_every_record_comes_once_and_in_order_from_all_partitions_side_by_side(own_log):
    async def work(log):
        expected = await fill(log, dict.fromkeys(range(PARTITIONS), 8000))
        found, sizes = {}, []
        async with own_log.reader(BEGINNING, await log.ends()) as reader:
            async for chunk in reader:
                assert len({batch.partition for batch in chunk}) == len(chunk)
                sizes.append(sum(len(batch.records) for batch in chunk))
                collect(chunk, found)
        assert found == expected
        assert max(sizes) < bulk.CHUNK + bulk.SLICE

    check(own_log, work)


def test_just_the_wanted_offsets_come(own_log):
    async def work(log):
        expected = await fill(log, dict.fromkeys(range(PARTITIONS), 1000))
        found = await own_log.read({0: 0, 1: 400, 2: 999, 3: 10}, {0: 1, 1: 600, 2: 1000, 3: 1000})
        assert found == {
            0: expected[0][:1],
            1: expected[1][400:600],
            2: expected[2][999:],
            3: expected[3][10:],
        }

    check(own_log, work)


def test_nothing_wanted_is_the_end_at_once(own_log):
    async def work(log):
        await fill(log, {0: 5, 1: 5})
        assert await own_log.read({0: 5, 1: 2, 2: 0}, {0: 5, 1: 2, 2: 0}) == {}
        assert await own_log.read({0: 5, 1: 2, 2: 0}, {0: 4}) == {}
        assert await own_log.read({}, {}) == {}

    check(own_log, work)


def test_offsets_that_hold_no_record_end_no_reading_early_and_hold_up_none(own_log):
    async def work(log):
        producer = AIOKafkaProducer(bootstrap_servers=own_log.settings.kafka, transactional_id=own_log.topic)
        await producer.start()
        for outcome in (producer.commit_transaction, producer.abort_transaction):
            await producer.begin_transaction()
            await producer.send_and_wait(own_log.topic, b"x", KEY, partition=0)
            await outcome()
        await producer.stop()
        assert (await log.ends())[0] == 4
        both = [(0, KEY, b"x"), (2, KEY, b"x")]
        assert await own_log.read({0: 0}, {0: 4}) == {0: both}
        assert await own_log.read({0: 0}, {0: 2}) == {0: both[:1]}
        assert await own_log.read({0: 3}, {0: 4}) == {}
        await log.append(0, KEY, b"last", None)
        assert await own_log.read({0: 0}, {0: 4}) == {0: both}
        assert await own_log.read({0: 1}, {0: 5}) == {0: [both[1], (4, KEY, b"last")]}

    check(own_log, work)


def test_records_that_are_gone_are_never_passed_over(own_log):
    async def work(log):
        await fill(log, {0: 10, 1: 10})
        admin = AIOKafkaAdminClient(bootstrap_servers=own_log.settings.kafka)
        await admin.start()
        await admin.delete_records({TopicPartition(own_log.topic, 0): RecordsToDelete(4)})
        await admin.close()
        with pytest.raises(LogTruncated):
            await own_log.read({0: 3, 1: 0}, {0: 10, 1: 10})
        with pytest.raises(LogTruncated):
            await own_log.read({0: 11}, {0: 12})
        assert [offset for offset, *_ in (await own_log.read({0: 4}, {0: 10}))[0]] == list(range(4, 10))

    check(own_log, work)


def test_large_records_make_small_chunks(own_log):
    size = 100_000

    async def work(log):
        expected = await fill(log, {0: 600}, size)
        found = {}
        async with own_log.reader({0: 0}, {0: 600}) as reader:
            async for chunk in reader:
                held = sum(len(record.value) for batch in chunk for record in batch.records)
                assert held <= bulk.CHUNK_BYTES + bulk.SLICE * (size + len(KEY))
                collect(chunk, found)
        assert found == expected

    check(own_log, work)


def test_no_group_comes_to_be(own_log):
    async def work(log):
        admin = AIOKafkaAdminClient(bootstrap_servers=own_log.settings.kafka)
        await admin.start()
        await fill(log, {0: 100_000})
        async with own_log.reader({0: 0}, {0: 100_000}) as reader:
            count = 0
            async for chunk in reader:
                count += sum(len(batch.records) for batch in chunk)
                assert bulk.GROUP not in {group for group, *_ in await admin.list_consumer_groups()}
        assert count == 100_000
        assert bulk.GROUP not in {group for group, *_ in await admin.list_consumer_groups()}
        assert await admin.list_consumer_group_offsets(bulk.GROUP) == {}
        await admin.close()

    check(own_log, work)


def test_a_reader_can_be_left_in_the_middle(own_log):
    async def work(log):
        await fill(log, {0: 20_000})
        async with own_log.reader({0: 0}, {0: 20_000}) as reader:
            async for _ in reader:
                break
        async with own_log.reader({0: 0}, {0: 20_001}):
            pass
        async with own_log.reader({0: 20_000}, {0: 20_001}) as reader:
            waiting = asyncio.create_task(anext(aiter(reader)))
            await asyncio.sleep(0)
            waiting.cancel()

    check(own_log, work)


def test_reading_goes_on_by_itself_when_a_killed_broker_is_back(own_log, stack, monkeypatch):
    monkeypatch.setattr(bulk, "AHEAD_KIB", 1024)
    monkeypatch.setattr(bulk, "ANSWER_BYTES", 1024 * 1024)
    counts = dict.fromkeys(range(PARTITIONS), 10_000)

    async def work(log):
        expected = await fill(log, counts, 1000)
        found = {}
        async with own_log.reader(BEGINNING, await log.ends()) as reader:
            chunks = aiter(reader)
            collect(await anext(chunks), found)
            await asyncio.to_thread(stack.kill_broker)
            assert sum(map(len, found.values())) < 20_000
            starting = asyncio.create_task(asyncio.to_thread(stack.start_broker))
            async for chunk in chunks:
                collect(chunk, found)
            await starting
        assert found == expected

    check(own_log, work)


def test_brokers_that_stay_away_are_told_of(own_log, stack):
    async def work(log):
        await fill(log, {0: 5})
        await asyncio.to_thread(stack.kill_broker)
        try:
            with pytest.raises(LogUnavailable, match=r"no record of .* for 2 s \(.*(refused|down).*\): check that"):
                await own_log.read({0: 0}, {0: 5}, patience=2)
        finally:
            await asyncio.to_thread(stack.start_broker)
        assert len((await own_log.read({0: 0}, {0: 5}))[0]) == 5

    check(own_log, work)


def test_records_that_never_come_are_not_waited_for_without_end(own_log):
    async def work(log):
        await fill(log, {0: 5})
        with pytest.raises(LogUnavailable, match="no record of"):
            await own_log.read({0: 0}, {0: 6}, patience=1)

    check(own_log, work)
