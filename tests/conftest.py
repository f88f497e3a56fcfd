"""Fixtures that all tests share: servers and databases of real PostgreSQL, never a stand-in."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants

import kimbledb
from kimbledb.testing.background import Background, Pools
from tests.support.databases import (
    HOSTED_DATABASE,
    HOSTED_ROLES,
    Clone,
    MakeTemplate,
    Meanwhile,
    fresh_database,
)
from tests.support.folders import Folder

# No test depends on a duration, since test machines are noisy, and none on luck: property tests run from
# fixed seeds. `nox -s explore` runs them from new seeds, with more examples.
settings.register_profile(
    "fixed", derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "explore", settings.get_profile("fixed"), derandomize=False, max_examples=1000, print_blob=True
)
PROFILE = os.environ.get("KIMBLEDB_TEST_PROFILE", "fixed")
settings.load_profile(PROFILE)
if PROFILE == "fixed":
    # Hypothesis draws some values from the constants of the modules imported so far. These
    # depend on the tests that ran before in the same process.
    providers._get_local_constants = Constants


#: Files whose tests take long: a session of their own runs them.
collect_ignore = [] if os.environ.get("KIMBLEDB_TEST_BASES") == "all" else ["integration/test_largest_databases.py"]


@pytest.fixture(scope="session")
def server(kimbledb_server: str) -> str:
    """The DSN of a bare server from kimbledb's own plugin: ``KIMBLEDB_TEST_DSN``, else an embedded server."""
    return kimbledb_server


@pytest.fixture(scope="session")
def hosted_server(_kimbledb_background: Background) -> str:
    """The DSN of a server with the hosted platform's roles: ``KIMBLEDB_TEST_HOSTED_DSN``, else an embedded server."""
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


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """An empty folder of migrations."""
    return Folder(tmp_path / "migrations")


@pytest.fixture
async def database(server: str) -> AsyncIterator[str]:
    """The DSN of a fresh, empty database of a bare server."""
    async with fresh_database(server) as dsn:
        yield dsn


@pytest.fixture
async def hosted_database(hosted_server: str) -> AsyncIterator[str]:
    """The DSN of a fresh database with the schemas and default privileges of a hosted platform."""
    async with fresh_database(hosted_server, HOSTED_DATABASE) as dsn:
        yield dsn


@pytest.fixture
def migrated_database(kimbledb_database: str) -> str:
    """The DSN of a fresh database with the built-in schema, on a bare server."""
    return kimbledb_database


@pytest.fixture
async def tables(migrated_database: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the whole schema with two people in it."""
    connection = await asyncpg.connect(migrated_database)
    await connection.execute("INSERT INTO users (id) VALUES ('ann'), ('bob')")
    yield connection
    await connection.close()


@pytest.fixture
def hosted_migrated_database(
    hosted_server: str, kimbledb_catalog: kimbledb.Catalog, _kimbledb_pools: Pools
) -> Iterator[str]:
    """The DSN of a fresh database with the built-in schema, on a server with the hosted roles."""
    pool = _kimbledb_pools.of(hosted_server, kimbledb_catalog, prepare=HOSTED_DATABASE)
    dsn = pool.take(1)
    yield dsn
    pool.give_back(dsn)


@pytest.fixture(scope="session")
def make_template(server: str, _kimbledb_background: Background) -> MakeTemplate:
    """A function that makes a database on the bare server, fills it, and returns its name, for clones."""

    def make(fill: Callable[[str], Awaitable[None]]) -> str:
        dsn = _kimbledb_background.enter(fresh_database(server))

        async def work() -> None:
            await fill(dsn)

        _kimbledb_background.run(work())
        return urlsplit(dsn).path[1:]

    return make


@pytest.fixture(scope="session")
def template(make_template: MakeTemplate) -> str:
    """The name of a database with the built-in schema, on the bare server, for clones."""

    async def fill(dsn: str) -> None:
        await kimbledb.migrate(dsn, verify=False)

    return make_template(fill)


@pytest.fixture
async def clone(server: str) -> AsyncIterator[Clone]:
    """A function that clones a database of the bare server by its name, and returns the DSN of the clone."""
    async with AsyncExitStack() as copies:

        async def copy(template: str) -> str:
            return await copies.enter_async_context(fresh_database(server, template=template))

        yield copy


@pytest.fixture(params=["bare", "hosted"])
def empty_on_each(request: pytest.FixtureRequest) -> str:
    """The DSN of a fresh, empty database: one test run on a bare server, one on a hosted platform."""
    dsn: str = request.getfixturevalue("hosted_database" if request.param == "hosted" else "database")
    return dsn


@pytest.fixture(params=["bare", "hosted"])
def migrated_on_each(request: pytest.FixtureRequest) -> str:
    """The DSN of a fresh database with the built-in schema: one test run on a bare server, one with the hosted roles."""
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
def meanwhile(database: str, _kimbledb_background: Background) -> Iterator[Meanwhile]:
    """A function that runs a statement on another connection and blocks: for progress callables, which cannot await."""
    run = _kimbledb_background.run

    async def connect() -> asyncpg.Connection:
        return await asyncpg.connect(database)

    connected = run(connect())

    def execute(statement: str) -> None:
        run(connected.execute(statement))

    yield execute
    run(connected.close())
