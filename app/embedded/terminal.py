"""What a person sees of `taskledger up`: one coloured log of every process, and where to go when all is ready."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

if TYPE_CHECKING:
    from pathlib import Path

STYLES = {"web": "cyan", "worker": "magenta", "provision": "blue", "kafka": "green", "postgres": "yellow"}
WIDTH = max(map(len, STYLES))
CHATTY = frozenset({"kafka", "postgres"})
"""Of these only errors are shown; their log files have everything."""
SERIOUS = re.compile(r"\b(?:(WARN|WARNING|warning)|ERROR|CRITICAL|FATAL|PANIC|error|critical)\b")


class LastingConsole(Console):
    """A console whose reader may leave, as `taskledger up | head` does, without ending the writer."""

    def on_broken_pipe(self) -> None:
        """Write to nowhere from now on."""
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


class Terminal:
    """Writes to standard output; in colours where that is a terminal."""

    def __init__(self) -> None:
        self.console = LastingConsole()

    def show(self, name: str, line: str) -> None:
        """Print a line that a process wrote, after its name."""
        serious = SERIOUS.search(line)
        if name in CHATTY and not re.search(r" (?:ERROR|FATAL|PANIC)[: ]", line):
            return
        style = "" if not serious else "yellow" if serious[1] else "red"
        self._print(Text.assemble((f"{name:>{WIDTH}} │ ", STYLES[name]), Text.from_ansi(line, style=style)))

    def say(self, sentence: str) -> None:
        """Print a sentence of the supervisor's own."""
        self._print(Text(sentence, style="bold"))

    def ready(self, url: str, home: Path) -> None:
        """Print where to go."""
        text = Text.assemble(
            "Taskledger is ready: ", (url, "bold underline"), f"\nData and logs: {home}\nCtrl-C stops everything."
        )
        self.console.print(Panel(text, border_style="green", expand=False))

    def _print(self, text: Text) -> None:
        self.console.print(text, soft_wrap=True, highlight=False)
