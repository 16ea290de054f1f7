"""Clients that record what they asked a running Taskledger and what they were told."""

from __future__ import annotations

import math
import time
from enum import Enum, auto

import aiohttp
import msgspec
from support.linearizability import Answer, Kind, Mismatch, Operation, Request, Response, Seen

NOTHING_CHANGED = frozenset(
    {
        "contended",
        "database_unavailable",
        "log_unavailable",
        "overlay_full",
        "read_model_behind",
        "task_parked",
        "unavailable",
    }
)
"""Problem codes that promise that the request had no effect."""
ROUTES = {
    Kind.CREATE: ("POST", "/api/tasks"),
    Kind.READ: ("GET", "/api/tasks/{}"),
    Kind.RETITLE: ("PATCH", "/api/tasks/{}"),
    Kind.COMPLETE: ("POST", "/api/tasks/{}/complete"),
    Kind.REOPEN: ("POST", "/api/tasks/{}/reopen"),
    Kind.DELETE: ("DELETE", "/api/tasks/{}"),
}

REFUSALS: dict[tuple[int, str], Response] = {
    (404, "task_not_found"): Answer.NOT_FOUND,
    (409, "task_exists"): Answer.EXISTS,
    (410, "task_gone"): Answer.GONE,
}


class UnexpectedAnswer(Exception):
    """The service gave an answer that the API does not have."""


class HistoryClient:
    """One sequential client: it waits for an answer before it asks again.

    Every operation is one attempt: no Idempotency-Key, no repetition. Operations that certainly changed nothing and
    told nothing (a refusal, a read that failed) are left out of the history.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str, process: int, seconds: float = 15.0) -> None:
        """Take the service's base URL, this client's number, and the longest wait for an answer."""
        self._session = session
        # aiohttp sends a DELETE again by itself when a kept connection breaks, which would be a second attempt.
        session._retry_connection = False
        self._url = url
        self._process = process
        self._timeout = aiohttp.ClientTimeout(total=seconds)
        self.history: list[Operation] = []

    async def create(self, task: str, title: str) -> Response | None:
        """Make a task with an id of our own; like every operation, gives None where no answer says what happened."""
        return await self._perform(task, Request(Kind.CREATE, title))

    async def read(self, task: str) -> Response | None:
        return await self._perform(task, Request(Kind.READ))

    async def retitle(self, task: str, title: str, expected: int | None = None) -> Response | None:
        return await self._perform(task, Request(Kind.RETITLE, title, expected))

    async def complete(self, task: str, expected: int | None = None) -> Response | None:
        return await self._perform(task, Request(Kind.COMPLETE, expected=expected))

    async def reopen(self, task: str, expected: int | None = None) -> Response | None:
        return await self._perform(task, Request(Kind.REOPEN, expected=expected))

    async def delete(self, task: str, expected: int | None = None) -> Response | None:
        return await self._perform(task, Request(Kind.DELETE, expected=expected))

    async def _perform(self, task: str, request: Request) -> Response | None:
        called = time.monotonic_ns()
        outcome: Response | _Silence = _Silence.UNKNOWN  # what it stays where this client is cancelled
        try:
            outcome = await self._send(task, request)
        finally:
            returned = time.monotonic_ns()
            if outcome is _Silence.UNKNOWN and request.kind is not Kind.READ:
                self._record(task, request, None, called, math.inf)
            elif not isinstance(outcome, _Silence):
                self._record(task, request, outcome, called, returned)
        return None if isinstance(outcome, _Silence) else outcome

    def _record(self, task: str, request: Request, response: Response | None, called: int, returned: float) -> None:
        operation = Operation(
            process=self._process, task=task, request=request, response=response, called=called, returned=returned
        )
        self.history.append(operation)

    async def _send(self, task: str, request: Request) -> Response | _Silence:
        method, path = ROUTES[request.kind]
        body: dict[str, str] | None = None
        if request.title is not None:
            body = {"title": request.title} | ({"id": task} if request.kind is Kind.CREATE else {})
        headers = {} if request.expected is None else {"If-Match": f'"{request.expected}"'}
        try:
            async with self._session.request(
                method, self._url + path.format(task), json=body, headers=headers, timeout=self._timeout
            ) as answer:
                return _understand(request, answer, await answer.read())
        except aiohttp.ClientConnectorError:
            return _Silence.NO_EFFECT  # never sent
        except (aiohttp.ClientError, TimeoutError):
            return _Silence.UNKNOWN


class _Silence(Enum):
    """What it means that no answer tells."""

    NO_EFFECT = auto()
    UNKNOWN = auto()


def _understand(request: Request, answer: aiohttp.ClientResponse, content: bytes) -> Response | _Silence:
    status, etag = answer.status, answer.headers.get("ETag", "")
    if status in {200, 201}:
        task = msgspec.json.decode(content)
        if etag != f'"{task["version"]}"':
            raise UnexpectedAnswer(f"version {task['version']} came with ETag {etag}")
        return Seen(task["version"], task["title"], task["status"])
    if status == 204:
        return Answer.DELETED
    code = _code(content)
    if (status, code) in REFUSALS:
        return REFUSALS[status, code]
    if (status, code) == (412, "version_mismatch"):
        return Mismatch(int(etag.strip('"')))
    if status < 500:
        raise UnexpectedAnswer(f"{request} was answered {status} {content.decode(errors='replace')[:500]}")
    return _Silence.NO_EFFECT if code in NOTHING_CHANGED else _Silence.UNKNOWN


def _code(content: bytes) -> str:
    try:
        return str(msgspec.json.decode(content)["code"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return ""
