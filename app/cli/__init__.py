"""The command line: `taskledger up` for everything, one command for each part, and those of an operator."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import Any

import click

from app.domain.errors import ConfigurationError, TaskledgerError

COMMANDS = {
    "up": ("parts", "Run everything until Ctrl-C: Kafka, PostgreSQL, the worker and the web process."),
    "web": ("parts", "Run one web process, on the Kafka and PostgreSQL of a running `up` or of the settings."),
    "worker": ("parts", "Run one worker, on the Kafka and PostgreSQL of a running `up` or of the settings."),
    "provision": ("parts", "Create the topics and tables that are missing, and check those that exist."),
    "positions": ("lag", "Show how far each projection has come, and where the log begins and ends."),
    "lag": ("lag", "Show how far the projections are behind the log, in events and in seconds."),
    "log": ("log", "Look into the log: every record with what it came to."),
    "replay": ("replay", "Build projections anew from the log, beside the ones that serve."),
    "topics": ("topics", "Compare the topics in Kafka with those that this version wants."),
    "doctor": ("doctor", "Check everything that a deployment needs, and say what to do where it lacks something."),
    "dead-letters": (
        "dead_letters",
        "Look at the records that cannot be applied, and repair the tasks that they park.",
    ),
}
"""Each command: its module in this package, where it has the same name with underscores, and what it does.

A module is loaded when its command is wanted: a worker never loads the web's code, and --help answers at once.
"""


class Commands(click.Group):
    """Prints what Taskledger refuses as one sentence; exit code 2 for configuration, 1 for the rest."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give the names of all commands, in the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"{__name__}.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without loading any."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, told) for name, (_, told) in COMMANDS.items()])

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
