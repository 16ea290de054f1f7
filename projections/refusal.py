"""What an operator asked for and does not get."""

from __future__ import annotations

from app.domain.errors import TaskledgerError


class Refused(TaskledgerError):
    """The operation does not fit the state of things; nothing was changed."""

    code = "refused"
