"""The wire form of an event: a CloudEvents 1.0 JSON document.

https://github.com/cloudevents/spec, structured content mode; the attributes after `data` are our
extensions. The same bytes go into the log and into the typed topics.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from app.domain import upcasting
from app.domain.task import Change, Moment, TaskCompleted, TaskCreated, TaskDeleted, TaskUpdated

CONTENT_TYPE = "application/cloudevents+json"
SOURCE = "/taskledger"
TYPES: dict[type[Change], str] = {
    TaskCreated: "task.created",
    TaskUpdated: "task.updated",
    TaskCompleted: "task.completed",
    TaskDeleted: "task.deleted",
}
KINDS = {name: kind for kind, name in TYPES.items()}
_SCHEMAS = {kind: f"urn:taskledger:{name}:{upcasting.NEWEST[name]}" for kind, name in TYPES.items()}


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An immutable fact about one task.

    `command_id` names the command that it answers; `command_hash` is the fingerprint of that
    command's request, and set only where the client chose the id by an Idempotency-Key.
    `repairs` is set only where an operator repairs a parked task: the change carries the whole task then, and this is
    when the task was created, so that every reader goes on from the same state, whatever it could read before.
    """

    id: UUID
    task_id: UUID
    version: int
    time: datetime
    actor: str
    command_id: UUID
    command_hash: str | None = None
    traceparent: str | None = None
    repairs: datetime | None = None
    change: Change

    @property
    def type(self) -> str:
        """Give the CloudEvents type."""
        return TYPES[type(self.change)]


class Unreadable(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A record that is no event this code knows.

    `task_id` is the task that its key names, or None where it names none. `version` is the version that it claims,
    where that much can be read: it takes its place in the task's history although nobody here understands it.
    """

    task_id: UUID | None
    version: int | None
    reason: str


class _Envelope(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    specversion: str
    id: UUID
    source: str
    type: str
    subject: UUID
    time: Moment
    datacontenttype: str
    dataschema: str
    data: Any
    taskversion: int
    commandid: UUID
    commandhash: str | None = None
    actor: str
    traceparent: str | None = None
    repairs: Moment | None = None


class _Claim(msgspec.Struct, frozen=True, gc=False):
    subject: UUID
    taskversion: int


class _RawEnvelope(_Envelope, frozen=True, kw_only=True, gc=False):
    data: msgspec.Raw


_UNUSABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are not what is wanted; the last one for thousands of brackets in a row."""
_KEY = re.compile(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_encoder = msgspec.json.Encoder()
_envelopes = msgspec.json.Decoder(_RawEnvelope)
_claims = msgspec.json.Decoder(_Claim)
_changes = {schema: msgspec.json.Decoder(kind) for kind, schema in _SCHEMAS.items()}


def encode(event: Event) -> bytes:
    """Write an event as one CloudEvents JSON document of the newest revision."""
    kind = type(event.change)
    return _encoder.encode(
        _Envelope(
            specversion="1.0",
            id=event.id,
            source=SOURCE,
            type=TYPES[kind],
            subject=event.task_id,
            time=event.time,
            datacontenttype="application/json",
            dataschema=_SCHEMAS[kind],
            data=event.change,
            taskversion=event.version,
            commandid=event.command_id,
            commandhash=event.command_hash,
            actor=event.actor,
            traceparent=event.traceparent,
            repairs=event.repairs,
        )
    )


def encode_key(task_id: UUID) -> bytes:
    """Give the Kafka key of a task's records."""
    return str(task_id).encode()


def decode_key(key: bytes | None) -> UUID | None:
    """Give the task that a Kafka key names, or None where it is not written as encode_key writes it."""
    return UUID(key.decode()) if key is not None and _KEY.fullmatch(key) else None


def decode(key: bytes | None, value: bytes | None) -> Event | Unreadable:
    """Read a record of any revision ever written; never raises."""
    task_id = decode_key(key)
    if task_id is None:
        return Unreadable(task_id=None, version=None, reason="the record's key is not a task id")
    try:
        envelope = _envelopes.decode(value or b"")
        change = _decode_change(envelope)
    except (*_UNUSABLE, upcasting.UnknownSchema) as error:
        return Unreadable(task_id=task_id, version=_claimed_version(task_id, value), reason=str(error))
    if envelope.subject != task_id:
        return Unreadable(task_id=task_id, version=None, reason="the record's key is not its subject")
    if envelope.taskversion < 1:
        return Unreadable(task_id=task_id, version=None, reason="versions start at 1")
    if _holds_nul(value or b""):
        return Unreadable(task_id=task_id, version=envelope.taskversion, reason="a text holds the character NUL")
    return Event(
        id=envelope.id,
        task_id=task_id,
        version=envelope.taskversion,
        time=envelope.time,
        actor=envelope.actor,
        command_id=envelope.commandid,
        command_hash=envelope.commandhash,
        traceparent=envelope.traceparent,
        repairs=envelope.repairs,
        change=change,
    )


def _decode_change(envelope: _RawEnvelope) -> Change:
    newest = _changes.get(envelope.dataschema)
    if newest is not None and envelope.dataschema.split(":")[2] == envelope.type:
        return newest.decode(envelope.data)
    kind, data = upcasting.upcast(envelope.type, envelope.dataschema, msgspec.json.decode(envelope.data))
    return msgspec.convert(data, KINDS[kind])


def _holds_nul(document: bytes) -> bool:
    """Tell whether a JSON document holds NUL, which PostgreSQL does not store, so that every reader must refuse it."""
    return b"\\u0000" in document and _NUL.search(document) is not None


def _claimed_version(task_id: UUID, value: bytes | None) -> int | None:
    try:
        claim = _claims.decode(value or b"")
    except _UNUSABLE:
        return None
    return claim.taskversion if claim.taskversion >= 1 and claim.subject == task_id else None
