"""Many processes that start at the same moment on one empty database."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import kimbledb
from tests.support.databases import fresh_database, sql
from tests.support.folders import Folder, Steps
from tests.support.invariant import holds, nothing_left
from tests.support.processes import many
from tests.support.programs import Cluster, pgbouncer
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

#: More than the server has connections.
PROCESSES = 32


@pytest.fixture
async def empty(small_cluster: Cluster) -> AsyncIterator[str]:
    """An empty database on a server with 20 connections."""
    async with fresh_database(small_cluster.dsn) as dsn:
        yield dsn


async def _all_return_well(
    dsn: str, database: str, path: Path | str, catalog: kimbledb.Catalog
) -> list[dict[str, Any]]:
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


async def test_one_builds_and_nobody_hangs(empty: str, steps: Steps, folder: Folder) -> None:
    """Of 32 processes one builds an index CONCURRENTLY; no waiter hangs in a deadlock with it (faults 11, 13, 14)."""
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
    """The 34 migrations are applied once by 32 processes, which all succeed, with 20 connections and with a pool of 5 (faults 11, 12, 23)."""
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


async def test_many_schemas_at_once(empty: str, steps: Steps) -> None:
    """Calls for schemas of one database, all of them missing with the history and an extension, do not fail each other (faults 12)."""
    folder = steps("a")
    (folder.path / "01_a" / "migration.toml").write_text('extensions = ["pg_trgm"]')
    catalog = folder.catalog

    await asyncio.gather(*(kimbledb.migrate(empty, catalog=catalog, schema=f"s{number % 6}") for number in range(18)))

    assert await sql(empty, "SELECT count(*) FROM pg_namespace WHERE nspname ~ '^s[0-5]$'") == 6
    for number in range(6):
        await holds(empty, catalog, f"s{number}")


async def test_calls_of_one_process_do_not_ask_in_turns(each_database: str, steps: Steps) -> None:
    """Of many calls of one process one works; its end wakes the others, and each of them has connected twice at most."""
    folder = steps("a", "b", after={"b": "SELECT pg_sleep(0.5);"})
    count = 12
    async with Proxy(each_database) as proxy:
        reports = await asyncio.gather(*(kimbledb.migrate(proxy.dsn, catalog=folder.catalog) for _ in range(count)))

        assert sorted(len(report.applied) for report in reports) == [0] * (count - 1) + [2]
        assert len(proxy.links) < 2 * count
    await holds(each_database, folder.catalog)


_ASLEEP = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep')"


async def test_a_call_waits_for_another_no_longer_than_it_may(each_database: str, steps: Steps) -> None:
    """A call's own deadline holds while another call of its process works, and the end of that one, by whatever cause, lets it go on."""
    folder = steps("a", after={"a": "SELECT pg_sleep(600);"})
    slow = asyncio.create_task(kimbledb.migrate(each_database, catalog=folder.catalog))
    await eventually(lambda: sql(each_database, _ASLEEP))

    with pytest.raises(kimbledb.DeadlineExceededError) as caught:
        await kimbledb.migrate(each_database, catalog=folder.catalog, options=kimbledb.Options(deadline=3.0))
    progress = kimbledb.Progress()
    (folder.path / "01_a" / "apply.sql").write_text("CREATE TABLE a (n integer);\nINSERT INTO a VALUES (1);\n")
    quick = asyncio.create_task(kimbledb.migrate(each_database, catalog=folder.catalog, progress=progress))
    first = await anext(aiter(progress))
    slow.cancel()
    report = await quick

    # It may have heard of it by the process, or, after its turn to look, by the server.
    [blocker] = caught.value.blockers
    assert blocker == "another call of this process" or "kimbledb, active" in blocker
    assert str(first).endswith(": another call of this process")
    assert [step.migration.name for step in report.applied] == ["a.sql"]
    with pytest.raises(asyncio.CancelledError):
        await slow
