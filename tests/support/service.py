"""Web processes and workers of one ledger, as real processes on a running Kafka and PostgreSQL."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from typing import TYPE_CHECKING, Self
from urllib.error import URLError
from urllib.request import urlopen

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.stack import Stack

START_SECONDS = 90
STOP_SECONDS = 20
_pause = threading.Event()


class Process:
    """One `taskledger web` or `taskledger worker`; its output goes to a file."""

    def __init__(self, role: str, environment: dict[str, str], log: Path) -> None:
        self.role = role
        self.port = free_port()
        variable = "TASKLEDGER_PORT" if role == "web" else "TASKLEDGER_WORKER_PORT"
        self.environment = environment | {variable: str(self.port)}
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Self:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "app.cli", self.role], env=self.environment, stdout=log, stderr=log
            )
        return self

    def until_ready(self) -> Self:
        wait_until(self._is_ready, f"{self.role} is ready; its log is {self.log}", START_SECONDS)
        return self

    def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(STOP_SECONDS)

    def stop(self) -> int:
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(STOP_SECONDS)
        return self._process.returncode

    def _is_ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(f"{self.role} ended with {self._process.returncode}:\n{self.log.read_text()[-4000:]}")
        try:
            with urlopen(f"{self.url}/readyz", timeout=2) as answer:
                return answer.status == 200
        except (URLError, OSError):
            return False


class Ledger:
    """One ledger: topics and a database of its own, and the processes that a test starts on it."""

    def __init__(self, stack: Stack, folder: Path, **settings: str) -> None:
        self.stack = stack
        self.folder = folder
        self.prefix = f"t{uuid.uuid4().hex[:8]}."
        self.postgres = stack.new_database()
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("TASKLEDGER_")} | {
            "TASKLEDGER_KAFKA": stack.kafka,
            "TASKLEDGER_POSTGRES": self.postgres,
            "TASKLEDGER_PARTITIONS": "4",
            "TASKLEDGER_REPLICATION": "1",
            "TASKLEDGER_TOPIC_PREFIX": self.prefix,
            "TASKLEDGER_LOG_FORMAT": "json",
            **{f"TASKLEDGER_{name.upper()}": value for name, value in settings.items()},
        }
        self._processes: list[Process] = []

    def __enter__(self) -> Self:
        subprocess.run([sys.executable, "-m", "app.cli", "provision"], env=self.environment, check=True, timeout=60)
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._processes):
            process.stop()

    def web(self, **settings: str) -> Process:
        return self._process("web", settings)

    def worker(self, **settings: str) -> Process:
        return self._process("worker", settings)

    def _process(self, role: str, settings: dict[str, str]) -> Process:
        more = {f"TASKLEDGER_{name.upper()}": value for name, value in settings.items()}
        log = self.folder / f"{role}-{len(self._processes)}.log"
        process = Process(role, self.environment | more, log)
        self._processes.append(process)
        return process.start()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(condition: Callable[[], bool], what: str, seconds: float) -> None:
    """Wait for a condition, looking ten times a second; fail with what was waited for."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        _pause.wait(0.1)
