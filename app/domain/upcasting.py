"""Schema evolution: how an old revision of an event's data becomes the newest one.

A revision that was ever written is read for ever. A new revision raises NEWEST and adds the step
from its predecessor to STEPS; a golden file of the old one stays in `tests/golden`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

Data = dict[str, Any]

NEWEST: dict[str, int] = {"task.created": 1, "task.updated": 1, "task.completed": 1, "task.deleted": 1}
"""The revision that is written now, for every event type."""

STEPS: dict[tuple[str, int], Callable[[Data], Data]] = {}
"""(type, old revision) to the pure function that makes the next revision of it."""


_REVISION = re.compile(r"[1-9][0-9]{0,3}")


class UnknownSchema(Exception):
    """The type, the revision or its data is not known to this code; newer code wrote it, or something else."""


def upcast(kind: str, schema: str, data: Data) -> tuple[str, Data]:
    """Bring data of any known revision to the newest; give its type and the new data."""
    prefix, _, revision = schema.rpartition(":")
    if kind not in NEWEST or prefix != f"urn:taskledger:{kind}" or not _REVISION.fullmatch(revision):
        raise UnknownSchema(f"unknown event {kind!r} with schema {schema!r}")
    for step in range(int(revision), NEWEST[kind]):
        if (kind, step) not in STEPS:
            raise UnknownSchema(f"no upcaster for revision {step} of {kind}")
        try:
            data = STEPS[kind, step](data)
        except Exception as error:
            problem = f"revision {step} of {kind} without what its upcaster needs: {type(error).__name__}"
            raise UnknownSchema(problem) from error
    if int(revision) > NEWEST[kind]:
        raise UnknownSchema(f"revision {revision} of {kind} is newer than this code")
    return kind, data
