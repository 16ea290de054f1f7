"""Request bodies: one fast decode, and where that fails, a second look that names every bad field."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from app.domain.errors import FieldProblem, ValidationError
from web.problems import MalformedBody, WrongContentType

if TYPE_CHECKING:
    from collections.abc import Collection

    from aiohttp import web

T = TypeVar("T", bound=msgspec.Struct)

JSON = frozenset({"application/json"})
MERGE_PATCH = frozenset({"application/json", "application/merge-patch+json"})
NOTES = {
    "status": "cannot be set here: POST to …/complete or …/reopen",
    "version": "cannot be set: send the version as If-Match",
    "created_at": "cannot be set",
    "updated_at": "cannot be set",
    "completed_at": "cannot be set",
}
"""What to say of fields that clients see in a task and may want to send back."""


async def read_body(request: web.Request, kind: type[T], content_types: Collection[str]) -> T:
    """Read a JSON body. Raises WrongContentType, MalformedBody, ValidationError; aiohttp's 413 when too large."""
    if request.content_type not in content_types:
        raise WrongContentType(f"Send this request with Content-Type: {' or '.join(sorted(content_types))}.")
    return decode_body(await request.read(), kind)


async def read_no_body(request: web.Request, kind: type[T]) -> T:
    """Read the body of a request that needs none: nothing, or an empty object."""
    return decode_body(await request.read() if request.can_read_body else b"{}", kind)


def decode_body(body: bytes, kind: type[T]) -> T:
    """Decode JSON into a struct. Raises MalformedBody, ValidationError with every bad field."""
    try:
        return _decode(body, kind)
    except RecursionError:
        raise MalformedBody("The body is nested too deeply.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedBody(f"The body is not JSON: {error}.") from error


def _decode(body: bytes, kind: type[T]) -> T:
    try:
        decoded: T = _decoder(kind).decode(body)
    except msgspec.ValidationError as error:
        raise ValidationError(_problems(body, kind) or [FieldProblem("", str(error))]) from error
    return decoded


@cache
def _decoder(kind: type[msgspec.Struct]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def _problems(body: bytes, kind: type[msgspec.Struct]) -> list[FieldProblem]:
    """Name every bad field. Raises DecodeError or UnicodeDecodeError for what breaks behind the first one."""
    msgspec.json.decode(body, type=msgspec.Raw)
    try:
        values = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        return [FieldProblem("", "the body must be a JSON object")]
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    known = ", ".join(fields) or "none"
    problems = [
        FieldProblem(name, NOTES.get(name, f"is not a field of this request; its fields are: {known}"))
        for name in values
        if name not in fields
    ]
    for name, field in fields.items():
        if name not in values:
            if field.required:
                problems.append(FieldProblem(name, "is required"))
            continue
        try:
            msgspec.json.decode(values[name], type=field.type)
        except msgspec.ValidationError:
            problems.append(FieldProblem(name, f"must be {_description(kind, name)}"))
    return problems


def _description(kind: type[msgspec.Struct], name: str) -> str:
    """Give the sentence beside a field's type that says what it takes."""
    hint = get_type_hints(kind, include_extras=True)[name]
    return " or ".join(_descriptions(hint))


def _descriptions(hint: Any) -> list[str]:
    if get_origin(hint) is Annotated:
        return [meta.description for meta in get_args(hint)[1:] if meta.description]
    if hint is type(None):
        return ["null"]
    return [text for part in get_args(hint) for text in _descriptions(part)]
