"""The parts that faults are made with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

import pytest

from .parts import fresh_database
from .programs import Cluster, debian_binaries, embedded_binaries, pgbouncer, running
from .proxy import Proxy

#: For servers of these tests: few connections, prepared transactions, a log to stream.
SETTINGS = {"max_connections": "40", "max_prepared_transactions": "5", "wal_level": "replica", "autovacuum": "off"}


@pytest.fixture
def steps(folder: Any) -> Callable[..., Any]:
    """A function that adds migrations to the folder: each makes a table of its own name with one row.

    They need each other in their order, and cannot run twice. ``after`` is what a
    script does after its table is there, by the migration's name; ``check`` what its
    verification does beside looking at the table.
    """

    def add(*names: str, after: Mapping[str, str] = {}, check: Mapping[str, str] = {}) -> Any:
        before = None
        for number, name in enumerate(names, 1):
            folder.add(
                number,
                name,
                f"CREATE TABLE {name} (n integer);\nINSERT INTO {name} VALUES (1);\n{after.get(name, '')}",
                facts=f'requires = ["{before}.sql"]' if before else "",
                verify=f"-- name: one_row\nSELECT count(*) = 1 AS passed FROM {name}"
                + (f"\n;\n-- name: more\n{check[name]}" if name in check else ""),
                rollback=f"DROP TABLE {name};\n",
            )
            before = name
        return folder

    return add


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
