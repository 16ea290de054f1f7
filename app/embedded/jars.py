"""The jars of the embedded Kafka: pinned in `kafka-4.3.1.lock`, fetched once, checked at every start.

A line of the lock is `group:artifact:version bytes sha256`. `python -m app.embedded.pin` writes it anew.
All of the jars together are 44 MB; hashing them takes a fifth of a second, so every start does it.
"""

from __future__ import annotations

import hashlib
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import platformdirs
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from app.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

VERSION = "4.3.1"
LOCK = Path(__file__).with_name(f"kafka-{VERSION}.lock")
DOWNLOADS_AT_ONCE = 6


class Jar(NamedTuple):
    """One pinned file of Maven Central."""

    group: str
    artifact: str
    version: str
    size: int
    sha256: str

    @property
    def name(self) -> str:
        """The file's name, unique among the pinned ones."""
        return f"{self.artifact}-{self.version}.jar"


def pinned_jars(lock: Path = LOCK) -> list[Jar]:
    """Read the lock, in class path order."""
    jars = []
    for line in lock.read_text(encoding="utf-8").splitlines():
        coordinate, size, sha256 = line.split()
        group, artifact, version = coordinate.split(":")
        jars.append(Jar(group, artifact, version, int(size), sha256))
    return jars


def cache_folder() -> Path:
    """Give the folder in which fetched jars are kept, shared by every home of this user."""
    return platformdirs.user_cache_path("taskledger") / f"kafka-{VERSION}"


def fetch_jars(folder: Path, console: Console) -> list[Path]:
    """Fetch what is missing and check every jar; returns the class path.

    Raises ConfigurationError when Maven Central cannot be reached, the folder cannot be written, or
    a jar is not the pinned one.
    """
    jars = pinned_jars()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        missing = [jar for jar in jars if not (folder / jar.name).exists()]
        if missing:
            _download(missing, folder, console)
        for jar in jars:
            _check(jar, folder / jar.name)
    except OSError as error:
        raise ConfigurationError(
            f"Kafka's files cannot be kept in {folder}: {error.strerror or error}. "
            "Make the folder writable, with 100 MB of free space, and start again."
        ) from error
    return [folder / jar.name for jar in jars]


def _check(jar: Jar, path: Path) -> None:
    if hashlib.sha256(path.read_bytes()).hexdigest() != jar.sha256:
        raise ConfigurationError(
            f"{path} is not the file that Taskledger pins (its SHA-256 differs): "
            "it was changed or damaged. Delete it and start again."
        )


def _download(jars: list[Jar], folder: Path, console: Console) -> None:
    # jgo and requests take a quarter of a second to import, which a warm start does not need.
    import requests  # noqa: PLC0415
    from jgo.config import GlobalSettings  # noqa: PLC0415
    from jgo.maven import MavenContext, PythonResolver  # noqa: PLC0415

    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=console,
    )
    bar = progress.add_task(f"Fetching Kafka {VERSION}", total=sum(jar.size for jar in jars))

    @contextmanager
    def count(_name: str, _size: int) -> Iterator[Callable[[int], None]]:
        yield lambda received: progress.advance(bar, received)

    # Downloads land in a folder of their own and are moved when whole and checked,
    # so that neither a kill nor a second start at the same time leaves half a jar.
    with (
        tempfile.TemporaryDirectory(dir=folder) as scratch,
        ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool,
        progress,
    ):
        maven = MavenContext(PythonResolver(progress_callback=count), repo_cache=Path(scratch))
        maven.remote_repos |= GlobalSettings.load().repositories

        def fetch(jar: Jar) -> None:
            path = maven.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()
            _check(jar, path)
            path.replace(folder / jar.name)

        try:
            for _ in pool.map(fetch, jars):
                pass
        except (requests.RequestException, RuntimeError) as error:
            pool.shutdown(cancel_futures=True)
            raise ConfigurationError(
                f"Kafka's files could not be fetched from Maven Central ({type(error).__name__}): check the "
                "network connection and start again, or set TASKLEDGER_KAFKA to a Kafka that runs already."
            ) from error
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
