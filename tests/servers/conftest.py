"""A server of each version, and fresh databases on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import pytest

import kimbledb
from tests.conftest import with_database
from tests.faults.parts import fresh_database, sql
from tests.faults.programs import Cluster, missing, running

from .installations import Missing, Unavailable, binaries

#: To drop a schema takes a lock on each of its tables.
SETTINGS = {"max_locks_per_transaction": "256", "autovacuum": "off"}


class Servers:
    """The servers that the tests of this process have started, by version."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._running: dict[int, Cluster] = {}

    def get(self, version: int) -> Cluster:
        """Give the server of a version, started where it is not; skip where it cannot be had."""
        if version not in self._running:
            try:
                programs = binaries(version)
            except Missing as reason:
                missing(str(reason))
            except Unavailable as reason:
                pytest.skip(str(reason))
            self._running[version] = self._stack.enter_context(running(programs, SETTINGS))
        return self._running[version]


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """The servers, each started by the first test that wants it."""
    with ExitStack() as stack:
        yield Servers(stack)


def each(*versions: int) -> pytest.MarkDecorator:
    """Run a test on some versions; those of one version on the same worker, which starts its server."""
    return pytest.mark.parametrize(
        "version",
        [pytest.param(version, marks=pytest.mark.xdist_group(f"postgresql-{version}")) for version in versions],
    )


@pytest.fixture
def cluster(servers: Servers, version: int) -> Cluster:
    """The server of the test's version."""
    return servers.get(version)


@pytest.fixture
async def fresh(cluster: Cluster) -> AsyncIterator[str]:
    """The DSN of a fresh, empty database on it."""
    async with fresh_database(cluster.dsn) as dsn:
        yield dsn


@pytest.fixture
async def migrated(cluster: Cluster) -> AsyncIterator[str]:
    """The DSN of a fresh database on it with the built-in catalog, a copy of one that is made once."""
    template = with_database(cluster.dsn, "builtin")
    if not await sql(cluster.dsn, "SELECT count(*) FROM pg_database WHERE datname = 'builtin'"):
        await sql(cluster.dsn, "CREATE DATABASE builtin TEMPLATE template0")
        await kimbledb.migrate(template)
    async with fresh_database(cluster.dsn, template="builtin") as dsn:
        yield dsn
