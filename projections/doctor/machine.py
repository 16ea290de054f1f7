"""Checks of this machine: its processes and its disk."""

from __future__ import annotations

import asyncio
import shutil
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import urlopen

from app.embedded.home import LEAST_FREE_BYTES
from projections.doctor.findings import fail, ok, warn

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from app.settings import Settings
    from projections.doctor.findings import Finding

PAGE_TIMEOUT = 3.0
"""Seconds that a process may take to say how it is."""
MIB = 1024**2


async def check_worker(settings: Settings) -> Finding:
    """Ask the worker whether it is ready; one that was named by a setting must answer."""
    absent = fail if settings.worker_url else warn
    return await _check_page(
        "worker", settings.insight_url, absent, "run `taskledger worker`, or set TASKLEDGER_WORKER_URL"
    )


async def check_web(settings: Settings) -> Finding:
    """Ask the web process of the settings' host and port whether it is ready."""
    url = f"http://{settings.host}:{settings.port}"
    return await _check_page("web", url, warn, "run `taskledger web`, or set TASKLEDGER_HOST and TASKLEDGER_PORT")


async def _check_page(check: str, url: str, absent: Callable[[str, str, str], Finding], remedy: str) -> Finding:
    status, told = await asyncio.to_thread(_get, f"{url}/readyz")
    if status == HTTPStatus.OK:
        return ok(check, f"{url} is ready")
    if status:
        return warn(check, f"{url} is not ready: {told}", "wait, and look at its log if it stays so")
    return absent(check, f"{url} does not answer ({told})", remedy)


def _get(url: str) -> tuple[int, str]:
    try:
        with urlopen(url, timeout=PAGE_TIMEOUT) as answer:  # noqa: S310 - an address of the settings
            return answer.status, ""
    except HTTPError as error:
        return error.code, error.read(200).decode(errors="replace").strip()
    except (OSError, ValueError) as error:
        return 0, str(getattr(error, "reason", error))


def check_disk(home: Path) -> Finding:
    """See that the embedded Kafka and PostgreSQL have room."""
    try:
        free = shutil.disk_usage(home).free
    except OSError as error:
        return fail("disk", f"{home} cannot be looked at: {error.strerror}", "choose another home with --home")
    told = f"{free // MIB} MiB are free at {home}"
    if free < LEAST_FREE_BYTES:
        return fail("disk", told, f"free at least {LEAST_FREE_BYTES // MIB} MiB")
    if free < 4 * LEAST_FREE_BYTES:
        return warn("disk", told, "free some: the log only grows")
    return ok("disk", told)
