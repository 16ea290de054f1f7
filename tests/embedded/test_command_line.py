from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from app.cli import main

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("command", [[], *([name] for name in main.commands)])
def test_every_command_explains_itself(command: list[str]) -> None:
    result = CliRunner().invoke(main, [*command, "--help"])
    assert result.exit_code == 0
    assert result.output.startswith("Usage:")


def test_the_version_is_the_packages() -> None:
    assert CliRunner().invoke(main, ["--version"]).output.startswith("taskledger, version ")


@pytest.mark.parametrize("command", ["web", "worker", "provision"])
def test_a_part_without_kafka_and_postgres_says_what_to_do(command: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(main, [command, "--home", str(tmp_path)])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        f"error: No Kafka and PostgreSQL are running in {tmp_path}: run `taskledger up` there first, "
        "or set TASKLEDGER_KAFKA and TASKLEDGER_POSTGRES.\n"
    )


def test_a_misspelt_setting_is_one_sentence() -> None:
    result = CliRunner(env={"TASKLEDGER_HOMES": "/x"}).invoke(main, ["up"])
    assert result.exit_code == 2
    assert result.stderr == ("error: TASKLEDGER_HOMES is not a setting of Taskledger. Did you mean TASKLEDGER_HOME?\n")
