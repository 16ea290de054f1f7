"""The command line: `taskledger up` for everything, and one command for each part."""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.domain.errors import ConfigurationError, TaskledgerError
from app.settings import read_settings

if TYPE_CHECKING:
    from app.settings import Settings

# Each command imports what it runs: a worker never loads the web's code, and --help answers at once.
# ruff: noqa: PLC0415

HOME = click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the embedded Kafka and PostgreSQL: their data and logs. [default: your user data folder]",
)
PORT = click.option("--port", type=click.IntRange(1, 65535), help="Port of the web process. [default: 8000]")


class Commands(click.Group):
    """Prints what Taskledger refuses as one sentence; exit code 2 for configuration, 1 for the rest."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the chosen command."""
        try:
            return super().invoke(ctx)
        except TaskledgerError as error:
            click.echo(f"error: {error}", err=True)
            ctx.exit(2 if isinstance(error, ConfigurationError) else 1)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("taskledger"), prog_name="taskledger")
def main() -> None:
    """Taskledger: a task service in which the Kafka log itself decides every race.

    Settings are environment variables, TASKLEDGER_HOME and so on; an option wins over its variable.
    """


@main.command()
@HOME
@PORT
def up(home: Path | None, port: int | None) -> None:
    """Run everything until Ctrl-C: Kafka, PostgreSQL, the worker and the web process.

    An existing Kafka or PostgreSQL named by TASKLEDGER_KAFKA or TASKLEDGER_POSTGRES is used instead of
    an embedded one.
    """
    from app.embedded import supervisor
    from app.embedded.terminal import Terminal

    settings = read_settings(os.environ, home=home, port=port)
    try:
        supervisor.up(settings, os.environ, Terminal())
    except KeyboardInterrupt:
        click.echo("Stopped")


@main.command()
@HOME
@PORT
def web(home: Path | None, port: int | None) -> None:
    """Run one web process, on the Kafka and PostgreSQL of a running `up` or of the settings."""
    settings = _settings_of_a_part(home=home, port=port)
    from web.process import run

    run(settings)


@main.command()
@HOME
def worker(home: Path | None) -> None:
    """Run one worker, on the Kafka and PostgreSQL of a running `up` or of the settings."""
    settings = _settings_of_a_part(home=home)
    from agents.process import run

    run(settings)


@main.command()
@HOME
def provision(home: Path | None) -> None:
    """Create the topics and tables that are missing, and check those that exist."""
    settings = _settings_of_a_part(home=home)
    from projections.provision import run

    run(settings)


def _settings_of_a_part(*, home: Path | None, port: int | None = None) -> Settings:
    """Read the settings, fill in the embedded parts that run on this home, and set up logging."""
    from app.embedded.running import with_running_parts
    from app.telemetry.logging import configure_logging

    settings = with_running_parts(read_settings(os.environ, home=home, port=port))
    configure_logging(settings)
    return settings
