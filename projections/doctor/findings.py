"""What a check found."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

Outcome: TypeAlias = Literal["ok", "warn", "fail"]


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at."""

    check: str
    outcome: Outcome
    """`fail` where promises are broken or something does not work, `warn` where that may come."""
    found: str
    remedy: str | None = None
    """What to do; None where all is well."""


def ok(check: str, found: str) -> Finding:
    """Say that something is as it should be."""
    return Finding(check, "ok", found)


def warn(check: str, found: str, remedy: str) -> Finding:
    """Say that something may become trouble."""
    return Finding(check, "warn", found, remedy)


def fail(check: str, found: str, remedy: str) -> Finding:
    """Say that something is broken."""
    return Finding(check, "fail", found, remedy)
