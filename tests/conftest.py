from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from support.kubernetes import Kubernetes
from support.kubernetes_tools import MissingPart, tools
from support.service import Ledger
from support.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.fixture
def postgres(stack: Stack) -> str:
    """The URL of an empty database of this test's own."""
    return stack.new_database()


@pytest.fixture(scope="session")
def service_url(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of one running service, shared by tests that bear other tasks beside their own."""
    with Ledger(stack, tmp_path_factory.mktemp("service")) as ledger:
        worker = ledger.worker()
        web = ledger.web(worker_url=worker.url)
        worker.until_ready()
        yield web.until_ready().url


@pytest.fixture
def ledger(stack: Stack, tmp_path: Path) -> Iterator[Ledger]:
    """A ledger of this test's own, with nothing running on it yet."""
    with Ledger(stack, tmp_path) as fresh:
        yield fresh


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Kubernetes]:
    """A real Kubernetes API without containers; building it the first time takes long, and says so."""
    try:
        with pytestconfig.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            programs = tools()
    except MissingPart as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))
    with Kubernetes(tmp_path_factory.mktemp("kubernetes"), programs) as running:
        yield running
