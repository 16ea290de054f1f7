"""The page and its parts, served from the package."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from aiohttp import ETag, web

_FOLDER: Final = Path(__file__).parent / "ui"

# Named here because the operating system's own table differs between machines.
_TYPES: Final = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}

_HEADERS: Final = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "object-src 'none'; require-trusted-types-for 'script'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class _Page:
    """One file of the user interface, held in memory."""

    def __init__(self, path: Path) -> None:
        """Read the file; a kind of file that is not in the table is refused."""
        self._content = path.read_bytes()
        self._type = _TYPES[path.suffix]
        self._etag = hashlib.sha256(self._content).hexdigest()[:32]

    async def __call__(self, request: web.Request) -> web.Response:
        """Answer 200 with the file, or 304 where the client has it already."""
        known = request.if_none_match or ()
        response = (
            web.Response(status=304, headers=_HEADERS)
            if any(etag.value in {self._etag, "*"} for etag in known)
            else web.Response(body=self._content, content_type=self._type, charset="utf-8", headers=_HEADERS)
        )
        response.etag = ETag(self._etag)
        return response


def add_page_routes(router: web.UrlDispatcher) -> None:
    """Serve `/` and every `/ui/<file>`.

    Each file gets its own route, so no name that a client sends ever reaches the file system.
    """
    for path in sorted(_FOLDER.iterdir()):
        router.add_get("/" if path.name == "index.html" else f"/ui/{path.name}", _Page(path).__call__)
