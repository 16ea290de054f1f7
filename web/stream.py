"""`GET /api/events`: which tasks changed, as server-sent events.

https://html.spec.whatwg.org/multipage/server-sent-events.html. An event's id is a position in the log, with
which a client that was cut off goes on where it was.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from app.log.port import parse_position, position_text
from web.service import SERVICE

if TYPE_CHECKING:
    from web.feed import Change, Feed

HEARTBEAT = 15.0
"""Seconds of silence after which a comment shows that the stream is alive."""
WRITE_TIMEOUT = 15.0
"""Seconds that a client may take to read what is sent, before its stream ends."""
_encode = msgspec.json.Encoder().encode
RECONNECT_MS = 1000
"""Milliseconds after which a client whose stream ended comes back."""


async def stream(request: web.Request) -> web.StreamResponse:
    """Send every change from now on, or from `Last-Event-ID` on.

    A `reset` event comes first where the client has not said where it was, or where that is no longer known. It means:
    read everything anew, with this event's id as the Consistency-Token; the changes that follow leave no gap to that.
    """
    feed = request.app[SERVICE].feed
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )
    with feed.subscribe() as queue, suppress(ConnectionError, TimeoutError):
        position, missed = _start(request, feed)
        await response.prepare(request)
        await _write(response, f"retry: {RECONNECT_MS}\n\n".encode())
        if missed is None:
            await _write(response, f"event: reset\nid: {position_text(position)}\ndata: {{}}\n\n".encode())
        else:
            await _write(response, b"".join(_text(change, position) for change in missed))
        while True:
            try:
                change = await asyncio.wait_for(queue.get(), HEARTBEAT)
            except TimeoutError:
                await _write(response, b": still here\n\n")
                continue
            if change is None:
                break
            await _write(response, _text(change, position))
    return response


def _start(request: web.Request, feed: Feed) -> tuple[dict[int, int], list[Change] | None]:
    """Give the position to go on from, and what came after it; None where that cannot be told."""
    try:
        position = parse_position(request.headers["Last-Event-ID"])
    except (KeyError, ValueError):
        return feed.position(), None
    missed = feed.since(position)
    return (feed.position(), None) if missed is None else (position, missed)


def _text(change: Change, position: dict[int, int]) -> bytes:
    """Write a change, and move the client's position past it."""
    position[change.partition] = change.offset + 1
    event = change.event
    hint = _encode({"id": event.task_id, "version": event.version, "type": event.type})
    return b"event: change\nid: %b\ndata: %b\n\n" % (position_text(position).encode(), hint)


async def _write(response: web.StreamResponse, text: bytes) -> None:
    async with asyncio.timeout(WRITE_TIMEOUT):
        await response.write(text)
