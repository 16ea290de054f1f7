from __future__ import annotations

import json

import msgspec
import pytest
from support.builders import COMPLETED, TASK, created, event, state_after

from app.domain import envelope, upcasting
from app.domain.envelope import Event, Unreadable, decode, encode, encode_key
from app.domain.history import EMPTY, Verdict, read

KEY = encode_key(TASK)
TODAY = event(1, created(title="paint"))


def written_as(revision: int, kind: str = "task.created", **data) -> bytes:
    """Write the event of TODAY as code of another revision would."""
    document = json.loads(encode(TODAY)) | {"type": kind, "dataschema": f"urn:taskledger:{kind}:{revision}"}
    return json.dumps(document | {"data": data}).encode()


@pytest.fixture
def revision_3(monkeypatch):
    """Let `task.created` be at revision 3: the first had a `name`, and the second no tags."""

    def rename(data):
        return {"title": data.pop("name"), **data}

    def add_tags(data):
        return {**data, "tags": []}

    monkeypatch.setitem(upcasting.NEWEST, "task.created", 3)
    monkeypatch.setitem(upcasting.STEPS, ("task.created", 1), rename)
    monkeypatch.setitem(upcasting.STEPS, ("task.created", 2), add_tags)
    schemas = {kind: f"urn:taskledger:{name}:{upcasting.NEWEST[name]}" for kind, name in envelope.TYPES.items()}
    monkeypatch.setattr(envelope, "_SCHEMAS", schemas)
    changes = {schema: msgspec.json.Decoder(kind) for kind, schema in schemas.items()}
    monkeypatch.setattr(envelope, "_changes", changes)


@pytest.mark.usefixtures("revision_3")
@pytest.mark.parametrize(
    "value",
    [
        written_as(1, name="paint", description="", priority=0, due_at=None),
        written_as(2, title="paint", description="", priority=0, due_at=None),
        written_as(3, title="paint", description="", priority=0, due_at=None, tags=[]),
    ],
    ids=["revision 1", "revision 2", "revision 3"],
)
def test_every_old_revision_is_read_as_the_newest(value):
    assert decode(KEY, value) == TODAY


@pytest.mark.usefixtures("revision_3")
def test_what_is_written_has_the_newest_revision():
    assert json.loads(encode(TODAY))["dataschema"] == "urn:taskledger:task.created:3"


@pytest.mark.usefixtures("revision_3")
def test_a_revision_whose_upcaster_was_removed_is_not_understood(monkeypatch):
    monkeypatch.delitem(upcasting.STEPS, ("task.created", 1))
    record = decode(KEY, written_as(1, name="paint"))
    assert record == Unreadable(task_id=TASK, version=1, reason="no upcaster for revision 1 of task.created")


@pytest.mark.usefixtures("revision_3")
def test_old_data_that_does_not_make_an_event_is_not_understood():
    record = decode(KEY, written_as(2, title=7, description="", priority=0, due_at=None))
    assert isinstance(record, Unreadable)
    assert (record.version, "title" in record.reason) == (1, True)


@pytest.mark.usefixtures("revision_3")
@pytest.mark.parametrize("revision", [1, 2])
def test_old_data_that_an_upcaster_cannot_use_is_not_understood(revision):
    record = decode(KEY, written_as(revision))
    assert isinstance(record, Unreadable)
    assert record.version == 1


@pytest.mark.usefixtures("revision_3")
def test_old_data_that_is_no_object_is_not_understood():
    document = json.loads(written_as(1)) | {"data": ["paint"]}
    record = decode(KEY, json.dumps(document).encode())
    assert isinstance(record, Unreadable)
    assert record.version == 1


def test_a_type_that_newer_code_writes_takes_its_version_and_parks_the_task():
    value = written_as(1, kind="task.snoozed", until="later").replace(b'"taskversion": 1', b'"taskversion": 2')
    _, history = read(EMPTY, TODAY)
    verdict, history = read(history, decode(KEY, value))
    assert (verdict, history.version, history.state) == (Verdict.POISON, 2, state_after(created(title="paint")))
    assert "task.snoozed" in history.parked
    assert read(history, event(3, COMPLETED))[0] is Verdict.PARKED
    assert isinstance(decode(KEY, encode(TODAY)), Event)
