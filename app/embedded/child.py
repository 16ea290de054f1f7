"""One child process: started in a session of its own, output copied to a bounded log, stopped in time."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING

from app.domain.errors import TaskledgerError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from app.embedded.home import Home

    Show = Callable[[str, str], None]
    """Takes the name of a process and a line that it wrote."""

LOG_BYTES = 10 * 1024 * 1024
LOG_BACKUPS = 2
LONGEST_LINE = 64 * 1024
READY_POLL_SECONDS = 0.05
LAST_WORDS_SECONDS = 1.0


class ChildError(TaskledgerError):
    """A part of Taskledger does not run."""

    code = "child_failed"


async def _nothing() -> None:
    """Prepare nothing."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """What to run, and how to know that it is ready."""

    name: str
    command: Sequence[str]
    ready: Callable[[], Awaitable[bool]]
    """Asks the running program; False while it does not answer yet."""
    prepare: Callable[[], Awaitable[None]] = _nothing
    """Runs before every start."""
    environ: Mapping[str, str] | None = None
    """The whole environment; None means that of this process."""
    user: int | None = None
    """User and group id to run as; None means those of this process."""
    stop_signal: signal.Signals = signal.SIGTERM
    niceness: int = 0
    """How readily it leaves the processor to others, up to 19."""


class Child:
    """A program that runs, or ran, or will."""

    def __init__(self, program: Program, home: Home, show: Show) -> None:
        self.name = program.name
        self.program = program
        self.log = home.logs / f"{program.name}.log"
        self._processes = home.processes
        self._show = show
        self._process: asyncio.subprocess.Process | None = None
        self._output: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The process id while the program runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def start(self) -> None:
        """Start the program; in a session of its own a terminal's Ctrl-C does not reach it out of order."""
        program = self.program
        try:
            await program.prepare()
            log = RotatingFileHandler(self.log, maxBytes=LOG_BYTES, backupCount=LOG_BACKUPS, encoding="utf-8")
            self._process = await asyncio.create_subprocess_exec(
                *program.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env=program.environ,
                start_new_session=True,
                user=program.user,
                group=program.user,
                extra_groups=None if program.user is None else [],
            )
            if program.niceness:
                _make_nice(self._process.pid, program.niceness)
        except (OSError, subprocess.SubprocessError) as error:
            raise ChildError(f"{self.name} could not be started: {error}.") from error
        self._processes.write(self.name, self._process.pid)
        self._output = asyncio.create_task(self._copy_output(self._process, log))

    async def until_ready(self, deadline: float) -> None:
        """Wait until the program answers; raises ChildError at the deadline, a time of the running loop."""
        try:
            async with asyncio.timeout_at(deadline):
                while not await self.program.ready():  # noqa: ASYNC110 - asking is the only way to know
                    await asyncio.sleep(READY_POLL_SECONDS)
        except TimeoutError as error:
            raise ChildError(f"{self.name} did not get ready in time: its log is {self.log}.") from error

    async def until_ended(self) -> int:
        """Wait for the end of a started program; returns its exit code, negative for a signal."""
        assert self._process  # noqa: S101 - only a started child is waited for
        code = await self._process.wait()
        if self._output:
            # A grandchild may hold the pipe open for longer than the program lived.
            await asyncio.wait([self._output], timeout=LAST_WORDS_SECONDS)
        self._processes.drop(self.name)
        return code

    async def stop(self, seconds: float) -> None:
        """Ask the program to end, and kill its whole session when it has not within so many seconds."""
        if self.pid is None:
            return
        self.kill(self.program.stop_signal)
        try:
            await asyncio.wait_for(self.until_ended(), seconds)
        except TimeoutError:
            self._show(self.name, f"did not stop within {seconds:.0f} s: killing it")
            self.kill(signal.SIGKILL)
            await self.until_ended()

    def kill(self, number: signal.Signals) -> None:
        """Send a signal: SIGKILL to everything in the program's session, any other to the program."""
        if self.pid is not None:
            with suppress(ProcessLookupError):
                (os.killpg if number == signal.SIGKILL else os.kill)(self.pid, number)

    async def _copy_output(self, process: asyncio.subprocess.Process, log: RotatingFileHandler) -> None:
        assert process.stdout  # noqa: S101 - start asks for the pipe
        rest = b""
        try:
            while chunk := await process.stdout.read(LONGEST_LINE):
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) > LONGEST_LINE:
                    lines, rest = [*lines, rest], b""
                for line in lines:
                    self._write(log, line)
            if rest:
                self._write(log, rest)
        finally:
            log.close()

    def _write(self, log: RotatingFileHandler, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip()
        log.emit(logging.makeLogRecord({"msg": text}))
        # A terminal may be gone or know few characters; the program must be able to go on writing.
        with suppress(OSError, UnicodeError):
            self._show(self.name, text)


def _make_nice(pid: int, niceness: int) -> None:
    """Let a process that has just started leave the processor to others."""
    os.setpriority(os.PRIO_PROCESS, pid, niceness)
    # Linux may share the processor between sessions first, and then a process is nice only within its own.
    with suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(niceness), encoding="ascii")
