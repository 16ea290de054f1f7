from __future__ import annotations

import io
import json
import logging
import sys

import pytest
from support.builders import TASK, created, event
from support.deadline import run
from support.memory_read_model import MemoryReadModel
from support.process import process

from app.domain.commands import CreateTask
from app.domain.envelope import encode_key
from app.log.memory import MemoryLog
from app.settings import Settings
from app.telemetry.logging import JsonFormatter, TextFormatter, configure_logging


def line(level=logging.INFO, message="listening on %d", args=(80,), error=None, **extras):
    record = logging.LogRecord("web.process", level, "process.py", 1, message, args, error)
    record.created = 1_770_000_000.25
    vars(record).update(extras)
    return record


def caught():
    try:
        int("broken")
    except ValueError:
        return sys.exc_info()


def test_machines_get_one_json_object_a_line():
    assert json.loads(JsonFormatter().format(line(port=80, task_id=TASK))) == {
        "time": "2026-02-02T02:40:00.250000Z",
        "level": "info",
        "logger": "web.process",
        "message": "listening on 80",
        "port": 80,
        "task_id": str(TASK),
    }


def test_an_error_comes_with_its_trace_in_the_same_line():
    text = JsonFormatter().format(line(error=caught()))
    assert "\n" not in text
    assert "ValueError" in json.loads(text)["error"]


def test_what_json_does_not_know_is_written_as_text():
    assert json.loads(JsonFormatter().format(line(error_of=ValueError("odd"))))["error_of"] == "odd"


def test_people_get_one_readable_line():
    text = TextFormatter(colour=False).format(line(port=80, host="here"))
    assert text.endswith(" info    listening on 80 port=80 host=here")
    assert "\x1b" not in text


def test_people_see_the_level_in_colour_and_the_trace_below():
    text = TextFormatter(colour=True).format(line(logging.ERROR, error=caught()))
    assert "\x1b[31merror" in text
    assert text.splitlines()[-1] == "ValueError: invalid literal for int() with base 10: 'broken'"


@pytest.fixture
def configure(monkeypatch):
    """Configure logging as a process does; gives what is written from then on. Undone in the end."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def configured(**settings):
        written = io.StringIO()
        monkeypatch.setattr(sys, "stderr", written)
        configure_logging(Settings(**settings))
        return written

    yield configured
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)


@pytest.mark.parametrize(("form", "is_json"), [("json", True), ("text", False), ("auto", True)])
def test_the_settings_choose_the_form(configure, form, is_json):
    written = configure(log_format=form)
    logging.getLogger("web").info("listening")
    assert written.getvalue().startswith("{") is is_json
    assert "listening" in written.getvalue()


def test_the_settings_choose_the_least_severe_line(configure):
    written = configure(log_level="warning")
    logging.getLogger("web").info("small talk")
    logging.getLogger("web").warning("look here")
    assert "small talk" not in written.getvalue()
    assert "look here" in written.getvalue()


def test_libraries_and_faust_services_do_not_chatter(configure):
    written = configure(log_level="info")
    logging.getLogger("aiokafka.consumer").info("chatter")
    logging.getLogger("agents.worker").info("[^-App]: Starting...")
    logging.getLogger("agents.worker").warning("[^-App]: stuck")
    assert [json.loads(text)["message"] for text in written.getvalue().splitlines()] == ["[^-App]: stuck"]


def test_no_text_of_a_task_is_ever_logged(configure):
    written = configure(log_level="debug")

    async def check():
        log = MemoryLog()
        async with process(log, MemoryReadModel()) as one:
            await one.execute(CreateTask(title="do not tell", description="nor this", tags=["hush"], id=TASK), TASK)
            await one.execute(CreateTask(title="do not tell"), None, key="k")
            value = b'{"subject": "%b", "title": "do not tell"}' % encode_key(TASK)
            log.put(one.overlay.partition_of(TASK), encode_key(TASK), value)
            await one.overlay.catch_up(one.overlay.partition_of(TASK))
            await one.project()

    run(check())
    logging.getLogger("web").info("an event", extra={"event_type": event(1, created()).type})
    text = written.getvalue()
    assert "task.created" in text
    assert not any(word in text for word in ("do not tell", "nor this", "hush"))
