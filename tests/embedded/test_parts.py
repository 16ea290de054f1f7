from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support import kept

if TYPE_CHECKING:
    from support.stack import Stack

pytestmark = pytest.mark.stack


def test_killed_parts_come_back_at_the_same_addresses_with_their_data(stack: Stack, postgres: str) -> None:
    kept.write(stack.kafka, postgres)
    stack.kill_broker()
    stack.kill_database()
    stack.start_broker()
    stack.start_database()
    kept.assert_kept(stack.kafka, postgres)
    stack.restart_broker()
    kept.assert_kept(stack.kafka, postgres)
