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
    """Send every change from now on, or from `Last-Event-ID` on; a `reset` event means: read everything again."""
    feed = request.app[SERVICE].feed
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )
    with feed.subscribe() as queue, suppress(ConnectionError, TimeoutError):
        opening = [f"retry: {RECONNECT_MS}\nid: {feed.position()}\n\n".encode()]
        last = request.headers.get("Last-Event-ID")
        if last is not None:
            missed = _missed(request, last)
            opening += [b"event: reset\ndata: {}\n\n"] if missed is None else map(_text, missed)
        await response.prepare(request)
        await _write(response, b"".join(opening))
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


def _missed(request: web.Request, last: str) -> list[Change] | None:
    try:
        position = parse_position(last)
    except ValueError:
        return None
    return request.app[SERVICE].feed.since(position)


def _text(change: Change) -> bytes:
    return b"event: change\nid: %b\ndata: %b\n\n" % (change.after.encode(), change.data)


async def _write(response: web.StreamResponse, text: bytes) -> None:
    async with asyncio.timeout(WRITE_TIMEOUT):
        await response.write(text)
