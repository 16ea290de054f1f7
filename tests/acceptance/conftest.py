"""One ledger with two web processes and a worker, for the tests that do it no harm."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest
from support.service import Ledger, Process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.stack import Stack


class Service(NamedTuple):
    """What runs; tests bear the tasks of other tests beside their own."""

    url: str
    other_url: str
    worker: Process
    ledger: Ledger


@pytest.fixture(scope="package")
def service(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Ledger(stack, tmp_path_factory.mktemp("service")) as ledger:
        worker = ledger.worker()
        one, other = ledger.web(worker_url=worker.url), ledger.web(worker_url=worker.url)
        worker.until_ready()
        yield Service(one.until_ready().url, other.until_ready().url, worker, ledger)
