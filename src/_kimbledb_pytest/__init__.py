"""The pytest plugin of kimbledb: fresh migrated databases for every test.

It stands beside the package and not in it, since pytest imports the plugins of
all that is installed before it does anything: an import of kimbledb, and of
asyncpg with it, is left to the first test that uses a fixture, and happens after
a measuring of coverage has begun.

Servers: ``--kimbledb-dsn`` or ``KIMBLEDB_TEST_DSN`` names one; else an embedded one
is started by the first test that needs it, one for all workers of pytest-xdist.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from _kimbledb_pytest.broker import Broker
    from kimbledb import Catalog
    from kimbledb.testing.background import Background, Pool, Pools

#: Names a server for tests, as ``--kimbledb-dsn`` does.
DSN_VARIABLE = "KIMBLEDB_TEST_DSN"

_BROKER: pytest.StashKey[Broker] = pytest.StashKey()
#: How many tests to come will take a database, by fixture.
_LEFT: pytest.StashKey[dict[str, int]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("kimbledb", "fresh migrated databases (kimbledb)")
    group.addoption(
        "--kimbledb-dsn",
        metavar="DSN",
        help=f"the server to make test databases on; else {DSN_VARIABLE}, else an embedded one is started",
    )
    group.addoption(
        "--kimbledb-data-dir",
        metavar="DIR",
        help="keep the embedded server's data there, so that the next run finds the template again",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Add the fixture that needs pytest-asyncio, where that is there; what it is called in its own words."""
    if config.pluginmanager.hasplugin("asyncio"):
        from _kimbledb_pytest import connection

        config.pluginmanager.register(connection, "kimbledb connection")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist where to ask for the server, which belongs to the run and not to a worker."""
    config: pytest.Config = node.config
    if server_of(config) is None:
        from _kimbledb_pytest.broker import Broker

        if _BROKER not in config.stash:
            config.stash[_BROKER] = Broker(config.getoption("kimbledb_data_dir"))
        node.workerinput["kimbledb_broker"] = config.stash[_BROKER].address


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the server that the workers used, if they did."""
    broker = config.stash.get(_BROKER, None)
    if broker is not None:
        broker.stop()


def server_of(config: pytest.Config) -> str | None:
    """Return the DSN that was given, or None."""
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
    """The DSN of the server on which test databases are made.

    Override it to bring a server of your own, such as a container.
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

    Override it for your own: ``return kimbledb.Catalog.from_directory("migrations")``.
    """
    from kimbledb import Catalog

    return Catalog.builtin()


@pytest.fixture(scope="session")
def _kimbledb_pools(_kimbledb_background: Background) -> Pools:
    from kimbledb.testing.background import Pools

    return Pools(_kimbledb_background)


@pytest.fixture
def _kimbledb_pool(kimbledb_server: str, kimbledb_catalog: Catalog, _kimbledb_pools: Pools) -> Pool:
    return _kimbledb_pools.of(kimbledb_server, kimbledb_catalog)


@pytest.fixture
def kimbledb_database(request: pytest.FixtureRequest, _kimbledb_pool: Pool) -> Iterator[str]:
    """The DSN of a fresh migrated database, which is the test's own and is dropped after it."""
    dsn = _kimbledb_pool.take(_wanted(request, "kimbledb_database"))
    yield dsn
    _kimbledb_pool.give_back(dsn)


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
    request: pytest.FixtureRequest, kimbledb_server: str, kimbledb_catalog: Catalog, _kimbledb_pools: Pools
) -> Iterator[Schema]:
    """A fresh migrated schema beside an empty ``public``: an object with ``.dsn`` and ``.name``.

    It comes with a database of its own, since a clone is made in less time than a schema is migrated.
    """
    pool = _kimbledb_pools.of(kimbledb_server, kimbledb_catalog, "kimbledb_tenant")
    dsn = pool.take(_wanted(request, "kimbledb_schema"))
    yield Schema(dsn, pool.schema)
    pool.give_back(dsn)


#: How many databases are kept ready beside the one in use: a pause is enough for one, and a short test gets the other.
_AHEAD = 2


def _wanted(request: pytest.FixtureRequest, fixture: str) -> int:
    """Return how many databases to make ahead: none at the end of a run, where nobody would use them."""
    stash = request.config.stash
    if _LEFT not in stash:
        stash[_LEFT] = {}
        for item in request.session.items:
            for name in getattr(item, "fixturenames", ()):
                if name in ("kimbledb_database", "kimbledb_schema"):
                    stash[_LEFT][name] = stash[_LEFT].get(name, 0) + 1
        workers = getattr(request.config, "workerinput", {}).get("workercount", 1)
        # Each worker holds all the tests and runs its share of them, in some order.
        stash[_LEFT] = {name: -(-count // workers) for name, count in stash[_LEFT].items()}
    stash[_LEFT][fixture] = left = stash[_LEFT].get(fixture, 0) - 1
    return max(0, min(_AHEAD, left))
