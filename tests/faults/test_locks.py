"""Locks that others hold, and limits on time."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

import kimbledb
from kimbledb.events import Blocked, Event, Waiting
from kimbledb.server.locks import LOCK_CLASS, lock_key
from tests.support.databases import fresh_database, sql
from tests.support.folders import Folder, Steps, names
from tests.support.invariant import OPTIONS, drained, holds, nothing_left, whole
from tests.support.programs import Cluster
from tests.support.waiting import SLEEP, eventually, gate


@asynccontextmanager
async def session(dsn: str, *statements: str) -> AsyncIterator[tuple[asyncpg.Connection, int]]:
    """A session of the application's that has run statements, and its process id; rolled back at the end."""
    connection = await asyncpg.connect(dsn, server_settings={"application_name": "shop"})
    pid = connection.get_server_pid()
    try:
        for statement in statements:
            await connection.execute(statement)
        yield connection, pid
    finally:
        if not connection.is_closed():
            await connection.execute("ROLLBACK")
            await connection.close()


async def test_readers_do_not_queue_for_long(each_database: str, steps: Steps) -> None:
    """Readers wait behind a waiting migration no longer than for its lock timeout; the error names who blocks (faults 16)."""
    folder = steps("a", "b", after={"b": "ALTER TABLE a ADD COLUMN more integer;"})
    await kimbledb.migrate(each_database, catalog=folder.catalog, to=1)
    told: list[Event] = []

    async with (
        session(each_database, "BEGIN", "SELECT * FROM a") as (_, pid),
        session(each_database) as (reader, reader_pid),
        session(each_database) as (observer, _),
    ):
        queued = f"SELECT EXISTS (SELECT FROM pg_locks WHERE pid = {reader_pid} AND NOT granted)"
        patient = kimbledb.Options(lock_timeout=1, attempts=1000)
        migration = asyncio.create_task(kimbledb.migrate(each_database, catalog=folder.catalog, options=patient))

        async def read_behind_it() -> bool:
            reading = asyncio.create_task(reader.fetchval("SELECT count(*) FROM a"))
            waited = False
            # It ends, though what the migration waits for does not.
            async with asyncio.timeout(30):
                while not reading.done():
                    waited |= await observer.fetchval(queued)
            return waited

        await eventually(read_behind_it)
        assert not migration.done()
        migration.cancel()
        await asyncio.wait([migration])
        with pytest.raises(kimbledb.LockUnavailableError) as caught:
            await kimbledb.migrate(
                each_database,
                catalog=folder.catalog,
                options=kimbledb.Options(lock_timeout=1.6, attempts=2),
                progress=told.append,
            )

    error = caught.value
    [blocker] = error.blockers
    assert blocker.startswith(f"pid {pid}, shop, idle in transaction, transaction open for ")
    assert blocker.endswith(": SELECT * FROM a")
    assert blocker in str(error)
    assert "applying b.sql: 2 tries ended with: canceling statement due to lock timeout" in str(error)
    assert isinstance(error.__cause__, asyncpg.LockNotAvailableError)
    for kind in (Blocked, Waiting):
        assert any(str(pid) in who for event in told if isinstance(event, kind) for who in event.blockers)
    assert await whole(each_database, folder.catalog) == ["a.sql"]
    await holds(each_database, folder.catalog)


async def test_a_try_that_succeeds(database: str, steps: Steps) -> None:
    """A migration that met the application's lock is tried again as a whole, and succeeds when that is gone (faults 16)."""
    folder = steps("a", "b", "c", after={"b": "ALTER TABLE a ADD COLUMN more integer;"})
    await kimbledb.migrate(database, catalog=folder.catalog, to=1)
    async with session(database, "BEGIN", "SELECT * FROM a"):
        run = asyncio.create_task(
            kimbledb.migrate(database, catalog=folder.catalog, options=kimbledb.Options(lock_timeout=0.2, attempts=50))
        )
        await asyncio.sleep(1)
        assert not run.done()

    assert names((await run).applied) == ["b.sql", "c.sql"]
    await holds(database, folder.catalog)


async def test_the_report_says_how_long_locks_were_held(database: str, steps: Steps, folder: Folder) -> None:
    """Each step of the report has the time for which it can have held a lock, which the waiting is no part of (faults 16)."""
    steps("a", "b", after={"a": "SELECT pg_sleep(0.3);"})
    folder.add(3, "c", "CREATE INDEX CONCURRENTLY c ON a (n);", facts='transactional = false\nrequires = ["a.sql"]')

    report = await kimbledb.migrate(database, catalog=folder.catalog)

    slow, quick, outside = report.applied
    assert slow.held is not None
    assert quick.held is not None
    assert 0.3 <= slow.held <= slow.seconds
    assert quick.held < 0.3
    assert outside.held is None
    assert ["a.sql", f"{slow.seconds:.3f}", f"{slow.held:.3f}"] in [line.split() for line in str(report).splitlines()]
    await holds(database, folder.catalog)


async def test_a_deadlock_with_the_application(each_database: str, steps: Steps) -> None:
    """A migration that is the victim of a deadlock is tried again (faults 17)."""
    folder = steps("a", "b", "c", after={"c": f"LOCK TABLE a;\n{SLEEP.replace('60', '0.5')}LOCK TABLE b;"})
    await kimbledb.migrate(each_database, catalog=folder.catalog, to=2)
    told: list[Event] = []
    async with (
        gate(each_database),
        session(each_database, "SET deadlock_timeout = '1min'", "BEGIN", "LOCK TABLE b") as (application, _),
    ):
        run = asyncio.create_task(
            kimbledb.migrate(
                each_database, catalog=folder.catalog, options=kimbledb.Options(lock_timeout=20), progress=told.append
            )
        )

        async def has_a() -> bool:
            query = "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = to_regclass('a') AND mode = 'AccessExclusiveLock')"
            return bool(await sql(each_database, query))

        await eventually(has_a)
        await application.execute("LOCK TABLE a; ROLLBACK")

    report = await run

    assert names(report.applied) == ["c.sql"]
    assert any(isinstance(event, Waiting) for event in told)
    await holds(each_database, folder.catalog)


async def test_a_serialization_failure(database: str, steps: Steps) -> None:
    """A script that meets a row which the application has just moved to another partition is tried again (faults 17)."""
    await sql(
        database,
        "CREATE SCHEMA shop; CREATE TABLE shop.p (k integer, n integer) PARTITION BY LIST (k); "
        "CREATE TABLE shop.p1 PARTITION OF shop.p FOR VALUES IN (1); CREATE TABLE shop.p2 PARTITION OF shop.p FOR VALUES IN (2); "
        "INSERT INTO shop.p VALUES (1, 1)",
    )
    folder = steps("a", after={"a": "UPDATE shop.p SET n = n + 1;"})
    told: list[Event] = []
    async with session(database, "BEGIN", "UPDATE shop.p SET k = 2") as (application, pid):
        run = asyncio.create_task(
            kimbledb.migrate(
                database, catalog=folder.catalog, options=kimbledb.Options(lock_timeout=20), progress=told.append
            )
        )

        async def waits() -> bool:
            return bool(
                await sql(
                    database, f"SELECT EXISTS (SELECT FROM pg_stat_activity WHERE {pid} = ANY (pg_blocking_pids(pid)))"
                )
            )

        await eventually(waits)
        await application.execute("COMMIT")
        report = await run

    assert names(report.applied) == ["a.sql"]
    assert any(isinstance(event, Waiting) for event in told)
    assert await sql(database, "SELECT n FROM shop.p") == 2
    await holds(database, folder.catalog)


async def test_a_lock_that_a_check_does_not_get(database: str, steps: Steps) -> None:
    """A verification that waits in vain for a lock is no failed one: the migration is tried again (faults 17)."""
    await sql(database, "CREATE SCHEMA shop; CREATE TABLE shop.held (n integer)")
    folder = steps("a", check={"a": "SELECT count(*) = 0 AS passed FROM shop.held"})
    async with session(database, "BEGIN", "LOCK TABLE shop.held") as (application, _):
        ending: list[asyncio.Task[Any]] = []

        def watch(event: object) -> None:
            if isinstance(event, Waiting) and not ending:
                ending.append(asyncio.create_task(application.execute("ROLLBACK")))

        report = await kimbledb.migrate(database, catalog=folder.catalog, options=OPTIONS, progress=watch)

    assert names(report.applied) == ["a.sql"]
    assert ending
    await holds(database, folder.catalog)


async def test_a_roles_own_limits(each_database: str, steps: Steps, folder: Folder) -> None:
    """Limits and defaults of the role end no migration, in a transaction or outside of one (faults 18)."""
    steps("a", after={"a": "SELECT pg_sleep(0.5);"})
    folder.add(
        2,
        "b",
        "CREATE INDEX CONCURRENTLY b ON a (n);\nSELECT pg_sleep(0.5);",
        facts='transactional = false\nrequires = ["a.sql"]',
        rollback="DROP INDEX b;",
    )
    settings = {
        "statement_timeout": "200ms",
        "lock_timeout": "1ms",
        "idle_in_transaction_session_timeout": "100ms",
        "idle_session_timeout": "300ms",
        "default_transaction_isolation": "serializable",
        "default_transaction_deferrable": "on",
        "standard_conforming_strings": "off",
        "search_path": "nowhere",
        "row_security": "on",
        "client_min_messages": "error",
    }
    if await sql(each_database, "SELECT current_setting('transaction_timeout', true) IS NOT NULL"):
        settings["transaction_timeout"] = "200ms"
    limits = "".join(f"ALTER ROLE limited SET {name} = '{value}';" for name, value in settings.items())
    await sql(each_database, f"CREATE ROLE limited SUPERUSER LOGIN PASSWORD 'limited'; {limits}")
    try:
        dsn = f"postgresql://limited:limited@{each_database.rpartition('@')[2]}"

        report = await kimbledb.migrate(dsn, catalog=folder.catalog)

        assert names(report.applied) == ["a.sql", "b.sql"]
        await holds(dsn, folder.catalog)
    finally:
        await sql(each_database, "DROP OWNED BY limited; DROP ROLE limited")


async def test_a_migrations_own_limit(database: str, steps: Steps) -> None:
    """A statement that takes longer than its migration's limit stops the run, names its line and says what to raise (faults 18)."""
    folder = steps("a", "b", after={"b": SLEEP})
    (folder.path / "02_b" / "migration.toml").write_text('requires = ["a.sql"]\nstatement_timeout = 0.5')
    async with gate(database):
        with pytest.raises(kimbledb.MigrationError) as caught:
            await kimbledb.migrate(database, catalog=folder.catalog, options=OPTIONS)

    error = caught.value
    assert (error.sqlstate, names(error.applied)) == ("57014", ["a.sql"])
    assert error.hint is not None
    assert "raise statement_timeout in migration.toml" in error.hint
    await holds(database, folder.catalog)


async def test_who_says_that_it_is_at_work_keeps_nobody_out(database: str, steps: Steps) -> None:
    """A run gives way to a session that says so and works, is told who it is, and goes on where that one is idle."""
    folder = steps("a", "b")
    told: list[Event] = []
    # "kdb3", as a session of ours takes it before it sends several migrations.
    claim = f"SELECT pg_advisory_lock_shared({0x6B646233}, {lock_key('public')})"
    async with session(database, claim) as (worker, pid):
        working = asyncio.create_task(worker.execute("SELECT pg_sleep(30)"))

        async def begun() -> Any:
            return await sql(database, "SELECT max(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")

        await eventually(begun)
        run = asyncio.create_task(
            kimbledb.migrate(database, catalog=folder.catalog, options=OPTIONS, progress=told.append)
        )

        async def waiting() -> bool:
            return any(f"pid {pid}," in each for event in told if isinstance(event, Waiting) for each in event.blockers)

        await eventually(waiting)
        assert await whole(database, folder.catalog) == []
        await sql(database, "SELECT pg_cancel_backend($1)", pid)
        with pytest.raises(asyncpg.QueryCanceledError):
            await working

        report = await run

    assert names(report.applied) == ["a.sql", "b.sql"]
    await nothing_left(database)


async def test_a_statement_that_an_operator_cancels(database: str, steps: Steps) -> None:
    """A cancelled statement is told from one that took too long, and is not run again by itself (faults 18)."""
    folder = steps("a", "b", after={"b": SLEEP})
    async with gate(database) as asleep:
        run = asyncio.create_task(kimbledb.migrate(database, catalog=folder.catalog, options=OPTIONS))
        await sql(database, "SELECT pg_cancel_backend($1)", await asleep())
        with pytest.raises(kimbledb.MigrationError) as caught:
            await run

    error = caught.value
    assert error.sqlstate == "57014"
    assert error.hint == "somebody cancelled it on the server (pg_cancel_backend): run again"
    await holds(database, folder.catalog)


async def test_an_own_build_of_an_index_has_an_old_snapshot_before_it(
    each_database: str, steps: Steps, folder: Folder
) -> None:
    """A build that waits for an old snapshot ends by the deadline, and the error lists who has it (faults 14, 19)."""
    steps("a")
    folder.add(
        2,
        "b",
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS b ON a (n);",
        facts="transactional = false",
        rollback="DROP INDEX b;",
    )
    await kimbledb.migrate(each_database, catalog=folder.catalog, to=1)
    told: list[Event] = []
    async with session(each_database, "BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT count(*) FROM pg_class") as (
        _,
        pid,
    ):
        with pytest.raises(kimbledb.DeadlineExceededError) as caught:
            await kimbledb.migrate(
                each_database,
                catalog=folder.catalog,
                options=kimbledb.Options(deadline=3, client_check_interval=0.2),
                progress=told.append,
            )
        await drained(each_database)
        assert await sql(each_database, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'b'::regclass") is False

    assert f"held by pid {pid}, shop, idle in transaction" in str(caught.value)
    assert "SELECT count(*) FROM pg_class" in str(caught.value)
    assert any(str(pid) in event.blockers[0] for event in told if isinstance(event, Blocked))
    report = await holds(each_database, folder.catalog)
    assert names(report.applied) == ["b.sql"]
    assert await sql(each_database, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'b'::regclass") is True


async def test_somebody_holds_the_lock(database: str, steps: Steps) -> None:
    """Who holds the lock is named with process, application, state, age and query; nobody is terminated (faults 21)."""
    folder = steps("a")
    take = f"SELECT pg_advisory_xact_lock({LOCK_CLASS}, {lock_key('public')})"
    told: list[Event] = []
    async with session(database, "BEGIN", take) as (application, pid):
        with pytest.raises(kimbledb.DeadlineExceededError) as caught:
            await kimbledb.migrate(
                database, catalog=folder.catalog, options=kimbledb.Options(deadline=3), progress=told.append
            )
        assert await application.fetchval("SELECT 1") == 1

    [blocker] = caught.value.blockers
    assert blocker.startswith(f"pid {pid}, shop, idle in transaction, transaction open for ")
    assert blocker.endswith("s: " + re.sub(r"\d+", "***", take))  # values of somebody else's query are masked
    assert "while waiting for another run" in str(caught.value)
    waits = [event for event in told if isinstance(event, Waiting)]
    assert len(waits) > 1
    assert all(str(pid) in event.blockers[0] for event in waits)
    await holds(database, folder.catalog)


async def test_times_come_from_the_server_where_clocks_differ(
    database: str, steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """History has the server's time and durations a clock that nobody sets, whatever this machine's clock says (faults 22)."""
    folder = steps("a", "b")
    clock = iter(range(10**9, 0, -1000))
    monkeypatch.setattr(time, "time", lambda: float(next(clock)))

    report = await kimbledb.migrate(database, catalog=folder.catalog)

    monkeypatch.undo()
    assert 0 <= report.seconds < 60
    assert all(0 <= step.seconds < 60 for step in report.applied)
    query = "SELECT bool_and(now() - applied_at BETWEEN interval '0' AND interval '1 minute') FROM migration_history"
    assert await sql(database, query) is True
    await nothing_left(database)


async def test_history_is_locked(each_database: str, steps: Steps) -> None:
    """A start waits for history no longer than its lock timeout at a time, and its connection is of use after that (faults 16)."""
    catalog = steps("a").catalog
    await kimbledb.migrate(each_database, catalog=catalog)
    connection = await asyncpg.connect(each_database)

    async with session(each_database, "BEGIN", "LOCK migration_history IN ACCESS EXCLUSIVE MODE"):
        for target in (each_database, connection):
            with pytest.raises(kimbledb.LockUnavailableError, match="lock timeout"):
                await kimbledb.migrate(
                    target, catalog=catalog, options=kimbledb.Options(lock_timeout=0.3, attempts=2, deadline=30)
                )

    assert (await kimbledb.migrate(connection, catalog=catalog)).applied == ()
    await connection.close()
    await holds(each_database, catalog)


@pytest.mark.parametrize("dry_run", [True, False])
async def test_who_blocks_a_rollback(database: str, steps: Steps, dry_run: bool) -> None:
    """A rollback that cannot get a lock, also where it only tries what would go, names who has it (faults 16)."""
    folder = steps("a", "b")
    await kimbledb.migrate(database, catalog=folder.catalog)

    async with session(database, "BEGIN", "SELECT * FROM b") as (_, pid):
        with pytest.raises(kimbledb.LockUnavailableError) as caught:
            await kimbledb.rollback(
                database,
                "b.sql",
                catalog=folder.catalog,
                allow_data_loss=True,
                dry_run=dry_run,
                options=kimbledb.Options(lock_timeout=1.6, attempts=2),
            )

    assert f"held by pid {pid}, shop, idle in transaction" in str(caught.value)


async def test_who_blocks_an_adoption(database: str, folder: Folder) -> None:
    """adopt() that cannot write history names who has locked it."""
    folder.table(1, "a")
    await folder.declared(database)
    await kimbledb.migrate(database, catalog=folder.catalog)
    await sql(database, "DELETE FROM migration_history")

    async with session(database, "BEGIN", "LOCK TABLE migration_history IN SHARE MODE") as (_, pid):
        with pytest.raises(kimbledb.LockUnavailableError) as caught:
            await kimbledb.adopt(
                database, catalog=folder.catalog, options=kimbledb.Options(lock_timeout=1.6, attempts=2)
            )

    assert f"held by pid {pid}, shop, idle in transaction" in str(caught.value)


SLOW = "SELECT pg_sleep(0.7);\nSELECT pg_sleep(0.7);\n"


@pytest.mark.parametrize("outside", [False, True])
@pytest.mark.parametrize(
    ("script", "hint"),
    [
        # Longer than the limit in all, but no statement is.
        (f"{SLOW}SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(5);", "somebody cancelled it on the server"),
        ("SELECT set_config('statement_timeout', '100', true);\nSELECT pg_sleep(5);", "the statement took longer"),
        ("SELECT pg_sleep(5);", "the statement took longer"),
        ("DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '57014', HINT = 'ask'; END $$;", "ask"),
    ],
)
async def test_who_cancelled_a_statement(database: str, folder: Folder, script: str, hint: str, outside: bool) -> None:
    """A statement whose time was up is told from one that somebody cancelled and from a script that raises that code (faults 18)."""
    if outside and "set_config" in script:
        script = f"DO $$ BEGIN PERFORM set_config('statement_timeout', '100', false); END $$;\n{SLOW}"
    folder.add(1, "a", script, facts="transactional = false" if outside else "")

    with pytest.raises(kimbledb.MigrationError) as caught:
        await kimbledb.migrate(database, catalog=folder.catalog, options=kimbledb.Options(statement_timeout=1.0))

    assert caught.value.sqlstate == "57014"
    assert (caught.value.hint or "").startswith(hint)


async def test_a_synchronous_standby_that_is_gone(small_cluster: Cluster, steps: Steps) -> None:
    """A COMMIT that waits for a standby is told as that, by the run itself and by one that waits for its lock."""
    async with fresh_database(small_cluster.dsn) as database:
        folder = steps("a", "b")
        await kimbledb.migrate(database, catalog=folder.catalog, to=1)
        await sql(database, "ALTER SYSTEM SET synchronous_standby_names = 'elsewhere'")
        try:
            await sql(database, "SELECT pg_reload_conf()")
            for _ in range(2):
                with pytest.raises(kimbledb.DeadlineExceededError) as caught:
                    await kimbledb.migrate(
                        database,
                        catalog=folder.catalog,
                        options=kimbledb.Options(deadline=4, lock_timeout=0.5, client_check_interval=0.2),
                    )
                assert "held by a COMMIT (pid " in str(caught.value)
                assert "waits for a synchronous standby" in str(caught.value)
                assert "synchronous_standby_names = 'elsewhere'" in str(caught.value)
        finally:
            await sql(database, "ALTER SYSTEM RESET synchronous_standby_names")
            await sql(database, "SELECT pg_reload_conf()")
        await holds(database, folder.catalog)
