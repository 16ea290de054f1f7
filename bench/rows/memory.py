"""Measure how much memory each process takes."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import psutil

from bench.generator import Spec
from bench.system import generate
from bench.table import Row

if TYPE_CHECKING:
    from bench.rounds import Effort
    from bench.system import System

MIB = 1024 * 1024
PORTION = 5000
"""Tasks made at a stretch: a web process refuses commands while the read models are too far behind."""
Usage = dict[str, tuple[float, float]]


def usage(system: System) -> Usage:
    """Give RSS and USS in MiB by what a process is; of several of a kind, the sums.

    RSS counts shared pages in every process that has them, USS counts none of them.
    """
    found: Usage = {}
    for name, processes in system.processes().items():
        memory = []
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                memory.append(process.memory_full_info())
        found[name] = (sum(each.rss for each in memory) / MIB, sum(each.uss for each in memory) / MIB)
    return found


def measure(system: System, effort: Effort, idle: Usage) -> list[Row]:
    """Report what each takes after so many tasks more; `idle` is from before any."""
    for _ in range(0, effort.tasks, PORTION):
        generate(Spec(port=system.port, kind="create", count=PORTION))
        system.settle()
    after = usage(system)
    what = f"RSS / USS: idle, then after {effort.tasks:,} tasks"
    return [
        Row(f"memory of {name}, {what}", f"{_show(before)}, then {_show(after[name])}")
        for name, before in idle.items()
        if name in after
    ]


def _show(memory: tuple[float, float]) -> str:
    return f"{memory[0]:.0f} / {memory[1]:.0f} MiB"
