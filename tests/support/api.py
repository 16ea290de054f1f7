"""One HTTP request at a time, with everything of the answer to look at."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PROBLEM = "application/problem+json"
TIMEOUT = 60.0


class Answer(NamedTuple):
    """An answer; the names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def token(self) -> dict[str, str]:
        """The header that makes a query include this change."""
        return {"Consistency-Token": self.headers["consistency-token"]}

    @property
    def problem(self) -> tuple[int, str]:
        """Status and code of an error, which must be a whole RFC 9457 problem."""
        assert self.headers["content-type"] == PROBLEM, (self.status, self.headers, self.body[:500])
        problem = self.json
        assert problem["status"] == self.status
        assert problem["type"] == f"urn:taskledger:problem:{problem['code']}"
        assert problem["title"]
        assert problem["detail"]
        return self.status, problem["code"]


def call(
    url: str,
    method: str = "GET",
    body: object = None,
    headers: Mapping[str, str] | None = None,
    content_type: str = "application/json",
) -> Answer:
    """Send one request; a body of bytes goes as it is, any other as JSON, None not at all."""
    parts = urlsplit(url)
    content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    typed = {} if content is None else {"Content-Type": content_type}
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT)
    try:
        connection.request(
            method, f"{parts.path}?{parts.query}" if parts.query else parts.path, content, typed | dict(headers or {})
        )
        response = connection.getresponse()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    finally:
        connection.close()


def create(url: str, title: str, **fields: object) -> Answer:
    """Make a task, for certain."""
    answer = call(f"{url}/api/tasks", "POST", {"title": title, **fields})
    assert answer.status == 201, answer
    return answer


class LiveEvent(NamedTuple):
    """One server-sent event."""

    event: str
    id: str
    data: Any


class LiveStream:
    """`GET /api/events`, read one event at a time; each must come within `seconds`."""

    def __init__(self, url: str, last_event_id: str | None = None, seconds: float = 30) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=seconds)
        self._connection.request(
            "GET", "/api/events", headers={} if last_event_id is None else {"Last-Event-ID": last_event_id}
        )
        self.response = self._connection.getresponse()

    def __enter__(self) -> Iterator[LiveEvent]:
        assert self.response.status == 200
        assert self.response.getheader("Content-Type") == "text/event-stream"
        return self._events()

    def __exit__(self, *_: object) -> None:
        self.response.close()
        self._connection.close()

    def _events(self) -> Iterator[LiveEvent]:
        fields: dict[str, str] = {}
        for line in self.response:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name:
                fields[name] = value
            elif "event" in fields:
                yield LiveEvent(fields["event"], fields["id"], json.loads(fields["data"]))
                fields = {}
            else:
                fields = {}
