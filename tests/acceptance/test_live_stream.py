"""Server-sent events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.api import LiveEvent, LiveStream, call, create

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Service

pytestmark = pytest.mark.stack


def until(events: Iterator[LiveEvent], task_id: str, version: int) -> list[LiveEvent]:
    """Read up to a change, for certain; streams tell of every change at least once."""
    read = []
    for event in events:
        read.append(event)
        if event.event == "change" and (event.data["id"], event.data["version"]) == (task_id, version):
            return read
    raise AssertionError(read)


def test_a_change_by_any_process_arrives_after_a_reset_that_says_where_the_stream_begins(service: Service) -> None:
    before = create(service.url, "before")
    with LiveStream(service.url) as events:
        first = next(events)
        assert (first.event, first.data) == ("reset", {})
        listed = call(f"{service.url}/api/tasks?limit=200", headers={"Consistency-Token": first.id}).json["items"]
        assert before.json in listed
        for base in (service.url, service.other_url):
            task = create(base, "live").json
            change = until(events, task["id"], 1)[-1]
            assert change.data == {"id": task["id"], "version": 1, "type": "task.created"}
        call(f"{base}/api/tasks/{task['id']}", "DELETE")
        assert until(events, task["id"], 2)[-1].data["type"] == "task.deleted"


def test_a_stream_resumes_where_it_was_cut_off(service: Service) -> None:
    with LiveStream(service.url) as events:
        next(events)
        seen = create(service.url, "seen").json
        last = until(events, seen["id"], 1)[-1].id
    missed = [create(base, "missed").json["id"] for base in (service.url, service.other_url) * 3]
    with LiveStream(service.url, last) as events:
        read: list[LiveEvent] = []
        found: list[str] = []
        while set(found) != set(missed):
            event = next(events)
            read.append(event)
            assert event.event == "change"
            found += [event.data["id"]] if event.data["id"] in missed else []
        assert seen["id"] not in [event.data["id"] for event in read]
        assert len(found) == len(missed)
        later = create(service.other_url, "later").json
        until(events, later["id"], 1)


def test_a_stream_goes_on_in_another_process(service: Service) -> None:
    with LiveStream(service.url) as events:
        next(events)
        last = until(events, create(service.url, "seen").json["id"], 1)[-1].id
    missed = create(service.url, "missed").json
    with LiveStream(service.other_url, last) as events:
        until(events, missed["id"], 1)


def test_a_client_whose_place_is_not_known_is_told_to_read_everything_anew(service: Service) -> None:
    with LiveStream(service.url) as events:
        early = next(events).id
    tokens = [create(service.url, "something happened").token for _ in range(20)]
    for token in tokens:
        assert call(f"{service.url}/api/tasks?limit=1", headers=token).status == 200
    late = service.ledger.web().until_ready()
    for unknown in (early, "yesterday", ""):
        with LiveStream(late.url, unknown) as events:
            first = next(events)
            assert (first.event, first.data) == ("reset", {})
            until(events, create(service.url, "after").json["id"], 1)
