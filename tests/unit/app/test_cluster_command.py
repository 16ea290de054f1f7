from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from app.cli.cluster import ClusterCommand, without_options
from app.cluster import run as running
from app.cluster.api import Cluster


@click.group()
def main():
    pass


@main.group()
def replay():
    pass


@replay.command(cls=ClusterCommand)
@click.argument("projection")
@click.option("--rate", type=int)
def run(projection, rate):
    """Build a new generation."""
    click.echo(f"here: {projection} {rate}")


@pytest.fixture
def asked(monkeypatch) -> list:
    """What would be run in the cluster."""
    calls = []
    monkeypatch.setattr(Cluster, "connect", lambda context, namespace: (context, namespace))

    def record(cluster, deployment, arguments, voice, **options):
        calls.append((cluster, deployment, arguments, options))
        return 7

    monkeypatch.setattr(running, "run", record)
    return calls


def test_without_the_option_the_command_runs_here(asked):
    result = CliRunner().invoke(main, ["replay", "run", "task", "--rate", "5"])
    assert (result.exit_code, result.output) == (0, "here: task 5\n")
    assert asked == []


def test_with_the_option_the_same_words_run_in_the_cluster_and_its_exit_code_is_given(asked):
    result = CliRunner().invoke(main, ["replay", "run", "--in-cluster", "task", "--rate", "5"])
    assert (result.exit_code, result.output) == (7, "")
    options = {"detach": False, "deadline_seconds": None}
    assert asked == [((None, None), "event-service", ["replay", "run", "task", "--rate", "5"], options)]


def test_the_options_say_where_and_how(asked):
    where = ["--namespace", "todo", "--deployment=worker", "--context", "prod", "--detach", "--job-deadline", "60"]
    CliRunner().invoke(main, ["replay", "run", "task", "--in-cluster", *where])
    options = {"detach": True, "deadline_seconds": 60}
    assert asked == [(("prod", "todo"), "worker", ["replay", "run", "task"], options)]


def test_bad_arguments_are_refused_before_the_cluster_is_asked(asked):
    result = CliRunner().invoke(main, ["replay", "run", "task", "--in-cluster", "--rate", "fast"])
    assert result.exit_code == 2
    assert "'fast' is not a valid integer" in result.output
    assert asked == []


@pytest.mark.parametrize("option", [["--namespace", "a"], ["--detach"], ["--job-deadline", "5"]])
def test_the_options_alone_are_a_mistake(asked, option):
    result = CliRunner().invoke(main, ["replay", "run", "task", *option])
    assert result.exit_code == 2
    assert f"{option[0]} goes with --in-cluster." in result.output


def test_help_shows_the_options():
    output = CliRunner().invoke(main, ["replay", "run", "--help"]).output
    assert "--in-cluster" in output
    assert "--detach" in output


def test_words_behind_two_dashes_are_left_alone():
    assert without_options(["a", "--detach", "--", "--detach", "--context"]) == ["a", "--", "--detach", "--context"]
