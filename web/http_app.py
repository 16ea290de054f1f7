"""The HTTP application: its routes, its lifetime."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from web import commands, health, queries
from web.pages import add_page_routes
from web.problems import problems
from web.service import SERVICE
from web.stream import stream

if TYPE_CHECKING:
    from web.service import Service

BODY_LIMIT = 256 * 1024
"""Most bytes of a request's body."""


def build_http_app(service: Service) -> web.Application:
    """Make the application around a service, which the caller opens and closes."""
    http_app = web.Application(middlewares=[problems], client_max_size=BODY_LIMIT)
    http_app[SERVICE] = service
    router = http_app.router
    router.add_post("/api/tasks", commands.create)
    router.add_get("/api/tasks", queries.list_)
    router.add_get("/api/tasks/{id}", queries.show)
    router.add_patch("/api/tasks/{id}", commands.update)
    router.add_delete("/api/tasks/{id}", commands.delete)
    router.add_post("/api/tasks/{id}/complete", commands.complete)
    router.add_post("/api/tasks/{id}/reopen", commands.reopen)
    router.add_get("/api/tasks/{id}/history", queries.history)
    router.add_get("/api/insight", queries.insight)
    router.add_get("/api/events", stream, allow_head=False)
    router.add_get("/api/health", health.health)
    router.add_get("/livez", health.livez)
    router.add_get("/readyz", health.readyz)
    router.add_get("/metrics", health.metrics)
    add_page_routes(router)
    http_app.on_shutdown.append(_end_streams)
    return http_app


async def _end_streams(http_app: web.Application) -> None:
    http_app[SERVICE].feed.close()
