from __future__ import annotations

import asyncio
import importlib
import json
import pkgutil

import pytest
from aiohttp import web as aiohttp_web
from aiohttp.test_utils import make_mocked_request
from support.deadline import run

import app
import web
from app.domain import errors
from web.problems import HTTP_CODES, STATUS, BadHeader, error_response, problems, title_of

NEVER_ANSWERED = {
    errors.TaskledgerError: "the root, never raised itself",
    errors.ConfigurationError: "ends the process before it serves",
    errors.Rejected: "a family, never raised itself",
}
NOT_SERVED = (
    "app.cli",
    "app.cluster",
    "app.embedded",
    "projections.dead_letters",
    "projections.refusal",
    "projections.replay",
)
"""What no web process runs."""


def tree(kind):
    return [kind, *(descendant for child in kind.__subclasses__() for descendant in tree(child))]


@pytest.fixture(scope="module")
def everything():
    for package in (app, web):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.startswith(NOT_SERVED):
                importlib.import_module(module.name)
    return [kind for kind in tree(errors.TaskledgerError) if not kind.__module__.startswith(NOT_SERVED)]


def test_every_error_that_a_request_can_meet_has_a_status(everything):
    assert set(everything) == set(STATUS) | set(NEVER_ANSWERED)


def test_every_code_is_unique(everything):
    codes = [kind.code for kind in everything] + [code for code, _ in HTTP_CODES.values()]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("kind", STATUS, ids=lambda kind: kind.__name__)
def test_every_error_is_told_as_problem_details(kind):
    error = {
        errors.VersionMismatch: lambda: errors.VersionMismatch(3),
        errors.ValidationError: lambda: errors.ValidationError([errors.FieldProblem("title", "is required")]),
    }.get(kind, kind)()
    response = error_response(error)
    body = json.loads(response.body)
    assert response.content_type == "application/problem+json"
    assert response.status == body["status"] == STATUS[kind]
    assert body["code"] == kind.code
    assert body["type"] == f"urn:taskledger:problem:{kind.code}"
    assert body["title"] == title_of(kind.code)
    assert body["detail"] == error.detail != ""
    assert ("Retry-After" in response.headers) == (response.status == 503)


def test_bad_fields_are_listed():
    fields = [errors.FieldProblem("title", "is required"), errors.FieldProblem("tags", "must be a list")]
    assert json.loads(error_response(errors.ValidationError(fields)).body)["errors"] == [
        {"field": "title", "detail": "is required"},
        {"field": "tags", "detail": "must be a list"},
    ]
    assert "errors" not in json.loads(error_response(errors.TaskNotFound()).body)


def test_a_mismatch_tells_the_current_version():
    assert error_response(errors.VersionMismatch(3)).headers["ETag"] == '"3"'


def test_what_is_unavailable_says_when_to_come_back():
    assert error_response(errors.TaskParked()).headers["Retry-After"] == "60"
    assert error_response(errors.OutcomeUnknown()).headers["Retry-After"] == "2"


# --- the middleware -------------------------------------------------------------------------


def answer(raised):
    async def handler(request):
        raise raised

    return run(problems(make_mocked_request("GET", "/api/tasks?secret=1"), handler))


def test_an_error_raised_on_purpose_is_answered():
    response = answer(BadHeader("If-Match is odd."))
    assert (response.status, json.loads(response.body)["detail"]) == (400, "If-Match is odd.")


@pytest.mark.parametrize(
    ("raised", "status", "code"),
    [
        (aiohttp_web.HTTPNotFound(), 404, "not_found"),
        (aiohttp_web.HTTPMethodNotAllowed("PUT", ["GET", "POST"]), 405, "method_not_allowed"),
        (aiohttp_web.HTTPRequestEntityTooLarge(1, 2), 413, "body_too_large"),
    ],
)
def test_what_http_itself_refuses_is_a_problem_too(raised, status, code):
    response = answer(raised)
    assert (response.status, json.loads(response.body)["code"]) == (status, code)
    assert response.headers.get("Allow") == ("GET,POST" if status == 405 else None)


def test_an_answer_that_is_raised_passes():
    with pytest.raises(aiohttp_web.HTTPFound):
        answer(aiohttp_web.HTTPFound("/elsewhere"))


def test_a_fault_of_ours_is_logged_and_tells_nothing_of_itself(caplog):
    response = answer(ZeroDivisionError("water the plants"))
    assert (response.status, json.loads(response.body)["code"]) == (500, "internal")
    assert b"water the plants" not in response.body
    (record,) = caplog.records
    assert (record.method, record.route) == ("GET", "/api/tasks")
    assert record.exc_info


@pytest.mark.parametrize("gone", [ConnectionResetError(), asyncio.CancelledError()])
def test_nobody_is_answered_where_the_client_is_gone(gone):
    with pytest.raises(type(gone)):
        answer(gone)


def test_what_is_answered_is_what_the_handler_gave():
    async def handler(request):
        return aiohttp_web.Response(text="fine")

    assert run(problems(make_mocked_request("GET", "/"), handler)).text == "fine"
