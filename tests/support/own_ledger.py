"""A ledger of a test's own on the real broker."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from app.settings import Settings

if TYPE_CHECKING:
    from support.stack import Stack

PARTITIONS = 4


def settings_for(stack: Stack, **parts) -> Settings:
    """Settings of a ledger that nothing else uses."""
    prefix = f"contract-{uuid4().hex[:8]}."
    defaults = {"topic_prefix": prefix, "partitions": PARTITIONS, "replication": 1}
    return Settings(kafka=stack.kafka, **(defaults | parts))
