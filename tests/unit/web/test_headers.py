from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request
from support.builders import TASK, number

from app.domain.commands import CompleteTask, CreateTask, UpdateTask
from app.domain.task import ANY_VERSION
from web.headers import NO_VERSION, expected_version, idempotency_key, traceparent, wanted_position
from web.problems import BadHeader

PARTITIONS = 4


def request(**headers):
    return make_mocked_request("GET", "/", headers={name.replace("_", "-"): value for name, value in headers.items()})


def key(text, command=CompleteTask(), task_id=TASK, actor="local"):  # noqa: B008 - commands are immutable
    return idempotency_key(request(Idempotency_Key=text), actor, command, task_id)


# --- If-Match -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ('"1"', 1),
        ('"2147483647"', NO_VERSION),
        ('"999999999"', 999_999_999),
        ("*", ANY_VERSION),
        ('"0"', NO_VERSION),
        ('"007"', NO_VERSION),
        ('"-1"', NO_VERSION),
        ('"1.0"', NO_VERSION),
        ('""', NO_VERSION),
        ('"abc"', NO_VERSION),
        ('W/"1"', NO_VERSION),
    ],
)
def test_an_entity_tag_is_a_version_or_matches_nothing(text, version):
    assert expected_version(request(If_Match=text)) == version


def test_without_if_match_nothing_is_expected():
    assert expected_version(request()) is None


@pytest.mark.parametrize("text", ["1", '"1', '1"', "'1'", '"1", "2"', "", '""1""', '"\u00e4"'])
def test_what_is_no_entity_tag_is_a_bad_header(text):
    with pytest.raises(BadHeader, match="If-Match"):
        expected_version(request(If_Match=text))


# --- Idempotency-Key ------------------------------------------------------------------------


def test_without_a_key_there_is_none():
    assert idempotency_key(request(), "local", CompleteTask(), TASK) is None


@pytest.mark.parametrize("text", ["", " ", "a b", "k" * 256, "k\u00e4", "\u65e5"])
def test_what_is_no_key_is_a_bad_header(text):
    with pytest.raises(BadHeader, match="Idempotency-Key"):
        key(text)


def test_the_same_request_has_the_same_fingerprint():
    assert key("k") == key("k")
    assert key("k" * 255) == key("k" * 255)
    first, second = (UpdateTask(title="a", tags=["x"]), UpdateTask(tags=["x"], title="a"))
    assert key("k", first) == key("k", second)


@pytest.mark.parametrize(
    "other",
    [
        {"command": UpdateTask()},
        {"command": CreateTask(title="a")},
        {"task_id": number(2)},
        {"task_id": None},
    ],
)
def test_another_request_has_the_same_command_id_and_another_fingerprint(other):
    assert key("k", **other).command_id == key("k").command_id
    assert key("k", **other).request_hash != key("k").request_hash


def test_null_is_another_request_than_nothing():
    assert key("k", UpdateTask(tags=None)) != key("k", UpdateTask())


def test_keys_of_different_actors_never_meet():
    assert key("k", actor="a").command_id != key("k", actor="b").command_id


# --- Consistency-Token ----------------------------------------------------------------------


@pytest.mark.parametrize(("text", "position"), [("0:5", {0: 5}), ("0:5,3:0", {0: 5, 3: 0}), ("", {})])
def test_a_token_is_a_position(text, position):
    assert wanted_position(request(Consistency_Token=text), PARTITIONS) == position


def test_without_a_token_any_position_will_do():
    assert wanted_position(request(), PARTITIONS) == {}


@pytest.mark.parametrize(
    "text", ["0", "0:", ":1", "a:b", "0:-1", "0:1;1:2", "0:1,", "0:" + "9" * 50, "4:0", "0:01", "\u0663:1"]
)
def test_what_is_no_token_is_a_bad_header(text):
    with pytest.raises(BadHeader, match="Consistency-Token"):
        wanted_position(request(Consistency_Token=text), PARTITIONS)


# --- traceparent ----------------------------------------------------------------------------

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    ("text", "taken"), [(TRACE, TRACE), (TRACE.upper(), None), (TRACE[3:], None), (f"{TRACE}-x", None), ("", None)]
)
def test_a_trace_is_taken_where_it_is_well_formed(text, taken):
    assert traceparent(request(traceparent=text)) == taken


def test_without_a_trace_there_is_none():
    assert traceparent(request()) is None
