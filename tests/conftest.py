from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.fixture
def postgres(stack: Stack) -> str:
    """The URL of an empty database of this test's own."""
    return stack.new_database()
