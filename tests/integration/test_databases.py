"""Fresh databases for tests: one template for each content, clones made ahead, and nothing left behind."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest

import kimbledb
from kimbledb.testing import Databases
from tests.support.databases import kept_clean, own_server, sql
from tests.support.folders import Folder


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The DSN of a server that these tests have for themselves: they look at all databases of it."""
    with own_server() as dsn:
        yield dsn


@pytest.fixture
async def admin(server: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the server; what the test left there is dropped at its end."""
    async with kept_clean(server) as connection:
        yield connection


async def ours(connection: asyncpg.Connection, kind: str = "") -> list[str]:
    """The names of the databases on the server that are ours, of a kind or all."""
    rows = await connection.fetch("SELECT datname FROM pg_database WHERE starts_with(datname, $1)", f"kimbledb_{kind}")
    return sorted(row[0] for row in rows)


async def test_a_fresh_database_is_migrated(server: str, admin: asyncpg.Connection, folder: Folder) -> None:
    """Each database holds the schema and its history, and is nobody else's; at the end the template alone is left."""
    folder.table(1, "people")
    async with Databases(server, catalog=folder.catalog) as databases:
        async with databases.fresh() as one, databases.fresh() as other:
            await sql(one, "INSERT INTO people VALUES (1)")

            assert await sql(one, "SELECT count(*) FROM people") == 1
            assert await sql(other, "SELECT count(*) FROM people") == 0
            assert await sql(other, "SELECT migration_name FROM migration_history") == "people.sql"
            assert not (await kimbledb.migrate(other, catalog=folder.catalog)).applied
        template = databases.template

    assert await ours(admin, "test") == []
    assert template in await ours(admin, "template")


async def test_the_template_is_found_again(server: str, admin: asyncpg.Connection, folder: Folder) -> None:
    """The next run makes no template where the catalog is the same, and another one where it is not."""
    folder.table(1, "people")

    async def template(catalog: kimbledb.Catalog, **more: Any) -> tuple[str, int]:
        async with Databases(server, catalog=catalog, **more) as databases:
            question = "SELECT oid FROM pg_database WHERE datname = $1"
            return databases.template, await admin.fetchval(question, databases.template)

    first = await template(folder.catalog)
    assert await template(folder.catalog) == first
    assert await template(folder.catalog, schema="tenant") != first
    assert await template(folder.catalog, prepare="CREATE SCHEMA auth") != first
    folder.table(2, "things")
    assert await template(folder.catalog) != first


async def test_many_processes_make_one_template(server: str, admin: asyncpg.Connection, folder: Folder) -> None:
    """Whoever comes while the template is being made waits for it, and all clone the same one."""
    folder.table(1, "people")
    before = len(await ours(admin, "template"))

    async def use() -> str:
        async with Databases(server, catalog=folder.catalog, ahead=0) as databases, databases.fresh() as dsn:
            assert await sql(dsn, "SELECT count(*) FROM migration_log WHERE event = 'apply'") == 1
            return databases.template

    assert len(set(await asyncio.gather(*(use() for _ in range(6))))) == 1
    assert len(await ours(admin, "template")) == before + 1
    assert await ours(admin, "making") == []


@pytest.mark.usefixtures("admin")
async def test_a_schema_of_ones_own(server: str, folder: Folder) -> None:
    """What is migrated can be another schema than public, after SQL of one's own."""
    folder.table(1, "people")
    prepare = "CREATE SCHEMA auth; CREATE TABLE auth.users (id integer)"
    async with (
        Databases(server, catalog=folder.catalog, schema="tenant", prepare=prepare) as databases,
        databases.fresh() as dsn,
    ):
        assert await sql(dsn, "SELECT count(*) FROM tenant.people") == 0
        assert await sql(dsn, "SELECT count(*) FROM auth.users") == 0
        assert await sql(dsn, "SELECT to_regclass('public.people') IS NULL")


async def test_databases_are_made_ahead(server: str, admin: asyncpg.Connection, folder: Folder) -> None:
    """While one is in use the next ones are made, as many as were asked for and no more."""
    folder.table(1, "people")
    async with Databases(server, catalog=folder.catalog, ahead=2) as databases:
        await databases.take()
        while len(await ours(admin, f"test_{databases._run:08x}")) < 3:  # noqa: ASYNC110 - the server makes them
            await asyncio.sleep(0.02)
        ready = [await task for task in databases._ready]

        assert (await databases.take()).endswith(ready[0])
        assert len(databases._ready) == 2
    assert await ours(admin, f"test_{databases._run:08x}") == []


@pytest.mark.usefixtures("admin")
async def test_a_run_clears_nothing_of_another(server: str, folder: Folder) -> None:
    """What a run that is alive has made stays, whatever other runs find when they clear up."""
    folder.table(1, "people")
    async with Databases(server, catalog=folder.catalog) as databases, databases.fresh() as dsn:
        async with Databases(server, catalog=folder.catalog) as others:
            await asyncio.gather(*others._background)
        assert await sql(dsn, "SELECT count(*) FROM people") == 0


async def test_a_cancelled_take_loses_no_database(server: str, admin: asyncpg.Connection, folder: Folder) -> None:
    """A database that was asked for and not waited for goes to the next one who asks, or is dropped."""
    folder.table(1, "people")
    async with Databases(server, catalog=folder.catalog, ahead=0) as databases:
        taking = asyncio.create_task(databases.take())
        await asyncio.sleep(0)
        taking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await taking
        assert await sql(await databases.take(), "SELECT count(*) FROM people") == 0
        assert databases._count == 1
    assert await ours(admin, f"test_{databases._run:08x}") == []


async def test_a_failing_migration_leaves_nothing(server: str, admin: asyncpg.Connection, folder: Folder) -> None:
    """Where the migrations fail the error is theirs, and no database is left."""
    folder.add(1, "bad", "SELECT 1 / 0;")

    with pytest.raises(kimbledb.MigrationError, match="division by zero"):
        async with Databases(server, catalog=folder.catalog):
            raise AssertionError
    assert await ours(admin, "making") == []


async def test_a_role_without_the_right(server: str, admin: asyncpg.Connection, folder: Folder) -> None:
    """A role that may not create databases is told so, with the cure."""
    folder.table(1, "people")
    await admin.execute("DROP ROLE IF EXISTS kimbledb_nobody; CREATE ROLE kimbledb_nobody LOGIN PASSWORD 'x'")
    try:
        host = server.rpartition("@")[2]
        with pytest.raises(kimbledb.PreflightError, match=r"(?s)permission denied.*CREATEDB") as caught:
            async with Databases(f"postgresql://kimbledb_nobody:x@{host}", catalog=folder.catalog):
                raise AssertionError
        assert isinstance(caught.value.__cause__, asyncpg.InsufficientPrivilegeError)
    finally:
        await admin.execute("DROP ROLE kimbledb_nobody")


#: Uses a database of a folder's catalog, and kills itself before the statement of a number.
PROGRAM = """
    import asyncio, os, signal, sys
    import kimbledb
    from kimbledb.testing import Databases
    from kimbledb.execution.database_admin import DatabaseAdmin

    server, folder, gap = sys.argv[1], sys.argv[2], int(sys.argv[3])
    send, count = DatabaseAdmin.send, 0

    async def main():
        databases = Databases(server, catalog=kimbledb.Catalog.from_directory(folder), ahead=0)

        async def counting(admin, statement):
            global count
            if admin is databases._maker:
                count += 1
                if count == gap:
                    os.kill(os.getpid(), signal.SIGKILL)
            await send(admin, statement)

        DatabaseAdmin.send = counting
        async with databases:
            await databases.take()
            await databases.take()

    asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("gap", "what"),
    [(2, "migrated"), (3, "closed"), (4, "marked"), (5, "renamed"), (6, "in use")],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_kill_while_the_template_is_made(
    server: str, admin: asyncpg.Connection, folder: Folder, gap: int, what: str
) -> None:
    """Whenever the maker is killed, the next run has a whole template, and drops what was left."""
    folder.table(1, "people")
    before = set(await ours(admin))
    killed = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", textwrap.dedent(PROGRAM), server, str(folder.path), str(gap)],
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    left = set(await ours(admin)) - before
    assert any(name.startswith("kimbledb_making_") for name in left) == (gap < 5)
    assert any(name.startswith("kimbledb_template_") for name in left) == (gap >= 5), what

    async with Databases(server, catalog=folder.catalog) as databases, databases.fresh() as dsn:
        assert await sql(dsn, "SELECT count(*) FROM people") == 0
    assert set(await ours(admin)) - before == {databases.template}


async def test_a_kill_while_the_migrations_run(server: str, admin: asyncpg.Connection, folder: Folder) -> None:
    """A maker that is killed in the middle of a migration is replaced by the next run, which need not wait for it."""
    gate = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = 4711 AND granted"
    folder.add(
        1,
        "people",
        f"DO $$ BEGIN WHILE EXISTS ({gate}) LOOP PERFORM pg_sleep(0.02); END LOOP; END $$;\nCREATE TABLE people (id integer);",
        rollback="DROP TABLE people;",
    )
    await admin.execute("SELECT pg_advisory_lock(4711, 0)")
    program = [sys.executable, "-c", textwrap.dedent(PROGRAM), server, str(folder.path), "0"]
    maker = await asyncio.create_subprocess_exec(*program)
    while not await admin.fetchval(  # noqa: ASYNC110 - another process gets there
        "SELECT count(*) FROM pg_stat_activity WHERE datname LIKE 'kimbledb_making_%' AND wait_event = 'PgSleep'"
    ):
        await asyncio.sleep(0.02)
    maker.kill()
    await maker.wait()
    await admin.execute("SELECT pg_advisory_unlock(4711, 0)")

    async with Databases(server, catalog=folder.catalog) as databases, databases.fresh() as dsn:
        assert await sql(dsn, "SELECT count(*) FROM people") == 0
    assert await ours(admin, "making") == []


async def test_stale_templates_go(server: str, admin: asyncpg.Connection, folder: Folder) -> None:
    """A template that nobody used for two weeks is dropped by the next run, unless that is the one who wants it."""
    folder.table(1, "people")
    async with Databases(server, catalog=folder.catalog) as databases:
        stale = databases.template
    await admin.execute(f"COMMENT ON DATABASE \"{stale}\" IS 'used 2001-02-03'")
    async with Databases(server, catalog=folder.catalog):
        pass
    assert stale in await ours(admin, "template")

    await admin.execute(f"COMMENT ON DATABASE \"{stale}\" IS 'used 2001-02-03'")
    folder.table(2, "things")
    async with Databases(server, catalog=folder.catalog):
        pass
    assert stale not in await ours(admin, "template")


@pytest.mark.parametrize(
    "name", ["kimbledb_test_20261129_shop", "kimbledb_making_0000cafe_shop", "kimbledb_template_0123456789abcdef"]
)
async def test_a_name_is_no_proof(server: str, admin: asyncpg.Connection, folder: Folder, name: str) -> None:
    """A database that somebody else made stays, though its name and its comment are like those of a leftover."""
    folder.table(1, "people")
    await admin.execute(f"CREATE DATABASE {name}")
    await admin.execute(f"COMMENT ON DATABASE {name} IS 'used 2001-02-03'")

    async with Databases(server, catalog=folder.catalog) as databases:
        await asyncio.gather(*databases._background)

    assert name in await ours(admin)


async def test_a_copy_is_its_makers(server: str, admin: asyncpg.Connection, folder: Folder) -> None:
    """A copy of a test database, or a test database under a new name, which somebody made to keep it, stays."""
    folder.table(1, "people")
    async with Databases(server, catalog=folder.catalog) as databases:
        name = (await databases.take()).rpartition("/")[2]
        await admin.execute(f"CREATE DATABASE kimbledb_test_20261129_copy TEMPLATE {name}")
        await admin.execute(f"ALTER DATABASE {name} RENAME TO kimbledb_kept")

    async with Databases(server, catalog=folder.catalog) as databases:
        await asyncio.gather(*databases._background)

    assert {"kimbledb_test_20261129_copy", "kimbledb_kept"} <= set(await ours(admin))


async def test_somebody_elses_template(server: str, admin: asyncpg.Connection, folder: Folder) -> None:
    """A database that has the template's name and is not ours is neither cloned nor dropped, and the error names it."""
    folder.table(1, "people")
    async with Databases(server, catalog=folder.catalog) as databases:
        template = databases.template
    await admin.execute(f"ALTER DATABASE {template} WITH IS_TEMPLATE false")
    await admin.execute(f"DROP DATABASE {template}")
    await admin.execute(f"CREATE DATABASE {template}")

    with pytest.raises(kimbledb.PreflightError, match=f"the database {template} on .* kimbledb did not make it"):
        async with Databases(server, catalog=folder.catalog):
            raise AssertionError

    assert template in await ours(admin)


async def test_only_what_was_taken_is_given_back(server: str, admin: asyncpg.Connection, folder: Folder) -> None:
    """A DSN of another database that is given back is refused, and the database stays."""
    folder.table(1, "people")
    await admin.execute("CREATE DATABASE kimbledb_shop")

    async with Databases(server, catalog=folder.catalog) as databases:
        with pytest.raises(kimbledb.ConfigurationError, match="'kimbledb_shop' was not taken here"):
            databases.give_back(server.rpartition("/")[0] + "/kimbledb_shop")

    assert "kimbledb_shop" in await ours(admin)


async def test_a_template_that_vanishes_is_made_again(server: str, admin: asyncpg.Connection, folder: Folder) -> None:
    """Where somebody drops the template during a run, the next clone makes it again."""
    folder.table(1, "people")
    async with Databases(server, catalog=folder.catalog, ahead=0) as databases:
        await admin.execute(f'ALTER DATABASE "{databases.template}" WITH IS_TEMPLATE false')
        await admin.execute(f'DROP DATABASE "{databases.template}"')
        async with databases.fresh() as dsn:
            assert await sql(dsn, "SELECT count(*) FROM people") == 0
