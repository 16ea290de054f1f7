"""What is measured: a whole Taskledger, started as a reader would, and the peers on its PostgreSQL."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg
import msgspec
import psutil

from app.embedded.home import Home, free_port
from bench.generator import Result, Spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

START_SECONDS = 240
PEER_START_SECONDS = 30
STOP_SECONDS = 30
SETTLE_SECONDS = 300
MOST_SECONDS = 600
"""Longest that one measure takes."""
POLL_SECONDS = 0.1


class BenchError(Exception):
    """A measure could not be taken."""


class System:
    """A running Taskledger with its addresses."""

    def __init__(self, process: subprocess.Popen[bytes], home: Path, port: int, console: Console) -> None:
        self.port = port
        self.console = console
        self._process = process
        self._home = Home(home)

    @property
    def home(self) -> Path:
        """Its folder."""
        return self._home.path

    @property
    def kafka(self) -> str:
        """Bootstrap address."""
        return self._home.running_endpoints().kafka or ""

    @property
    def postgres(self) -> str:
        """URL of its database."""
        return self._home.running_endpoints().postgres or ""

    def new_database(self, name: str) -> str:
        """Make a database on the server that Taskledger itself uses; returns its URL."""
        name = f"{name}_{uuid4().hex[:8]}"
        asyncio.run(_execute(self.postgres, f"CREATE DATABASE {name}"))
        return self.postgres.replace("/taskledger?", f"/{name}?")

    def durability(self) -> str:
        """Say how PostgreSQL commits, for Taskledger and the peers alike."""
        return asyncio.run(_fetch_durability(self.postgres))

    def settle(self) -> None:
        """Wait until the read models have everything, so that no work is left over for the next measure."""
        until(lambda: self._lag() == 0, SETTLE_SECONDS, "the read models to catch up")

    def _lag(self) -> int | None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/health", timeout=10) as answer:
                return int(sum(msgspec.json.decode(answer.read())["read_model_lag_events"].values()))
        except urllib.error.HTTPError as error:
            error.close()
            return None

    def processes(self) -> dict[str, list[psutil.Process]]:
        """Give the processes by what they are."""
        found: dict[str, list[psutil.Process]] = {"supervisor": [psutil.Process(self._process.pid)]}
        for process in psutil.Process(self._process.pid).children(recursive=True):
            try:
                command = " ".join(process.cmdline())
            except psutil.NoSuchProcess:
                continue
            names = {" web ": "web", " worker ": "worker", "kafka.Kafka": "Kafka", "postgres": "PostgreSQL"}
            name = next((name for sign, name in names.items() if sign in f"{command} "), "other")
            found.setdefault(name, []).append(process)
        return found


@contextmanager
def running_system(console: Console) -> Iterator[System]:
    """Start everything in a new folder with `taskledger up`, and take it away again."""
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        home, port = Path(folder), free_port()
        command = ["-m", "app.cli", "up", "--home", folder, "--port", str(port)]
        log = Path(folder, "up.log")
        with log.open("wb") as output, started(command, stdout=output, stderr=output) as process:
            until(lambda: _ready(process, port, log), START_SECONDS, "Taskledger to be ready")
            yield System(process, home, port, console)


@contextmanager
def running_peer(module: str, url: str) -> Iterator[int]:
    """Start a peer that serves HTTP; gives its port."""
    port = free_port()
    with started(["-m", f"bench.peers.{module}", str(port), url]) as process:
        until(lambda: _listens(process, port), PEER_START_SECONDS, f"{module} to listen")
        yield port


@contextmanager
def started(arguments: list[str], **options: object) -> Iterator[subprocess.Popen[bytes]]:
    """Run this Python with some arguments for the length of a block; our own output is the table alone."""
    process = subprocess.Popen([sys.executable, *arguments], **{"stdout": subprocess.DEVNULL, **options})  # type: ignore[call-overload]
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def generate(spec: Spec) -> Result:
    """Put a load on a port; raises BenchError where not all answers were good."""
    result = msgspec.json.decode(output_of("bench.generator", msgspec.json.encode(spec).decode()), type=Result)
    if result.errors:
        raise BenchError(f"{result.errors} of {result.answers} answers were errors")
    return result


def output_of(module: str, *arguments: str) -> str:
    """Run a module in a process of its own and give what it prints."""
    command = [sys.executable, "-m", module, *arguments]
    try:
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=MOST_SECONDS).stdout
    except subprocess.SubprocessError as error:
        raise BenchError(f"{module}: {error}") from error


def until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait for a condition; raises BenchError where it does not come true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise BenchError(f"waited {seconds} s for {what}")
        time.sleep(POLL_SECONDS)


def _ready(process: subprocess.Popen[bytes], port: int, log: Path) -> bool:
    if process.poll() is not None:
        raise BenchError(f"`taskledger up` ended: {log.read_text(errors='replace')[-2000:]}")
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
            return True
    except OSError:
        return False


def _listens(process: subprocess.Popen[bytes], port: int) -> bool:
    if process.poll() is not None:
        raise BenchError(f"a peer ended with code {process.returncode}")
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def _fetch_durability(url: str) -> str:
    connection = await asyncpg.connect(url)
    values = [f"{name}={await connection.fetchval(f'SHOW {name}')}" for name in ("fsync", "synchronous_commit")]
    await connection.close()
    return ", ".join(values)


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(statement)
    await connection.close()
