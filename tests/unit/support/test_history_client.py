from __future__ import annotations

import asyncio
import math

import aiohttp
import pytest
from aiohttp import web
from support.history import HistoryClient, UnexpectedAnswer
from support.linearizability import Answer, Kind, Mismatch, Request, Seen

TASK = {"id": "t", "title": "a", "status": "open", "version": 3}


def problem(status, code, **headers):
    return lambda: web.json_response({"code": code}, status=status, headers=headers)


def task(status=200, etag='"3"'):
    return lambda: web.json_response(TASK, status=status, headers={"ETag": etag})


def ask(respond, act, requests=None, seconds=5.0):
    """Let one client act against a server that responds in one way; gives what act gave, and the history."""

    async def handle(request):
        if requests is not None:
            requests.append((request.method, request.path, request.headers.get("If-Match"), await request.text()))
        if respond is None:
            request.transport.abort()
            return web.Response()
        answer = respond()
        return await answer if asyncio.iscoroutine(answer) else answer

    async def run():
        http_app = web.Application()
        http_app.router.add_route("*", "/{path:.*}", handle)
        runner = web.AppRunner(http_app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            async with aiohttp.ClientSession() as session:
                client = HistoryClient(session, url, process=7, seconds=seconds)
                return await act(client), client.history
        finally:
            await runner.cleanup()

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("respond", "response"),
    [
        (task(), Seen(3, "a", "open")),
        (task(201), Seen(3, "a", "open")),
        (lambda: web.Response(status=204), Answer.DELETED),
        (problem(404, "task_not_found"), Answer.NOT_FOUND),
        (problem(409, "task_exists"), Answer.EXISTS),
        (problem(410, "task_gone"), Answer.GONE),
        (problem(412, "version_mismatch", ETag='"9"'), Mismatch(9)),
    ],
)
def test_an_answer_is_recorded(respond, response):
    given, (operation,) = ask(respond, lambda client: client.complete("t"))
    assert given == operation.response == response
    assert (operation.process, operation.task, operation.request) == (7, "t", Request(Kind.COMPLETE))
    assert operation.called < operation.returned < math.inf


@pytest.mark.parametrize(
    "respond",
    [problem(503, "outcome_unknown"), problem(500, "internal"), lambda: web.Response(status=502), None],
    ids=["outcome_unknown", "internal", "no problem body", "connection cut"],
)
def test_a_change_without_a_certain_answer_may_happen_at_any_later_time(respond):
    requests = []
    given, (operation,) = ask(respond, lambda client: client.delete("t"), requests)
    assert given is operation.response is None
    assert operation.returned == math.inf
    assert len(requests) == 1  # never sent again, not even by aiohttp


def test_a_change_that_takes_too_long_may_happen_at_any_later_time():
    _, (operation,) = ask(lambda: asyncio.sleep(60), lambda client: client.complete("t"), seconds=0.05)
    assert operation.returned == math.inf


def test_a_change_of_a_client_that_is_stopped_may_happen_at_any_later_time():
    async def stop(client):
        await asyncio.wait_for(client.complete("t"), 0.05)

    async def act(client):
        with pytest.raises(TimeoutError):
            await stop(client)

    _, (operation,) = ask(lambda: asyncio.sleep(60), act)
    assert operation.returned == math.inf


@pytest.mark.parametrize("code", ["log_unavailable", "overlay_full", "contended", "unavailable"])
def test_a_change_that_certainly_had_no_effect_is_left_out(code):
    assert ask(problem(503, code), lambda client: client.complete("t")) == (None, [])


@pytest.mark.parametrize("respond", [problem(503, "outcome_unknown"), problem(503, "database_unavailable"), None])
def test_a_read_that_fails_is_left_out(respond):
    assert ask(respond, lambda client: client.read("t")) == (None, [])


def test_a_change_that_reaches_nobody_is_left_out():
    async def act(client):
        client._url = "http://127.0.0.1:9"
        return await client.create("t", "a")

    assert ask(task(), act) == (None, [])


@pytest.mark.parametrize("respond", [problem(422, "validation"), problem(404, "no_such_route"), task(etag='"2"')])
def test_an_answer_that_the_api_does_not_have_fails_the_test(respond):
    with pytest.raises(UnexpectedAnswer):
        ask(respond, lambda client: client.complete("t"))


def test_each_operation_is_the_request_of_the_api():
    requests = []

    async def act(client):
        await client.create("t", "a")
        await client.read("t")
        await client.retitle("t", "b")
        await client.complete("t", expected=3)
        await client.reopen("t", expected=4)
        await client.delete("t")

    _, history = ask(task(), act, requests)
    assert requests == [
        ("POST", "/api/tasks", None, '{"title": "a", "id": "t"}'),
        ("GET", "/api/tasks/t", None, ""),
        ("PATCH", "/api/tasks/t", None, '{"title": "b"}'),
        ("POST", "/api/tasks/t/complete", '"3"', ""),
        ("POST", "/api/tasks/t/reopen", '"4"', ""),
        ("DELETE", "/api/tasks/t", None, ""),
    ]
    assert [operation.request.kind for operation in history] == list(Kind)
