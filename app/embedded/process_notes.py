"""Notes of the processes of a home, so that a start after a kill finds and stops what was left running."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec
import psutil

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

GRACE_SECONDS = 5.0
POLL_SECONDS = 0.05
SAME_START_SECONDS = 1.0
"""Two readings of a process's start may differ by rounding."""


class ProcessNote(msgspec.Struct, frozen=True):
    """Enough to recognise a process: its id alone may since belong to another program."""

    pid: int
    created: float


class ProcessNotes:
    """One note for each process of a home."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "run"
        self._home = str(home)

    def write(self, name: str, pid: int) -> None:
        """Note a process that was just started."""
        with suppress(psutil.NoSuchProcess):
            note = ProcessNote(pid, psutil.Process(pid).create_time())
            (self.folder / f"{name}.pid").write_bytes(msgspec.json.encode(note))

    def drop(self, name: str) -> None:
        """Forget a process that has ended."""
        (self.folder / f"{name}.pid").unlink(missing_ok=True)

    def stop_leftovers(self) -> list[str]:
        """End every noted process that still runs, with its descendants; returns their names."""
        names, processes = [], []
        for file in sorted(self.folder.glob("*.pid")):
            with suppress(psutil.Error, msgspec.DecodeError):
                note = msgspec.json.decode(file.read_bytes(), type=ProcessNote)
                process = psutil.Process(note.pid)
                if self._is_ours(process, note):
                    names.append(file.stem)
                    processes += [process, *process.children(recursive=True)]
        end(processes)
        for name in names:
            self.drop(name)
        return names

    def _is_ours(self, process: psutil.Process, note: ProcessNote) -> bool:
        same = abs(process.create_time() - note.created) < SAME_START_SECONDS
        return same and any(self._home in word for word in process.cmdline())


def end(processes: Iterable[psutil.Process]) -> None:
    """Ask processes to end, kill those that have not in time, and return when all are gone."""
    for ask in (psutil.Process.terminate, psutil.Process.kill):
        alive = [process for process in processes if _runs(process)]
        for process in alive:
            with suppress(psutil.NoSuchProcess):
                ask(process)
        deadline = time.monotonic() + GRACE_SECONDS
        while any(map(_runs, alive)) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)


def _runs(process: psutil.Process) -> bool:
    """Tell whether a process does anything; one that has ended may stay listed until its parent has looked."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
