"""What a client may ask for, and the limits of each field.

The structs are the HTTP bodies as well: msgspec checks types and limits, and a field's description
is the sentence that a client reads when its value is not usable.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

Title = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=500,
        pattern=r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*\Z",
        description="a text of 1 to 500 characters on one line, not blank",
    ),
]
Description = Annotated[
    str,
    Meta(
        max_length=20_000,
        pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*\Z",
        description="a text of at most 20,000 characters without control characters",
    ),
]
Priority = Annotated[int, Meta(ge=0, le=3, description="a whole number from 0 (none) to 3 (highest)")]
DueAt = Annotated[datetime, Meta(tz=True, description="an RFC 3339 time with an offset, such as 2026-01-31T17:00:00Z")]
Tag = Annotated[str, Meta(min_length=1, max_length=50, pattern=r"^[^\x00-\x20\x7f]+( [^\x00-\x20\x7f]+)*\Z")]
Tags = Annotated[
    list[Tag],
    Meta(
        max_length=20,
        description="a list of at most 20 texts of 1 to 50 characters, without blanks around them",
    ),
]
TaskId = Annotated[UUID, Meta(description="a UUID")]


class CreateTask(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Make a new task; the server chooses the id where the client leaves it out."""

    title: Title
    description: Description = ""
    priority: Priority = 0
    due_at: DueAt | None = None
    tags: Tags = []
    id: TaskId | UnsetType = UNSET


class UpdateTask(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Change the named fields, as a JSON merge patch (RFC 7396): null takes a field's default."""

    title: Title | UnsetType = UNSET
    description: Description | UnsetType | None = UNSET
    priority: Priority | UnsetType | None = UNSET
    due_at: DueAt | UnsetType | None = UNSET
    tags: Tags | UnsetType | None = UNSET


class CompleteTask(Struct, frozen=True, forbid_unknown_fields=True):
    """Mark a task as done."""


class ReopenTask(Struct, frozen=True, forbid_unknown_fields=True):
    """Take a done task up again."""


class DeleteTask(Struct, frozen=True, forbid_unknown_fields=True):
    """Remove a task for good; its id is never used again."""


Command = CreateTask | UpdateTask | CompleteTask | ReopenTask | DeleteTask
