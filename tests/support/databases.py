"""Databases for tests: fresh ones, the objects of a hosted platform, single statements, and the types of the fixtures."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeAlias
from urllib.parse import urlsplit, urlunsplit

import asyncpg

import kimbledb
from kimbledb._embedded import programs
from kimbledb.inspection import history, snapshot
from kimbledb.model.snapshot import Snapshot
from kimbledb.server.dsn import with_database
from kimbledb.server.targets import target_of
from kimbledb.testing.background import Background

_numbers = itertools.count(1)

#: The roles of a hosted platform, and below them the schemas and default privileges of its new databases.
HOSTED_ROLES = """
    CREATE ROLE anon NOLOGIN;
    CREATE ROLE authenticated NOLOGIN;
    CREATE ROLE service_role NOLOGIN BYPASSRLS;
    CREATE ROLE authenticator LOGIN NOINHERIT;
    GRANT anon, authenticated, service_role TO authenticator;
"""
HOSTED_DATABASE = """
    CREATE SCHEMA auth;
    CREATE SCHEMA extensions;
    GRANT USAGE ON SCHEMA extensions, public TO anon, authenticated, service_role;
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO anon, authenticated, service_role;
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON SEQUENCES TO anon, authenticated, service_role;
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON FUNCTIONS TO anon, authenticated, service_role;
"""


def as_role(dsn: str, role: str) -> str:
    """Return a DSN for another role, whose password is its name."""
    parts = urlsplit(dsn)
    return urlunsplit(parts._replace(netloc=f"{role}:{role}@{parts.netloc.rpartition('@')[2]}"))


@contextmanager
def own_server() -> Iterator[str]:
    """Yield the DSN of a new server, for tests that look at all databases of one."""
    background = Background()
    yield background.start_server()
    background.stop()


@asynccontextmanager
async def kept_clean(server: str) -> AsyncIterator[asyncpg.Connection]:
    """Yield a connection to a server, and drop the databases at its end that were not there before."""
    connection = await asyncpg.connect(server)
    question = "SELECT datname FROM pg_database"
    before = {row[0] for row in await connection.fetch(question)}
    yield connection
    for [name] in await connection.fetch(question):
        if name not in before:
            await connection.execute(f'ALTER DATABASE "{name}" WITH IS_TEMPLATE false')
            await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    await connection.close()


@asynccontextmanager
async def fresh_database(
    server: str, prepare: str = "", *, options: str = "", template: str = "template0"
) -> AsyncIterator[str]:
    """Make a database on a server, and drop it at the end.

    Args:
        server: The DSN of the server.
        prepare: SQL to run in the database.
        options: More options of CREATE DATABASE.
        template: The name of the database to clone.

    Yields:
        The DSN of the database.
    """
    name = f"test_{os.getpid()}_{next(_numbers)}"
    await sql(server, f'CREATE DATABASE "{name}" TEMPLATE "{template}" {options}')
    dsn = with_database(server, name)
    try:
        if prepare:
            await sql(dsn, prepare)
        yield dsn
    finally:
        await sql(server, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


async def sql(dsn: str, statement: str, *arguments: object) -> Any:
    """Run statements on a new connection; a SELECT, or a statement with arguments, returns its first value."""
    connection = await asyncpg.connect(dsn)
    try:
        if arguments or statement.startswith("SELECT"):
            return await connection.fetchval(statement, *arguments)
        return await connection.execute(statement)
    finally:
        await connection.close()


async def take_snapshot(dsn: str, schema: str = "public", **wanted_too: Any) -> Snapshot:
    """Take the snapshot of a schema; further arguments are those of ``snapshot.take()``."""
    wanted = {each.name for migration in kimbledb.Catalog.builtin() for each in migration.extensions}
    async with target_of(dsn).session(kimbledb.Options()) as session:
        state = await history.look(session, schema)
        return await snapshot.take(session, schema, state.search_path(schema, wanted), **wanted_too)


def psql(dsn: str, text: str) -> subprocess.CompletedProcess[str]:
    """Send a text to a database with psql, and stop at the first error."""
    return subprocess.run(
        [programs() / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-", dsn],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )


#: The type of the fixture ``make_template``: it makes a database, passes the DSN to a function, and returns its name.
MakeTemplate: TypeAlias = Callable[[Callable[[str], Awaitable[None]]], str]
#: The type of the fixture ``clone``: it clones a database by its name, and returns the DSN of the clone.
Clone: TypeAlias = Callable[[str], Awaitable[str]]
#: The type of the fixture ``meanwhile``: it runs a statement on another connection, and blocks.
Meanwhile: TypeAlias = Callable[[str], None]
