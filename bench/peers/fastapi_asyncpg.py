"""The same create on FastAPI and asyncpg under uvicorn: `python -m bench.peers.fastapi_asyncpg PORT URL`."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID, uuid4

import asyncpg
import uvicorn
from fastapi import FastAPI, Response
from pydantic import AwareDatetime, BaseModel, Field

CONNECTIONS = 32
"""As many as the other peer has."""
TABLE = """
CREATE TABLE IF NOT EXISTS fastapi_task (
    id uuid PRIMARY KEY, title text NOT NULL, description text NOT NULL, status text NOT NULL,
    priority smallint NOT NULL, due_at timestamptz, tags text[] NOT NULL,
    created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL,
    completed_at timestamptz, version integer NOT NULL
)
"""
INSERT = "INSERT INTO fastapi_task VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"


class NewTask(BaseModel, extra="forbid"):
    """The body of a create."""

    title: str = Field(min_length=1, max_length=500)
    description: str = Field("", max_length=20_000)
    priority: int = Field(0, ge=0, le=3)
    due_at: AwareDatetime | None = None
    tags: list[Annotated[str, Field(min_length=1, max_length=50)]] = Field([], max_length=20)


class Task(BaseModel):
    """The answer."""

    id: UUID
    title: str
    description: str
    status: str
    priority: int
    due_at: datetime | None
    tags: list[str]
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None
    version: int


def build(url: str) -> FastAPI:
    """Build the service on a database."""

    @asynccontextmanager
    async def pool(http_app: FastAPI) -> AsyncIterator[None]:
        async with asyncpg.create_pool(url, min_size=CONNECTIONS, max_size=CONNECTIONS) as http_app.state.pool:
            await http_app.state.pool.execute(TABLE)
            yield

    http_app = FastAPI(lifespan=pool)

    @http_app.post("/api/tasks", status_code=201)
    async def create(new: NewTask, response: Response) -> Task:
        now = datetime.now(UTC)
        task = Task(
            id=uuid4(),
            **new.model_dump(),
            status="open",
            created_at=now,
            updated_at=now,
            completed_at=None,
            version=1,
        )
        await http_app.state.pool.execute(INSERT, *(getattr(task, name) for name in Task.model_fields))
        response.headers["Location"] = f"/api/tasks/{task.id}"
        response.headers["ETag"] = '"1"'
        return task

    return http_app


if __name__ == "__main__":
    uvicorn.run(
        build(sys.argv[2]),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )
