"""Lists of tasks: order, filters, pages."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest
from support.api import call, create

if TYPE_CHECKING:
    from conftest import Service

pytestmark = pytest.mark.stack


def titles(answer: Any) -> list[str]:
    return [task["title"] for task in answer.json["items"]]


def test_lists_are_filtered_by_status_and_tag_newest_first(service: Service) -> None:
    tag = f"tag {uuid.uuid4().hex}"
    tasks = [create(service.url, str(number), tags=[tag, "more"]).json for number in range(5)]
    create(service.url, "other", tags=["more"])
    call(f"{service.url}/api/tasks/{tasks[1]['id']}/complete", "POST")
    call(f"{service.url}/api/tasks/{tasks[2]['id']}", "DELETE")
    token = call(f"{service.url}/api/tasks/{tasks[3]['id']}", "PATCH", {"title": "3, later"}).token
    by_tag = f"{service.other_url}/api/tasks?tag={tag.replace(' ', '%20')}"
    tokens = [call(f"{service.url}/api/tasks/{task['id']}/complete", "POST").token for task in (tasks[1],)]
    everything = {"Consistency-Token": ",".join(sorted({t["Consistency-Token"] for t in [token, *tokens]}))}
    assert titles(call(by_tag, headers=everything)) == ["4", "3, later", "1", "0"]
    assert titles(call(f"{by_tag}&status=open", headers=everything)) == ["4", "3, later", "0"]
    completed = call(f"{by_tag}&status=completed", headers=everything)
    assert titles(completed) == ["1"]
    assert completed.json["items"][0] == call(f"{service.url}/api/tasks/{tasks[1]['id']}").json
    assert titles(call(f"{service.url}/api/tasks?tag={uuid.uuid4()}")) == []


@pytest.mark.parametrize("limit", [1, 7, 200])
def test_walking_the_pages_gives_each_task_once_while_tasks_come_and_change(service: Service, limit: int) -> None:
    tag = uuid.uuid4().hex
    count = 15 if limit == 1 else 25
    made = [create(service.url, f"kept {number}", tags=[tag]) for number in range(count)]
    kept = [answer.json["id"] for answer in made]
    seen: list[str] = []
    cursor = ""
    headers = {"Consistency-Token": newest_position(answer.token["Consistency-Token"] for answer in made)}
    while cursor is not None:
        page = call(f"{service.url}/api/tasks?tag={tag}&limit={limit}{cursor and f'&cursor={cursor}'}", headers=headers)
        assert len(page.json["items"]) <= limit
        seen += [task["id"] for task in page.json["items"]]
        cursor = page.json["next"]
        between = create(service.other_url, "between", tags=[tag])
        call(f"{service.other_url}/api/tasks/{kept[0]}", "PATCH", {"title": f"changed {len(seen)}"})
        headers = between.token
    assert [task_id for task_id in seen if task_id in set(kept)] == kept[::-1]
    assert len(seen) == len(set(seen))


def test_a_page_holds_50_tasks_where_nothing_else_is_said(service: Service) -> None:
    tag = uuid.uuid4().hex
    made = [create(service.url, str(number), tags=[tag]) for number in range(51)]
    headers = {"Consistency-Token": newest_position(answer.token["Consistency-Token"] for answer in made)}
    page = call(f"{service.url}/api/tasks?tag={tag}", headers=headers)
    assert titles(page) == [str(number) for number in range(50, 0, -1)]
    rest = call(f"{service.url}/api/tasks?tag={tag}&cursor={page.json['next']}")
    assert titles(rest) == ["0"]
    assert rest.json["next"] is None


def newest_position(tokens: Any) -> str:
    """Join positions into the one that includes them all."""
    newest: dict[str, int] = {}
    for token in tokens:
        for part in token.split(","):
            partition, offset = part.split(":")
            newest[partition] = max(newest.get(partition, 0), int(offset))
    return ",".join(f"{partition}:{offset}" for partition, offset in newest.items())
