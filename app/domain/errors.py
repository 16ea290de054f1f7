"""Every error that Taskledger raises on purpose.

    TaskledgerError
    ├── ConfigurationError      a setting or the environment is not usable; nothing was started
    ├── ValidationError         a command's fields are not usable; every bad field is named
    ├── Rejected                the domain says no to a well-formed command
    │   ├── TaskNotFound        no such task
    │   ├── TaskGone            the task was deleted, and the client names a version it saw
    │   ├── TaskExists          the id of a new task was already used
    │   ├── VersionMismatch     the task is not at the version that the client expects
    │   └── IdempotencyMismatch the key was used for another request
    ├── Unavailable             not now: nothing was changed, the same request may be sent again
    │   ├── OverlayFull         the read model is too far behind
    │   ├── Contended           too many lost races in a row
    │   ├── ReadModelBehind     the read model did not reach the wanted position in time
    │   ├── TaskParked          a damaged event keeps this task from being changed
    │   ├── DatabaseUnavailable PostgreSQL cannot be reached
    │   └── LogUnavailable      Kafka cannot be reached
    └── OutcomeUnknown          the change may or may not have happened

`code` is stable: clients may branch on it. The mapping to HTTP is in `web/problems.py`.
"""

from __future__ import annotations


class TaskledgerError(Exception):
    """Something that Taskledger refuses or cannot do."""

    code = "error"

    def __init__(self, detail: str | None = None) -> None:
        """Use the class docstring where no detail is given."""
        super().__init__(detail or (type(self).__doc__ or "").strip())

    @property
    def detail(self) -> str:
        """One sentence for the reader: what is wrong and what to do."""
        return str(self)


class ConfigurationError(TaskledgerError):
    """The configuration is not usable."""

    code = "configuration"


class FieldProblem(Exception):
    """One field that is not usable."""

    def __init__(self, field: str, problem: str) -> None:
        """Name the field as the client wrote it and say what it takes."""
        super().__init__(field, problem)
        self.field = field
        self.problem = problem


class ValidationError(TaskledgerError):
    """Some fields are not usable."""

    code = "validation"

    def __init__(self, problems: list[FieldProblem]) -> None:
        """Carry every bad field at once."""
        super().__init__("; ".join(f"{p.field}: {p.problem}" for p in problems))
        self.problems = problems


class Rejected(TaskledgerError):
    """The command does not fit the task's state."""

    code = "rejected"


class TaskNotFound(Rejected):
    """There is no task with this id."""

    code = "task_not_found"


class TaskGone(Rejected):
    """The task was deleted."""

    code = "task_gone"


class TaskExists(Rejected):
    """A task with this id exists already, or existed once; choose another id or leave it out."""

    code = "task_exists"


class VersionMismatch(Rejected):
    """The task has changed since the version that If-Match names; read it again and decide anew."""

    code = "version_mismatch"

    def __init__(self, current: int) -> None:
        """Carry the version that the task has now."""
        super().__init__()
        self.current = current


class IdempotencyMismatch(Rejected):
    """This Idempotency-Key was used for another request; use a new key for a new request."""

    code = "idempotency_mismatch"


class Unavailable(TaskledgerError):
    """Not available right now; nothing was changed, send the same request again later."""

    code = "unavailable"
    retry_after = 1
    """Seconds after which a retry makes sense."""


class OverlayFull(Unavailable):
    """The read model is too far behind to accept more changes; nothing was changed, try again later."""

    code = "overlay_full"
    retry_after = 5


class Contended(Unavailable):
    """Other clients changed this task faster than this command could; nothing was changed, try again."""

    code = "contended"


class ReadModelBehind(Unavailable):
    """The read model has not reached the position in Consistency-Token yet; try again."""

    code = "read_model_behind"


class TaskParked(Unavailable):
    """A damaged event keeps this task from being read or changed until an operator has dealt with it."""

    code = "task_parked"
    retry_after = 60


class DatabaseUnavailable(Unavailable):
    """PostgreSQL cannot be reached; nothing was changed, try again later."""

    code = "database_unavailable"
    retry_after = 5


class LogUnavailable(Unavailable):
    """Kafka cannot be reached; nothing was changed, try again later."""

    code = "log_unavailable"
    retry_after = 5


class OutcomeUnknown(TaskledgerError):
    """The change was sent but its outcome is not known yet; sending it again is safe with an Idempotency-Key."""

    code = "outcome_unknown"
    retry_after = 2
