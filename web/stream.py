"""`GET /api/events`: which tasks changed, as server-sent events.

https://html.spec.whatwg.org/multipage/server-sent-events.html. An event's id is a position in the log, with
which a client that was cut off goes on where it was.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from aiohttp import web

from app.log.port import parse_position
from web.service import SERVICE

if TYPE_CHECKING:
    from web.feed import Change

HEARTBEAT = 15.0
"""Seconds of silence after which a comment shows that the stream is alive."""
WRITE_TIMEOUT = 15.0
"""Seconds that a client may take to read what is sent, before its stream ends."""
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
        missed = _missed(request)
        start = f"event: reset\nid: {feed.position()}\ndata: {{}}\n\n".encode()
        await response.prepare(request)
        await _write(response, f"retry: {RECONNECT_MS}\n\n".encode())
        await _write(response, start if missed is None else b"".join(map(_text, missed)))
        while True:
            try:
                change = await asyncio.wait_for(queue.get(), HEARTBEAT)
            except TimeoutError:
                await _write(response, b": still here\n\n")
                continue
            if change is None:
                break
            await _write(response, _text(change))
    return response


def _missed(request: web.Request) -> list[Change] | None:
    """Give what the client missed since it was cut off, or None where that cannot be told."""
    try:
        position = parse_position(request.headers["Last-Event-ID"])
    except (KeyError, ValueError):
        return None
    return request.app[SERVICE].feed.since(position)


def _text(change: Change) -> bytes:
    return b"event: change\nid: %b\ndata: %b\n\n" % (change.after.encode(), change.data)


async def _write(response: web.StreamResponse, text: bytes) -> None:
    async with asyncio.timeout(WRITE_TIMEOUT):
        await response.write(text)
