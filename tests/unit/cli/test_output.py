from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from io import StringIO

import pytest
from rich.console import Console
from support.builders import number

from app.cli.output import cell, plain_lines, progress, show_object, show_rows, table

ROWS = [
    {"name": "task", "next_offset": 12_345, "state": "ok", "unseen": b"\xff"},
    {"name": "task_history", "next_offset": None, "state": "fail", "unseen": number(1)},
]
COLUMNS = ["name", "next_offset", "state"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        ("", "-"),
        (True, "yes"),
        (12_345, "12345"),
        (1234.56, "1234.6"),
        ([1, "a"], "1, a"),
        ([], "-"),
        (b"a\xff", "a�"),
        (datetime(2026, 3, 1, 12, tzinfo=UTC), "2026-03-01T12:00:00.000Z"),
        (number(7), str(number(7))),
    ],
)
def test_a_cell_is_written_for_people(value, text):
    assert cell(value) == text


def test_thousands_are_parted_on_a_terminal_only():
    assert (cell(12_345, grouped=True), cell(1234.56, grouped=True)) == ("12,345", "1,234.6")


def test_plain_columns_align_numbers_to_the_right():
    assert plain_lines(ROWS, COLUMNS) == [
        "name          next offset  state",
        "task                12345  ok",
        "task_history            -  fail",
    ]


def test_a_terminal_gets_the_same_cells():
    console = Console(width=200, record=True, file=StringIO())
    console.print(table(ROWS, COLUMNS))
    text = console.export_text()
    for part in ("next offset", "12,345", "task_history", "fail"):
        assert part in text


def test_json_has_every_field(capsys):
    show_rows(ROWS, COLUMNS, as_json=True)
    assert json.loads(capsys.readouterr().out) == [
        ROWS[0] | {"unseen": "/w=="},
        ROWS[1] | {"unseen": str(number(1))},
    ]


def test_no_rows_are_said_to_people_and_an_empty_array_to_machines(capsys):
    show_rows([], COLUMNS, as_json=True)
    show_rows([], COLUMNS, as_json=False, empty="No such thing.")
    assert capsys.readouterr().out == "[]\nNo such thing.\n"


def test_an_object_is_lines_or_json(capsys):
    show_object({"a": 1, "long_name": None}, as_json=False)
    show_object({"a": 1, "long_name": None}, as_json=True)
    assert capsys.readouterr().out == 'a          1\nlong name  -\n{"a":1,"long_name":null}\n'


def test_progress_is_silent_where_nobody_looks(capsys):
    with progress("Reading", 10) as done:
        done(5)
    assert capsys.readouterr() == ("", "")


def test_what_is_printed_meanwhile_stays_on_standard_output():
    code = """
from app.cli.output import progress
with progress("Reading", 10) as done:
    done(5)
    print("a record")
"""
    ours, theirs = os.openpty()
    with os.fdopen(ours, "rb", buffering=0), os.fdopen(theirs, "wb", buffering=0) as terminal:
        run = subprocess.run(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=terminal, env=os.environ | {"TERM": "xterm"},
            check=True, timeout=60,
        )  # fmt: skip
        assert run.stdout == b"a record\n"
        assert b"Reading" in os.read(ours, 10_000)
