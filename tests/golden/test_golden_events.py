"""The wire shape of every revision of every event, as bytes that must be readable for ever.

A file is named `<type>.<revision>[.<variant>].json`. A file that was committed is never changed: after a new
revision, the event beside it says what the old bytes mean now.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from app.domain.envelope import Event, decode, encode, encode_key
from app.domain.task import TaskCompleted, TaskCreated, TaskDeleted, TaskUpdated
from app.domain.upcasting import NEWEST, STEPS

FOLDER = Path(__file__).parent
TASK = UUID("01941f29-7c00-7aaa-9bbb-cccccccccccc")
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
DUE = datetime(2026, 6, 30, 17, 30, tzinfo=UTC)


def event(version, change, *, command_hash=None, traceparent=None, repairs=None) -> Event:
    identity = UUID(int=TASK.int ^ version)
    return Event(
        id=identity,
        task_id=TASK,
        version=version,
        time=datetime(2026, 1, 31, 23, 59, 59, 987654, tzinfo=UTC),
        actor="local",
        command_id=UUID("5f0c8d5e-1111-5222-8333-444444444444") if command_hash else identity,
        command_hash=command_hash,
        traceparent=traceparent,
        repairs=repairs,
        change=change,
    )


EVENTS = {
    "task.created.1": event(1, TaskCreated(title="Water the plants", description="", priority=0, due_at=None, tags=[])),
    "task.created.1.full": event(
        1,
        TaskCreated(
            title='Grüße an 日本 🎉 "quoted" \\ / <b>',
            description="line 1\n\tline 2\r\n",
            priority=3,
            due_at=DUE,
            tags=["home", "two words", "ünï"],
        ),
        command_hash="00112233445566778899aabbccddeeff",
        traceparent=TRACE,
    ),
    "task.updated.1": event(2, TaskUpdated(title="Water all the plants")),
    "task.updated.1.nothing": event(2, TaskUpdated()),
    "task.updated.1.every-field": event(
        7,
        TaskUpdated(title="a", description="b", priority=1, due_at=DUE, tags=["c"]),
        command_hash="ffeeddccbbaa99887766554433221100",
    ),
    "task.updated.1.cleared": event(8, TaskUpdated(description="", priority=0, due_at=None, tags=[])),
    "task.updated.1.reopened": event(2_147_483_647, TaskUpdated(status="open"), traceparent=TRACE),
    "task.updated.1.repairs": event(
        9,
        TaskUpdated(title="a", description="", priority=0, due_at=None, tags=[], status="open"),
        repairs=datetime(2025, 12, 24, 18, 0, 0, 250000, tzinfo=UTC),
    ),
    "task.completed.1": event(3, TaskCompleted()),
    "task.completed.1.keyed": event(3, TaskCompleted(), command_hash="00", traceparent=TRACE),
    "task.deleted.1": event(4, TaskDeleted()),
    "task.deleted.1.repairs": event(9, TaskDeleted(), repairs=datetime(2025, 12, 24, 18, tzinfo=UTC)),
}
NEWEST_EVENTS = {name: each for name, each in EVENTS.items() if name.split(".")[2] == str(NEWEST[each.type])}


def golden(name) -> bytes:
    return (FOLDER / f"{name}.json").read_bytes().removesuffix(b"\n")


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_is_read_from_its_golden_bytes(name):
    assert decode(encode_key(TASK), golden(name)) == EVENTS[name]


@pytest.mark.parametrize("name", NEWEST_EVENTS)
def test_an_event_is_written_as_its_golden_bytes(name):
    assert encode(EVENTS[name]) == golden(name)


def test_no_golden_file_is_left_aside():
    assert {file.stem for file in FOLDER.glob("*.json")} == set(EVENTS)


@pytest.mark.parametrize(
    ("kind", "revision"), [(kind, revision) for kind in NEWEST for revision in range(1, NEWEST[kind] + 1)]
)
def test_every_revision_ever_written_has_a_golden_file_and_a_way_to_the_newest(kind, revision):
    assert f"{kind}.{revision}" in EVENTS
    assert all((kind, step) in STEPS for step in range(revision, NEWEST[kind]))


def test_no_revision_that_was_written_is_disowned():
    written = {tuple(name.split(".")[1:3]) for name in EVENTS}
    assert all(int(revision) <= NEWEST[f"task.{kind}"] for kind, revision in written)
    assert {f"task.{kind}" for kind, _ in written} == set(NEWEST)


def test_a_time_of_another_offset_is_the_same_time():
    text = golden("task.created.1.full").replace(b"2026-06-30T17:30:00Z", b"2026-06-30T19:30:00+02:00")
    change = decode(encode_key(TASK), text).change
    assert change == EVENTS["task.created.1.full"].change
    assert change.due_at.utcoffset() == timedelta(hours=2)
