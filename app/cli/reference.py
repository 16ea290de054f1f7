"""Write the reference of all commands: `python -m app.cli.reference > docs/reference/commands.md`."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import click

from app.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD = """# Commands

Written by `python -m app.cli.reference`, from what `--help` says.

Every command takes its settings from the environment ([settings](settings.md)), or from the `taskledger up` that runs
on the same home. What it refuses is one sentence on standard error. Exit codes: 0, it is done; 2, the configuration or
the command line is not usable; 1, anything else; others as the command says. `--json` prints numbers as numbers, times
as RFC 3339, and bytes as base64; a stream has one object a line.
"""


def render() -> str:
    """Give the page."""
    parts = [HEAD]
    for path, command in commands(main, "taskledger"):
        parts.append(f"\n## `{path}`\n\n{inspect.cleandoc(command.help or '')}\n")
        parameters = [one for one in command.params if not (isinstance(one, click.Option) and one.hidden)]
        if parameters and not isinstance(command, click.Group):
            parts.append("\n| argument or option | default | meaning |\n|---|---|---|\n")
            parts += [_row(parameter) for parameter in parameters]
    return "".join(parts)


def commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    """Give every command below a group with the words that call it, a group before its own."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        yield f"{path} {name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")


def _row(parameter: click.Parameter) -> str:
    if isinstance(parameter, click.Option):
        names = ", ".join(f"`{name}`" for name in parameter.opts)
        kind = "" if parameter.is_flag else f" {_kind(parameter)}"
        shown = parameter.default if isinstance(parameter.default, str | int | float) else None
        default = "" if shown is None or parameter.is_flag else f"`{shown}`"
        return f"| {names}{kind} | {default} | {_escaped(parameter.help or '')} |\n"
    required = "" if parameter.required else "optional"
    return f"| {parameter.human_readable_name} | {required} | |\n"


def _kind(option: click.Option) -> str:
    if isinstance(option.type, click.Choice):
        return "`" + "` or `".join(map(str, option.type.choices)) + "`"
    return option.type.name


def _escaped(text: str) -> str:
    return text.replace("|", r"\|")


if __name__ == "__main__":
    click.echo(render(), nl=False)
