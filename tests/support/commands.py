"""Commands of an operator, run as processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

SECONDS = 90


class Run(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code == 0, self
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """What a stream of JSON lines says."""
        assert self.code == 0, self
        return [json.loads(line) for line in self.out.splitlines()]


def taskledger(environment: Mapping[str, str], *arguments: str) -> Run:
    """Run a command to its end."""
    command = [sys.executable, "-m", "app.cli", *arguments]
    run = subprocess.run(command, env=dict(environment), capture_output=True, text=True, timeout=SECONDS, check=False)
    return Run(run.returncode, run.stdout, run.stderr)
