"""Servers and databases for the tests: real PostgreSQL, never a stand-in."""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from hypothesis import HealthCheck, settings

import kimbledb
from kimbledb import history, snapshot
from kimbledb.targets import target_of

T = TypeVar("T")

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


def _run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run something asynchronous from a fixture that is not, whether or not a loop is running."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(asyncio.run, coroutine).result()


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

        _run(prepare())
        yield dsn


async def picture(dsn: str, schema: str = "public") -> snapshot.Snapshot:
    """Take the canonical snapshot of a schema."""
    wanted = {each.name for migration in kimbledb.Catalog.builtin() for each in migration.extensions}
    async with target_of(dsn).session(kimbledb.Options()) as session:
        state = await history.look(session, schema)
        return await snapshot.take(session, schema, state.search_path(schema, wanted))


@pytest.fixture(name="picture")
def picture_fixture() -> Callable[..., Awaitable[snapshot.Snapshot]]:
    """The function that takes a schema's canonical snapshot, given a DSN and a schema."""
    return picture


class Folder:
    """A folder of migrations in the making."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)

    def add(
        self,
        number: int,
        name: str,
        apply: str,
        *,
        facts: str = "",
        verify: str = "-- name: nothing_to_check\nSELECT true AS passed",
        rollback: str = "",
    ) -> Path:
        """Add a migration and return its folder."""
        folder = self.path / f"{number:02}_{name}"
        folder.mkdir()
        for file, text in (
            ("migration.toml", facts),
            ("apply.sql", apply),
            ("verify.sql", verify),
            ("rollback.sql", rollback),
        ):
            (folder / file).write_text(text, encoding="utf-8")
        return folder

    def table(self, number: int, name: str, *, facts: str = "") -> Path:
        """Add a migration that makes a table of its own name."""
        return self.add(
            number,
            name,
            f"CREATE TABLE IF NOT EXISTS {name} (id integer PRIMARY KEY);\n",
            facts=facts,
            verify=f"-- name: {name}_is_there\nSELECT to_regclass('{name}') IS NOT NULL AS passed",
            rollback=f"DROP TABLE IF EXISTS {name};\n",
        )

    @property
    def catalog(self) -> kimbledb.Catalog:
        """The catalog of what is there now."""
        return kimbledb.Catalog.from_directory(self.path)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """An empty folder of migrations."""
    return Folder(tmp_path / "migrations")


_numbers = itertools.count(1)


async def _fresh_database(
    server: str, prepare: str = "", *, template: str = "template0"
) -> tuple[str, Callable[[], Coroutine[Any, Any, None]]]:
    name = f"test_{os.getpid()}_{next(_numbers)}"
    admin = await asyncpg.connect(server)
    await admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
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


def _migrated_template(server: str, prepare: str = "") -> str:
    """Make a database with the whole schema, to be cloned, and return its name."""

    async def make() -> str:
        dsn, _ = await _fresh_database(server, prepare)
        await kimbledb.migrate(dsn, verify=False)
        return urlsplit(dsn).path[1:]

    return _run(make())


@pytest.fixture(scope="session")
def template(server: str) -> str:
    """The name of a database with the whole schema, on a bare server."""
    return _migrated_template(server)


@pytest.fixture(scope="session")
def hosted_template(hosted_server: str) -> str:
    """The name of a database with the whole schema, on a server with the hosted roles."""
    return _migrated_template(hosted_server, HOSTED_DATABASE)


@pytest.fixture
async def migrated_database(server: str, template: str) -> AsyncIterator[str]:
    """The DSN of a fresh database with the whole schema, on a bare server."""
    dsn, drop = await _fresh_database(server, template=template)
    yield dsn
    await drop()


@pytest.fixture
async def hosted_migrated_database(hosted_server: str, hosted_template: str) -> AsyncIterator[str]:
    """The DSN of a fresh database with the whole schema, on a server with the hosted roles."""
    dsn, drop = await _fresh_database(hosted_server, template=hosted_template)
    yield dsn
    await drop()


@pytest.fixture(params=["bare", "hosted"])
def migrated_on_each(request: pytest.FixtureRequest) -> Iterator[str]:
    """The DSN of a fresh database with the whole schema: once on a bare server, once with the hosted roles."""
    hosted = request.param == "hosted"
    server = request.getfixturevalue("hosted_server" if hosted else "server")
    template = request.getfixturevalue("hosted_template" if hosted else "template")
    dsn, drop = _run(_fresh_database(server, template=template))
    yield dsn
    _run(drop())


@pytest.fixture
async def connection(database: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the fresh database."""
    connected = await asyncpg.connect(database)
    yield connected
    await connected.close()
