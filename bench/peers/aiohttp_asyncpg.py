"""The same handlers on aiohttp, writing one row with asyncpg: `python -m bench.peers.aiohttp_asyncpg PORT URL`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import asyncpg
import msgspec
import uvloop
from aiohttp import web

from app.domain.commands import CreateTask, UpdateTask
from app.domain.task import Task

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CONNECTIONS = 32
"""Half as many as the load has: requests rarely wait for one, and PostgreSQL has few processes to switch between."""
TABLE = """
CREATE TABLE IF NOT EXISTS aiohttp_task (
    id uuid PRIMARY KEY, title text NOT NULL, description text NOT NULL, status text NOT NULL,
    priority smallint NOT NULL, due_at timestamptz, tags text[] NOT NULL,
    created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL,
    completed_at timestamptz, version integer NOT NULL
)
"""
INSERT = "INSERT INTO aiohttp_task VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
UPDATE = """
UPDATE aiohttp_task SET
    title = coalesce($3, title), description = coalesce($4, description), priority = coalesce($5, priority),
    due_at = coalesce($6, due_at), tags = coalesce($7, tags), updated_at = $8, version = version + 1
WHERE id = $1 AND version = $2 RETURNING *
"""
POOL: web.AppKey[asyncpg.Pool[asyncpg.Record]] = web.AppKey("pool")
_create = msgspec.json.Decoder(CreateTask)
_update = msgspec.json.Decoder(UpdateTask)
_encoder = msgspec.json.Encoder()


async def create(request: web.Request) -> web.Response:
    """Insert one row."""
    new = _create.decode(await request.read())
    now = datetime.now(UTC)
    task = Task(
        id=uuid4(),
        title=new.title,
        description=new.description,
        status="open",
        priority=new.priority,
        due_at=new.due_at,
        tags=new.tags,
        created_at=now,
        updated_at=now,
        completed_at=None,
        version=1,
    )
    await request.app[POOL].execute(INSERT, *msgspec.structs.astuple(task))
    return _answer(task, 201, Location=f"/api/tasks/{task.id}")


async def update(request: web.Request) -> web.Response:
    """Update one row if it is at the version that the client saw."""
    patch = _update.decode(await request.read())
    fields = (patch.title, patch.description, patch.priority, patch.due_at, patch.tags)
    values = [None if value is msgspec.UNSET else value for value in fields]
    version = int(request.headers["If-Match"].strip('"'))
    row = await request.app[POOL].fetchrow(UPDATE, UUID(request.match_info["id"]), version, *values, datetime.now(UTC))
    return web.Response(status=412) if row is None else _answer(Task(**row), 200)


def _answer(task: Task, status: int, **headers: str) -> web.Response:
    headers["ETag"] = f'"{task.version}"'
    return web.Response(status=status, body=_encoder.encode(task), content_type="application/json", headers=headers)


def serve(port: int, url: str) -> None:
    """Serve until told to stop."""

    async def pool(http_app: web.Application) -> AsyncIterator[None]:
        async with asyncpg.create_pool(url, min_size=CONNECTIONS, max_size=CONNECTIONS) as http_app[POOL]:
            await http_app[POOL].execute(TABLE)
            yield

    http_app = web.Application()
    http_app.cleanup_ctx.append(pool)
    http_app.add_routes([web.post("/api/tasks", create), web.patch("/api/tasks/{id}", update)])
    loop = uvloop.new_event_loop()
    web.run_app(http_app, host="127.0.0.1", port=port, access_log=None, print=None, loop=loop)


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2])
