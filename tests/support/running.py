"""A `taskledger up` of a test: started, looked into, killed and stopped for certain."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from typing import TYPE_CHECKING, Self, TypeVar

import psutil

from app.embedded.home import Home, free_port
from app.embedded.process_notes import end

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")
START_SECONDS = 120
STOP_SECONDS = 15


def eventually(question: Callable[[], T], seconds: float = 30) -> T:
    """Ask until the answer is true; fails with the last answer after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < deadline, f"still {answer!r} after {seconds} s"
        time.sleep(0.05)
    return answer


class Up:
    """One `taskledger up` after another on the same home."""

    def __init__(self, home: Path, **environ: str) -> None:
        self.home = home
        self.port = free_port()
        self.environ = {**os.environ, **environ}
        self.output_file = home.with_name(f"{home.name}.out")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill_everything()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def output(self) -> str:
        return self.output_file.read_text(encoding="utf-8")

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def start(self) -> Self:
        """Start, and wait until it says that it is ready."""
        self.begin()
        eventually(lambda: "is ready" in self.output or self._ended(), START_SECONDS)
        assert "is ready" in self.output, self.output
        return self

    def begin(self) -> Self:
        with self.output_file.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "app.cli", "up", "--home", str(self.home), "--port", str(self.port)],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self.environ,
                cwd=self.home.parent,
            )
        return self

    def wait(self, seconds: float = START_SECONDS) -> int:
        """Wait for the end; returns the exit code."""
        assert self._process
        return self._process.wait(seconds)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask to stop; fails when that takes longer than is promised."""
        assert self._process
        self._process.send_signal(number)
        return self.wait(STOP_SECONDS)

    def endpoints(self) -> tuple[str, str]:
        """Give the addresses of the embedded Kafka and PostgreSQL that are running."""
        endpoints = Home(self.home).running_endpoints()
        assert endpoints.kafka
        assert endpoints.postgres
        return endpoints.kafka, endpoints.postgres

    def children(self) -> dict[str, psutil.Process]:
        """Give the processes that the home has notes of, by name."""
        found = {}
        for file in (self.home / "run").glob("*.pid"):
            try:
                found[file.stem] = psutil.Process(json.loads(file.read_bytes())["pid"])
            except (psutil.NoSuchProcess, FileNotFoundError, json.JSONDecodeError):
                continue
        return found

    def kill_everything(self) -> None:
        """SIGKILL the supervisor, then all that it had started."""
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        children = list(self.children().values())
        for child in children:
            child.kill()
        end(children)

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=5) as answer:
            return answer.read().decode()

    def _ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None
