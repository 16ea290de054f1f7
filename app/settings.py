"""Settings: the only module that reads the environment.

Every setting is an environment variable `TASKLEDGER_<NAME>`. A secret may be given as the path of
a file instead, in `TASKLEDGER_<NAME>_FILE`. A variable that no setting knows is an error, so that a
misspelt name never silently means the default.
"""

from __future__ import annotations

import difflib
import types
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import platformdirs

from app.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "TASKLEDGER_"
CLUSTER_PARTITIONS = 12
CLUSTER_REPLICAS = 3
SECRETS = frozenset({"postgres"})

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=600)]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings, with their defaults; built once, at the edge."""

    home: Path = msgspec.field(default_factory=lambda: Path(platformdirs.user_data_dir("taskledger")))
    """Folder of the embedded Kafka and PostgreSQL: their data, logs and process ids."""
    host: str = "127.0.0.1"
    """Address that the web process listens on."""
    port: Port = 8000
    """TCP port that the web process listens on."""
    worker_port: Port = 6066
    """TCP port on which the worker serves its health, metrics and insight, on `host`."""
    worker_url: str | None = None
    """Where the web process asks for insight; by default the worker on this machine."""
    kafka: str | None = None
    """Kafka bootstrap servers, `host:port[,host:port…]`; unset means the embedded broker."""
    postgres: str | None = None
    """PostgreSQL URL `postgresql://user:password@host/database`; unset means the embedded server."""
    topic_prefix: str = ""
    """Put before the name of every topic and consumer group, where one Kafka serves several ledgers."""
    partitions: Positive | None = None
    """Partitions of the log, fixed for life; by default 12, and 4 in the embedded broker."""
    replication: Positive | None = None
    """Replicas of every topic; by default 3, and 1 in the embedded broker."""
    overlay_bytes: Positive = 128 * 1024 * 1024
    """Most bytes of recent events and task states that a web process keeps in memory."""
    replay_bytes: Positive = 256 * 1024 * 1024
    """Most bytes of tasks that a replay keeps in memory before it writes them."""
    command_timeout: Seconds = 10.0
    """Seconds that a command may take before its outcome is called unknown."""
    freshness_timeout: Seconds = 5.0
    """Seconds that a query waits for the position in its Consistency-Token."""
    database_connections: Positive = 8
    """Most PostgreSQL connections of one process."""
    log_level: typing.Literal["debug", "info", "warning", "error"] = "info"
    """Least severe log line that is written."""
    log_format: typing.Literal["auto", "json", "text"] = "auto"
    """`text` is for people, `json` for machines; `auto` takes text on a terminal."""

    @property
    def log_partitions(self) -> int:
        """Partitions that the log must have."""
        return self.partitions or CLUSTER_PARTITIONS

    @property
    def replicas(self) -> int:
        """Replicas that new topics get."""
        return self.replication or CLUSTER_REPLICAS

    @property
    def insight_url(self) -> str:
        """Base URL of a worker."""
        return self.worker_url or f"http://{self.host}:{self.worker_port}"


def environment_name(field: str) -> str:
    """Give the name of the environment variable that sets a field."""
    return PREFIX + field.upper()


def read_settings(environ: Mapping[str, str], **overrides: object) -> Settings:
    """Build the settings from an environment; overrides that are not None win.

    Raises ConfigurationError that names the variable and what it takes.
    """
    fields = {environment_name(field.name): field for field in msgspec.structs.fields(Settings)}
    values: dict[str, object] = {}
    for variable in sorted(name for name in environ if name.startswith(PREFIX)):
        plain = variable.removesuffix("_FILE")
        from_file = plain != variable and plain in fields and fields[plain].name in SECRETS
        name = plain if from_file else variable
        if name not in fields:
            raise ConfigurationError(_unknown(variable, [*fields, *(environment_name(s) + "_FILE" for s in SECRETS)]))
        field = fields[name]
        if field.name in values:
            raise ConfigurationError(f"{name} and {name}_FILE are both set: keep one of them.")
        text = _read_secret(variable, Path(environ[variable])) if from_file else environ[variable]
        values[field.name] = _convert(variable, text, field.type)
    values.update({name: value for name, value in overrides.items() if value is not None})
    return Settings(**values)  # type: ignore[arg-type]


def _convert(variable: str, text: str, kind: object) -> object:
    if kind is Path:
        return Path(text).expanduser()
    if isinstance(kind, types.UnionType) and str in typing.get_args(kind):
        return text
    try:
        return msgspec.convert(text, kind, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{variable}={text!r} is not usable: {error}.") from error


def _read_secret(variable: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigurationError(f"{variable} names {path}, which cannot be read: {error.strerror}.") from error


def _unknown(variable: str, known: list[str]) -> str:
    nearest = difflib.get_close_matches(variable, known, n=1, cutoff=0.0)[0]
    return f"{variable} is not a setting of Taskledger. Did you mean {nearest}?"
