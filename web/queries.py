"""Queries over HTTP."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from app.domain.commands import Tag
from app.domain.errors import (
    FieldProblem,
    LogUnavailable,
    ReadModelBehind,
    TaskGone,
    TaskNotFound,
    TaskParked,
    ValidationError,
)
from app.domain.task import DeletedTask, Task
from app.log.port import position_text
from projections.task.queries import list_tasks
from projections.task_history.queries import list_history
from web.commands import task_id_of
from web.headers import wanted_position
from web.problems import WorkerUnavailable
from web.service import SERVICE

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Mapping
    from uuid import UUID

    from app.domain.history import History
    from projections.paging import Page
    from web.service import Service

LONGEST_PAGE = 200
DEFAULT_PAGE = 50
CATCH_UP_TIMEOUT = 1.0
"""Seconds that reading one task waits for the log's end; past it the answer may miss what others just changed."""
_encoder = msgspec.json.Encoder()


async def show(request: web.Request) -> web.Response:
    """GET /api/tasks/{id}: the task as of now, including every change that was answered before this request."""
    service = request.app[SERVICE]
    wanted = wanted_position(request, service.log.partitions)
    history = await _read(service, task_id_of(request), wanted)
    if history.parked:
        raise TaskParked
    known = request.headers.get("If-None-Match")
    if isinstance(history.state, Task):
        headers = {
            "ETag": f'"{history.version}"',
            "Cache-Control": "no-cache",
            "Consistency-Token": position_text(service.overlay.tail.position),
        }
        if known is not None and (known.strip() == "*" or f'"{history.version}"' in known):
            return web.Response(status=304, headers=headers)
        return web.Response(body=_encoder.encode(history.state), content_type="application/json", headers=headers)
    if isinstance(history.state, DeletedTask) and known is not None:
        raise TaskGone
    raise TaskNotFound


async def _read(service: Service, task_id: UUID, wanted: Mapping[int, int]) -> History:
    overlay = service.overlay
    if not overlay.ready:
        await _wait(service, wanted)
        return (await service.read_model.load(task_id)).history
    with suppress(LogUnavailable, TimeoutError):
        async with asyncio.timeout(CATCH_UP_TIMEOUT):
            await overlay.catch_up(overlay.partition_of(task_id))
    try:
        async with asyncio.timeout(service.settings.freshness_timeout):
            await overlay.tail.wait_for(wanted)
    except TimeoutError:
        raise ReadModelBehind from None
    async with overlay.hold(task_id) as entry:
        return entry.known


async def list_(request: web.Request) -> web.Response:
    """GET /api/tasks."""
    service = request.app[SERVICE]
    query = _query(request, {"status", "tag", "limit", "cursor"})
    status = query.get("status")
    if status not in {None, "open", "completed"}:
        raise ValidationError([FieldProblem("status", "must be open or completed")])
    tag, limit, wanted = _tag(query), _limit(query), wanted_position(request, service.log.partitions)
    await _wait(service, wanted)
    position = dict(service.overlay.applied.position)
    schemas = await service.read_model.schemas()
    with _cursor_problems():
        page = await list_tasks(
            service.database, schemas, status=status, tag=tag, limit=limit, cursor=query.get("cursor")
        )
    return _page_response(page, position)


async def history(request: web.Request) -> web.Response:
    """GET /api/tasks/{id}/history."""
    service = request.app[SERVICE]
    query = _query(request, {"limit", "cursor"})
    task_id, limit, wanted = task_id_of(request), _limit(query), wanted_position(request, service.log.partitions)
    await _wait(service, wanted)
    position = dict(service.overlay.applied.position)
    schemas = await service.read_model.schemas()
    with _cursor_problems():
        page = await list_history(service.database, schemas, task_id, limit=limit, cursor=query.get("cursor"))
        if not page.items and "cursor" not in query:
            # It may be so new that the read model does not have it yet.
            await _wait(service, await _latest(service, task_id))
            page = await list_history(service.database, schemas, task_id, limit=limit)
            if not page.items:
                raise TaskNotFound
    return _page_response(page, position)


async def _latest(service: Service, task_id: UUID) -> Mapping[int, int]:
    """Give the end of a task's partition where the overlay knows the task, else nothing to wait for."""
    if (await _read(service, task_id, {})).state is None:
        return {}
    partition = service.overlay.partition_of(task_id)
    return {partition: service.overlay.tail.position[partition]}


@contextmanager
def _cursor_problems() -> Generator[None]:
    try:
        yield
    except ValueError as error:
        raise ValidationError([FieldProblem("cursor", str(error))]) from error


async def insight(request: web.Request) -> web.Response:
    """GET /api/insight: live counts and rates, from the worker's tables."""
    service = request.app[SERVICE]
    try:
        async with service.http.get(f"{service.settings.insight_url}/insight") as answer:
            if answer.status != 200:  # noqa: PLR2004
                raise WorkerUnavailable
            return web.Response(body=await answer.read(), content_type="application/json")
    except (OSError, TimeoutError) as error:
        raise WorkerUnavailable from error


async def _wait(service: Service, wanted: Mapping[int, int]) -> None:
    """Wait until the read models have a position. Raises ReadModelBehind after the freshness timeout."""
    try:
        async with asyncio.timeout(service.settings.freshness_timeout):
            await service.overlay.wait_until_applied(wanted)
    except TimeoutError:
        raise ReadModelBehind from None


def _query(request: web.Request, known: Collection[str]) -> Mapping[str, str]:
    unknown = sorted(set(request.query) - set(known))
    if unknown:
        names = ", ".join(sorted(known))
        raise ValidationError([FieldProblem(name, f"is not a parameter here; there are: {names}") for name in unknown])
    return request.query


def _tag(query: Mapping[str, str]) -> str | None:
    """Give the wanted tag; one that no task can have is refused, since PostgreSQL cannot even look for some."""
    try:
        return msgspec.convert(query.get("tag"), Tag | None)
    except msgspec.ValidationError:
        raise ValidationError([FieldProblem("tag", "must be a tag: 1 to 50 characters, no blanks around it")]) from None


def _limit(query: Mapping[str, str]) -> int:
    text = query.get("limit", str(DEFAULT_PAGE))
    if not (text.isdecimal() and text.isascii() and len(text) <= 3 and 1 <= int(text) <= LONGEST_PAGE):  # noqa: PLR2004
        raise ValidationError([FieldProblem("limit", f"must be a whole number from 1 to {LONGEST_PAGE}")])
    return int(text)


def _page_response(page: Page[Any], position: Mapping[int, int]) -> web.Response:
    return web.Response(
        body=_encoder.encode({"items": page.items, "next": page.next}),
        content_type="application/json",
        headers={"Consistency-Token": position_text(position), "Cache-Control": "no-cache"},
    )
