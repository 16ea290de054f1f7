"""A stand-in for the worker: ready at once, until it is stopped."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from web.process import serve

if TYPE_CHECKING:
    from app.settings import Settings


def run(settings: Settings) -> None:
    if os.environ.get("STANDIN_WORKER") == "crashes":
        os.abort()
    serve(settings, settings.worker_port)
