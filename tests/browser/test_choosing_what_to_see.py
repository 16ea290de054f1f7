from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def test_status_and_tag_live_in_the_address(open_page, api, tag):
    api.post("/api/tasks", data={"title": "Still open", "tags": [tag]})
    done = api.post("/api/tasks", data={"title": "Long done", "tags": [tag, "other"]}).json()
    api.post(f"/api/tasks/{done['id']}/complete")
    page = open_page(f"/?tag={tag}")
    titles = page.locator(".task .title")
    expect(titles).to_have_text(["Still open"])
    statuses = page.get_by_role("navigation", name="Show tasks by status")
    statuses.get_by_role("link", name="All").click()
    expect(titles).to_have_text(["Long done", "Still open"])
    expect(page).to_have_url(re.compile(rf"\?status=all&tag={tag}$"))
    statuses.get_by_role("link", name="Completed").click()
    expect(titles).to_have_text(["Long done"])
    expect(statuses.get_by_role("link", name="Completed")).to_have_attribute("aria-current", "page")
    page.get_by_role("link", name="Tag other").click()
    expect(page).to_have_url(re.compile(r"\?status=completed&tag=other$"))
    page.go_back()
    page.go_back()
    expect(titles).to_have_text(["Long done", "Still open"])
    page.reload()
    expect(titles).to_have_text(["Long done", "Still open"])
    page.get_by_role("link", name=f"Stop filtering by tag {tag}").click()
    expect(page).to_have_url(re.compile(r"\?status=all$"))


def test_more_tasks_come_page_by_page(open_page, api, tag):
    count = 52
    for number in range(count):
        token = api.post("/api/tasks", data={"title": f"Task {number}", "tags": [tag]}).headers["consistency-token"]
    api.get("/api/tasks", headers={"Consistency-Token": token})
    page = open_page(f"/?tag={tag}")
    expect(page.locator(".task")).to_have_count(50)
    page.get_by_role("button", name="Show more").click()
    expect(page.locator(".task .title")).to_have_text([f"Task {number}" for number in reversed(range(count))])
    expect(page.get_by_role("button", name="Task 1, edit")).to_be_focused()
    expect(page.get_by_role("button", name="Show more")).to_be_hidden()


def test_a_list_that_cannot_be_read_says_why_and_tries_again(open_page, tag):
    page = open_page.context_page(refusals=True)
    page.route("**/api/events", lambda route: route.abort())
    refusal = {"status": 500, "content_type": "application/problem+json", "body": '{"detail": "The disk is on fire."}'}
    page.route("**/api/tasks?*", lambda route: route.fulfill(**refusal))
    page.goto(f"/?tag={tag}")
    expect(page.get_by_role("alert").filter(has_text="The disk is on fire.")).to_be_visible()
    page.unroute("**/api/tasks?*")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text(f"Nothing tagged “{tag}” here")).to_be_visible()
    expect(page.get_by_text("The disk is on fire.")).to_be_hidden()
