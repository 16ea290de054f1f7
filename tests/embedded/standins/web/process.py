"""A stand-in for the web process: answers every request with its settings."""

from __future__ import annotations

import http.server
import os
import signal
import threading
from typing import TYPE_CHECKING

from app.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from app.settings import Settings


def run(settings: Settings) -> None:
    if os.environ.get("STANDIN_WEB") == "refuses":
        raise ConfigurationError("The log is not usable.")
    serve(settings, settings.port, stubborn=os.environ.get("STANDIN_WEB") == "stubborn")


def serve(settings: Settings, port: int, *, stubborn: bool = False) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(f"{settings.kafka} {settings.partitions} {settings.replication}".encode())

        def log_message(self, *_: object) -> None:
            """Keep the log short."""

    server = http.server.ThreadingHTTPServer((settings.host, port), Handler)

    def stop(*_: object) -> None:
        if not stubborn:
            threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    server.serve_forever()
