from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import APIRequestContext, Locator, Page

pytestmark = pytest.mark.browser


def row(page: Page, title: str) -> Locator:
    return page.locator(".task").filter(has=page.get_by_role("checkbox", name=title, exact=True))


def edit(page: Page, title: str) -> Locator:
    page.get_by_role("button", name=f"{title}, edit", exact=True).click()
    return page.get_by_role("dialog", name="Edit task")


def tasks_tagged(api: APIRequestContext, tag: str, token: str = "") -> list[dict]:
    headers = {"Consistency-Token": token} if token else {}
    return api.get("/api/tasks", params={"tag": tag}, headers=headers).json()["items"]


def test_a_title_and_enter_add_a_task_with_the_tag_being_looked_at(open_page, tag):
    page = open_page(f"/?tag={tag}")
    expect(page.get_by_text(f"Nothing tagged “{tag}” here")).to_be_visible()
    page.get_by_label("Title of the new task").fill("Water the ferns")
    page.keyboard.press("Enter")
    expect(row(page, "Water the ferns")).to_be_visible()
    expect(page.get_by_label("Title of the new task")).to_have_value("")
    expect(page.get_by_label("Title of the new task")).to_be_focused()
    page.reload()
    expect(row(page, "Water the ferns")).to_be_visible()


def test_titles_typed_faster_than_the_answers_are_all_added(open_page, tag):
    page = open_page(f"/?tag={tag}")
    page.get_by_label("Title of the new task").focus()
    for title in ("Eggs", "Milk", "Flour"):
        page.keyboard.type(title)
        page.keyboard.press("Enter")
    expect(page.locator(".task .title")).to_have_text(["Flour", "Milk", "Eggs"])
    expect(page.locator("#add .field-error")).to_be_hidden()


def test_a_task_with_all_details_is_added(open_page, tag):
    page = open_page(f"/?tag={tag}")
    page.get_by_label("Title of the new task").fill("Plan the trip")
    page.get_by_role("button", name="Add with details").click()
    dialog = page.get_by_role("dialog", name="New task")
    dialog.get_by_role("button", name="Cancel").click()
    expect(page.get_by_label("Title of the new task")).to_have_value("Plan the trip")
    page.get_by_role("button", name="Add with details").click()
    expect(dialog.get_by_label("Title")).to_have_value("Plan the trip")
    dialog.get_by_label("Description").fill("Trains first,\nthen rooms")
    dialog.get_by_role("radio", name="High").check(force=True)
    tomorrow = date.today() + timedelta(days=1)  # noqa: DTZ011 - the browser's own day
    dialog.get_by_label("Due date").fill(tomorrow.isoformat())
    dialog.get_by_role("textbox", name="Tags").press_sequentially("travel,summer")
    with page.expect_response(lambda response: response.request.method == "POST") as answer:
        dialog.get_by_role("button", name="Add").click()
    expect(dialog).to_be_hidden()
    for text in ("Trains first", "High", "tomorrow", "travel", "summer"):
        expect(row(page, "Plan the trip")).to_contain_text(text)
    task = answer.value.json()
    assert task["tags"] == [tag, "travel", "summer"]
    assert task["priority"] == 3
    due = datetime.fromisoformat(task["due_at"]).astimezone()
    assert (due.date(), due.hour, due.minute) == (tomorrow, 23, 59)


def test_an_edit_sends_only_what_changed_and_the_version_it_saw(open_page, api, tag):
    due_at = "2031-05-06T07:08:09Z"
    api.post("/api/tasks", data={"title": "Call Mia", "tags": [tag, "home"], "due_at": due_at, "priority": 2})
    page = open_page(f"/?tag={tag}")
    dialog = edit(page, "Call Mia")
    dialog.get_by_label("Title").fill("Call Mia back")
    dialog.get_by_role("button", name="Remove tag home").click()
    with page.expect_request(lambda request: request.method == "PATCH") as sent:
        dialog.get_by_role("button", name="Save").click()
    assert sent.value.post_data_json == {"title": "Call Mia back", "tags": [tag]}
    assert sent.value.headers["if-match"] == '"1"'
    assert sent.value.headers["content-type"] == "application/merge-patch+json"
    assert len(sent.value.headers["idempotency-key"]) == 36
    expect(row(page, "Call Mia back")).not_to_contain_text("home")
    expect(page.get_by_role("button", name="Call Mia back, edit")).to_be_focused()
    expect(page.get_by_role("status").filter(has_text="Saved “Call Mia back”")).to_be_visible()


def test_the_list_is_read_with_the_token_of_the_change(open_page, tag):
    page = open_page.context_page(refusals=True)
    page.route("**/api/events", lambda route: route.abort())  # whose tokens are another matter
    page.goto(f"/?tag={tag}")
    page.get_by_label("Title of the new task").fill("Read my own write")
    with (
        page.expect_response(lambda response: response.request.method == "POST") as change,
        page.expect_request(lambda request: "consistency-token" in request.headers) as read,
    ):
        page.keyboard.press("Enter")
    assert read.value.headers["consistency-token"] == change.value.headers["consistency-token"]
    expect(row(page, "Read my own write")).to_be_visible()


def test_a_task_is_completed_and_the_toast_takes_it_back(open_page, api, tag):
    api.post("/api/tasks", data={"title": "Sweep", "tags": [tag]})
    page = open_page(f"/?tag={tag}")
    page.get_by_role("checkbox", name="Sweep").click()  # check() would look at it once more, and it is gone
    expect(row(page, "Sweep")).to_be_hidden()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("checkbox", name="Sweep")).not_to_be_checked()


def test_a_completed_task_is_reopened(open_page, api, tag):
    task = api.post("/api/tasks", data={"title": "Polish", "tags": [tag]}).json()
    api.post(f"/api/tasks/{task['id']}/complete")
    page = open_page(f"/?status=all&tag={tag}")
    expect(row(page, "Polish")).to_contain_text("Completed today")
    page.get_by_role("checkbox", name="Polish").uncheck()
    expect(row(page, "Polish").locator(".done")).to_be_hidden()
    expect(page.get_by_role("status").filter(has_text="Reopened “Polish”")).to_be_visible()
    assert api.get(f"/api/tasks/{task['id']}").json()["status"] == "open"


def test_deleting_asks_first(open_page, api, tag):
    api.post("/api/tasks", data={"title": "Old note", "tags": [tag]})
    page = open_page(f"/?tag={tag}")
    delete = page.get_by_role("button", name="Delete Old note")
    question = page.get_by_role("alertdialog", name="Delete “Old note”?")
    delete.click()
    expect(question.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Escape")
    expect(question).to_be_hidden()
    expect(row(page, "Old note")).to_be_visible()
    delete.click()
    with page.expect_response(lambda response: response.request.method == "DELETE") as answer:
        question.get_by_role("button", name="Delete").click()
    expect(row(page, "Old note")).to_be_hidden()
    assert tasks_tagged(api, tag, answer.value.headers["consistency-token"]) == []


def test_a_keyboard_is_enough(open_page, api, tag):
    page = open_page(f"/?tag={tag}")
    page.get_by_label("Title of the new task").focus()
    for title in ("First", "Second", "Third"):
        page.keyboard.type(title)
        page.keyboard.press("Enter")
        expect(row(page, title)).to_be_visible()
    while not page.evaluate("document.activeElement.matches('.task input')"):
        page.keyboard.press("Tab")
    expect(page.get_by_role("checkbox", name="Third")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("checkbox", name="Second")).to_be_focused()
    page.keyboard.press("Space")
    expect(row(page, "Second")).to_be_hidden()
    expect(page.get_by_role("checkbox", name="First")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Edit task").get_by_label("Title")).to_be_focused()
    page.keyboard.press("End")
    page.keyboard.type(" of all")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="First of all, edit")).to_be_focused()
    page.keyboard.press("Delete")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(row(page, "First of all")).to_be_hidden()
    expect(page.get_by_role("button", name="Third, edit")).to_be_focused()


def test_escape_asks_before_it_throws_away_what_was_written(open_page, api, tag):
    api.post("/api/tasks", data={"title": "Essay", "tags": [tag]})
    page = open_page(f"/?tag={tag}")
    dialog = edit(page, "Essay")
    dialog.get_by_label("Description").fill("A long thought")
    page.keyboard.press("Escape")
    page.get_by_role("alertdialog").get_by_role("button", name="Cancel").click()
    expect(dialog.get_by_label("Description")).to_have_value("A long thought")


def test_an_empty_title_is_answered_at_its_field(open_page, tag):
    page = open_page(f"/?tag={tag}", refusals=True)
    title = page.get_by_label("Title of the new task")
    title.press("Enter")
    expect(title).to_have_attribute("aria-invalid", "true")
    expect(title).to_be_focused()
    expect(title).to_have_accessible_description(re.compile("."))
    title.fill("Not empty")
    title.press("Enter")
    expect(row(page, "Not empty")).to_be_visible()
    expect(title).not_to_have_attribute("aria-invalid", "true")


def test_every_bad_field_of_the_dialog_is_marked(open_page, tag):
    page = open_page(f"/?tag={tag}", refusals=True)
    page.get_by_role("button", name="Add with details").click()
    dialog = page.get_by_role("dialog", name="New task")
    dialog.get_by_label("Title").fill("t" * 501)
    dialog.get_by_role("textbox", name="Tags").fill("g" * 51)
    dialog.get_by_role("button", name="Add").click()
    expect(dialog.get_by_label("Title")).to_be_focused()
    expect(dialog.locator("[data-field=title] .field-error")).to_contain_text("500")
    expect(dialog.locator("[data-field=tags] .field-error")).to_contain_text("50")


def test_markup_in_a_task_is_shown_as_text(open_page, api, tag):
    markup = '<img src=x onerror="document.title=1"><b>bold</b>'
    api.post("/api/tasks", data={"title": markup, "description": markup, "tags": [tag, "<i>tag</i>"]})
    page = open_page(f"/?tag={tag}")
    expect(row(page, markup).locator(".description")).to_have_text(markup)
    expect(row(page, markup)).to_contain_text("<i>tag</i>")
    assert page.locator(".task :is(img, b, i)").count() == 0
