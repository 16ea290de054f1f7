from __future__ import annotations

from types import SimpleNamespace

import pytest
from support.builders import COMPLETED, created, event, number
from support.deadline import run

from app.progress import Progress
from app.telemetry import metrics
from web import feed as feed_module
from web.feed import Feed


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Let the window hold 5 changes, and a client's queue 3."""
    monkeypatch.setattr(feed_module, "WINDOW", 5)
    monkeypatch.setattr(feed_module, "QUEUE", 3)


class Tail:
    """An overlay's tail, and a feed that listens to it."""

    def __init__(self, **starts: int) -> None:
        self.overlay = SimpleNamespace(listeners=set(), tail=Progress())
        for partition, offset in (starts or {"p0": 0, "p1": 0}).items():
            self.overlay.tail.advance(int(partition[1:]), offset)
        self.feed = Feed(self.overlay)

    def happen(self, partition=0, *, accepted=True):
        """Let one record come, and give its offset."""
        offset = self.overlay.tail.position[partition]
        if accepted:
            for listener in self.overlay.listeners:
                listener(partition, offset, event(1, created(), number(offset)))
        self.overlay.tail.advance(partition, offset + 1)
        return offset

    def offsets_since(self, position):
        missed = self.feed.since(position)
        return None if missed is None else [(change.partition, change.offset) for change in missed]


def test_a_client_that_missed_nothing_gets_nothing():
    tail = Tail(p0=7, p1=3)
    assert tail.offsets_since({0: 7, 1: 3}) == []


def test_a_client_resumes_with_what_came_after_its_position():
    tail = Tail()
    for partition in (0, 1, 0, 0):
        tail.happen(partition)
    assert tail.offsets_since({0: 1, 1: 0}) == [(1, 0), (0, 1), (0, 2)]
    assert tail.offsets_since({}) == [(0, 0), (1, 0), (0, 1), (0, 2)]
    assert tail.offsets_since({0: 3, 1: 1}) == []


def test_a_position_ahead_of_what_was_read_cannot_be_resumed():
    tail = Tail()
    tail.happen(0)
    assert tail.offsets_since({0: 1, 1: 0}) == []
    assert tail.offsets_since({0: 2, 1: 0}) is None
    assert tail.offsets_since({0: 1, 1: 0, 9: 1}) is None


def test_records_that_are_void_leave_no_hole():
    tail = Tail()
    tail.happen()
    before = tail.feed.position()
    tail.happen(accepted=False)
    tail.happen()
    assert tail.offsets_since(before) == [(0, 2)]


def test_a_client_from_before_this_process_reads_everything_anew():
    tail = Tail(p0=7, p1=0)
    assert tail.offsets_since({0: 6}) is None
    tail.happen()
    assert tail.offsets_since({0: 6}) is None
    assert tail.offsets_since({0: 7}) == [(0, 7)]


def test_a_client_that_missed_more_than_the_window_reads_everything_anew():
    tail = Tail()
    for _ in range(5):
        tail.happen()
    assert tail.offsets_since({0: 0}) == [(0, offset) for offset in range(5)]
    tail.happen()
    assert tail.offsets_since({0: 0}) is None
    assert tail.offsets_since({0: 1}) == [(0, offset) for offset in range(1, 6)]


def test_a_quiet_partition_does_not_make_a_busy_one_forget_earlier():
    tail = Tail()
    tail.happen(1)
    for _ in range(5):
        tail.happen(0)
    assert tail.offsets_since({0: 0, 1: 0}) is None
    assert tail.offsets_since({0: 0, 1: 1}) == [(0, offset) for offset in range(5)]


def test_a_subscriber_gets_every_change_from_then_on():
    async def check():
        tail = Tail()
        tail.happen()
        before = metrics.STREAM_CLIENTS._value.get()
        with tail.feed.subscribe() as queue:
            assert metrics.STREAM_CLIENTS._value.get() == before + 1
            tail.happen()
            tail.happen(1)
            assert [(await queue.get())[:2] for _ in range(2)] == [(0, 1), (1, 0)]
            assert queue.empty()
        assert metrics.STREAM_CLIENTS._value.get() == before
        tail.happen()
        assert queue.empty()

    run(check())


def test_a_change_names_the_event():
    async def check():
        tail = Tail()
        with tail.feed.subscribe() as queue:
            made = event(2, COMPLETED)
            for listener in tail.overlay.listeners:
                listener(1, 8, made)
            assert await queue.get() == (1, 8, made)

    run(check())


def test_a_client_that_is_too_slow_is_dropped_and_the_others_are_not():
    async def check():
        tail = Tail()
        before = metrics.STREAM_DROPS._value.get()
        with tail.feed.subscribe() as slow, tail.feed.subscribe() as fast:
            for offset in range(4):
                tail.happen()
                assert (await fast.get()).offset == offset
            assert await slow.get() is None
            tail.happen()
            assert slow.empty()
            assert (await fast.get()).offset == 4
        assert metrics.STREAM_DROPS._value.get() == before + 1
        assert tail.offsets_since({0: 0}) is not None  # it may come back and go on

    run(check())


def test_closing_ends_every_stream():
    async def check():
        tail = Tail()
        with tail.feed.subscribe() as one, tail.feed.subscribe() as two:
            tail.happen()
            tail.feed.close()
            assert await one.get() is await two.get() is None

    run(check())
