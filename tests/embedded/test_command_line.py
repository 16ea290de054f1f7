from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from app.cli import COMMANDS, main

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
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


@pytest.mark.parametrize("command", COMMANDS)
def test_the_list_of_commands_says_of_each_what_it_says_itself(command: str) -> None:
    loaded = main.get_command(click.Context(main), command)
    assert loaded is not None
    assert loaded.help is not None
    assert COMMANDS[command][1] == loaded.help.partition("\n\n")[0].replace("\n", " ")
    assert loaded.name == command


def test_the_list_of_commands_loads_none_of_them() -> None:
    code = "import sys; from app.cli import main; main(['--help'], standalone_mode=False); print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert not {"aiohttp", "aiokafka", "asyncpg", "sqlalchemy", "rich"} & set(run.stdout.split())


def test_an_unknown_command_is_refused() -> None:
    result = CliRunner().invoke(main, ["fly"])
    assert result.exit_code == 2
    assert "No such command 'fly'" in result.stderr
