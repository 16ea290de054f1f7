"""A kept HTTP/1.1 connection that sends a request once the one before it was answered, at little cost."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol, cast

CONNECT_SECONDS = 10


class Script(Protocol):
    """What the connections send, and what becomes of the answers."""

    def request(self) -> bytes | None:
        """Give the next request, rendered, or None to end."""

    def answered(self, status: int, head: bytes, body: bytes, seconds: float) -> None:
        """Take an answer; the head is in lower case."""


class Connection(asyncio.Protocol):
    """Understands what the services under test send: answers with a Content-Length, or without a body."""

    _transport: asyncio.WriteTransport
    _script: Script
    _sent = 0.0

    def __init__(self) -> None:
        self._buffer = b""
        self._ended: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what to write to."""
        self._transport = cast("asyncio.WriteTransport", transport)

    def begin(self, script: Script) -> asyncio.Future[None]:
        """Send what the script gives until it ends; the result is done then."""
        self._script = script
        self._ended = asyncio.get_running_loop().create_future()
        self._send()
        return self._ended

    def close(self) -> None:
        """Hang up."""
        self._transport.close()

    def _send(self) -> None:
        request = self._script.request()
        if request is None:
            ended, self._ended = self._ended, None
            if ended and not ended.done():
                ended.set_result(None)
            return
        self._sent = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Hand over an answer once it is whole, and go on."""
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        body = self._buffer[end + 4 :]
        if len(body) < int(header(head, b"content-length") or 0):
            return
        self._buffer = b""
        self._script.answered(int(head[9:12]), head, body, time.perf_counter() - self._sent)
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what is under way."""
        if self._ended and not self._ended.done():
            self._ended.set_exception(exc or ConnectionResetError("the service closed a connection"))


def header(head: bytes, name: bytes) -> bytes | None:
    """Give the value of a header in a head of lower case, or None."""
    start = head.find(b"\r\n" + name + b": ")
    if start < 0:
        return None
    start += len(name) + 4
    end = head.find(b"\r\n", start)
    return head[start : end if end >= 0 else None]


def render(method: str, path: str, body: bytes, **headers: str) -> bytes:
    """Give the bytes of a request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


async def connect(port: int, count: int) -> list[Connection]:
    """Open so many connections to a port of this machine."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(CONNECT_SECONDS):
        return [(await loop.create_connection(Connection, "127.0.0.1", port))[1] for _ in range(count)]
