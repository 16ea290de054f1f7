from __future__ import annotations

import pytest
from click.testing import CliRunner

from app.cli import main
from app.cli.dead_letters import _printable


@pytest.mark.parametrize("command", ["retry", "discard"])
@pytest.mark.parametrize("what", ["2:17", "no task", "-"])
def test_only_tasks_are_repaired(command, what):
    result = CliRunner().invoke(main, ["dead-letters", command, what])
    assert result.exit_code == 2
    assert result.stderr == (
        f"error: {what!r} is no task id, and only tasks are repaired: a record whose key names no task holds up "
        "nothing, and stays in the log as it is.\n"
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (None, None),
        ("", ""),
        ("task.snoozed", "task.snoozed"),
        ("日本 ü", "日本 ü"),
        ("a\x1b[2J\nb", "a\\x1b[2J\\nb"),
        (b"ok \xff\x00", "ok \\xff\\x00"),
    ],
)
def test_nothing_that_a_record_holds_steers_the_terminal(text, shown):
    assert _printable(text) == shown
