"""A server of each version, and fresh databases on it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import pytest

from kimbledb.testing.background import Background
from tests.support.databases import HOSTED_DATABASE, HOSTED_ROLES, fresh_database, sql
from tests.support.programs import Cluster, missing, running

from .installations import Missing, Unavailable, binaries

#: To drop a schema takes a lock on each of its tables.
SETTINGS = {"max_locks_per_transaction": "256", "autovacuum": "off"}


class Servers:
    """The servers that the tests of this process have started, by version."""

    def __init__(self, stack: ExitStack, background: Background) -> None:
        self._stack = stack
        self._background = background
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
            cluster = self._stack.enter_context(running(programs, SETTINGS))
            self._background.run(sql(cluster.dsn, HOSTED_ROLES))
            self._running[version] = cluster
        return self._running[version]


@pytest.fixture(scope="session")
def servers(_kimbledb_background: Background) -> Iterator[Servers]:
    """The servers, each started by the first test that wants it, with a hosted platform's roles."""
    with ExitStack() as stack:
        yield Servers(stack, _kimbledb_background)


def each(*versions: int) -> pytest.MarkDecorator:
    """Run a test on the oldest and the newest of some versions, in ``nox -s servers`` on all of them.

    Those of one version run on the same worker, which starts its server.
    """
    chosen = versions if os.environ.get("KIMBLEDB_TEST_SERVERS") == "all" else sorted({min(versions), max(versions)})
    return pytest.mark.parametrize(
        "version",
        [pytest.param(version, marks=pytest.mark.xdist_group(f"postgresql-{version}")) for version in chosen],
    )


@pytest.fixture
def cluster(servers: Servers, version: int) -> Cluster:
    """The server of the test's version."""
    return servers.get(version)


@pytest.fixture(params=["bare", "hosted"])
async def fresh(cluster: Cluster, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """The DSN of a fresh, empty database on it: once a bare one, once as a hosted platform gives it."""
    async with fresh_database(cluster.dsn) as dsn:
        if request.param == "hosted":
            await sql(dsn, HOSTED_DATABASE)
        yield dsn
