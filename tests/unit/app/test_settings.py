from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.domain.errors import ConfigurationError
from app.settings import CLUSTER_PARTITIONS, CLUSTER_REPLICAS, SECRETS, Settings, environment_name, read_settings


def refusal(environ) -> str:
    with pytest.raises(ConfigurationError) as error:
        read_settings(environ)
    return error.value.detail


def test_nothing_need_be_set():
    assert read_settings({}) == Settings()
    assert read_settings({"PATH": "/bin", "TASKLEDGERX": "1"}) == Settings()


def test_every_setting_can_be_set():
    environ = {
        "TASKLEDGER_HOME": "~/ledger",
        "TASKLEDGER_HOST": "localhost",
        "TASKLEDGER_PORT": "80",
        "TASKLEDGER_WORKER_PORT": "81",
        "TASKLEDGER_WORKER_URL": "http://worker",
        "TASKLEDGER_KAFKA": "a:1,b:2",
        "TASKLEDGER_POSTGRES": "postgresql://u:p@h/d",
        "TASKLEDGER_TOPIC_PREFIX": "eu.",
        "TASKLEDGER_PARTITIONS": "6",
        "TASKLEDGER_REPLICATION": "2",
        "TASKLEDGER_OVERLAY_BYTES": "1000",
        "TASKLEDGER_REPLAY_BYTES": "3",
        "TASKLEDGER_COMMAND_TIMEOUT": "0.5",
        "TASKLEDGER_FRESHNESS_TIMEOUT": "2",
        "TASKLEDGER_DATABASE_CONNECTIONS": "3",
        "TASKLEDGER_LOG_LEVEL": "debug",
        "TASKLEDGER_LOG_FORMAT": "json",
    }
    settings = read_settings(environ)
    assert set(environ) == {environment_name(name) for name in Settings.__struct_fields__}
    assert settings.home == Path("~/ledger").expanduser()
    assert (settings.port, settings.command_timeout, settings.log_format) == (80, 0.5, "json")
    assert (settings.postgres, settings.log_partitions, settings.replicas) == ("postgresql://u:p@h/d", 6, 2)
    assert settings.insight_url == "http://worker"


def test_what_follows_from_other_settings():
    settings = read_settings({"TASKLEDGER_WORKER_PORT": "7000"})
    assert settings.insight_url == "http://127.0.0.1:7000"
    assert (settings.log_partitions, settings.replicas) == (CLUSTER_PARTITIONS, CLUSTER_REPLICAS)


def test_what_the_caller_says_wins_over_the_environment():
    assert read_settings({"TASKLEDGER_PORT": "80"}, port=81, host=None) == Settings(port=81)


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [
        ("TASKLEDGER_PROT", "TASKLEDGER_PORT"),
        ("TASKLEDGER_KAFAK", "TASKLEDGER_KAFKA"),
        ("TASKLEDGER_POSTGRES_FLIE", "TASKLEDGER_POSTGRES_FILE"),
        ("TASKLEDGER_port", "TASKLEDGER_PORT"),
        ("TASKLEDGER_", "TASKLEDGER_"),
        ("TASKLEDGER_PORT_FILE", "TASKLEDGER_"),  # only secrets come from files
    ],
)
def test_an_unknown_variable_is_refused_and_the_nearest_one_named(variable, nearest):
    told = refusal({variable: "1"})
    assert told.startswith(f"{variable} is not a setting")
    assert f"Did you mean {nearest}" in told


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TASKLEDGER_PORT", "eighty"),
        ("TASKLEDGER_PORT", "0"),
        ("TASKLEDGER_PORT", "65536"),
        ("TASKLEDGER_PORT", ""),
        ("TASKLEDGER_OVERLAY_BYTES", "-1"),
        ("TASKLEDGER_PARTITIONS", "0"),
        ("TASKLEDGER_COMMAND_TIMEOUT", "0"),
        ("TASKLEDGER_COMMAND_TIMEOUT", "601"),
        ("TASKLEDGER_LOG_LEVEL", "loud"),
    ],
)
def test_a_bad_value_is_refused_with_what_is_wrong(variable, value):
    told = refusal({variable: value})
    assert re.match(rf"{variable}='{value}' is not usable: .+\.$", told)


def test_a_secret_may_come_from_a_file(tmp_path):
    file = tmp_path / "url"
    file.write_text("postgresql://u:p@h/d\n", encoding="utf-8")
    assert read_settings({"TASKLEDGER_POSTGRES_FILE": str(file)}).postgres == "postgresql://u:p@h/d"


def test_a_secret_is_given_once(tmp_path):
    told = refusal({"TASKLEDGER_POSTGRES_FILE": str(tmp_path), "TASKLEDGER_POSTGRES": "postgresql://secret"})
    assert told == "TASKLEDGER_POSTGRES and TASKLEDGER_POSTGRES_FILE are both set: keep one of them."


@pytest.mark.parametrize("name", ["missing", "."])
def test_a_secret_file_that_cannot_be_read_is_named(tmp_path, name):
    told = refusal({"TASKLEDGER_POSTGRES_FILE": str(tmp_path / name)})
    assert str(tmp_path) in told
    assert "cannot be read" in told


def test_settings_do_not_change():
    with pytest.raises(AttributeError):
        Settings().port = 1
    assert set(Settings.__struct_fields__) >= SECRETS
