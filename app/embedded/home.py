"""The home folder: who holds it, and where its parts can be reached."""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from app.domain.errors import ConfigurationError
from app.embedded.process_notes import ProcessNotes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LEAST_FREE_BYTES = 1024**3


class Endpoints(msgspec.Struct, frozen=True):
    """Where the embedded parts of a running home answer; None for a part that is not embedded."""

    kafka: str | None = None
    postgres: str | None = None


class Home:
    """The files of one home folder."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.logs = self.path / "logs"
        self.processes = ProcessNotes(self.path)
        self.endpoints_file = self.path / "endpoints.json"
        self.lock_file = self.path / "lock"

    def prepare(self) -> None:
        """Make the folders; raises ConfigurationError when they cannot be written or the disk is full."""
        try:
            for folder in (self.path, self.logs, self.processes.folder):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self.lock_file.open("a"):
                pass
        except OSError as error:
            raise ConfigurationError(
                f"The home folder {self.path} cannot be written: {error.strerror}. "
                "Make it writable or choose another with --home."
            ) from error
        free = shutil.disk_usage(self.path).free
        if free < LEAST_FREE_BYTES:
            raise ConfigurationError(
                f"Only {free // 1024**2} MiB are free on the disk of {self.path}: "
                "free at least 1 GiB or choose a home on another disk with --home."
            )

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold this home; the system lets go of it however this process ends.

        Raises ConfigurationError that names the process that holds it already.
        """
        with self.lock_file.open("r+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ConfigurationError(
                    f"Taskledger is already running on {self.path} "
                    f"(process {file.read().strip() or 'unknown'}): "
                    "use it, stop it, or choose another home with --home."
                ) from error
            file.truncate()
            file.write(str(os.getpid()))
            file.flush()
            try:
                yield
            finally:
                self.endpoints_file.unlink(missing_ok=True)

    def publish(self, endpoints: Endpoints) -> None:
        """Tell other commands on this home where the embedded parts are."""
        self.endpoints_file.write_bytes(msgspec.json.encode(endpoints))

    def running_endpoints(self) -> Endpoints:
        """Read where the parts of the supervisor that holds this home are; all None when there is no such."""
        try:
            with self.lock_file.open() as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            try:
                return msgspec.json.decode(self.endpoints_file.read_bytes(), type=Endpoints)
            except (FileNotFoundError, msgspec.DecodeError):
                return Endpoints()
        except OSError:
            pass
        return Endpoints()

    def remembered_port(self, name: str) -> int:
        """Give the TCP port that this home used for `name` before, or a free one; loopback only."""
        file = self.path / f"{name}.port"
        try:
            port = int(file.read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            port = 0
        if not port or port_problem("127.0.0.1", port):
            others = {other.read_text(encoding="ascii") for other in self.path.glob("*.port") if other != file}
            while str(port := free_port()) in others:
                pass
            file.write_text(str(port), encoding="ascii")
        return port


def free_port() -> int:
    """Give a loopback TCP port that nothing uses at this moment.

    It is below the ports that systems give to outgoing connections: while a server restarts, one of its
    clients, dialling again and again, could otherwise be given the server's own port and keep it.
    """
    ports = range(20_000, 32_768)
    return next(port for port in random.sample(ports, len(ports)) if not port_problem("127.0.0.1", port))


def port_problem(host: str, port: int) -> str | None:
    """Say why a server cannot listen on this address now; None when it can."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.strerror or str(error)
        return None
