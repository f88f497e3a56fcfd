"""Servers and databases for the tests: real PostgreSQL, never a stand-in."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants

import kimbledb
from kimbledb import history, snapshot
from kimbledb.snapshots import Snapshot
from kimbledb.targets import target_of
from kimbledb.testing.background import Background, Pools

# No test depends on a time, since the machines that tests run on are noisy, and none on luck: property tests
# run from fixed seeds. `nox -s explore` runs them from new ones, with more examples.
settings.register_profile(
    "fixed", derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "explore", settings.get_profile("fixed"), derandomize=False, max_examples=1000, print_blob=True
)
PROFILE = os.environ.get("KIMBLEDB_TEST_PROFILE", "fixed")
settings.load_profile(PROFILE)
if PROFILE == "fixed":
    # Hypothesis draws some values from the constants of the modules imported so far, and
    # what those are depends on the tests that ran before in the same process.
    providers._get_local_constants = Constants


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


@pytest.fixture(scope="session")
def server(kimbledb_server: str) -> str:
    """The DSN of a bare server, as kimbledb's own plugin gives it: ``KIMBLEDB_TEST_DSN``, else the embedded one."""
    return kimbledb_server


@pytest.fixture(scope="session")
def hosted_server(_kimbledb_background: Background) -> str:
    """The DSN of a server with the hosted platform's roles: ``KIMBLEDB_TEST_HOSTED_DSN``, else an embedded one."""
    dsn = os.environ.get("KIMBLEDB_TEST_HOSTED_DSN") or _kimbledb_background.start_server()

    async def prepare() -> None:
        connection = await asyncpg.connect(dsn)
        # The workers of a run may share the server.
        await connection.execute("SELECT pg_advisory_lock(hashtext('hosted roles'))")
        if not await connection.fetchval("SELECT count(*) FROM pg_roles WHERE rolname = 'authenticator'"):
            await connection.execute(HOSTED_ROLES)
        await connection.close()

    _kimbledb_background.run(prepare())
    return dsn


async def picture(dsn: str, schema: str = "public") -> Snapshot:
    """Take the canonical snapshot of a schema."""
    wanted = {each.name for migration in kimbledb.Catalog.builtin() for each in migration.extensions}
    async with target_of(dsn).session(kimbledb.Options()) as session:
        state = await history.look(session, schema)
        return await snapshot.take(session, schema, state.search_path(schema, wanted))


@pytest.fixture(name="picture")
def picture_fixture() -> Callable[..., Awaitable[Snapshot]]:
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


@asynccontextmanager
async def _fresh_database(server: str, prepare: str = "", *, template: str = "template0") -> AsyncIterator[str]:
    name = f"test_{os.getpid()}_{next(_numbers)}"
    admin = await asyncpg.connect(server)
    await admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    await admin.close()
    dsn = with_database(server, name)
    if prepare:
        connection = await asyncpg.connect(dsn)
        await connection.execute(prepare)
        await connection.close()
    yield dsn
    admin = await asyncpg.connect(server)
    await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    await admin.close()


@pytest.fixture
async def database(server: str) -> AsyncIterator[str]:
    """The DSN of a fresh, empty database of a bare server."""
    async with _fresh_database(server) as dsn:
        yield dsn


@pytest.fixture
async def hosted_database(hosted_server: str) -> AsyncIterator[str]:
    """The DSN of a fresh database as a hosted platform gives it."""
    async with _fresh_database(hosted_server, HOSTED_DATABASE) as dsn:
        yield dsn


@pytest.fixture
def migrated_database(kimbledb_database: str) -> str:
    """The DSN of a fresh database with the whole schema, on a bare server."""
    return kimbledb_database


@pytest.fixture
def hosted_migrated_database(
    hosted_server: str, kimbledb_catalog: kimbledb.Catalog, _kimbledb_pools: Pools
) -> Iterator[str]:
    """The DSN of a fresh database with the whole schema, on a server with the hosted roles."""
    pool = _kimbledb_pools.of(hosted_server, kimbledb_catalog, prepare=HOSTED_DATABASE)
    dsn = pool.take(1)
    yield dsn
    pool.give_back(dsn)


@pytest.fixture(scope="session")
def psql() -> Callable[[str, str], subprocess.CompletedProcess[str]]:
    """A function that sends a text to a database by psql, as people do."""
    from kimbledb._embedded import programs

    def send(dsn: str, text: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [programs() / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-", dsn],
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )

    return send


@pytest.fixture(scope="session")
def make_template(server: str, _kimbledb_background: Background) -> Callable[[Callable[[str], Awaitable[None]]], str]:
    """A function that makes a database of the bare server, has it filled, and returns its name, to be cloned."""

    def make(fill: Callable[[str], Awaitable[None]]) -> str:
        dsn = _kimbledb_background.enter(_fresh_database(server))

        async def work() -> None:
            await fill(dsn)

        _kimbledb_background.run(work())
        return urlsplit(dsn).path[1:]

    return make


@pytest.fixture(scope="session")
def template(make_template: Callable[[Callable[[str], Awaitable[None]]], str]) -> str:
    """The name of a database with the whole schema, on a bare server."""

    async def fill(dsn: str) -> None:
        await kimbledb.migrate(dsn, verify=False)

    return make_template(fill)


@pytest.fixture
async def clone(server: str) -> AsyncIterator[Callable[[str], Awaitable[str]]]:
    """A function that makes a copy of a database of the bare server and returns its DSN."""
    async with AsyncExitStack() as copies:

        async def copy(template: str) -> str:
            return await copies.enter_async_context(_fresh_database(server, template=template))

        yield copy


@pytest.fixture(params=["bare", "hosted"])
def empty_on_each(request: pytest.FixtureRequest) -> str:
    """The DSN of a fresh, empty database: once on a bare server, once as a hosted platform gives it."""
    dsn: str = request.getfixturevalue("hosted_database" if request.param == "hosted" else "database")
    return dsn


@pytest.fixture(params=["bare", "hosted"])
def migrated_on_each(request: pytest.FixtureRequest) -> str:
    """The DSN of a fresh database with the whole schema: once on a bare server, once with the hosted roles."""
    hosted = request.param == "hosted"
    dsn: str = request.getfixturevalue("hosted_migrated_database" if hosted else "migrated_database")
    return dsn


@pytest.fixture
async def connection(database: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the fresh database."""
    connected = await asyncpg.connect(database)
    yield connected
    await connected.close()


@pytest.fixture
def meanwhile(database: str, _kimbledb_background: Background) -> Iterator[Callable[[str], None]]:
    """A function that runs a statement on another connection, and waits for it: for watchers, which cannot await."""
    run = _kimbledb_background.run

    async def connect() -> asyncpg.Connection:
        return await asyncpg.connect(database)

    connected = run(connect())

    def execute(statement: str) -> None:
        run(connected.execute(statement))

    yield execute
    run(connected.close())
