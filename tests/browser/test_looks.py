from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import APIRequestContext, Page

pytestmark = pytest.mark.browser

PHONE = {"viewport": {"width": 360, "height": 720}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
DESKTOP = {"viewport": {"width": 1200, "height": 800}}

# The lowest contrast of visible text against the backgrounds behind it (WCAG 2.2, 1.4.3), and what has it.
WORST_CONTRAST = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
  const over = (colors) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const color of colors) { canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1); }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map((value) => value / 255);
  };
  const luminance = (rgb) => rgb.map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const results = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility({visibilityProperty: true})) continue;
    if (element.closest(".visually-hidden, noscript, template")) continue;
    if (document.querySelector("dialog:modal") && !element.closest("dialog")) continue;
    const behind = [];
    for (let at = element; at; at = at.parentElement) {
      behind.unshift(getComputedStyle(at).backgroundColor);
      if (at.matches("dialog, .toast")) break;
    }
    const [text, back] = [over([...behind, getComputedStyle(element).color]), over(behind)].map(luminance);
    results.push([(Math.max(text, back) + 0.05) / (Math.min(text, back) + 0.05), walker.currentNode.data.trim()]);
  }
  return results.sort((one, other) => one[0] - other[0])[0];
}"""


def fill(api: APIRequestContext, tag: str) -> None:
    """Make a list with everything a task can have."""

    def day(offset: int) -> str:
        return (datetime.now(UTC) + timedelta(days=offset)).isoformat()

    done = api.post("/api/tasks", data={"title": "Book the ferry tickets", "tags": [tag]}).json()
    api.post(f"/api/tasks/{done['id']}/complete")
    for task in (
        {"title": "Renew the passport before it runs out in autumn", "due_at": day(-3), "priority": 2},
        {"title": "Read about event sourcing", "tags": ["reading"]},
        {"title": "Averylongwordwithoutanyspace" * 6, "description": "And-a-long-description" * 12, "priority": 1},
        {"title": "Buy bread"},
        {
            "title": "Prepare the talk for Thursday",
            "description": "Twenty minutes, three demos.\nAsk Noor about the projector.\nPrint the handout.",
            "priority": 3,
            "due_at": day(1),
            "tags": ["work", "speaking"],
        },
    ):
        token = api.post("/api/tasks", data={**task, "tags": [tag, *task.get("tags", [])]}).headers["consistency-token"]
    api.get("/api/tasks", headers={"Consistency-Token": token})


def assert_fits(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


LOOKS = [
    pytest.param({**screen, "color_scheme": scheme}, id=f"{name}-{scheme}")
    for name, screen in (("phone", PHONE), ("desktop", DESKTOP))
    for scheme in ("light", "dark")
]


@pytest.mark.parametrize("look", LOOKS)
def test_everything_fits_and_can_be_read(open_page, api, tag, look, tmp_path):
    fill(api, tag)
    page = open_page(f"/?status=all&tag={tag}", reduced_motion="reduce", refusals=True, **look)
    expect(page.locator("#connection")).to_have_text("Live")

    def check(name: str) -> None:
        page.screenshot(path=tmp_path / f"{name}.png")
        assert_fits(page)
        contrast, text = page.evaluate(WORST_CONTRAST)
        assert contrast >= 4.5, f"{text!r} in {name}"

    expect(page.locator(".task")).to_have_count(6)
    check("list")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("#add .field-error")).to_be_visible()
    page.get_by_role("checkbox", name="Buy bread").check()
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
    check("error-and-toast")
    page.get_by_role("button", name="Prepare the talk for Thursday, edit").click()
    check("editor")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Delete Prepare the talk for Thursday").click()
    check("question")
    page.keyboard.press("Escape")
    page.goto(f"/?tag={tag}-without-tasks")
    expect(page.locator("#empty")).to_be_visible()
    check("empty")


def test_controls_are_large_enough_for_a_thumb(open_page, api, tag):
    fill(api, tag)
    page = open_page(f"/?tag={tag}", **PHONE)
    for control in page.locator(":is(.check, .delete, #add button, #status-filter a)").all():
        box = control.bounding_box()
        assert min(box["width"], box["height"]) >= 38, control


def test_zoomed_text_still_fits(open_page, api, tag):
    fill(api, tag)
    page = open_page(f"/?tag={tag}", viewport={"width": 320, "height": 512})
    assert_fits(page)
