"""Many schemas and databases in one call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

import kimbledb
from kimbledb.events import Applied, Done, OneOfMany, Stopped
from tests.support.databases import sql
from tests.support.folders import Folder
from tests.support.proxy import Proxy
from tests.support.waiting import eventually


def counts(report: kimbledb.ManyReport[kimbledb.MigrationReport]) -> list[int]:
    """How many migrations were applied to each, where it did not fail."""
    return [len(result.report.applied) for result in report.results if result.report]


def with_index_build(folder: Folder) -> None:
    """Fill a folder with a table, and with an index that cannot be built in a transaction."""
    folder.table(1, "people")
    folder.add(
        2,
        "index",
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS people_again ON people (id);",
        facts="transactional = false",
        rollback="DROP INDEX IF EXISTS people_again",
    )


async def test_many_schemas_by_few_connections(database: str, folder: Folder) -> None:
    """Two dozen schemas are migrated, looked at and (some) verified by no more connections than allowed, over all or to a server."""
    folder.table(1, "people")
    schemas = [f"tenant_{number:03}" for number in range(24)]
    most = 0
    over = asyncio.Event()

    async def count() -> None:
        nonlocal most
        watching = await asyncpg.connect(database)
        question = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        while not over.is_set():
            most = max(most, await watching.fetchval(question))
            await asyncio.sleep(0.02)
        await watching.close()

    counting = asyncio.create_task(count())
    given: dict[str, Any] = {"schemas": schemas, "catalog": folder.catalog, "concurrency": 5}
    few = {**given, "schemas": schemas[::12]}
    plans = await kimbledb.plan_many(database, **few)
    report = await kimbledb.migrate_many(database, **{**given, "concurrency": 40, "per_server": 5})
    again = await kimbledb.migrate_many(database, **given)
    # To ask every question of each takes long; a few of them show that they are asked.
    verified = await kimbledb.verify_many(database, **few)
    over.set()
    await counting

    assert report.ok, report
    assert verified.ok, verified
    assert [result.schema for result in report.results] == schemas
    assert {len(result.report.pending) for result in plans.results if result.report} == {1}
    assert counts(report) == [1] * 24
    assert counts(again) == [0] * 24
    assert await sql(database, "SELECT count(*) FROM pg_class WHERE relname = 'people'") == 24
    # One that is just closed may be seen beside the one that takes its place.
    assert 1 < most <= 2 * 5
    assert "24 schemas" in str(report)


async def test_a_poisoned_one_fails_alone(database: str, folder: Folder) -> None:
    """One that cannot be migrated has its error, all others are done; when it is mended the next call does the rest."""
    folder.table(1, "people")
    await sql(database, "CREATE SCHEMA b")
    await sql(database, "CREATE TYPE b.people AS ENUM ()")
    schemas = ["a", "b", "c", "no\0name"]

    report = await kimbledb.migrate_many(database, schemas=schemas, catalog=folder.catalog)

    assert [result.ok for result in report.results] == [True, False, True, False]
    assert [result.schema for result in report.failures] == ["b", "no\0name"]
    assert isinstance(report.results[1].error, kimbledb.KimbleDBError)
    assert isinstance(report.results[3].error, kimbledb.ConfigurationError)
    assert "4 schemas" in str(report)
    assert "2 FAILED" in str(report)
    assert "b: " in str(report)
    assert "FAILED" in report._repr_html_()

    await sql(database, "DROP TYPE b.people")
    report = await kimbledb.migrate_many(database, schemas=schemas[:3], catalog=folder.catalog)
    assert report.ok, report
    assert counts(report) == [0, 1, 0]


async def test_running_again_sends_one_query_to_each(database: str, folder: Folder) -> None:
    """History is the ledger: a second call asks each schema that is current one question, and does the others."""
    folder.table(1, "people")
    async with Proxy(database) as proxy:
        await kimbledb.migrate_many(proxy.dsn, schemas=["a", "b"], catalog=folder.catalog)
        proxy.links.clear()
        report = await kimbledb.migrate_many(proxy.dsn, schemas=["a", "b"], catalog=folder.catalog)
        asked = [link.round_trips for link in proxy.links]
        again = await kimbledb.migrate_many(proxy.dsn, schemas=["a", "b", "c"], catalog=folder.catalog)

    assert counts(report) == [0, 0]
    assert asked == [1, 1]
    assert counts(again) == [0, 0, 1]


async def test_a_verification_that_fails(database: str, folder: Folder) -> None:
    """The verdict of a verification counts, not only that it was made."""
    folder.table(1, "people")
    given: dict[str, Any] = {"schemas": ["a", "b"], "catalog": folder.catalog}
    await kimbledb.migrate_many(database, **given)
    await sql(database, "DROP TABLE a.people")

    report = await kimbledb.verify_many(database, **given)

    assert [result.ok for result in report.results] == [False, True]
    assert not report.ok


async def test_many_databases(database: str, hosted_database: str, folder: Folder) -> None:
    """Several servers of a table go in one call; one that cannot be reached or read is one result, without its password."""
    folder.table(1, "people")
    dsns = [database, hosted_database, "postgresql://a:hushhush@127.0.0.1:1/none", "postgresql:hushhush"]
    connection = await asyncpg.connect(database)
    await connection.execute("CREATE SCHEMA control; CREATE TABLE control.tenants (id serial, dsn text)")
    await connection.executemany("INSERT INTO control.tenants (dsn) VALUES ($1)", [(dsn,) for dsn in dsns])

    async def tenants() -> AsyncIterator[str]:
        async with connection.transaction():
            async for row in connection.cursor("SELECT dsn FROM control.tenants ORDER BY id", prefetch=1):
                yield row["dsn"]

    report = await kimbledb.migrate_many(tenants(), catalog=folder.catalog)
    assert not connection.is_in_transaction()
    await connection.close()

    assert [result.ok for result in report.results] == [True, True, False, False]
    assert report.results[2].target == "127.0.0.1:1/none"
    assert isinstance(report.results[2].error, kimbledb.ConnectionLostError)
    assert isinstance(report.results[3].error, kimbledb.ConfigurationError)
    assert "hushhush" not in str(report) + repr(report) + report._repr_html_() + str(report.as_dict())


async def test_a_connection_is_used_by_one_at_a_time(database: str, folder: Folder) -> None:
    """A single connection, or a small pool, serves many schemas."""
    folder.table(1, "people")
    connection = await asyncpg.connect(database)
    report = await kimbledb.migrate_many(connection, schemas=["a", "b", "c"], catalog=folder.catalog)
    assert report.ok, report
    await connection.close()
    async with asyncpg.create_pool(database, min_size=1, max_size=2) as pool:
        report = await kimbledb.migrate_many(pool, schemas=["c", "d", "e", "f"], catalog=folder.catalog)
    assert report.ok, report


async def test_steps_outside_of_transactions(database: str, folder: Folder) -> None:
    """Steps that need a second connection wait for the spare one, and none for each other."""
    with_index_build(folder)
    report = await kimbledb.migrate_many(
        database,
        schemas=["a", "b", "c", "d"],
        catalog=folder.catalog,
        concurrency=3,
        options=kimbledb.Options(deadline=60),
    )
    assert report.ok, report


async def test_no_schema_waits_in_a_transaction_for_the_spare_connection(database: str, folder: Folder) -> None:
    """A schema that waits for another's index build holds no transaction, for which that build could wait."""
    with_index_build(folder)
    waiting = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'kimbledb'"
    )
    holders = waiting + " AND state = 'idle in transaction'"
    both = "SELECT count(*) FROM pg_tables WHERE tablename = 'people'"
    watcher = await asyncpg.connect(database)
    reader = await asyncpg.connect(database)
    async with reader.transaction(isolation="repeatable_read"):
        await reader.fetch("SELECT 1")  # a snapshot, for which the first build waits
        call = asyncio.create_task(
            kimbledb.migrate_many(database, schemas=["a", "b"], catalog=folder.catalog, concurrency=3)
        )

        async def building() -> bool | None:
            built = await watcher.fetchval(waiting + " AND wait_event = 'virtualxid'")
            return (built and await watcher.fetchval(both) == 2) or None

        await eventually(building)
        await asyncio.sleep(0.5)  # the second schema comes to its index
        assert await watcher.fetchval(holders) == 1
    report = await call
    assert report.ok, report
    await reader.close()
    await watcher.close()


async def test_progress_of_the_whole(database: str, folder: Folder) -> None:
    """Each event says which database and schema it is of, and how many are at their end; the last one holds the report."""
    folder.table(1, "people")
    events: list[kimbledb.events.Event] = []

    report = await kimbledb.migrate_many(
        database, schemas=["a", "b", "bad\0"], catalog=folder.catalog, progress=events.append
    )

    assert isinstance(events[-1], Done)
    assert events[-1].report is report
    parts = [event for event in events if isinstance(event, OneOfMany)]
    assert len(parts) == len(events) - 1
    assert sorted(part.schema for part in parts if isinstance(part.event, Applied)) == ["a", "b"]
    ends = [part for part in parts if isinstance(part.event, Done | Stopped)]
    assert [end.done for end in ends] == [1, 2, 3]
    assert {part.total for part in parts} == {3}
    assert str(ends[-1]).startswith("[3/3] ")


async def test_a_wrong_call(database: str) -> None:
    """What is wrong with the whole call is raised at once."""
    with pytest.raises(kimbledb.ConfigurationError, match="concurrency"):
        await kimbledb.migrate_many(database, concurrency=0)
    with pytest.raises(kimbledb.ConfigurationError, match=r"expected a DSN, .* or several of these, got int"):
        await kimbledb.migrate_many(5)  # type: ignore[arg-type]
