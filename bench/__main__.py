"""`python -m bench`: measure, and print one Markdown table. Progress goes to standard error."""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
from typing import TYPE_CHECKING

from rich.console import Console

from app.domain.errors import TaskledgerError
from bench.rounds import FULL, QUICK
from bench.rows import create, latency, memory, projection, update, visible
from bench.system import BenchError, running_system
from bench.table import markdown

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.rounds import Effort
    from bench.system import System
    from bench.table import Row


def main() -> int:
    """Measure what was asked for; 1 where some measure could not be taken."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    names = ["create", "latency", "update", "projection", "visible", "memory"]
    parser.add_argument("--quick", action="store_true", help="short measures, to see that everything works")
    parser.add_argument("--only", choices=names, action="append", help="take this measure only; may be repeated")
    arguments = parser.parse_args()
    effort = QUICK if arguments.quick else FULL
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what was started is stopped
    console = Console(stderr=True)
    rows: list[Row] = []
    failed = False
    try:
        with console.status("starting Taskledger") as status, running_system(console) as system:
            durability = system.durability()
            for name, measure in _measures(system).items():
                if arguments.only and name not in arguments.only:
                    continue
                status.update(f"measuring: {name}")
                try:
                    rows += measure(system, effort)
                except (BenchError, TaskledgerError, OSError) as error:
                    failed = True
                    console.log(f"{name}: {error}", style="red")
    except BenchError as error:
        console.log(str(error), style="red")
        return 1
    print(
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, "
        f"PostgreSQL with {durability}; everything on one machine; "
        f"medians of {effort.rounds} rounds of {effort.seconds:g} s, taken in turns.\n"
    )
    print(markdown(rows))
    return 1 if failed else 0


def _measures(system: System) -> dict[str, Callable[[System, Effort], list[Row]]]:
    idle = memory.usage(system)
    return {
        "create": create.measure,
        "latency": latency.measure,
        "update": update.measure,
        "projection": projection.measure,
        "visible": visible.measure,
        "memory": lambda system, effort: memory.measure(system, effort, idle),
    }


if __name__ == "__main__":
    sys.exit(main())
