from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec
import psutil
import pytest

from app.domain.errors import ConfigurationError
from app.embedded.database import database
from app.embedded.home import Endpoints, Home
from app.embedded.process_notes import ProcessNote

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.prepare()
    return made


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has nothing to do with any home."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_a_nearly_full_disk_is_one_sentence(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(home.path)._replace(free=300 * 1024**2)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ConfigurationError, match=r"Only 300 MiB are free .* free at least 1 GiB"):
        home.prepare()


def test_a_home_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"cannot be written: Not a directory\. .* --home"):
        Home(tmp_path / "file" / "home").prepare()


def test_other_users_cannot_look_into_a_home(home: Home) -> None:
    assert {folder.stat().st_mode & 0o777 for folder in (home.path, home.logs, home.processes.folder)} == {0o700}


def test_one_holder_at_a_time(home: Home) -> None:
    with (
        home.lock(),
        pytest.raises(ConfigurationError, match=rf"already running .* \(process {os.getpid()}\)"),
        home.lock(),
    ):
        pass
    with home.lock():
        pass


def test_endpoints_count_only_while_the_home_is_held(home: Home) -> None:
    with home.lock():
        assert home.running_endpoints() == Endpoints()
        home.publish(Endpoints(kafka="127.0.0.1:1"))
        assert home.running_endpoints() == Endpoints(kafka="127.0.0.1:1")
    home.publish(Endpoints(kafka="127.0.0.1:1"))
    assert home.running_endpoints() == Endpoints()


def test_a_port_is_remembered_until_another_program_takes_it(home: Home) -> None:
    port = home.remembered_port("kafka")
    assert home.remembered_port("kafka") == port
    with socket.create_server(("127.0.0.1", port)):
        assert home.remembered_port("kafka") != port


def test_a_process_that_took_over_a_noted_id_is_left_alone(home: Home, bystander: subprocess.Popen[bytes]) -> None:
    created = psutil.Process(bystander.pid).create_time()
    for note in (ProcessNote(bystander.pid, created), ProcessNote(bystander.pid, created - 60)):
        (home.processes.folder / "kafka.pid").write_bytes(msgspec.json.encode(note))
        assert home.processes.stop_leftovers() == []
    assert bystander.poll() is None


def test_the_database_socket_of_a_deep_home_has_a_short_path(tmp_path: Path) -> None:
    deep = Home(tmp_path / ("deep" * 30))
    program, url = database(deep)
    folder = url.partition("host=")[2]
    assert len(folder) < 100
    assert folder in program.command
    assert database(deep)[1] == url
