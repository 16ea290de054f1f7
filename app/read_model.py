"""What the command side asks of the read models; `projections.read_model` answers it from Postgres."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol
from uuid import UUID

from msgspec import Struct

from app.domain.history import History
from app.domain.task import State

if TYPE_CHECKING:
    from collections.abc import Mapping


class Stored(Struct, frozen=True):
    """A task's history as the read models hold it.

    `offset` is the last record of the task that they have applied, or -1: records up to it are in `history`.
    """

    history: History
    offset: int


class Receipt(Struct, frozen=True):
    """What a keyed command did: the answer that every repetition of it gets."""

    task_id: UUID
    command_hash: str
    state: State
    """The task right after the command."""
    offset: int
    """Where its event stands in the task's partition."""


class ReadModel(Protocol):
    """The read models, seen from the command side. Every method raises DatabaseUnavailable."""

    async def positions(self) -> Mapping[int, int]:
        """Give, for every partition, the next offset that the read models have not applied."""

    async def load(self, task_id: UUID) -> Stored:
        """Give a task's history, empty where there is none."""

    async def find_receipt(self, command_id: UUID) -> Receipt | None:
        """Give what an accepted, keyed command did, or None where no such command was applied."""
