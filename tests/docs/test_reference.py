from __future__ import annotations

import re
from pathlib import Path

import click
import msgspec
from prometheus_client.metrics import MetricWrapperBase

from app.cli import COMMANDS, main
from app.cli.reference import commands, render
from app.settings import Settings, environment_name
from app.telemetry import metrics
from web.problems import HTTP_CODES, STATUS

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def rows(page: str) -> dict[str, list[str]]:
    """Give the cells of a page's table by what its first column names."""
    lines = re.findall(r"^\| `(.+?)` \| (.*) \|$", (REFERENCE / page).read_text(), flags=re.MULTILINE)
    return {name: cells.split(" | ") for name, cells in lines}


def test_every_setting_is_documented_with_its_default_and_no_other() -> None:
    documented = {name: cells[0] for name, cells in rows("settings.md").items()}
    expected = {
        environment_name(field.name): "unset" if field.default is None else f"`{field.default}`"
        for field in msgspec.structs.fields(Settings)
    }
    expected["TASKLEDGER_HOME"] = "your user data folder"
    expected["TASKLEDGER_TOPIC_PREFIX"] = "empty"
    assert documented == expected


def test_every_error_code_is_documented_with_its_status_and_no_other() -> None:
    documented = {name: cells[0] for name, cells in rows("errors.md").items()}
    expected = {error.code: str(status) for error, status in STATUS.items()}
    assert documented == expected | {code: str(status) for status, (code, _) in HTTP_CODES.items()}


def test_every_metric_is_documented_with_its_type_and_labels_and_no_other() -> None:
    expected = {}
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            name = metric._name + ("_total" if metric._type == "counter" else "")
            expected[name] = [metric._type, ", ".join(metric._labelnames) or "none"]
    assert {name: cells[:2] for name, cells in rows("metrics.md").items()} == expected


def test_every_command_and_option_is_documented_as_help_tells_it() -> None:
    assert (REFERENCE / "commands.md").read_text() == render(), "run `python -m app.cli.reference > that page`"
    named = set(re.findall(r"^## `(.+)`$", render(), flags=re.MULTILINE))
    assert {f"taskledger {name}" for name in COMMANDS} <= named


def test_every_command_and_option_says_what_it_does() -> None:
    for path, command in commands(main, "taskledger"):
        assert command.help, path
        for option in command.params:
            assert not isinstance(option, click.Option) or option.help, f"{path} {option.name}"
