"""Two web processes race for the same task."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from support.api import create
from support.read_back import check_derived

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.service import Process
    from support.stack import Stack

from support.service import Ledger

pytestmark = pytest.mark.stack

AT_ONCE = 200
ROUNDS = 4


@pytest.fixture(scope="module")
def racing(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ledger, list[Process]]]:
    folder: Path = tmp_path_factory.mktemp("racing")
    with Ledger(stack, folder) as ledger:
        processes = [ledger.worker(), ledger.web(), ledger.web()]
        for process in processes:
            process.until_ready()
        yield ledger, processes


async def patch_at_once(urls: list[str], titles: list[str], version: int | None) -> list[tuple[int, int, Any]]:
    """Send all changes at the same time; give status, version in the ETag, and body of each answer."""
    headers = {} if version is None else {"If-Match": f'"{version}"'}

    async def patch(session: aiohttp.ClientSession, number: int) -> tuple[int, int, Any]:
        url = urls[number % len(urls)]
        async with session.patch(url, json={"title": titles[number]}, headers=headers) as answer:
            return answer.status, int(answer.headers["ETag"].strip('"')), await answer.json(content_type=None)

    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:
        return await asyncio.gather(*(patch(session, number) for number in range(len(titles))))


def test_of_200_conditional_changes_at_once_one_wins_each_version(racing: tuple[Ledger, list[Process]]) -> None:
    ledger, (worker, *webs) = racing
    task = create(webs[0].url, "contended").json["id"]
    urls = [f"{web.url}/api/tasks/{task}" for web in webs]

    async def race() -> None:
        winners = ["contended"]
        for number in range(ROUNDS):
            version = number + 1
            titles = [f"round {number}, change {change}" for change in range(AT_ONCE)]
            answers = await patch_at_once(urls, titles, version)
            assert Counter(status for status, _, _ in answers) == {200: 1, 412: AT_ONCE - 1}
            assert {etag for status, etag, _ in answers if status == 412} == {version + 1}
            assert {body["code"] for status, _, body in answers if status == 412} == {"version_mismatch"}
            ((etag, body),) = [(etag, body) for status, etag, body in answers if status == 200]
            assert etag == body["version"] == version + 1
            assert body["title"] in titles
            winners.append(body["title"])
        derived = await check_derived(ledger, worker.url)
        history = sorted((row for row in derived.model.history if str(row["task_id"]) == task), key=version_of)
        assert [row["version"] for row in history] == list(range(1, ROUNDS + 2))
        assert [json.loads(row["data"])["title"] for row in history] == winners

    asyncio.run(race())


def test_200_unconditional_changes_at_once_all_land(racing: tuple[Ledger, list[Process]]) -> None:
    ledger, (worker, *webs) = racing
    task = create(webs[0].url, "popular").json["id"]
    urls = [f"{web.url}/api/tasks/{task}" for web in webs]

    async def race() -> None:
        titles = [f"change {change}" for change in range(AT_ONCE)]
        answers = await patch_at_once(urls, titles, None)
        assert Counter(status for status, _, _ in answers) == {200: AT_ONCE}, answers
        assert [body["title"] for _, _, body in answers] == titles
        assert sorted(etag for _, etag, _ in answers) == list(range(2, AT_ONCE + 2))
        derived = await check_derived(ledger, worker.url)
        history = {row["version"]: row for row in derived.model.history if str(row["task_id"]) == task}
        assert sorted(history) == list(range(1, AT_ONCE + 2))
        for _, etag, body in answers:
            assert json.loads(history[etag]["data"]) == {"title": body["title"]}

    asyncio.run(race())


def version_of(row: dict[str, Any]) -> int:
    version: int = row["version"]
    return version
