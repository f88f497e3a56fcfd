"""Databases for the tests: fresh ones, those of a hosted platform, and a statement or a question to one."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeAlias
from urllib.parse import urlsplit, urlunsplit

import asyncpg

import kimbledb
from kimbledb._embedded import programs
from kimbledb.inspection import history, snapshot
from kimbledb.model.snapshot import Snapshot
from kimbledb.server.targets import target_of

_numbers = itertools.count(1)

#: What a hosted platform has beyond a bare server, as its projects come.
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


def with_database(dsn: str, database: str) -> str:
    """Return a DSN for another database of the same server."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{database}"))


def as_role(dsn: str, role: str) -> str:
    """Return a DSN for another role, whose password is its name."""
    parts = urlsplit(dsn)
    return urlunsplit(parts._replace(netloc=f"{role}:{role}@{parts.netloc.rpartition('@')[2]}"))


@asynccontextmanager
async def fresh_database(
    server: str, prepare: str = "", *, options: str = "", template: str = "template0"
) -> AsyncIterator[str]:
    """Make a database on a server, run statements in it, and drop it at the end; gives its DSN."""
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
    """Run a statement, or statements, on a connection of its own; a SELECT returns its first value."""
    connection = await asyncpg.connect(dsn)
    try:
        if arguments or statement.startswith("SELECT"):
            return await connection.fetchval(statement, *arguments)
        return await connection.execute(statement)
    finally:
        await connection.close()


async def picture(dsn: str, schema: str = "public") -> Snapshot:
    """Take the canonical snapshot of a schema."""
    wanted = {each.name for migration in kimbledb.Catalog.builtin() for each in migration.extensions}
    async with target_of(dsn).session(kimbledb.Options()) as session:
        state = await history.look(session, schema)
        return await snapshot.take(session, schema, state.search_path(schema, wanted))


def psql(dsn: str, text: str) -> subprocess.CompletedProcess[str]:
    """Send a text to a database by psql, as people do."""
    return subprocess.run(
        [programs() / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-", dsn],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )


class Picture(Protocol):
    """The fixture ``picture``: takes a schema's canonical snapshot."""

    async def __call__(self, dsn: str, schema: str = "public") -> Snapshot: ...


#: The fixture ``psql``: sends a text to the database of a DSN.
Psql: TypeAlias = Callable[[str, str], subprocess.CompletedProcess[str]]
#: The fixture ``make_template``: makes a database, has it filled by its DSN, and returns its name.
MakeTemplate: TypeAlias = Callable[[Callable[[str], Awaitable[None]]], str]
#: The fixture ``clone``: copies the database of a name, and returns the copy's DSN.
Clone: TypeAlias = Callable[[str], Awaitable[str]]
#: The fixture ``meanwhile``: runs a statement on another connection, and waits for it.
Meanwhile: TypeAlias = Callable[[str], None]
