from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec
import pytest
from support.builders import NOON, TASK

from projections.paging import Page, cut, decode_cursor, encode_cursor


class Key(msgspec.Struct, frozen=True, array_like=True):
    at: datetime
    id: UUID


@pytest.mark.parametrize(("key", "kind"), [(7, int), (Key(NOON, TASK), Key), ("ä~~~???", str), ([], list)])
def test_a_cursor_holds_its_key_and_is_safe_in_a_url(key, kind):
    cursor = encode_cursor(key)
    assert decode_cursor(cursor, kind) == key
    assert cursor.isascii()
    assert cursor.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize("text", ["", "a", "!", "ä", "MQ===", "bnVsbA", encode_cursor("7"), encode_cursor([1]), "\x00"])
def test_what_is_no_cursor_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 - the message is told to clients below
        decode_cursor(text, int)


def test_the_refusal_tells_what_a_cursor_is():
    with pytest.raises(ValueError, match="not given by the service"):
        decode_cursor("bnVsbA", int)


def test_a_page_that_others_follow_has_the_cursor_of_its_last_item():
    assert cut([5, 4, 3], 2, key=lambda item: item) == Page([5, 4], encode_cursor(4))


@pytest.mark.parametrize("rows", [[], [5], [5, 4]])
def test_the_last_page_has_no_cursor(rows):
    assert cut(rows, 2, key=lambda item: item) == Page(rows, None)
