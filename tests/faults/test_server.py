"""Servers that cannot do what is wanted: standbys, full disks, other encodings, small lock tables."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest

import kimbledb
from kimbledb.events import Event
from kimbledb.inspection import preflight
from kimbledb.server.locks import LOCK_CLASS, lock_key
from tests.support.databases import fresh_database, sql
from tests.support.folders import Folder, Steps, names
from tests.support.invariant import OPTIONS, holds, nothing_left, whole
from tests.support.programs import Cluster, account
from tests.support.programs import folder as owned_folder
from tests.support.waiting import eventually


async def _run(*command: str) -> int:
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    return await process.wait()


@pytest.fixture
def standby(small_cluster: Cluster) -> Iterator[Cluster]:
    """A streaming standby of the cluster, running."""
    with owned_folder() as home:
        copy = small_cluster.copy_to(
            home / "data", {"hot_standby": "on", "max_connections": "40", "max_prepared_transactions": "5"}
        )
        copy.start()
        try:
            yield copy
        finally:
            copy.stop()


async def test_a_standby_is_read_and_never_written(small_cluster: Cluster, standby: Cluster, steps: Steps) -> None:
    """On a standby everything that reads works and a start-up succeeds; what would write stops before any lock (faults 26, 27)."""
    catalog = steps("a", "b").catalog
    async with fresh_database(small_cluster.dsn) as primary:
        report = await kimbledb.migrate(primary, catalog=catalog, to="a.sql")
        there = f"{standby.dsn.rpartition('/')[0]}/{primary.rpartition('/')[2]}"

        async def caught_up() -> Any:
            return await sql(standby.dsn, "SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn", report.lsn)

        await eventually(caught_up)

        assert [step.name for step in (await kimbledb.plan(there, catalog=catalog)).pending] == ["b.sql"]
        assert (await kimbledb.verify(there, catalog=catalog)).ok
        assert (await kimbledb.status(there, catalog=catalog)).history
        assert (await kimbledb.migrate(there, catalog=catalog, to="a.sql")).applied == ()
        with pytest.raises(kimbledb.PreflightError, match="the server is a standby, which is read-only") as caught:
            await kimbledb.migrate(there, catalog=catalog)
        assert "connect to the primary" in str(caught.value)
        with pytest.raises(kimbledb.PreflightError, match="standby"):
            await kimbledb.rollback(there, "a.sql", catalog=catalog, allow_data_loss=True)
        await kimbledb.migrate(primary, catalog=catalog)
        assert (await kimbledb.wait(there, catalog=catalog)).plan.pending == ()
        assert await sql(there, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0


async def test_nothing_to_do_beside_a_holder(small_cluster: Cluster, steps: Steps) -> None:
    """Up to date, a start takes no lock, writes nothing, and does not wait for somebody who holds the lock (faults 11)."""
    catalog = steps("a").catalog
    # A server of its own: nobody else takes numbers of transactions there.
    async with fresh_database(small_cluster.dsn) as dsn:
        await kimbledb.migrate(dsn, catalog=catalog)
        holder = await asyncpg.connect(dsn)
        await holder.execute("BEGIN")
        await holder.execute(f"SELECT pg_advisory_xact_lock({LOCK_CLASS}, {lock_key('public')})")
        await holder.execute("LOCK migration_history, migration_log IN SHARE MODE")
        before = await sql(dsn, "SELECT pg_current_xact_id()::text::bigint")

        report = await kimbledb.migrate(dsn, catalog=catalog, options=kimbledb.Options(deadline=20))

        assert report.applied == ()
        # Each look at the counter takes one number itself; nobody else took any.
        assert await sql(dsn, "SELECT pg_current_xact_id()::text::bigint") == before + 1
        await holder.execute("ROLLBACK")
        await holder.close()


async def test_a_full_disk(small_cluster: Cluster, steps: Steps) -> None:
    """A full disk stops the run with the server's error, whether or not the failure can be written down, and no retry (faults 10)."""
    folder = steps(
        "a",
        "b",
        after={"b": "CREATE TABLE filled AS SELECT repeat('x', 900) || n AS t FROM generate_series(1, 40000) AS n;"},
    )
    told: list[Event] = []
    with owned_folder() as home:
        owner = account()
        mounting = f"size=20m,mode=700,uid={owner.get('user', 0)}"
        if await _run("mount", "-t", "tmpfs", "-o", mounting, "tmpfs", str(home)) != 0:
            pytest.skip("a small file system cannot be mounted here")
        try:
            (home / "space").mkdir()
            shutil.chown(home / "space", owner["user"], owner["group"])
            await sql(small_cluster.dsn, f"CREATE TABLESPACE small LOCATION '{home / 'space'}'")
            async with fresh_database(small_cluster.dsn, options="TABLESPACE small") as dsn:
                with pytest.raises(kimbledb.MigrationError) as caught:
                    await kimbledb.migrate(dsn, catalog=folder.catalog, options=OPTIONS, progress=told.append)

                assert caught.value.sqlstate == "53100"
                assert [type(event).__name__ for event in told].count("Applying") == 2
                assert await whole(dsn, folder.catalog) == ["a.sql"]
                await nothing_left(dsn)
                # With room again it goes on.
                (folder.path / "02_b" / "apply.sql").write_text(
                    "CREATE TABLE b (n integer);\nINSERT INTO b VALUES (1);\n"
                )
                await holds(dsn, folder.catalog)
            await sql(small_cluster.dsn, "DROP TABLESPACE small")
        finally:
            assert await _run("umount", str(home)) == 0


async def test_a_lock_table_that_is_too_small(small_cluster: Cluster, folder: Folder) -> None:
    """A transaction too large for the server's lock table stops with what to raise, and leaves nothing (faults 20)."""
    folder.add(
        1,
        "a",
        "DO $$ BEGIN FOR n IN 1..12000 LOOP EXECUTE format('CREATE TABLE t%s ()', n); END LOOP; END $$;",
        rollback="SELECT 1;",
    )
    async with fresh_database(small_cluster.dsn) as dsn:
        with pytest.raises(kimbledb.MigrationError) as caught:
            await kimbledb.migrate(dsn, catalog=folder.catalog, options=OPTIONS)

        assert caught.value.sqlstate == "53200"
        assert "max_locks_per_transaction" in str(caught.value)
        assert await sql(dsn, "SELECT count(*) FROM pg_class WHERE relname ~ '^t[0-9]'") == 0
        await nothing_left(dsn)


async def test_another_encoding(small_cluster: Cluster, steps: Steps) -> None:
    """A database that is not UTF-8 is refused before anything is touched (faults 34)."""
    catalog = steps("a").catalog
    async with fresh_database(small_cluster.dsn, options="ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'") as dsn:
        with pytest.raises(kimbledb.PreflightError, match="has the encoding LATIN1") as caught:
            await kimbledb.migrate(dsn, catalog=catalog)

        assert "ENCODING 'UTF8'" in str(caught.value)
        assert await sql(dsn, "SELECT to_regclass('migration_history') IS NULL")


async def test_an_older_server(each_database: str, steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server older than the oldest that will do is refused with both versions (faults 33)."""
    catalog = steps("a").catalog
    monkeypatch.setattr(preflight, "OLDEST_SERVER", 990000)

    with pytest.raises(kimbledb.PreflightError, match=r"the server is PostgreSQL 1\d\.\d+.*, and 99 is the oldest"):
        await kimbledb.migrate(each_database, catalog=catalog)

    assert await sql(each_database, "SELECT to_regclass('migration_history') IS NULL")


async def test_a_newer_server(
    each_database: str, steps: Steps, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A newer major version than was tried is told of by a warning, and works (faults 33)."""
    catalog = steps("a").catalog
    monkeypatch.setattr(preflight, "NEWEST_KNOWN", 14)

    with caplog.at_level(logging.WARNING, "kimbledb"):
        report = await kimbledb.migrate(each_database, catalog=catalog)

    assert names(report.applied) == ["a.sql"]
    assert "this kimbledb was tested on 15 to 14" in caplog.text
