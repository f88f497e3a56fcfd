"""Many processes that start at the same moment on one empty database."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

import kimbledb

from .invariant import holds, nothing_left
from .parts import fresh_database, many, sql
from .programs import Cluster, pgbouncer

#: More than the server has connections.
PROCESSES = 64


@pytest.fixture
async def empty(small_cluster: Cluster) -> AsyncIterator[str]:
    """An empty database on a server with 40 connections."""
    async with fresh_database(small_cluster.dsn) as dsn:
        yield dsn


async def _all_return_well(dsn: str, database: str, path: Any, catalog: kimbledb.Catalog) -> list[dict[str, Any]]:
    """Run them through a DSN, and make sure that each migration was applied by one of them, and that all succeed."""
    wanted = len((await kimbledb.plan(database, catalog=catalog)).pending)

    said = await many(dsn, path, PROCESSES, {"deadline": 120})

    assert len(said) == PROCESSES
    assert [each["error"] for each in said if "error" in each] == []
    applied = Counter(name for each in said for name in each["applied"])
    assert len(applied) == wanted
    assert set(applied.values()) == {1}
    assert await sql(database, "SELECT count(*) FROM migration_history WHERE success IS TRUE") == wanted
    assert await sql(database, "SELECT count(*) FROM migration_log WHERE event = 'apply'") == wanted
    assert await sql(database, "SELECT count(*) FROM migration_log WHERE event = 'failure'") == 0
    return said


async def test_one_builds_and_nobody_hangs(empty: str, steps: Any, folder: Any) -> None:
    """Of 64 processes one builds an index CONCURRENTLY; no waiter hangs in a deadlock with it (faults 11, 13, 14)."""
    steps("a", "b")
    folder.add(
        3,
        "c",
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS c ON a (n);",
        facts='transactional = false\nrequires = ["b.sql"]',
        verify="-- name: valid\nSELECT bool_and(indisvalid) AS passed FROM pg_index WHERE indexrelid = to_regclass('c')",
        rollback="DROP INDEX c;",
    )

    await _all_return_well(empty, empty, folder.path, folder.catalog)

    assert await sql(empty, "SELECT count(*) FROM migration_log WHERE event = 'statement'") == 2
    await holds(empty, folder.catalog)


@pytest.mark.parametrize("road", ["direct", "pooled"])
async def test_the_built_in_catalog(small_cluster: Cluster, empty: str, road: str) -> None:
    """The 34 migrations are applied once by 64 processes, which all succeed, with 40 connections and with a pool of 5 (faults 11, 12, 23)."""
    catalog = kimbledb.Catalog.builtin()
    if road == "direct":
        await _all_return_well(empty, empty, "builtin", catalog)
    else:
        with pgbouncer(small_cluster.dsn, pool_size=5) as pooler:
            through = f"{pooler.rpartition('/')[0]}/{empty.rpartition('/')[2]}"
            await _all_return_well(through, empty, "builtin", catalog)

    assert await sql(empty, "SELECT count(*) FROM migration_history WHERE success IS TRUE") == 34
    assert (await kimbledb.verify(empty)).ok
    await nothing_left(empty)


async def test_many_schemas_at_once(empty: str, steps: Any) -> None:
    """Calls for schemas of one database, all of them missing with the history and an extension, do not fail each other (faults 12)."""
    folder = steps("a")
    (folder.path / "01_a" / "migration.toml").write_text('extensions = ["pg_trgm"]')
    catalog = folder.catalog

    await asyncio.gather(*(kimbledb.migrate(empty, catalog=catalog, schema=f"s{number % 6}") for number in range(18)))

    assert await sql(empty, "SELECT count(*) FROM pg_namespace WHERE nspname ~ '^s[0-5]$'") == 6
    for number in range(6):
        await holds(empty, catalog, f"s{number}")
