"""Structured logs: JSON lines for machines, coloured lines for people.

Nothing here prints task texts or secrets: callers pass ids, counts and codes as `extra`.
"""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from app.settings import Settings

_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "taskName", "asctime", "data"}
_COLOURS = {"DEBUG": "2", "INFO": "32", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}


def configure_logging(settings: Settings) -> None:
    """Send this process's logs to standard error, in the form that the settings name."""
    text = settings.log_format == "text" or (settings.log_format == "auto" and sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(TextFormatter(colour=sys.stderr.isatty()) if text else JsonFormatter())
    handler.addFilter(_is_news)
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    for noisy in ("aiokafka", "faust", "mode", "aiohttp.access"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLogger().level))
    logging.captureWarnings(capture=True)


def _is_news(record: logging.LogRecord) -> bool:
    """Leave out that Faust starts and stops this or that service, which it logs under the names of our modules."""
    return record.levelno > logging.INFO or not str(record.msg).startswith("[^")


def _extras(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _PLAIN and not name.startswith("_")}


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write time, level, logger, message, the extras, and the error where there is one."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_extras(record),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()


class TextFormatter(logging.Formatter):
    """One readable line, with colour on a terminal."""

    def __init__(self, *, colour: bool) -> None:
        """Use colour or not."""
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        """Write time of day, level, message, and the extras as name=value."""
        level = f"{record.levelname.lower():<7}"
        if self._colour:
            level = f"\x1b[{_COLOURS[record.levelname]}m{level}\x1b[0m"
        clock = datetime.fromtimestamp(record.created, UTC).astimezone().strftime("%H:%M:%S")
        line = " ".join([clock, level, record.getMessage(), *(f"{k}={v}" for k, v in _extras(record).items())])
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line
