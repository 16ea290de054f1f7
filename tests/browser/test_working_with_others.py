from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

pytestmark = pytest.mark.browser

MEANWHILE = "Somebody else changed this task meanwhile"


def live(page: Page) -> Page:
    expect(page.locator("#connection")).to_have_text("Live")
    return page


def test_changes_of_one_person_appear_at_once_for_another(open_page, tag):
    mine, theirs = (live(open_page(f"/?tag={tag}")) for _ in range(2))
    mine.get_by_label("Title of the new task").fill("Shared")
    mine.keyboard.press("Enter")
    expect(theirs.get_by_role("checkbox", name="Shared")).to_be_visible()
    expect(theirs.locator("#announcer")).to_have_text("“Shared” was added.")
    mine.get_by_role("button", name="Shared, edit").click()
    mine.get_by_label("Title", exact=True).fill("Shared by all")
    mine.keyboard.press("Enter")
    expect(theirs.locator(".task .title")).to_have_text(["Shared by all"])
    theirs.get_by_role("checkbox", name="Shared by all").click()
    expect(mine.locator(".task")).to_have_count(0)
    theirs.get_by_role("button", name="Undo").click()
    expect(mine.locator(".task")).to_have_count(1)
    mine.get_by_role("button", name="Delete Shared by all").click()
    mine.get_by_role("alertdialog").get_by_role("button", name="Delete").click()
    expect(theirs.locator(".task")).to_have_count(0)


def test_focus_moves_to_the_next_task_when_another_client_removes_one(open_page, api, tag):
    api.post("/api/tasks", data={"title": "Stays", "tags": [tag]})
    goes = api.post("/api/tasks", data={"title": "Goes", "tags": [tag]}).json()
    page = live(open_page(f"/?tag={tag}"))
    page.get_by_role("checkbox", name="Goes").focus()
    api.delete(f"/api/tasks/{goes['id']}")
    expect(page.get_by_role("checkbox", name="Stays")).to_be_focused()


def conflicted(open_page, api, tag) -> Page:
    """Open the editor on a task that another client then changes, unnoticed by the page."""
    task = api.post("/api/tasks", data={"title": "Draft", "description": "mine", "tags": [tag]}).json()
    page = open_page.context_page(refusals=True)
    page.route("**/api/events", lambda route: route.abort())
    page.goto(f"/?tag={tag}")
    page.get_by_role("button", name="Draft, edit").click()
    page.get_by_label("Description").fill("what I typed")
    api.patch(f"/api/tasks/{task['id']}", data={"title": "Their title", "description": "theirs", "priority": 3})
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    return page


def test_a_conflict_shows_the_new_state_and_keeps_what_was_typed(open_page, api, tag):
    page = conflicted(open_page, api, tag)
    notice = page.get_by_role("alert").filter(has_text=MEANWHILE)
    for text in ("Their title", "theirs", "High"):
        expect(notice).to_contain_text(text)
    expect(page.get_by_label("Description")).to_have_value("what I typed")
    expect(page.get_by_label("Title", exact=True)).to_have_value("Their title")
    with page.expect_response(lambda response: response.request.method == "PATCH") as saved:
        page.get_by_role("dialog").get_by_role("button", name="Save").click()
    task = saved.value.json()
    assert (task["title"], task["description"], task["priority"]) == ("Their title", "what I typed", 3)
    assert task["version"] == 3
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_an_open_editor_hears_of_another_clients_change_at_once(open_page, api, tag):
    task = api.post("/api/tasks", data={"title": "Draft", "tags": [tag]}).json()
    page = live(open_page(f"/?tag={tag}"))
    page.get_by_role("button", name="Draft, edit").click()
    page.get_by_label("Description").fill("what I typed")
    api.patch(f"/api/tasks/{task['id']}", data={"title": "Their title"})
    expect(page.get_by_role("alert").filter(has_text=MEANWHILE)).to_contain_text("Their title")
    expect(page.get_by_label("Description")).to_have_value("what I typed")
    api.delete(f"/api/tasks/{task['id']}")
    expect(page.get_by_role("alert").filter(has_text="deleted this task meanwhile")).to_be_visible()
    page.get_by_role("dialog", name="New task").get_by_role("button", name="Add").click()
    expect(page.locator(".task .title")).to_have_text(["Their title"])
    expect(page.locator(".task .description")).to_have_text("what I typed")


def test_deleting_a_task_that_changed_asks_again(open_page, api, tag):
    task = api.post("/api/tasks", data={"title": "Before", "tags": [tag]}).json()
    page = open_page.context_page(refusals=True)
    page.route("**/api/events", lambda route: route.abort())
    page.goto(f"/?tag={tag}")
    page.get_by_role("button", name="Delete Before").click()
    api.patch(f"/api/tasks/{task['id']}", data={"title": "After"})
    page.get_by_role("alertdialog").get_by_role("button", name="Delete").click()
    question = page.get_by_role("alertdialog", name="Delete “After”?")
    expect(question).to_contain_text(MEANWHILE)
    question.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("status").filter(has_text="Deleted “After”")).to_be_visible()


def test_a_change_whose_answer_is_lost_is_sent_again_and_counts_once(open_page, api, tag):
    page = open_page(f"/?tag={tag}", refusals=True)
    keys = []

    def lose_answers(route: Route) -> None:
        if route.request.method != "POST":
            route.continue_()
            return
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) == 1:
            route.fetch()
            route.abort()
        elif len(keys) == 2:
            route.fulfill(status=503, headers={"Retry-After": "0"})
        else:
            route.continue_()

    page.route("**/api/tasks", lose_answers)
    page.get_by_label("Title of the new task").fill("Only once")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="Added “Only once”")).to_be_visible()
    expect(page.locator(".task .title")).to_have_text(["Only once"])
    assert len(keys) == 3
    assert len(set(keys)) == 1


def test_being_offline_is_said_and_ends_by_itself(open_page, api, tag):
    page = live(open_page(f"/?tag={tag}", refusals=True))
    page.context.set_offline(True)
    expect(page.locator("#connection")).to_have_text("Offline")
    api.post("/api/tasks", data={"title": "Meanwhile", "tags": [tag]})
    page.context.set_offline(False)
    expect(page.locator("#connection")).to_have_text("Live")
    expect(page.get_by_role("checkbox", name="Meanwhile")).to_be_visible()
