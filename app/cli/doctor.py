"""`taskledger doctor`: what a deployment lacks, and what to do."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING

import click

from app.cli.options import AS_JSON, HOME, settings_of_a_part
from app.cli.output import show_rows
from app.domain.errors import ConfigurationError
from app.settings import read_settings
from projections.doctor.examination import examine
from projections.doctor.findings import Finding, fail, ok

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = ["outcome", "check", "found", "remedy"]


@click.command()
@AS_JSON
@HOME
@click.pass_context
def doctor(context: click.Context, home: Path | None, *, as_json: bool) -> None:
    """Check everything that a deployment needs, and say what to do where it lacks something.

    Looks at settings, Kafka and its topics, PostgreSQL and its rights, the registry, positions, lag, dead letters, the
    worker, the web process, clocks and, where Kafka or PostgreSQL is embedded, the disk. Changes nothing.

    Exit code 1: something fails. 0: all is well, or no more than a warning.
    """
    findings = asyncio.run(_examine(home))
    show_rows(findings, COLUMNS, as_json=as_json)
    context.exit(1 if any(finding.outcome == "fail" for finding in findings) else 0)


async def _examine(home: Path | None) -> list[Finding]:
    try:
        given = read_settings(os.environ, home=home)
        settings = settings_of_a_part(home=home)
    except ConfigurationError as error:
        return [fail("settings", error.detail, "correct it, and ask again")]
    logging.disable(logging.CRITICAL)  # every failure becomes a finding
    embedded = not (given.kafka and given.postgres)
    return [ok("settings", "readable"), *[finding async for finding in examine(settings, embedded=embedded)]]
