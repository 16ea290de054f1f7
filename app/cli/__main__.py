"""Lets `python -m app.cli` be `taskledger`."""

from __future__ import annotations

from app.cli import main

main(prog_name="taskledger")
