from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest
from support import kept
from support.running import Up, eventually

if TYPE_CHECKING:
    from pathlib import Path

    from support.stack import Stack

pytestmark = pytest.mark.stack


def test_it_comes_up_cold_and_warm_and_stops_when_asked(up: Up) -> None:
    up.start()
    assert up.url in up.output
    assert up.get("/readyz") == f"{up.endpoints()[0]} 4 1"
    children = up.children()
    assert set(children) == {"kafka", "postgres", "web", "worker"}
    assert up.stop(signal.SIGTERM) == 0
    assert not any(child.is_running() for child in children.values())
    up.start()
    assert up.stop(signal.SIGINT) == 0
    assert up.output.rstrip().endswith("Stopped")


def test_what_was_acknowledged_survives_a_kill_of_every_process(up: Up) -> None:
    up.start()
    kept.write(*up.endpoints())
    up.kill_everything()
    up.start()
    kept.assert_kept(*up.endpoints())


def test_what_a_killed_supervisor_left_is_ended_by_the_next_start(up: Up) -> None:
    up.start()
    left = up.children()
    os.kill(up.pid, signal.SIGKILL)
    up.wait()
    assert all(child.is_running() for child in left.values())
    up.start()
    assert not any(child.is_running() for child in left.values())
    assert "Stopped kafka, which an earlier run had left behind." in up.output


def test_a_second_start_on_the_same_home_names_the_first(up: Up) -> None:
    up.start()
    assert _refusal(up, "up") == (
        f"error: Taskledger is already running on {up.home} (process {up.pid}): "
        "use it, stop it, or choose another home with --home.\n"
    )
    assert up.get("/readyz")


def test_the_other_commands_find_what_runs(up: Up) -> None:
    up.start()
    done = _taskledger(up, "provision")
    assert (done.returncode, done.stdout) == (0, "provisioned 4 partitions\n")


def test_the_other_commands_say_when_nothing_runs(up: Up) -> None:
    assert "run `taskledger up` there first" in _refusal(up, "provision")


def test_a_taken_port_is_named(up: Up) -> None:
    with socket.create_server(("127.0.0.1", up.port)):
        assert up.begin().wait() == 2
    assert f"error: Port {up.port} of 127.0.0.1 cannot be used (Address already in use)" in up.output


def test_a_taken_worker_port_is_replaced(up: Up) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        up.environ["TASKLEDGER_WORKER_PORT"] = str(taken.getsockname()[1])
        up.start()


def test_a_part_that_dies_is_started_again(up: Up) -> None:
    up.start()
    kept.write(*up.endpoints())
    for name, first in up.children().items():
        first.kill()
        eventually(lambda: name in up.children() and up.children()[name].pid != first.pid)  # noqa: B023 - asked now
        assert f"{name} was killed by signal 9; starting it again in 0.5 s." in up.output
    kept.assert_kept(*up.endpoints())
    eventually(lambda: _answers(up))


def test_a_part_that_keeps_dying_ends_everything_and_names_its_log(up: Up) -> None:
    up.environ["STANDIN_WORKER"] = "crashes"
    assert up.begin().wait() == 1
    log = up.home / "logs" / "worker.log"
    assert f"error: worker does not run: the reason is above and in {log}." in up.output
    assert up.children() == {}


def test_a_part_that_refuses_its_configuration_is_not_tried_again(up: Up) -> None:
    up.environ["STANDIN_WEB"] = "refuses"
    assert up.begin().wait() == 1
    assert up.output.count("error: The log is not usable.") == 1
    assert up.children() == {}


def test_nothing_is_left_when_provisioning_refuses(up: Up) -> None:
    up.environ["STANDIN_PROVISION"] = "refuses"
    assert up.begin().wait() == 1
    assert "error: The retention of the log is finite." in up.output
    assert "error: The topics and tables cannot be used" in up.output
    assert up.children() == {}


def test_a_part_that_does_not_stop_is_killed_in_time(up: Up) -> None:
    up.environ["STANDIN_WEB"] = "stubborn"
    up.start()
    children = up.children()
    assert up.stop() == 0
    assert "did not stop within 4 s: killing it" in up.output
    assert not any(child.is_running() for child in children.values())


def test_a_stop_while_starting_leaves_nothing(up: Up) -> None:
    up.begin()
    eventually(lambda: "kafka" in up.children())
    children = [*up.children().values(), *psutil.Process(up.pid).children()]
    assert up.stop() == 0
    assert not any(child.is_running() for child in children)


def test_a_kafka_and_a_postgres_of_ones_own_are_used_instead(
    up: Up, stack: Stack, postgres: str, tmp_path: Path
) -> None:
    secret = tmp_path / "postgres-url"
    secret.write_text(postgres)
    up.environ |= {"TASKLEDGER_KAFKA": stack.kafka, "TASKLEDGER_POSTGRES_FILE": str(secret)}
    up.start()
    assert set(up.children()) == {"web", "worker"}
    assert up.get("/readyz") == f"{stack.kafka} None None"


def _taskledger(up: Up, command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app.cli", command, "--home", str(up.home)],
        env=up.environ,
        cwd=up.home.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _refusal(up: Up, command: str) -> str:
    done = _taskledger(up, command)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    return done.stderr


def _answers(up: Up) -> bool:
    try:
        return bool(up.get("/readyz"))
    except OSError:
        return False
