"""Request headers that carry meaning: If-Match, Idempotency-Key, Consistency-Token, traceparent."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import msgspec

from app.command_handler import Key
from app.domain.task import ANY_VERSION
from app.log.port import parse_position
from web.problems import BadHeader

if TYPE_CHECKING:
    from uuid import UUID

    from aiohttp import web

    from app.domain.commands import Command

NO_VERSION = 0
"""An expectation that no task ever meets: the entity tag is none of ours."""
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_ETAG = re.compile(r'"[\x21\x23-\x7e]*"')
_VERSION = re.compile(r"[1-9][0-9]{0,8}")
_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_fingerprints = msgspec.json.Encoder(order="sorted")


def expected_version(request: web.Request) -> int | None:
    """Read If-Match (RFC 9110, 13.1.1): a version, ANY_VERSION, NO_VERSION, or None without the header."""
    text = request.headers.get("If-Match")
    if text is None:
        return None
    if text == "*":
        return ANY_VERSION
    if text.startswith("W/"):
        return NO_VERSION  # a weak tag never matches where a strong one is asked for
    if not _ETAG.fullmatch(text):
        raise BadHeader('If-Match takes one entity tag in double quotes, such as "3", or *.')
    tag = text[1:-1]
    return int(tag) if _VERSION.fullmatch(tag) else NO_VERSION


def idempotency_key(request: web.Request, actor: str, command: Command, task_id: UUID | None) -> Key | None:
    """Read Idempotency-Key, and fingerprint what it is used for: the command, its task and its fields."""
    text = request.headers.get("Idempotency-Key")
    if text is None:
        return None
    if not _KEY.fullmatch(text):
        raise BadHeader("Idempotency-Key takes 1 to 255 visible ASCII characters, such as a UUID.")
    content = _fingerprints.encode([type(command).__name__, task_id, command])
    return Key.of(actor, text, hashlib.blake2b(content, digest_size=16).hexdigest())


def wanted_position(request: web.Request, partitions: int) -> dict[int, int]:
    """Read Consistency-Token: the position that the answer must include."""
    text = request.headers.get("Consistency-Token")
    if text is None:
        return {}
    problem = BadHeader("Consistency-Token takes what an earlier answer gave in its Consistency-Token.")
    try:
        position = parse_position(text)
    except ValueError:
        raise problem from None
    if any(partition >= partitions for partition in position):
        raise problem
    return position


def traceparent(request: web.Request) -> str | None:
    """Read traceparent (W3C Trace Context); one that is not well formed is ignored, as the standard says."""
    text = request.headers.get("traceparent")
    return text if text and _TRACEPARENT.fullmatch(text) else None
