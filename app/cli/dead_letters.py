"""`taskledger dead-letters`: look at the records that cannot be applied, and decide about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import click
import msgspec

from app.cli.operation import operate
from app.cli.options import AS_JSON, HOME
from app.cli.output import show_object, show_rows
from app.domain.errors import ConfigurationError
from app.domain.task import Task
from app.overlay import Overlay
from projections.dead_letters import Repairer
from projections.read_model import PostgresReadModel
from projections.task.dead_letters import dead_letter_at, dead_letters_of, list_dead_letters

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from app.cli.operation import Ledger
    from projections.dead_letters import Repaired
    from projections.task.dead_letters import DeadLetter

COLUMNS = ("partition", "offset", "task_id", "version", "verdict", "readable", "type", "time", "reason")
LEFT_OUT = ("partition", "offset", "version", "type", "time", "why")
TIMEOUT = 30.0
"""Seconds that one repair may take."""
TASK = click.argument("task", metavar="TASK")


@click.group("dead-letters")
def dead_letters() -> None:
    """Look at the records that cannot be applied, and repair the tasks that they park.

    A record that cannot be applied parks its task: later events of the task wait behind it, and commands for it are
    refused. `retry` reads it again with this code, `discard` goes on without it; either way a repair is appended to
    the log, from which every process takes it. A record whose key names no task is listed too; it holds up nothing.
    """


@dead_letters.command("list")
@click.option("--task", "task_id", type=click.UUID, help="Only this task's.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Most to print.")
@click.option("--cursor", help="Go on after an earlier page.")
@AS_JSON
@HOME
def list_command(home: Path | None, *, task_id: UUID | None, limit: int, cursor: str | None, as_json: bool) -> None:
    """List the records that cannot be applied, in the order of the log."""

    async def work(ledger: Ledger) -> None:
        schemas = await PostgresReadModel(ledger.database).schemas()
        try:
            page = await list_dead_letters(ledger.database, schemas, task_id=task_id, limit=limit, cursor=cursor)
        except ValueError as error:
            raise ConfigurationError(f"--cursor: {error}; leave it out to begin anew.") from error
        items = [_told(letter) for letter in page.items]
        if as_json:
            show_object({"items": items, "next": page.next}, as_json=True)
            return
        show_rows(items, COLUMNS, as_json=False, empty="No record is a dead letter.")
        if page.next is not None:
            click.echo(f"There are more: --cursor {page.next}", err=True)

    operate(home, work)


@dead_letters.command()
@click.argument("what", metavar="TASK|PARTITION:OFFSET")
@AS_JSON
@HOME
def show(home: Path | None, *, what: str, as_json: bool) -> None:
    """Show the dead letters of a task, or that at a place in the log, with all that the record holds."""

    async def work(ledger: Ledger) -> Sequence[DeadLetter]:
        schemas = await PostgresReadModel(ledger.database).schemas()
        place = what.split(":")
        if len(place) == 2 and all(part.isdecimal() and len(part) < 10 for part in place):  # noqa: PLR2004
            return await dead_letter_at(ledger.database, schemas, int(place[0]), int(place[1]))
        try:
            return await dead_letters_of(ledger.database, schemas, UUID(what))
        except ValueError:
            raise ConfigurationError(f"{what!r} is no task id, and no place in the log such as 2:17.") from None

    letters = operate(home, work)
    if as_json:
        show_rows(letters, (), as_json=True)
    elif not letters:
        click.echo("There is no such dead letter.")
    for number, letter in enumerate([] if as_json else letters):
        if number:
            click.echo()
        show_object(_told(letter) | {"key": _printable(letter.key), "value": _printable(letter.value)}, as_json=False)


@dead_letters.command()
@TASK
@click.option("--leave-out", is_flag=True, help="Do without later records that this code cannot apply either.")
@AS_JSON
@HOME
def retry(home: Path | None, *, task: str, leave_out: bool, as_json: bool) -> None:
    """Repair a task with the record that parks it, where this code can apply it now.

    Nothing is lost: where a record still cannot be applied, it is refused, and says what to do.
    """
    task_id = _parked_task(task)
    done = operate(home, lambda ledger: _repairer(ledger).retry(task_id, leave_out=leave_out))
    _show_repaired(task_id, done, as_json=as_json)


@dead_letters.command()
@TASK
@click.option("--yes", is_flag=True, help="Do not ask first.")
@AS_JSON
@HOME
def discard(home: Path | None, *, task: str, yes: bool, as_json: bool) -> None:
    """Repair a task without the record that parks it.

    Later records are applied as if that had changed nothing; those that cannot be are left out too. The records stay
    in the log. A task whose creation is discarded is deleted.
    """
    task_id = _parked_task(task)
    if not yes:
        found = operate(home, lambda ledger: _repairer(ledger).preview(task_id, keep_poison=False))
        click.echo(f"Task {task_id} will go on without:", err=True)
        for letter, why in found.left_out:
            version = "no version" if letter.version is None else f"version {letter.version}"
            kind = _printable(letter.type) or "unknown type"
            click.echo(f"  {letter.partition}:{letter.offset}, {kind}, {version}: {_printable(why)}", err=True)
        click.confirm("Discard these?", abort=True, err=True)
    _show_repaired(task_id, operate(home, lambda ledger: _repairer(ledger).discard(task_id)), as_json=as_json)


def _parked_task(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise ConfigurationError(
            f"{text!r} is no task id, and only tasks are repaired: a record whose key names no task holds up nothing, "
            "and stays in the log as it is."
        ) from None


def _repairer(ledger: Ledger) -> Repairer:
    read_model = PostgresReadModel(ledger.database)

    async def letters_of(task_id: UUID) -> Sequence[DeadLetter]:
        return await dead_letters_of(ledger.database, await read_model.schemas(), task_id)

    overlay = Overlay(ledger.log, read_model, ledger.settings.overlay_bytes)
    return Repairer(overlay, read_model, letters_of, TIMEOUT)


def _show_repaired(task_id: UUID, done: Repaired, *, as_json: bool) -> None:
    status = done.state.status if isinstance(done.state, Task) else "deleted"
    version = done.state.version if done.state else 0
    if as_json:
        left_out = [_told(letter) | {"why": why} for letter, why in done.left_out]
        shown: Mapping[str, object] = {
            "task_id": task_id,
            "version": version,
            "status": status,
            "applied": done.applied,
            "left_out": left_out,
        }
        show_object(shown, as_json=True)
        return
    click.echo(f"Task {task_id} is repaired: {status}, at version {version}.")
    if done.left_out:
        places = ", ".join(f"{letter.partition}:{letter.offset}" for letter, _ in done.left_out)
        click.echo(f"Left out: {places}")
    if not done.applied:
        click.echo("The read models do not have it yet: see that a worker runs.", err=True)


def _told(letter: DeadLetter) -> dict[str, Any]:
    """Give what is told of a dead letter without the record itself, whose texts may be private."""
    fields = msgspec.structs.asdict(letter)
    del fields["key"], fields["value"]
    return fields | {"type": _printable(letter.type), "reason": _printable(letter.reason)}


def _printable(text: str | bytes | None) -> str | None:
    """Write anything so that it cannot steer a terminal."""
    if isinstance(text, bytes):
        text = text.decode(errors="backslashreplace")
    return text and "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)
