"""Checks of PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import asyncpg

from app.domain.errors import DatabaseUnavailable
from projections.doctor.clocks import clock_finding
from projections.doctor.findings import fail, ok

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from projections.database import Database
    from projections.doctor.findings import Finding

OLDEST = 14


async def check_postgres(database: Database) -> AsyncGenerator[Finding]:
    """Look at the server, at what its user may do, and at its clock."""
    try:
        async with database.connection() as connection:
            number = int(await connection.fetchval("SHOW server_version_num"))
            yield version_finding(number)
            may, user = await connection.fetchrow(
                "SELECT has_database_privilege(current_database(), 'CREATE'), current_user"
            )
            yield rights_finding(user, may_create=may)
            before = datetime.now(UTC)
            there = await connection.fetchval("SELECT clock_timestamp()")
            yield clock_finding("clock of PostgreSQL", before, there, datetime.now(UTC))
    except (DatabaseUnavailable, asyncpg.PostgresError) as error:
        told = f"it cannot be used ({error.__cause__ or error})"
        yield fail("PostgreSQL", told, "start it, or correct TASKLEDGER_POSTGRES")


def version_finding(number: int) -> Finding:
    """Judge a server_version_num, such as 140005 for 14.5."""
    version = f"{number // 10_000}.{number % 10_000}"
    if number < OLDEST * 10_000:
        return fail("PostgreSQL", f"it is {version}", f"use PostgreSQL {OLDEST} or newer")
    return ok("PostgreSQL", version)


def rights_finding(user: str, *, may_create: bool) -> Finding:
    """Judge whether generations can be made."""
    if may_create:
        return ok("rights", f"{user} may create schemas")
    remedy = f"as the owner of the database: GRANT CREATE ON DATABASE … TO {user}"
    return fail("rights", f"{user} may not create schemas, and so no projection", remedy)
