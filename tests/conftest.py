"""Servers and databases for the tests: real PostgreSQL, never a stand-in."""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from hypothesis import HealthCheck, settings

import kimbledb

# The machines that tests run on are noisy: no test depends on a time.
settings.register_profile("kimbledb", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("kimbledb")

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


@contextmanager
def running_server() -> Iterator[str]:
    """Run an embedded server in a loop of its own, so that it outlives the loops of single tests."""
    ready: threading.Event = threading.Event()
    found: list[str] = []
    failed: list[BaseException] = []
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        try:
            async with kimbledb.embedded() as dsn:
                found.append(dsn)
                ready.set()
                await stop.wait()
        except BaseException as error:
            failed.append(error)
            raise
        finally:
            ready.set()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    ready.wait()
    if failed:
        raise failed[0]
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The DSN of a bare server: ``KIMBLEDB_TEST_DSN``, else the embedded one."""
    given = os.environ.get("KIMBLEDB_TEST_DSN")
    if given:
        yield given
    else:
        with running_server() as dsn:
            yield dsn


@pytest.fixture(scope="session")
def hosted_server() -> Iterator[str]:
    """The DSN of a server with the hosted platform's roles."""
    with running_server() as dsn:

        async def prepare() -> None:
            connection = await asyncpg.connect(dsn)
            await connection.execute(HOSTED_ROLES)
            await connection.close()

        asyncio.run(prepare())
        yield dsn


_numbers = itertools.count(1)


async def _fresh_database(server: str, prepare: str = "") -> tuple[str, Callable[[], Awaitable[None]]]:
    name = f"test_{os.getpid()}_{next(_numbers)}"
    admin = await asyncpg.connect(server)
    await admin.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
    await admin.close()
    dsn = with_database(server, name)
    if prepare:
        connection = await asyncpg.connect(dsn)
        await connection.execute(prepare)
        await connection.close()

    async def drop() -> None:
        admin = await asyncpg.connect(server)
        await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        await admin.close()

    return dsn, drop


@pytest.fixture
async def database(server: str) -> AsyncIterator[str]:
    """The DSN of a fresh, empty database of a bare server."""
    dsn, drop = await _fresh_database(server)
    yield dsn
    await drop()


@pytest.fixture
async def hosted_database(hosted_server: str) -> AsyncIterator[str]:
    """The DSN of a fresh database as a hosted platform gives it."""
    dsn, drop = await _fresh_database(hosted_server, HOSTED_DATABASE)
    yield dsn
    await drop()


@pytest.fixture
async def connection(database: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the fresh database."""
    connected = await asyncpg.connect(database)
    yield connected
    await connected.close()
