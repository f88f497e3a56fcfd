"""The pytest plugin of kimbledb: fresh migrated databases for every test.

The plugin is a package beside kimbledb, because pytest imports the plugins of all
installed packages before anything else. So kimbledb and asyncpg are imported by the
first test that uses a fixture, after a measurement of coverage has begun. This is the
reason for each import inside a function of this package.

SQLAlchemy and psycopg are imported by the first test that uses a fixture of theirs.

The server is named by ``--kimbledb-dsn`` or ``KIMBLEDB_TEST_DSN``. Without them the first
test that needs a server starts an embedded one, shared by all workers of pytest-xdist.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from _kimbledb_pytest.kept import Database
from _kimbledb_pytest.servers import dsn_of

if TYPE_CHECKING:
    from _kimbledb_pytest.broker import Broker
    from kimbledb import Catalog
    from kimbledb.testing.background import Background, Pool, Pools

#: The environment variable with the DSN of the server for tests; ``--kimbledb-dsn`` overrides it.
DSN_VARIABLE = "KIMBLEDB_TEST_DSN"

#: Number of databases kept ready beside the one in use: one is made during any test, and a short test takes the other.
_AHEAD = 2

_BROKER: pytest.StashKey[Broker] = pytest.StashKey()
#: By fixture, the number of tests that have yet to take a database.
_LEFT: pytest.StashKey[dict[str, int]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the command line."""
    group = parser.getgroup("kimbledb", "fresh migrated databases (kimbledb)")
    group.addoption(
        "--kimbledb-dsn",
        metavar="DSN",
        help=f"server for the test databases (default: {DSN_VARIABLE}, else an embedded server is started)",
    )
    group.addoption(
        "--kimbledb-data-dir",
        metavar="DIR",
        help="folder that keeps a copy of the embedded server's databases: the next run finds the template again",
    )
    parser.addini("kimbledb_engine_driver", "driver of kimbledb_engine and kimbledb_session", default="asyncpg")


def pytest_configure(config: pytest.Config) -> None:
    """Register the fixtures in other modules; those that need pytest-asyncio only if it is installed."""
    from _kimbledb_pytest import plain

    config.pluginmanager.register(plain, "kimbledb plain")
    if config.pluginmanager.hasplugin("asyncio"):
        from _kimbledb_pytest import connection, sessions

        config.pluginmanager.register(connection, "kimbledb connection")
        config.pluginmanager.register(sessions, "kimbledb sessions")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Pass the broker's address to a worker of pytest-xdist: the run owns the server, and no worker does."""
    config: pytest.Config = node.config
    if server_of(config) is None:
        from _kimbledb_pytest.broker import Broker

        if _BROKER not in config.stash:
            config.stash[_BROKER] = Broker(config.getoption("kimbledb_data_dir"))
        node.workerinput["kimbledb_broker"] = config.stash[_BROKER].address


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the server of the workers, if they started one."""
    broker = config.stash.get(_BROKER, None)
    if broker is not None:
        broker.stop()


def server_of(config: pytest.Config) -> str | None:
    """Return the DSN that the option or the environment names, or None."""
    given: str | None = config.getoption("kimbledb_dsn") or os.environ.get(DSN_VARIABLE)
    return given


@pytest.fixture(scope="session")
def _kimbledb_background() -> Iterator[Background]:
    from kimbledb.testing.background import Background

    background = Background()
    yield background
    background.stop()


@pytest.fixture(scope="session")
def kimbledb_server(request: pytest.FixtureRequest, _kimbledb_background: Background) -> str:
    """The DSN of the server for the test databases.

    Override it to use a server of your own: return a DSN, a URL of SQLAlchemy, a started container of
    testcontainers, or ``postgresql_proc`` of pytest-postgresql.
    """
    given = server_of(request.config)
    if given is not None:
        return given
    address = getattr(request.config, "workerinput", {}).get("kimbledb_broker")
    if address is not None:
        from _kimbledb_pytest.broker import ask

        return ask(address)
    return _kimbledb_background.start_server(request.config.getoption("kimbledb_data_dir"))


@pytest.fixture(scope="session")
def kimbledb_catalog() -> Catalog:
    """The migrations of the test databases: the built-in ones.

    Override it to use your own: ``return kimbledb.Catalog.from_directory("migrations")``.
    """
    from kimbledb import Catalog

    return Catalog.builtin()


@pytest.fixture(scope="session")
def _kimbledb_pools(_kimbledb_background: Background) -> Pools:
    from kimbledb.testing.background import Pools

    return Pools(_kimbledb_background)


@pytest.fixture
def _kimbledb_pool(kimbledb_server: object, kimbledb_catalog: Catalog, _kimbledb_pools: Pools) -> Pool:
    return _kimbledb_pools.of(dsn_of(kimbledb_server), kimbledb_catalog)


@pytest.fixture
def kimbledb_database(request: pytest.FixtureRequest, _kimbledb_pool: Pool) -> Iterator[str]:
    """The DSN of a fresh migrated database. The test owns it, and it is dropped after the test."""
    dsn = _kimbledb_pool.take(_wanted(request, "kimbledb_database"))
    yield dsn
    _kimbledb_pool.give_back(dsn)


@pytest.fixture
def _kimbledb_rolled_back(
    request: pytest.FixtureRequest, kimbledb_server: object, kimbledb_catalog: Catalog, _kimbledb_pools: Pools
) -> Database:
    """The database of all fixtures that roll back: the test's own if the test has one, else one that tests share."""
    # Without the fixture `_kimbledb_pool`: a fixture takes as long as a statement of the test.
    if "kimbledb_database" in request.fixturenames:
        return Database(request.getfixturevalue("kimbledb_database"), shared=False, discard=lambda: None)
    pool = _kimbledb_pools.of(dsn_of(kimbledb_server), kimbledb_catalog)
    return Database(pool.shared(), shared=True, discard=pool.discard_shared)


class Schema:
    """A fresh migrated schema.

    Attributes:
        dsn: The DSN of the database that holds it.
        name: Its name, which is not ``public``.
    """

    def __init__(self, dsn: str, name: str) -> None:
        self.dsn = dsn
        self.name = name

    def __repr__(self) -> str:
        return f"<Schema {self.name}>"


@pytest.fixture
def kimbledb_schema(
    request: pytest.FixtureRequest, kimbledb_server: object, kimbledb_catalog: Catalog, _kimbledb_pools: Pools
) -> Iterator[Schema]:
    """A fresh migrated schema beside an empty ``public``: an object with ``.dsn`` and ``.name``.

    It has a database of its own, since a clone takes less time than the migration of a schema.
    """
    pool = _kimbledb_pools.of(dsn_of(kimbledb_server), kimbledb_catalog, "kimbledb_tenant")
    dsn = pool.take(_wanted(request, "kimbledb_schema"))
    yield Schema(dsn, pool.schema)
    pool.give_back(dsn)


def _wanted(request: pytest.FixtureRequest, fixture: str) -> int:
    """Return the number of databases to make ahead: no more than the remaining tests use."""
    stash = request.config.stash
    if _LEFT not in stash:
        stash[_LEFT] = {}
        for item in request.session.items:
            for name in getattr(item, "fixturenames", ()):
                if name in ("kimbledb_database", "kimbledb_schema"):
                    stash[_LEFT][name] = stash[_LEFT].get(name, 0) + 1
        workers = getattr(request.config, "workerinput", {}).get("workercount", 1)
        # Each worker collects all tests and runs its share of them, in some order.
        stash[_LEFT] = {name: -(-count // workers) for name, count in stash[_LEFT].items()}
    stash[_LEFT][fixture] = left = stash[_LEFT].get(fixture, 0) - 1
    return max(0, min(_AHEAD, left))
