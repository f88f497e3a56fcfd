"""The parts that faults are made with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support.databases import fresh_database
from tests.support.folders import Folder, Steps
from tests.support.programs import Cluster, debian_binaries, embedded_binaries, pgbouncer, running
from tests.support.proxy import Proxy

#: For servers of these tests: few connections, prepared transactions, a log to stream.
SETTINGS = {"max_connections": "20", "max_prepared_transactions": "5", "wal_level": "replica", "autovacuum": "off"}


@pytest.fixture
def steps(folder: Folder) -> Steps:
    """A function that adds migrations to the folder, which each make a table of their own name with one row."""
    return Steps(folder)


@pytest.fixture(scope="session")
def postgresql_15() -> Iterator[Cluster]:
    """A PostgreSQL 15 of Debian's, with few connections."""
    with running(debian_binaries(15), SETTINGS) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def small_cluster() -> Iterator[Cluster]:
    """A PostgreSQL with few connections, of the embedded server's version, which tests may stop and start."""
    with running(embedded_binaries(), SETTINGS) as cluster:
        yield cluster


@pytest.fixture(params=["given", "15"])
async def each_database(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """The DSN of a fresh database: once on the server that all tests use, once on PostgreSQL 15."""
    given = request.param == "given"
    server = request.getfixturevalue("server") if given else request.getfixturevalue("postgresql_15").dsn
    async with fresh_database(server) as dsn:
        yield dsn


@pytest.fixture
async def proxy(database: str) -> AsyncIterator[Proxy]:
    """A proxy before the fresh database."""
    async with Proxy(database) as between:
        yield between


@pytest.fixture(scope="session")
def pooler(server: str) -> Iterator[str]:
    """The DSN of the server through PgBouncer in transaction mode, with a pool of 5."""
    with pgbouncer(server) as dsn:
        yield dsn
