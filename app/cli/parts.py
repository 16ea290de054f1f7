"""The commands that run the service's parts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from app.cli.options import HOME, PORT, settings_of_a_part
from app.settings import read_settings

if TYPE_CHECKING:
    from pathlib import Path

# Each command imports what it runs, and nothing that another one does.
# ruff: noqa: PLC0415


@click.command()
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


@click.command()
@HOME
@PORT
def web(home: Path | None, port: int | None) -> None:
    """Run one web process, on the Kafka and PostgreSQL of a running `up` or of the settings."""
    settings = settings_of_a_part(home=home, port=port)
    from web.process import run

    run(settings)


@click.command()
@HOME
def worker(home: Path | None) -> None:
    """Run one worker, on the Kafka and PostgreSQL of a running `up` or of the settings."""
    settings = settings_of_a_part(home=home)
    from agents.process import run

    run(settings)


@click.command()
@HOME
def provision(home: Path | None) -> None:
    """Create the topics and tables that are missing, and check those that exist."""
    settings = settings_of_a_part(home=home)
    from projections.provision import run

    run(settings)
