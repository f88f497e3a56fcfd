"""Processes that are killed, connections that are cut, replies that are lost."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import asyncpg
import pytest

import kimbledb
from kimbledb.events import Event
from tests.support.databases import sql
from tests.support.folders import Steps, names
from tests.support.invariant import OPTIONS, drained, holds, nothing_left, whole
from tests.support.processes import start_child
from tests.support.proxy import Proxy
from tests.support.waiting import SLEEP, eventually, gate

#: The server's word that a migration's history row is written; its COMMIT is in the same message.
RECORDED = b"CKD102"


async def test_killed_while_a_statement_runs(each_database: str, steps: Steps) -> None:
    """A process killed in mid-statement leaves nothing of that migration; the server stops the statement soon (faults 1)."""
    folder = steps("a", "b", "c", after={"b": SLEEP})
    async with (
        gate(each_database) as asleep,
        await start_child(each_database, folder.path, {"client_check_interval": 0.2}) as child,
    ):
        await asleep()
        child.kill()
        killed = time.monotonic()
        await drained(each_database)
        assert time.monotonic() - killed < 40  # and not the minute that the statement would take

        assert await whole(each_database, folder.catalog) == ["a.sql"]

    assert names((await holds(each_database, folder.catalog)).applied) == ["b.sql", "c.sql"]


@pytest.mark.parametrize("gap", ["lock", "script", "verification", "history row"])
async def test_killed_in_a_gap(database: str, steps: Steps, gap: str) -> None:
    """A process killed after the lock, the script, the verification or the history row leaves nothing (faults 1, 2)."""
    sleeping_check = (
        "SELECT CASE WHEN to_regclass('public.gate') IS NULL THEN true ELSE pg_sleep(60) IS NULL END AS passed"
    )
    folder = steps(
        "a",
        "b",
        after={"b": SLEEP} if gap == "script" else {},
        check={"b": sleeping_check} if gap == "verification" else {},
    )
    await kimbledb.migrate(database, catalog=folder.catalog, to=1)
    if gap == "lock":
        file = folder.path / "02_b" / "apply.sql"
        file.write_text(SLEEP + file.read_text())
    if gap == "history row":
        await sql(
            database,
            "CREATE FUNCTION public.nap() RETURNS trigger LANGUAGE plpgsql AS "
            f"$nap$ BEGIN {SLEEP.replace('DO $gate$ BEGIN', '').replace('END $gate$;', '')} RETURN NULL; END $nap$;"
            "CREATE TRIGGER nap AFTER INSERT ON migration_history EXECUTE FUNCTION public.nap()",
        )
    async with (
        gate(database) as asleep,
        await start_child(database, folder.path, {"client_check_interval": 0.2}) as child,
    ):
        await asleep()
        child.kill()
        await drained(database)

        assert await whole(database, folder.catalog) == ["a.sql"]

    assert names((await holds(database, folder.catalog)).applied) == ["b.sql"]


async def test_killed_after_the_commit(database: str, proxy: Proxy, steps: Steps) -> None:
    """A process killed after the COMMITs of a message and before their replies leaves its migrations whole (faults 2, 3)."""
    folder = steps("a", "b")
    hold = proxy.hold(RECORDED, occurrence=1)
    async with await start_child(proxy.dsn, folder.path) as child:
        await hold.reach(child.ended())

        async def both() -> bool:
            return await whole(database, folder.catalog) == ["a.sql", "b.sql"]

        await eventually(both)
        child.kill()
        await child.end()

    assert names((await holds(database, folder.catalog)).applied) == []


async def test_the_reply_to_commit_is_lost(database: str, proxy: Proxy, steps: Steps) -> None:
    """A committed migration whose reply is lost counts as applied, and is not run again (faults 3, 9)."""
    folder = steps("a", "b", "c")
    hold = proxy.hold(RECORDED, occurrence=2)
    run = asyncio.create_task(kimbledb.migrate(proxy.dsn, catalog=folder.catalog, options=OPTIONS))
    (await hold.reach(run)).cut()

    report = await run

    assert names(report.applied) == ["a.sql", "b.sql", "c.sql"]
    assert report.lsn is not None
    await holds(database, folder.catalog)


async def test_the_last_reply_is_lost(database: str, proxy: Proxy, steps: Steps) -> None:
    """Where the last migration's reply is lost the report is as whole as it would have been (faults 3, 27)."""
    folder = steps("a", "b")
    hold = proxy.hold(RECORDED, occurrence=2)
    run = asyncio.create_task(kimbledb.migrate(proxy.dsn, catalog=folder.catalog, options=OPTIONS))
    (await hold.reach(run)).cut()

    report = await run

    assert names(report.applied) == ["a.sql", "b.sql"]
    assert report.lsn is not None
    await holds(database, folder.catalog)


async def test_the_message_never_arrives(database: str, proxy: Proxy, steps: Steps) -> None:
    """A migration that the server never got is run once, after the connection is made anew (faults 3, 4)."""
    folder = steps("a", "b", "c")
    hold = proxy.hold(b"INSERT INTO b", toward="server")
    run = asyncio.create_task(kimbledb.migrate(proxy.dsn, catalog=folder.catalog, options=OPTIONS))
    (await hold.reach(run)).cut()

    report = await run

    assert names(report.applied) == ["a.sql", "b.sql", "c.sql"]
    await holds(database, folder.catalog)


async def test_cut_while_the_old_backend_goes_on(database: str, proxy: Proxy, steps: Steps) -> None:
    """A run that lost its connection waits for its old backend under the lock, and names it (faults 4, 21)."""
    folder = steps("a", "b", "c", after={"b": SLEEP})
    told: list[Event] = []
    async with gate(database) as asleep:
        run = asyncio.create_task(
            kimbledb.migrate(proxy.dsn, catalog=folder.catalog, options=OPTIONS, progress=told.append)
        )
        pid = await asleep()
        proxy.links[-1].lose_client()

        async def named() -> bool:
            return any(f"pid {pid}, kimbledb, active" in who for each in told for who in getattr(each, "blockers", ()))

        await eventually(named)
        assert not run.done()
        await sql(database, "SELECT pg_terminate_backend($1)", pid)

    report = await run

    assert names(report.applied) == ["a.sql", "b.sql", "c.sql"]
    await holds(database, folder.catalog)


async def test_what_the_old_backend_commits_counts(database: str, proxy: Proxy, steps: Steps) -> None:
    """A migration that the old backend commits after its client was lost counts as applied, and is run once (faults 3, 4)."""
    folder = steps("a", "b", "c", after={"b": "SELECT pg_sleep(1.5);"})
    run = asyncio.create_task(kimbledb.migrate(proxy.dsn, catalog=folder.catalog, options=OPTIONS))

    async def asleep() -> Any:
        return await sql(database, "SELECT max(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")

    await eventually(asleep)
    proxy.links[-1].lose_client()

    report = await run

    assert names(report.applied) == ["a.sql", "b.sql", "c.sql"]
    await nothing_left(database)
    proxy.cut()
    await holds(database, folder.catalog)


async def test_a_lone_connection_is_lost(database: str, proxy: Proxy, steps: Steps) -> None:
    """With a connection as target a lost reply is an unknown outcome, by name, and the connection is closed (faults 3, 7)."""
    folder = steps("a", "b")
    hold = proxy.hold(RECORDED, occurrence=1)
    connection = await asyncpg.connect(proxy.dsn)
    run = asyncio.create_task(kimbledb.migrate(connection, catalog=folder.catalog, options=OPTIONS))
    (await hold.reach(run)).cut()

    with pytest.raises(kimbledb.OutcomeUnknownError) as caught:
        await run

    assert (caught.value.migration, caught.value.applied) == ("a.sql", ())
    assert connection.is_closed()
    assert names((await holds(database, folder.catalog)).applied) == ["b.sql"]


@pytest.mark.parametrize("target", ["dsn", "pool"])
async def test_the_backend_is_terminated(database: str, steps: Steps, target: str) -> None:
    """A run whose backend is terminated connects again and goes on (faults 4, 7)."""
    folder = steps("a", "b", "c", after={"b": SLEEP})
    async with asyncpg.create_pool(database, min_size=1, max_size=2) as pool:
        async with gate(database) as asleep:
            run = asyncio.create_task(
                kimbledb.migrate(database if target == "dsn" else pool, catalog=folder.catalog, options=OPTIONS)
            )
            await sql(database, "SELECT pg_terminate_backend($1)", await asleep())
        report = await run
        assert await pool.fetchval("SELECT count(*) FROM b") == 1

    assert names(report.applied) == ["a.sql", "b.sql", "c.sql"]
    await holds(database, folder.catalog)


async def test_a_lone_connections_backend_is_terminated(database: str, steps: Steps) -> None:
    """The error of a connection that the server ended says so, and that nothing was committed is known (faults 7)."""
    folder = steps("a", after={"a": SLEEP})
    connection = await asyncpg.connect(database)
    async with gate(database) as asleep:
        run = asyncio.create_task(kimbledb.migrate(connection, catalog=folder.catalog, options=OPTIONS))
        await sql(database, "SELECT pg_terminate_backend($1)", await asleep())
        with pytest.raises(kimbledb.ConnectionLostError) as caught:
            await run

    lost = caught.value
    assert "terminating connection due to administrator command" in str(lost)
    assert isinstance(lost.__cause__, asyncpg.PostgresError)
    assert connection.is_closed()
    await holds(database, folder.catalog)


async def test_a_statement_that_kills_its_backend(database: str, steps: Steps) -> None:
    """A migration whose connection is lost at every try stops after a few, with the first cause (faults 4, 7)."""
    folder = steps("a", "b", after={"b": "SELECT pg_terminate_backend(pg_backend_pid());"})

    with pytest.raises(kimbledb.ConnectionLostError, match="administrator command"):
        await kimbledb.migrate(database, catalog=folder.catalog, options=OPTIONS)

    await drained(database)
    assert await whole(database, folder.catalog) == ["a.sql"]
    await nothing_left(database)
