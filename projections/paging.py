"""Pages in keyset order: a page begins after the last row of the one before, wherever that row is by now."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")
K = TypeVar("K")


class Page(NamedTuple, Generic[T]):
    """Some items, and the cursor of the page after them, or None at the end."""

    items: Sequence[T]
    next: str | None


def encode_cursor(key: object) -> str:
    """Write a key as opaque text that is safe in a URL."""
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode().rstrip("=")


def decode_cursor(text: str, kind: type[K]) -> K:
    """Read what encode_cursor wrote. Raises ValueError for anything else."""
    try:
        json = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(json, type=kind)
    except (msgspec.MsgspecError, binascii.Error, UnicodeError) as error:
        raise ValueError("this cursor was not given by the service") from error


def cut(rows: Sequence[T], limit: int, key: Callable[[T], object]) -> Page[T]:
    """Make a page of at most `limit` items from one more row than that, which only tells whether more follow."""
    items = rows[:limit]
    return Page(items, encode_cursor(key(items[-1])) if len(rows) > limit else None)
