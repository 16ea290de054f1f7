"""What several commands take: options, and the settings of the parts that run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.settings import read_settings

if TYPE_CHECKING:
    from app.settings import Settings

HOME = click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the embedded Kafka and PostgreSQL: their data and logs. [default: your user data folder]",
)
PORT = click.option("--port", type=click.IntRange(1, 65535), help="Port of the web process. [default: 8000]")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")


def settings_of_a_part(*, home: Path | None, port: int | None = None) -> Settings:
    """Read the settings, fill in the embedded parts that run on this home, and set up logging."""
    from app.embedded.running import with_running_parts  # noqa: PLC0415 - `up` has no use for it
    from app.telemetry.logging import configure_logging  # noqa: PLC0415 - nor for this

    settings = with_running_parts(read_settings(os.environ, home=home, port=port))
    configure_logging(settings)
    return settings
