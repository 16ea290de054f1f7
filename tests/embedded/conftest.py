from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.running import Up

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True, scope="session")
def interruptible() -> None:
    """Let Ctrl-C reach what the tests start, also where they run in the background of a shell that ignores it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    """Prepare a `taskledger up` whose web process and worker are stand-ins: only the starting is under test."""
    with Up(tmp_path / "home", PYTHONPATH=str(Path(__file__).with_name("standins"))) as prepared:
        yield prepared
