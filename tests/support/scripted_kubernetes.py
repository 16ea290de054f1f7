"""A stand-in for the Kubernetes API with one Job: it says what a test wrote down, and breaks where a test wants."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

CUT = "cut"
"""In a log: the connection breaks here."""
HANG = "hang"
"""In a log: nothing comes any more, although the connection stands."""


class Refusal(Exception):
    """An answer of the API that is an error; status 0 breaks the connection without any."""

    def __init__(self, status: int, message: str = "as the test wants it") -> None:
        super().__init__(message)
        self.status = status


class ScriptedKubernetes:
    """Each list is a script: every request takes its first entry, and the last one stays."""

    def __init__(self, deployment: dict[str, Any]) -> None:
        self.deployments: list[dict[str, Any] | Refusal] = [deployment]
        self.other_jobs: list[dict[str, Any] | Refusal] = [{"items": []}]
        self.creations: list[dict[str, Any] | Refusal] = [{}]
        self.jobs: list[dict[str, Any] | Refusal] = [{"status": {}}]
        self.pods: list[list[dict[str, Any]] | Refusal] = [[]]
        self.logs: list[list[str] | Refusal] = [[]]
        self.deletions: list[dict[str, Any] | Refusal] = [{}]
        self.created: list[dict[str, Any]] = []
        self.deleted: list[str] = []
        self.log_queries: list[dict[str, str]] = []
        self._over = threading.Event()

    def __enter__(self) -> Self:
        script = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                script._answer(self)

            do_POST = do_DELETE = do_GET  # noqa: N815 - as http.server names them

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        try:
            self._route(request, urlsplit(request.path))
        except Refusal as refusal:
            if refusal.status == 0:
                request.close_connection = True
                return
            self._send(request, {"kind": "Status", "message": str(refusal)}, refusal.status)

    def _route(self, request: BaseHTTPRequestHandler, url: Any) -> None:
        parts = url.path.strip("/").split("/")
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        if parts[-1] == "log":
            self.log_queries.append({name: values[0] for name, values in parse_qs(url.query).items()})
            self._stream(request, _next(self.logs))
        elif request.command == "POST":
            created = _next(self.creations)
            self.created.append(json.loads(body))
            self._send(request, created)
        elif request.command == "DELETE":
            deleted = _next(self.deletions)
            self.deleted.append(parts[-1])
            self._send(request, deleted)
        elif "deployments" in parts:
            self._send(request, _next(self.deployments))
        elif parts[-1] == "jobs":
            self._send(request, _next(self.other_jobs))
        elif parts[-1] == "pods":
            self._send(request, {"items": _next(self.pods)})
        else:
            self._send(request, _next(self.jobs))

    @staticmethod
    def _send(request: BaseHTTPRequestHandler, document: dict[str, Any], status: int = 200) -> None:
        content = json.dumps(document).encode()
        request.send_response(status)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    def _stream(self, request: BaseHTTPRequestHandler, lines: list[str]) -> None:
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        for line in lines:
            if line in {CUT, HANG}:
                if line == HANG:
                    self._over.wait(30)
                request.close_connection = True
                return
            content = f"{line}\n".encode()
            request.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))
        request.wfile.write(b"0\r\n\r\n")


def _next(script: list[Any]) -> Any:
    entry = script.pop(0) if len(script) > 1 else script[0]
    if isinstance(entry, Refusal):
        raise entry
    return entry
