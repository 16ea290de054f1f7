"""A stand-in for provisioning."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from app.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from app.settings import Settings


def run(settings: Settings) -> None:
    if os.environ.get("STANDIN_PROVISION") == "refuses":
        raise ConfigurationError("The retention of the log is finite.")
    sys.stdout.write(f"provisioned {settings.partitions} partitions\n")
