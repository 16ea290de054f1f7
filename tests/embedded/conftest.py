from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.running import Up

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    """Prepare a `taskledger up` whose web process and worker are stand-ins: only the starting is under test."""
    with Up(tmp_path / "home", PYTHONPATH=str(Path(__file__).with_name("standins"))) as prepared:
        yield prepared
