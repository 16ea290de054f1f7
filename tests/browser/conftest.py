"""A real Chromium on the real service; every page must stay free of errors and policy violations."""

from __future__ import annotations

import os
import shutil
import uuid
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect, sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import APIRequestContext, Browser, ConsoleMessage, Page, Playwright

_ARGUMENTS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
_DEADLINE_MS = 15_000


class OpenPage:
    """Opens pages, each in its own context, and remembers what their consoles complain about."""

    def __init__(self, browser: Browser, base_url: str) -> None:
        self.complaints: list[str] = []
        self._browser = browser
        self._base_url = base_url

    def __call__(self, address: str = "/", *, refusals: bool = False, **context) -> Page:
        """Open an address and wait for the first list.

        `refusals` allows failed requests; a 404 for a task is how a page learns that another client deleted it.
        """
        page = self.context_page(refusals=refusals, **context)
        page.goto(address)
        expect(page.get_by_role("list", name="Tasks")).to_have_attribute("aria-busy", "false")
        return page

    def context_page(self, *, refusals: bool = False, **context) -> Page:
        """Make a page in a new context without opening an address."""
        page = self._browser.new_context(base_url=self._base_url, **context).new_page()
        page.set_default_timeout(_DEADLINE_MS)

        def complain(message: ConsoleMessage) -> None:
            refused = message.text.startswith("Failed to load resource")
            gone = refused and "404" in message.text and "/api/tasks/" in message.location["url"]
            if message.type in {"error", "warning"} and not (refusals and refused) and not gone:
                self.complaints.append(message.text)

        page.on("console", complain)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        return page


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    # One for each module: while it runs, this thread has a running event loop that other tests must not find.
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        missing = "Chromium is not installed; on Debian and Ubuntu: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    launched = playwright.chromium.launch(executable_path=chromium, args=_ARGUMENTS)
    expect.set_options(timeout=_DEADLINE_MS)
    yield launched
    launched.close()


@pytest.fixture
def open_page(browser: Browser, service_url: str) -> Iterator[OpenPage]:
    pages = OpenPage(browser, service_url)
    yield pages
    for context in browser.contexts:
        context.close()
    assert pages.complaints == []


@pytest.fixture
def api(playwright: Playwright, service_url: str) -> Iterator[APIRequestContext]:
    """Another client of the service."""
    client = playwright.request.new_context(base_url=service_url, fail_on_status_code=True)
    yield client
    client.dispose()


@pytest.fixture
def tag() -> str:
    """A tag that no other test uses."""
    return f"tag-{uuid.uuid4().hex[:12]}"
