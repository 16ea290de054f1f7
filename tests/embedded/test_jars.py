from __future__ import annotations

import io
import shutil
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from app.domain.errors import ConfigurationError
from app.embedded.jars import cache_folder, fetch_jars, pinned_jars

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.stack


@pytest.fixture
def jars(tmp_path: Path) -> Path:
    """A folder with every pinned jar."""
    console = Console(file=io.StringIO())
    fetch_jars(cache_folder(), console)
    return shutil.copytree(cache_folder(), tmp_path / "jars")


def test_every_jar_is_pinned_by_size_and_hash() -> None:
    pinned = pinned_jars()
    assert {"kafka_2.13-4.3.1.jar", "kafka-clients-4.3.1.jar", "slf4j-simple-1.7.36.jar"} <= {
        jar.name for jar in pinned
    }
    assert len({jar.name for jar in pinned}) == len(pinned)
    assert all(jar.size > 0 and len(jar.sha256) == 64 for jar in pinned)


def test_a_jar_that_was_changed_is_an_error(jars: Path) -> None:
    tampered = jars / "kafka-clients-4.3.1.jar"
    tampered.write_bytes(tampered.read_bytes() + b"\0")
    with pytest.raises(ConfigurationError, match=r"kafka-clients-4.3.1.jar is not the file that Taskledger pins"):
        fetch_jars(jars, Console(file=io.StringIO()))


def test_a_missing_jar_is_fetched_again_with_progress(jars: Path) -> None:
    (jars / "jspecify-1.0.0.jar").unlink()
    output = io.StringIO()
    paths = fetch_jars(jars, Console(file=output))
    assert all(path.exists() for path in paths)
    assert "Fetching Kafka 4.3.1" in output.getvalue()
    assert not [path for path in jars.iterdir() if path.is_dir()]


def test_a_registry_that_cannot_be_reached_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    with pytest.raises(ConfigurationError, match=r"could not be fetched .* check the network connection"):
        fetch_jars(tmp_path / "jars", Console(file=io.StringIO()))
    assert list((tmp_path / "jars").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"Kafka's files cannot be kept in .*file/jars: Not a directory"):
        fetch_jars(tmp_path / "file" / "jars", Console(file=io.StringIO()))
