"""Steps that cannot run in a transaction, interrupted."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

import kimbledb
from kimbledb.events import Event, Waiting
from kimbledb.server.locks import LOCK_CLASS
from tests.support.databases import fresh_database, sql
from tests.support.folders import Folder, Steps, names
from tests.support.invariant import OPTIONS, drained, holds, nothing_left
from tests.support.processes import start_child
from tests.support.programs import Cluster
from tests.support.proxy import Proxy
from tests.support.waiting import SLEEP, eventually, gate

BUILD = "CREATE INDEX CONCURRENTLY IF NOT EXISTS b ON a (n);\n"


@pytest.fixture
def with_build(steps: Steps, folder: Folder) -> Folder:
    """A catalog whose second migration builds an index."""
    steps("a")
    folder.add(2, "b", BUILD, facts='transactional = false\nrequires = ["a.sql"]', rollback="DROP INDEX b;")
    return folder


async def _is_valid(dsn: str) -> Any:
    return await sql(dsn, "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('b')")


async def _waits_for_snapshot(dsn: str) -> Any:
    return await sql(
        dsn, "SELECT max(pid) FROM pg_stat_activity WHERE wait_event = 'virtualxid' AND query LIKE 'CREATE INDEX%'"
    )


async def test_killed_while_an_index_is_built(each_database: str, with_build: Folder) -> None:
    """What a killed build leaves, an invalid index, is built again; the next run waits until the server is done with the old one (faults 1, 2, 15)."""
    await kimbledb.migrate(each_database, catalog=with_build.catalog, to=1)
    old = await asyncpg.connect(each_database)
    await old.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class")
    told: list[Event] = []
    async with await start_child(each_database, with_build.path, {"client_check_interval": 2}) as child:
        worker = await eventually(lambda: _waits_for_snapshot(each_database))
        child.kill()
        await child.end()
        # The server has not noticed yet: the worker's session is still there, and its lock.
        run = asyncio.create_task(
            kimbledb.migrate(each_database, catalog=with_build.catalog, options=OPTIONS, progress=told.append)
        )

        async def named() -> bool:
            return any(f"pid {worker}," in who for each in told if isinstance(each, Waiting) for who in each.blockers)

        await eventually(named)
    await old.execute("ROLLBACK")
    await old.close()

    assert names((await run).applied) == ["b.sql"]
    assert await _is_valid(each_database) is True
    await holds(each_database, with_build.catalog)


async def test_killed_after_a_statement(database: str, proxy: Proxy, steps: Steps, folder: Folder) -> None:
    """A statement that a transaction could hold is run once, though the process is killed before its reply (faults 2, 3)."""
    steps("a", after={"a": "CREATE TABLE extra (n integer);"})
    folder.add(
        2,
        "b",
        "INSERT INTO extra VALUES (1);\nVACUUM extra;",
        facts='transactional = false\nrequires = ["a.sql"]',
        rollback="SELECT 1;",
    )
    await kimbledb.migrate(database, catalog=folder.catalog, to=1)
    hold = proxy.hold(b"INSERT 0 1\x00")
    async with await start_child(proxy.dsn, folder.path, {"client_check_interval": 0.2}) as child:
        await hold.reach(child.ended())

        async def inserted() -> Any:
            return await sql(database, "SELECT count(*) FROM extra")

        await eventually(inserted)
        child.kill()
        await child.end()
    proxy.cut()

    assert names((await holds(database, folder.catalog)).applied) == ["b.sql"]
    assert await sql(database, "SELECT count(*) FROM extra") == 1


@pytest.mark.parametrize("lost", ["holder", "worker"])
async def test_one_of_the_two_connections_is_lost(database: str, steps: Steps, folder: Folder, lost: str) -> None:
    """Where the connection with the lock, or the one that works, is lost, the step goes on where it was (faults 4, 7)."""
    steps("a")
    folder.add(
        2,
        "b",
        f"VACUUM a;\n{SLEEP.replace('60', '3')}",
        facts='transactional = false\nrequires = ["a.sql"]',
        rollback="SELECT 1;",
    )
    async with gate(database) as asleep:
        run = asyncio.create_task(kimbledb.migrate(database, catalog=folder.catalog, options=OPTIONS))
        worker = await asleep()
        holder = await sql(
            database,
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'kimbledb' AND state = 'idle in transaction'",
        )
        await sql(database, "SELECT pg_terminate_backend($1)", {"holder": holder, "worker": worker}[lost])
    assert names((await run).applied) == ["a.sql", "b.sql"]
    log = "SELECT count(*) FROM migration_log WHERE event = 'statement' AND detail->>'state' = 'done'"
    assert await sql(database, log) == 2
    await holds(database, folder.catalog)


async def test_somebody_else_builds_that_index(database: str, with_build: Folder) -> None:
    """An index of that name that another session is building is waited for, and not built or dropped (faults 15)."""
    await kimbledb.migrate(database, catalog=with_build.catalog, to=1)
    old = await asyncpg.connect(database)
    await old.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class")
    other = await asyncpg.connect(database)
    building = asyncio.create_task(other.execute("CREATE INDEX CONCURRENTLY b ON a (n)"))
    await eventually(lambda: _waits_for_snapshot(database))
    told: list[Event] = []
    run = asyncio.create_task(
        kimbledb.migrate(database, catalog=with_build.catalog, options=OPTIONS, progress=told.append)
    )

    async def named() -> bool:
        return any("a build of the index b" in event.blockers for event in told if isinstance(event, Waiting))

    await eventually(named)
    await old.close()
    await building
    await other.close()

    assert names((await run).applied) == ["b.sql"]
    assert await _is_valid(database) is True
    await holds(database, with_build.catalog)


async def test_a_prepared_transaction_is_in_the_way(small_cluster: Cluster, with_build: Folder) -> None:
    """A prepared transaction that nobody ends is listed by the deadline's error, with what ends it (faults 19)."""
    async with fresh_database(small_cluster.dsn) as database:
        await kimbledb.migrate(database, catalog=with_build.catalog, to=1)
        await sql(database, "BEGIN; INSERT INTO a VALUES (2); DELETE FROM a WHERE n = 2; PREPARE TRANSACTION 'orphan'")

        with pytest.raises(kimbledb.DeadlineExceededError) as caught:
            await kimbledb.migrate(
                database, catalog=with_build.catalog, options=kimbledb.Options(deadline=3, client_check_interval=0.2)
            )

        assert "the prepared transaction 'orphan' of postgres" in str(caught.value)
        assert "ROLLBACK PREPARED ends it" in str(caught.value)
        await sql(database, "ROLLBACK PREPARED 'orphan'")
        assert names((await holds(database, with_build.catalog)).applied) == ["b.sql"]


async def test_the_lock_is_lost_between_statements(database: str, steps: Steps, folder: Folder) -> None:
    """No statement begins without the lock: a step whose holder is gone begins anew (faults 4, 12)."""
    steps("a")
    folder.add(
        2,
        "b",
        "SELECT pg_terminate_backend(l.pid, 5000) FROM pg_locks AS l WHERE l.locktype = 'advisory' AND l.pid <> pg_backend_pid()\n"
        "  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())\n"
        "  AND nextval('public.tries') = 1;\n"
        "DO $$ BEGIN IF NOT EXISTS (\n"
        f"  SELECT FROM pg_locks AS l WHERE l.locktype = 'advisory' AND l.granted AND l.classid = {LOCK_CLASS}\n"
        "    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())\n"
        ") THEN RAISE 'nobody holds the lock'; END IF; END $$;\nVACUUM a;",
        facts='transactional = false\nrequires = ["a.sql"]',
        rollback="SELECT 1;",
    )
    await sql(database, "CREATE SEQUENCE public.tries")

    report = await kimbledb.migrate(database, catalog=folder.catalog, options=OPTIONS)

    assert names(report.applied) == ["a.sql", "b.sql"]
    rows = "SELECT string_agg(detail->>'state', ' ' ORDER BY id) FROM migration_log WHERE event = 'statement'"
    assert await sql(database, rows) == "begun done begun done begun done"
    await drained(database)
    await nothing_left(database)


async def test_a_client_that_freezes(database: str, steps: Steps, folder: Folder) -> None:
    """The server by itself ends both sessions of a client that is frozen, and so its locks, when its deadline has passed."""
    steps("a")
    folder.add(2, "b", f"{SLEEP}VACUUM a;", facts='transactional = false\nrequires = ["a.sql"]', rollback="SELECT 1;")
    async with gate(database) as asleep, await start_child(database, folder.path, {"deadline": 3}) as child:
        await asleep()
        child.freeze()
        await drained(database)
        child.kill()
    assert names((await holds(database, folder.catalog)).applied) == ["b.sql"]


async def test_killed_while_indexes_are_built_again(each_database: str, steps: Steps, folder: Folder) -> None:
    """What a killed REINDEX CONCURRENTLY of a whole schema leaves is dropped by the next run (faults 15)."""
    steps("a", after={"a": "CREATE INDEX b ON a (n);"})
    folder.add(
        2,
        "b",
        "REINDEX (CONCURRENTLY) SCHEMA public;",
        facts='transactional = false\nrequires = ["a.sql"]',
        rollback="SELECT 1;",
    )
    await kimbledb.migrate(each_database, catalog=folder.catalog, to=1)
    old = await asyncpg.connect(each_database)
    await old.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class")
    invalid = "SELECT string_agg(relname, ',') FROM pg_index JOIN pg_class ON oid = indexrelid WHERE NOT indisvalid"
    async with await start_child(each_database, folder.path, {"client_check_interval": 0.2}) as child:
        await eventually(lambda: sql(each_database, invalid))
        child.kill()
        await child.end()
    await drained(each_database)
    assert "_ccnew" in await sql(each_database, invalid)
    await old.close()

    assert names((await holds(each_database, folder.catalog)).applied) == ["b.sql"]
    assert await sql(each_database, invalid) is None
    assert await _is_valid(each_database) is True


@pytest.fixture
async def with_partition(database: str, folder: Folder) -> Folder:
    """A catalog whose first migration, applied, makes a table with a partition, and whose second detaches that."""
    folder.add(
        1,
        "p",
        "CREATE TABLE p (n integer) PARTITION BY LIST (n);\nCREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);",
        rollback="DROP TABLE p;",
    )
    await kimbledb.migrate(database, catalog=folder.catalog)
    folder.add(
        2,
        "d",
        "ALTER TABLE /* p */ ONLY p DETACH PARTITION p1 CONCURRENTLY;\nINSERT INTO p1 VALUES (1);",
        facts='requires = ["p.sql"]\ntransactional = false',
        verify="-- name: detached\nSELECT count(*) = 0 AS passed FROM pg_inherits WHERE inhparent = 'p'::regclass",
        rollback="ALTER TABLE p ATTACH PARTITION p1 FOR VALUES IN (1);",
    )
    return folder


@pytest.mark.parametrize("finished", [False, True])
async def test_a_detach_that_was_interrupted(
    database: str, with_partition: Folder, connection: asyncpg.Connection, finished: bool
) -> None:
    """A partition that an interrupted run left half detached is detached by the next, also where somebody finished it by hand."""
    reader = await asyncpg.connect(database)
    await reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT * FROM p")
    with pytest.raises(kimbledb.DeadlineExceededError) as caught:
        await kimbledb.migrate(
            database, catalog=with_partition.catalog, options=kimbledb.Options(deadline=2, client_check_interval=0.2)
        )
    assert "apply.sql runs outside of a transaction: none of its 2 statements is done" in str(caught.value)
    await drained(database)
    assert await connection.fetchval("SELECT inhdetachpending FROM pg_inherits WHERE inhparent = 'p'::regclass") is True
    await reader.close()
    if finished:
        await connection.execute("ALTER TABLE p DETACH PARTITION p1 FINALIZE")

    report = await kimbledb.migrate(database, catalog=with_partition.catalog)

    assert [step.migration.name for step in report.applied] == ["d.sql"]
    assert await connection.fetchval("SELECT count(*) FROM p1") == 1


async def test_a_detach_that_another_hand_began(
    database: str, with_partition: Folder, connection: asyncpg.Connection
) -> None:
    """A partition that another hand left half detached is detached."""
    reader = await asyncpg.connect(database)
    await reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT * FROM p")
    await connection.execute("SET statement_timeout = '300ms'")
    with pytest.raises(asyncpg.QueryCanceledError):
        await connection.execute("ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY")
    await reader.close()

    report = await kimbledb.migrate(database, catalog=with_partition.catalog)

    assert [step.migration.name for step in report.applied] == ["d.sql"]
