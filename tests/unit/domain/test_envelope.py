from __future__ import annotations

import json
from uuid import UUID

import msgspec
import pytest
from support.builders import COMPLETED, NOON, TASK, created, event, number, whole

from app.domain.envelope import CONTENT_TYPE, TYPES, Event, Unreadable, decode, decode_key, encode, encode_key
from app.domain.task import TaskUpdated

KEY = encode_key(TASK)
CREATED = event(1, created(title="paint", due_at=NOON, tags=["home"]))


def altered(**attributes) -> bytes:
    """Write the record of CREATED with other attributes; an attribute that is None is left out."""
    document = json.loads(encode(CREATED)) | attributes
    return json.dumps({name: value for name, value in document.items() if value is not None}).encode()


# --- writing --------------------------------------------------------------------------------


def test_an_event_is_written_with_exactly_these_attributes():
    full = event(
        3,
        TaskUpdated(title="paint", status="open"),
        id=number(7),
        command_id=number(8),
        command_hash="f00d",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )
    assert json.loads(encode(full)) == {
        "specversion": "1.0",
        "id": str(number(7)),
        "source": "/taskledger",
        "type": "task.updated",
        "subject": str(TASK),
        "time": "2026-03-01T12:03:00Z",
        "datacontenttype": "application/json",
        "dataschema": "urn:taskledger:task.updated:1",
        "data": {"title": "paint", "status": "open"},
        "taskversion": 3,
        "commandid": str(number(8)),
        "commandhash": "f00d",
        "actor": "local",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    }


def test_what_an_event_does_not_have_is_not_written():
    assert {"commandhash", "traceparent"}.isdisjoint(json.loads(encode(CREATED)))


def test_attribute_names_are_what_cloudevents_allows():
    names = set(json.loads(encode(CREATED))) - {"data"}
    assert all(name.isascii() and name.isalnum() and name.islower() and len(name) <= 20 for name in names)


def test_the_content_type_is_that_of_a_structured_cloudevent():
    assert CONTENT_TYPE == "application/cloudevents+json"


def test_every_type_is_named_for_what_happened():
    assert sorted(TYPES.values()) == ["task.completed", "task.created", "task.deleted", "task.updated"]
    assert event(2, COMPLETED).type == "task.completed"


# --- reading --------------------------------------------------------------------------------


def test_what_was_written_is_read_again():
    assert decode(KEY, encode(CREATED)) == CREATED


def test_attributes_that_others_add_are_ignored():
    assert decode(KEY, altered(dapr="x", tracestate="y")) == CREATED


@pytest.mark.parametrize(
    "key",
    [
        None,
        b"",
        b"not a task",
        b"\xff" * 36,
        b"0194ABCD-0000-7000-8000-00000000000F",
        TASK.hex.encode(),
        f"{{{TASK}}}".encode(),
        f"urn:uuid:{TASK}".encode(),
        f" {TASK}".encode(),
        f"{TASK}\n".encode(),
    ],
)
def test_a_key_that_is_not_written_as_ours_names_no_task(key):
    assert decode_key(key) is None
    assert decode(key, encode(CREATED)) == Unreadable(
        task_id=None, version=None, reason="the record's key is not a task id"
    )


def test_a_key_is_the_task_id_in_lower_case():
    task_id = UUID("0194ABCD-0000-7000-8000-00000000000F")
    assert encode_key(task_id) == b"0194abcd-0000-7000-8000-00000000000f"
    assert decode_key(encode_key(task_id)) == task_id


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"{",
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b'{"subject": "\xff"}',
        b"[" * 100_000,
        b'{"x":' * 100_000,
        b'"' + b"\\ud800" + b'"',
        b"9" * 10_000,
    ],
    ids=lambda value: repr(value)[:20],
)
def test_bytes_that_are_no_event_claim_no_version(value):
    record = decode(KEY, value)
    assert isinstance(record, Unreadable)
    assert (record.task_id, record.version) == (TASK, None)
    assert record.reason


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"type": "task.painted"}, "task.painted"),
        ({"type": "task.painted", "dataschema": "urn:taskledger:task.painted:1"}, "task.painted"),
        ({"type": "task.deleted"}, "task.deleted"),  # its schema is that of another type
        ({"dataschema": "urn:taskledger:task.created:2"}, "newer"),
        ({"dataschema": "urn:taskledger:task.created:9999"}, "newer"),
        ({"dataschema": "urn:taskledger:task.created:0"}, "unknown"),
        ({"dataschema": "urn:taskledger:task.created:01"}, "unknown"),
        ({"dataschema": "urn:taskledger:task.created:-1"}, "unknown"),
        ({"dataschema": "urn:taskledger:task.created:٢"}, "unknown"),
        ({"dataschema": "urn:taskledger:task.created:" + "9" * 5000}, "unknown"),
        ({"dataschema": "urn:taskledger:task.created"}, "unknown"),
        ({"dataschema": "urn:else:task.created:1"}, "unknown"),
        ({"dataschema": ""}, "unknown"),
        ({"data": {"title": "a"}}, "missing"),
        ({"data": []}, "Expected"),
        ({"data": "text"}, "Expected"),
        ({"data": {"title": 1, "description": "", "priority": 0, "due_at": None, "tags": []}}, "Expected"),
        ({"id": "seven"}, "UUID"),
        ({"commandid": None}, "commandid"),
        ({"actor": None}, "actor"),
        ({"time": "noon"}, "RFC3339"),
        ({"time": "2026-03-01T12:00:00"}, "RFC3339|timezone"),
    ],
)
def test_an_event_that_is_not_understood_still_takes_its_version(attributes, reason):
    record = decode(KEY, altered(**attributes))
    assert isinstance(record, Unreadable), record
    assert (record.task_id, record.version) == (TASK, 1)
    assert any(word in record.reason for word in reason.split("|")), record.reason


def test_data_that_is_nested_without_end_is_not_understood():
    value = encode(CREATED).replace(b'"home"', b"[" * 100_000 + b"]" * 100_000)
    record = decode(KEY, value)
    assert isinstance(record, Unreadable)
    assert record.task_id == TASK


@pytest.mark.parametrize("version", [0, -1, None, "1", 1.5, True])
def test_a_version_that_is_none_is_not_taken(version):
    record = decode(KEY, altered(taskversion=version))
    assert isinstance(record, Unreadable)
    assert record.version is None


@pytest.mark.parametrize("attributes", [{}, {"type": "task.painted"}])
def test_a_subject_that_is_not_the_key_takes_no_version(attributes):
    record = decode(KEY, altered(subject=str(number(2)), **attributes))
    assert isinstance(record, Unreadable)
    assert (record.task_id, record.version) == (TASK, None)


def test_a_subject_that_is_no_task_takes_no_version():
    record = decode(KEY, altered(subject="me"))
    assert isinstance(record, Unreadable)
    assert (record.task_id, record.version) == (TASK, None)


def test_an_update_may_name_nothing():
    assert decode(KEY, encode(event(2, TaskUpdated()))) == event(2, TaskUpdated())


def test_a_time_without_an_offset_in_the_data_is_not_understood():
    data = msgspec.to_builtins(CREATED.change) | {"due_at": "2026-03-01T12:00:00"}
    record = decode(KEY, altered(data=data))
    assert isinstance(record, Unreadable)
    assert record.version == 1


def test_events_are_immutable():
    with pytest.raises(AttributeError):
        CREATED.version = 2
    assert isinstance(CREATED, Event)


# --- repairs --------------------------------------------------------------------------------


def test_a_repair_tells_when_the_task_was_created():
    repair = event(3, whole(), repairs=NOON)
    assert json.loads(encode(repair))["repairs"] == "2026-03-01T12:00:00Z"
    assert decode(KEY, encode(repair)) == repair
    assert "repairs" not in json.loads(encode(CREATED))


@pytest.mark.parametrize("repairs", [True, "soon", "2026-03-01T12:00:00"])
def test_a_repair_that_does_not_tell_it_is_not_understood_and_takes_its_version(repairs):
    record = decode(KEY, altered(repairs=repairs))
    assert isinstance(record, Unreadable)
    assert record.version == 1


def test_a_text_with_nul_is_unreadable_and_takes_its_version():
    unstorable = encode(event(1, created())).replace(b'"local"', b'"lo\\u0000cal"')
    read = decode(encode_key(TASK), unstorable)
    assert (type(read).__name__, read.version, read.reason) == ("Unreadable", 1, "a text holds the character NUL")
