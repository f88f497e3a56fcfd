"""The invariant that holds after every fault, as assertions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

import kimbledb
from kimbledb.model.names import quote_identifier

#: Long limits for slow machines, and a short interval in which the server notices a lost client.
OPTIONS = kimbledb.Options(deadline=60, lock_timeout=1.0, client_check_interval=0.2)

#: Seconds in which the server notices a lost client, on a busy machine.
_PATIENCE = 30.0


@asynccontextmanager
async def _connected(to: str | asyncpg.Connection) -> AsyncIterator[asyncpg.Connection]:
    if not isinstance(to, str):
        yield to
        return
    connection = await asyncpg.connect(to)
    try:
        yield connection
    finally:
        await connection.close()


async def drained(to: str | asyncpg.Connection, application_name: str = "kimbledb", *, busy: bool = False) -> None:
    """Wait until a database has no session of an application.

    Args:
        to: The database: a DSN or a connection.
        application_name: The application.
        busy: Whether idle sessions may stay.
    """
    query = (
        "SELECT pid, state, query FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1"
        + (" AND state <> 'idle'" if busy else "")
    )
    async with _connected(to) as connection:
        deadline = time.monotonic() + _PATIENCE
        while rows := await connection.fetch(query, application_name):
            assert time.monotonic() < deadline, f"sessions are left: {rows}"
            await asyncio.sleep(0.02)


async def whole(to: str | asyncpg.Connection, catalog: kimbledb.Catalog, schema: str = "public") -> list[str]:
    """Assert that each migration is either absent, or completely applied and recorded once; return the applied ones.

    Each migration of a test's catalog creates a table with its own name and adds one row to it,
    without IF NOT EXISTS. A second run is an error, or gives a second row.
    """
    home = quote_identifier(schema)
    applied, recorded, logged = [], set(), []
    # One snapshot for all queries: a COMMIT may arrive between two of them.
    async with _connected(to) as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        rows = await connection.fetch(
            "SELECT c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = $1",
            schema,
        )
        tables = {row["relname"] for row in rows}
        if "migration_log" in tables:
            rows = await connection.fetch(f"SELECT migration_name FROM {home}.migration_history WHERE success IS TRUE")
            recorded = {row["migration_name"] for row in rows}
            rows = await connection.fetch(f"SELECT migration_name FROM {home}.migration_log WHERE event = 'apply'")
            logged = [row["migration_name"] for row in rows]
        for migration in catalog:
            if not migration.transactional:
                continue
            table = migration.name.removesuffix(".sql")
            there = table in tables
            rows_in_it = await connection.fetchval(f"SELECT count(*) FROM {home}.{table}") if there else 0
            seen = (there, rows_in_it, migration.name in recorded, logged.count(migration.name))
            assert seen in ((True, 1, True, 1), (False, 0, False, 0)), f"{migration.name} is half done: {seen}"
            if there:
                applied.append(migration.name)
    return applied


async def nothing_left(dsn: str) -> None:
    """Assert that a database has no advisory lock, no open transaction and no prepared transaction."""
    async with _connected(dsn) as connection:
        locks = await connection.fetch(
            "SELECT l.pid, a.query FROM pg_locks AS l LEFT JOIN pg_stat_activity AS a USING (pid) WHERE l.locktype = 'advisory' "
            "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        assert not locks
        idle = await connection.fetch(
            "SELECT pid, query FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'"
        )
        assert not idle
        assert not await connection.fetch("SELECT FROM pg_prepared_xacts WHERE database = current_database()")


async def holds(dsn: str, catalog: kimbledb.Catalog, schema: str = "public") -> kimbledb.MigrationReport:
    """Assert the invariant after a fault, and return the report of the next run.

    Each migration is either absent, or completely applied and recorded. The next run applies
    the rest, and the run after it has nothing to do. No lock and no session is left.
    """
    await drained(dsn)
    before = await whole(dsn, catalog, schema)
    report = await kimbledb.migrate(dsn, catalog=catalog, schema=schema, options=OPTIONS)
    wanted = [migration.name for migration in catalog]
    assert [step.migration.name for step in report.applied if step.migration.name in before] == []
    assert sorted(await whole(dsn, catalog, schema)) == sorted(each.name for each in catalog if each.transactional)
    assert report.verification.ok
    again = await kimbledb.migrate(dsn, catalog=catalog, schema=schema, options=OPTIONS)
    assert (again.applied, again.plan.pending) == ((), ())
    assert again.plan.count(kimbledb.StepState.APPLIED) == len(wanted)
    await nothing_left(dsn)
    return report
