"""PostgreSQL: one pool of asyncpg connections, and SQLAlchemy Core statements compiled for it once."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import asyncpg
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg

from app.domain.errors import DatabaseUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from types import TracebackType

    import sqlalchemy as sa

    Connection: TypeAlias = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]

CONNECT_TIMEOUT = 5.0
"""Seconds to wait for a new connection."""
STATEMENT_TIMEOUT = 30.0
"""Seconds that one statement may take, where nothing else is said."""
ACQUIRE_TIMEOUT = 5.0
"""Seconds to wait for a free connection of the pool."""
_UNREACHABLE = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
)
_dialect = PGDialect_asyncpg()  # type: ignore[no-untyped-call]


class Statement:
    """One SQL statement with the order of its parameters."""

    def __init__(self, clause: sa.ClauseElement, schemas: Mapping[str, str] | None = None) -> None:
        """Compile a clause; `schemas` says which schema stands for the one that its tables name."""
        compiled = clause.compile(
            dialect=_dialect, schema_translate_map=dict(schemas or {}), render_schema_translate=bool(schemas)
        )
        self.sql = str(compiled)
        self._names: Sequence[str] = getattr(compiled, "positiontup", None) or ()
        self._values = dict(getattr(compiled, "params", None) or {})

    def arguments(self, **values: object) -> list[object]:
        """Give the arguments in the order of the statement, from values by name and those written in the clause."""
        return [values[name] if name in values else self._values[name] for name in self._names]

    async def fetch(self, connection: Connection, **values: Any) -> list[asyncpg.Record]:
        """Run it and give its rows. Raises what asyncpg raises."""
        rows: list[asyncpg.Record] = await connection.fetch(self.sql, *self.arguments(**values))
        return rows

    async def execute(self, connection: Connection, **values: Any) -> None:
        """Run it for its effect. Raises what asyncpg raises."""
        await connection.execute(self.sql, *self.arguments(**values))


class Query:
    """A clause over projection tables, compiled once for each set of schemas that it is used with."""

    def __init__(self, clause: sa.ClauseElement) -> None:
        """Take a clause whose tables name their projection as the schema."""
        self._clause = clause
        self._compiled: dict[tuple[tuple[str, str], ...], Statement] = {}

    def at(self, schemas: Mapping[str, str]) -> Statement:
        """Give the statement for the schemas that hold the wanted generation of each projection."""
        key = tuple(sorted(schemas.items()))
        statement = self._compiled.get(key)
        if statement is None:
            statement = self._compiled[key] = Statement(self._clause, schemas)
        return statement


async def _leave_as_is(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Spare a round trip whenever a connection goes back to the pool: nothing here leaves session state behind."""


class Database:
    """A pool of connections; opened on first use, so that a process can start before PostgreSQL does."""

    def __init__(self, url: str, connections: int, statement_timeout: float = STATEMENT_TIMEOUT) -> None:
        """Take a PostgreSQL URL, the most connections to open, and the seconds that one statement may take."""
        self._url = url
        self._connections = connections
        self._statement_timeout = statement_timeout

    async def __aenter__(self) -> Self:
        """Ready the pool; opens no connection yet."""
        self._pool = await asyncpg.create_pool(
            self._url,
            min_size=0,
            max_size=self._connections,
            timeout=CONNECT_TIMEOUT,
            command_timeout=self._statement_timeout,
            reset=_leave_as_is,
            server_settings={"application_name": "taskledger"},
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every connection."""
        self._pool.terminate()

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[Connection]:
        """Lend a connection. Raises DatabaseUnavailable, also for what the block does with it."""
        try:
            async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT) as connection:
                yield connection
        except _UNREACHABLE as error:
            raise DatabaseUnavailable from error

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Connection]:
        """Lend a connection inside a transaction that the end of the block commits."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def fetch(self, statement: Statement, **values: Any) -> list[asyncpg.Record]:
        """Run one statement and give its rows. Raises DatabaseUnavailable."""
        async with self.connection() as connection:
            return await statement.fetch(connection, **values)
