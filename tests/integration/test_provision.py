"""A new tenant: a database that is a clone of a template in step with the catalog, or a schema."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import textwrap
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

import kimbledb
from kimbledb.cli.main import main
from kimbledb.server.drivers.asyncpg import AsyncpgConnection
from kimbledb.server.dsn import with_database
from tests.support.databases import as_role, kept_clean, own_server, sql
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


@pytest.fixture
def catalog(folder: Folder) -> kimbledb.Catalog:
    """A catalog of one table, with a row that its migration makes."""
    folder.add(1, "people", "CREATE TABLE people (id integer PRIMARY KEY);\nINSERT INTO people VALUES (1);\n")
    return folder.catalog


async def names(connection: asyncpg.Connection, like: str = "%") -> list[str]:
    """The names of the databases on the server."""
    return [row[0] for row in await connection.fetch("SELECT datname FROM pg_database WHERE datname LIKE $1", like)]


async def test_a_new_database_is_current(server: str, admin: asyncpg.Connection, catalog: kimbledb.Catalog) -> None:
    """It has the schema and a true history; its log names the template; to ask for it again changes nothing."""
    report = await kimbledb.provision("acme", target=server, catalog=catalog)
    acme = with_database(server, "acme")

    assert [step.migration.name for step in report.applied] == ["people.sql"]
    assert not (await kimbledb.migrate(acme, catalog=catalog)).applied
    assert (await kimbledb.verify(acme, catalog=catalog)).ok
    connection = await asyncpg.connect(acme)
    rows = await connection.fetch("SELECT event, detail FROM migration_log ORDER BY id")
    await connection.close()
    assert [row["event"] for row in rows] == ["apply", "provision"]
    assert json.loads(rows[1]["detail"])["template"] in await names(admin, "kimbledb_template_%")
    assert await admin.fetchval("SELECT datconnlimit FROM pg_database WHERE datname = 'acme'") == -1

    await sql(acme, "INSERT INTO people VALUES (2)")
    again = await kimbledb.provision("acme", target=server, catalog=catalog)
    assert not again.applied
    assert again.summary.startswith("nothing to do")
    assert await sql(acme, "SELECT count(*) FROM people") == 2


async def test_a_database_of_that_name_stays(server: str, admin: asyncpg.Connection, catalog: kimbledb.Catalog) -> None:
    """A database that is there and not current is refused with the cure, and not touched."""
    await admin.execute("CREATE DATABASE acme")

    with pytest.raises(kimbledb.PreflightError, match=r"(?s)acme exists already, and is not current.*migrate\(\)"):
        await kimbledb.provision("acme", target=server, catalog=catalog)

    assert await sql(with_database(server, "acme"), "SELECT to_regclass('migration_history') IS NULL")
    assert await names(admin, "kimbledb_%") == []


async def test_many_at_once(server: str, admin: asyncpg.Connection, catalog: kimbledb.Catalog) -> None:
    """Calls for several tenants, and several for the same one, make one template and each tenant once."""
    wanted = ["a", "b", "c", "d", "e", "one", "one", "one"]
    reports = await asyncio.gather(*(kimbledb.provision(each, target=server, catalog=catalog) for each in wanted))

    made = sorted(name for name, report in zip(wanted, reports, strict=True) if report.applied)
    assert made == ["a", "b", "c", "d", "e", "one"]
    assert len(await names(admin, "kimbledb_%")) == 1
    applied = "SELECT applied_at::text FROM migration_history"
    assert len({await sql(with_database(server, each), applied) for each in made}) == 1


async def test_calls_from_several_databases(server: str, admin: asyncpg.Connection, catalog: kimbledb.Catalog) -> None:
    """The lock is one of a database: two that make the same template leave one, and both have their clone."""
    await admin.execute("CREATE DATABASE other")
    places = (server, with_database(server, "other"))
    reports = await asyncio.gather(
        *(kimbledb.provision(f"tenant_{n}", target=each, catalog=catalog) for n, each in enumerate(places))
    )

    assert all(report.applied for report in reports)
    assert len(await names(admin, "kimbledb_%")) == 1


async def test_a_template_with_a_name(
    server: str, admin: asyncpg.Connection, folder: Folder, catalog: kimbledb.Catalog
) -> None:
    """A named template is made, is replaced where the catalog has changed, and is never a database of somebody else's."""
    await kimbledb.provision("acme", template="golden", target=server, catalog=catalog)
    folder.table(2, "things")
    report = await kimbledb.provision("bolt", template="golden", target=server, catalog=folder.catalog)

    assert [step.migration.name for step in report.applied] == ["people.sql", "things.sql"]
    assert await names(admin, "kimbledb_%") == []
    await admin.execute("CREATE DATABASE theirs IS_TEMPLATE true")
    with pytest.raises(kimbledb.PreflightError, match="kimbledb did not make it"):
        await kimbledb.provision("cask", template="theirs", target=server, catalog=folder.catalog)
    with pytest.raises(kimbledb.ConfigurationError, match="the same name, 'golden'"):
        await kimbledb.provision("golden", template="golden", target=server, catalog=folder.catalog)


async def test_a_template_that_is_in_use(server: str, admin: asyncpg.Connection, catalog: kimbledb.Catalog) -> None:
    """Where somebody has opened the template and is connected to it, the call waits, and names the session at last."""
    await kimbledb.provision("acme", template="golden", target=server, catalog=catalog)
    await admin.execute("ALTER DATABASE golden WITH ALLOW_CONNECTIONS true")
    user = await asyncpg.connect(with_database(server, "golden"), server_settings={"application_name": "psql"})

    with pytest.raises(kimbledb.LockUnavailableError, match=r"(?s)connected to the template golden.*psql") as caught:
        await kimbledb.provision(
            "bolt", template="golden", target=server, catalog=catalog, options=kimbledb.Options(attempts=2)
        )
    assert str(user.get_server_pid()) in caught.value.blockers[0]

    await user.close()
    assert (await kimbledb.provision("bolt", template="golden", target=server, catalog=catalog)).applied


async def test_a_role_that_may_create_no_database(
    server: str, admin: asyncpg.Connection, catalog: kimbledb.Catalog
) -> None:
    """It is told both cures, and the second one works: a schema in its own database."""
    await admin.execute("CREATE ROLE tenants LOGIN PASSWORD 'tenants'")
    await admin.execute("CREATE DATABASE shop OWNER tenants")
    try:
        shop = as_role(with_database(server, "shop"), "tenants")
        with pytest.raises(kimbledb.PreflightError, match=r"(?s)permission denied.*CREATEDB.*schema=True"):
            await kimbledb.provision("acme", target=shop, catalog=catalog)
        report = await kimbledb.provision("acme", target=shop, schema=True, catalog=catalog)

        assert len(report.applied) == 1
        assert await sql(shop, "SELECT count(*) FROM acme.people") == 1
        assert not (await kimbledb.provision("acme", target=shop, schema=True, catalog=catalog)).applied
    finally:
        await admin.execute("DROP DATABASE shop WITH (FORCE)")
        await admin.execute("DROP ROLE tenants")


async def test_targets_that_cannot_make_a_database(
    server: str, admin: asyncpg.Connection, catalog: kimbledb.Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection of the caller's and a pooler are refused with the cure, which is the DSN of the server itself."""
    with pytest.raises(kimbledb.ConfigurationError, match="connections of its own") as caught:
        await kimbledb.provision("acme", target=admin, catalog=catalog)
    assert "direct_dsn" in str(caught.value)
    options = kimbledb.Options(direct_dsn=server)
    assert (await kimbledb.provision("acme", target=admin, catalog=catalog, options=options)).applied
    with pytest.raises(kimbledb.ConfigurationError, match="template and schema exclude each other"):
        await kimbledb.provision("acme", template="golden", target=server, schema=True, catalog=catalog)

    # A pooler tells its client of a process that it made up.
    monkeypatch.setattr(AsyncpgConnection, "server_pid", 1)
    with pytest.raises(kimbledb.ConfigurationError, match="is a pooler") as caught:
        await kimbledb.provision("bolt", target=server, catalog=catalog)
    assert "direct_dsn" in str(caught.value)


#: Provisions a database, and kills itself at a place.
PROGRAM = """
    import asyncio, os, signal, sys
    import kimbledb
    from kimbledb.execution.database_admin import DatabaseAdmin
    from kimbledb.operations import provision

    server, folder, place = sys.argv[1:]

    def kill(*_):
        os.kill(os.getpid(), signal.SIGKILL)

    if place == "the template is migrated":
        send = DatabaseAdmin.send
        DatabaseAdmin.send = lambda admin, text: kill() if "RENAME" in text else send(admin, text)
    else:
        provision._Database._record = kill
    asyncio.run(kimbledb.provision("acme", target=server, catalog=folder))
"""


@pytest.mark.parametrize("place", ["the template is migrated", "the database is cloned"])
async def test_a_kill_leaves_nothing_half_made(
    server: str, admin: asyncpg.Connection, folder: Folder, catalog: kimbledb.Catalog, place: str
) -> None:
    """Wherever a call is killed, there is no database of that name or a whole one, and the next call ends with a whole one."""
    program = [sys.executable, "-c", textwrap.dedent(PROGRAM), server, str(folder.path), place]
    child = await asyncio.create_subprocess_exec(*program)
    assert await child.wait() == -signal.SIGKILL
    cloned = place == "the database is cloned"
    assert bool(await names(admin, "acme")) == cloned
    assert len(await names(admin, "kimbledb_template_%")) == cloned

    report = await kimbledb.provision("acme", target=server, catalog=catalog)

    assert bool(report.applied) == (not cloned)
    assert await sql(with_database(server, "acme"), "SELECT count(*) FROM people") == 1
    assert len(await names(admin, "kimbledb_%")) == 1


async def test_the_command(
    server: str,
    admin: asyncpg.Connection,
    folder: Folder,
    catalog: kimbledb.Catalog,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It makes a database or a schema, and not both."""
    common = ("--dsn", server, "--catalog", str(folder.path))

    async def run(*arguments: str) -> int:
        return await asyncio.to_thread(main, ["provision", *arguments, *common])

    assert len(catalog) == 1
    assert await run("acme") == 0
    assert "applied 1 migration" in capsys.readouterr().out
    assert await run("acme") == 0
    assert "nothing to do" in capsys.readouterr().out
    assert await run("--schema", "bolt") == 0
    assert await sql(server, "SELECT count(*) FROM bolt.people") == 1
    await admin.execute("DROP SCHEMA bolt CASCADE")
    for wrong in ((), ("acme", "--schema", "bolt")):
        assert await run(*wrong) == 2
        assert "one thing" in capsys.readouterr().err
