"""`taskledger topics`: what is in Kafka, and what should be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from app.cli.operation import complete
from app.cli.options import AS_JSON, HOME
from app.cli.output import show_rows
from app.log import topic_plan

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from app.log.topic_plan import Step

CHANGES = 3
COLUMNS = ["action", "topic", "what", "found", "wanted"]


@click.group()
def topics() -> None:
    """Compare the topics in Kafka with those that this version wants.

    Actions: create and set are what `apply` does; reassign wants more replicas, which a person must place; wrong is
    fatal, because the number of partitions is fixed for life.
    """


@topics.command()
@AS_JSON
@HOME
@click.pass_context
def plan(context: click.Context, home: Path | None, *, as_json: bool) -> None:
    """Show what differs, and change nothing.

    Exit code 0: nothing is to be applied. 3: `apply` has something to do. 1: a topic is wrong for good.
    """
    steps = complete(home, topic_plan.plan)
    _show(steps, as_json=as_json)
    actions = {step.action for step in steps}
    context.exit(1 if "wrong" in actions else CHANGES if actions & {"create", "set"} else 0)


@topics.command()
@AS_JSON
@HOME
def apply(home: Path | None, *, as_json: bool) -> None:
    """Create the topics that are missing, and set configuration that differs.

    Never deletes a topic, never changes a number of partitions, and never gives the log a finite retention.
    """
    _show(complete(home, topic_plan.apply), as_json=as_json)


def _show(steps: Sequence[Step], *, as_json: bool) -> None:
    show_rows(steps, COLUMNS, as_json=as_json, empty="Every topic is as it should be.")
