"""The whole service as `make run` starts it, with nothing standing in."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING

import pytest
from support.running import Up, eventually

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.stack


def test_an_acknowledged_task_survives_a_kill_of_every_process(tmp_path: Path) -> None:
    with Up(tmp_path / "home") as up:
        up.start()
        task = _create(up, "survive")
        up.kill_everything()
        up.start()
        assert json.loads(up.get(f"/api/tasks/{task['id']}")) == task
        eventually(lambda: json.loads(up.get("/api/tasks"))["items"] == [task])
        assert up.stop() == 0


def _create(up: Up, title: str) -> dict[str, object]:
    request = urllib.request.Request(
        f"{up.url}/api/tasks",
        data=json.dumps({"title": title}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 201
        return json.load(answer)
