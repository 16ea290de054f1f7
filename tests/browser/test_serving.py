from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import APIRequestContext

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(
    ("address", "content_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/ui/main.js", "text/javascript; charset=utf-8"),
        ("/ui/page.css", "text/css; charset=utf-8"),
        ("/ui/favicon.svg", "image/svg+xml; charset=utf-8"),
    ],
)
def test_files_come_with_their_type_and_are_checked_again_each_time(
    api: APIRequestContext, address: str, content_type: str
):
    answer = api.get(address)
    assert answer.headers["content-type"] == content_type
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-content-type-options"] == "nosniff"
    again = api.get(address, headers={"If-None-Match": answer.headers["etag"]}, fail_on_status_code=False)
    assert (again.status, again.body()) == (304, b"")


def test_the_policy_allows_only_the_services_own_files(api: APIRequestContext):
    policy = api.get("/").headers["content-security-policy"].split("; ")
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert not any("unsafe" in directive for directive in policy)


@pytest.mark.parametrize(
    "address",
    ["/ui/nothing.js", "/ui/../pages.py", "/ui/..%2fpages.py", "/ui/%2e%2e/pages.py", "/ui/", "/ui/index.html"],
)
def test_nothing_else_is_served(api: APIRequestContext, address: str):
    assert api.get(address, fail_on_status_code=False).status == 404
