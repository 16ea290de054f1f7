"""Commands over HTTP."""

from __future__ import annotations

import time
from functools import cache
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from aiohttp import web

from app.command_handler import Outcome, Request
from app.domain.commands import CompleteTask, CreateTask, DeleteTask, ReopenTask, UpdateTask
from app.domain.errors import TaskledgerError, TaskNotFound
from app.domain.task import Task
from app.log.port import position_text
from app.telemetry import metrics
from web.bodies import JSON, MERGE_PATCH, read_body, read_no_body
from web.headers import expected_version, idempotency_key, traceparent
from web.service import SERVICE

if TYPE_CHECKING:
    from app.domain.commands import Command

ACTOR = "local"
"""Who acts, as long as there is one person: whoever can reach the loopback address."""
_encoder = msgspec.json.Encoder()


async def create(request: web.Request) -> web.Response:
    """POST /api/tasks."""
    command = await read_body(request, CreateTask, JSON)
    task_id = None if command.id is msgspec.UNSET else command.id
    outcome = await _execute(request, command, task_id, expected=None)
    response = _task_response(outcome, status=201)
    response.headers["Location"] = f"/api/tasks/{outcome.state.id}"
    return response


async def update(request: web.Request) -> web.Response:
    """PATCH /api/tasks/{id}."""
    return _task_response(await _change(request, await read_body(request, UpdateTask, MERGE_PATCH)))


async def complete(request: web.Request) -> web.Response:
    """POST /api/tasks/{id}/complete."""
    return _task_response(await _change(request, await read_no_body(request, CompleteTask)))


async def reopen(request: web.Request) -> web.Response:
    """POST /api/tasks/{id}/reopen."""
    return _task_response(await _change(request, await read_no_body(request, ReopenTask)))


async def delete(request: web.Request) -> web.Response:
    """DELETE /api/tasks/{id}."""
    outcome = await _change(request, await read_no_body(request, DeleteTask))
    return web.Response(status=204, headers={"Consistency-Token": position_text(outcome.position)})


def task_id_of(request: web.Request) -> UUID:
    """Read the task's id from the path. Raises TaskNotFound for what is no id."""
    try:
        return UUID(request.match_info["id"])
    except ValueError:
        raise TaskNotFound from None


async def _change(request: web.Request, command: Command) -> Outcome:
    return await _execute(request, command, task_id_of(request), expected=expected_version(request))


async def _execute(request: web.Request, command: Command, task_id: UUID | None, expected: int | None) -> Outcome:
    key = idempotency_key(request, ACTOR, command, task_id)
    wanted = Request(command, task_id, ACTOR, expected, key, traceparent(request))
    begun = time.perf_counter()
    result = "done"
    try:
        return await request.app[SERVICE].commands.execute(wanted)
    except TaskledgerError as error:
        result = error.code
        raise
    finally:
        _counter(type(command).__name__, result).inc()
        metrics.COMMAND_SECONDS.observe(time.perf_counter() - begun)


_counter = cache(metrics.COMMANDS.labels)


def _task_response(outcome: Outcome, status: int = 200) -> web.Response:
    assert isinstance(outcome.state, Task)  # noqa: S101 - only deleting leaves no task
    return web.Response(
        status=status,
        body=_encoder.encode(outcome.state),
        content_type="application/json",
        headers={"ETag": f'"{outcome.state.version}"', "Consistency-Token": position_text(outcome.position)},
    )
