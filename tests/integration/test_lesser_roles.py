"""Who may only read history: an application that starts with a role of its own, and a monitor."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

import asyncpg
import pytest

import kimbledb
from tests.support.databases import as_role, sql
from tests.support.folders import Folder


@pytest.fixture(params=["the database's owner", "another role"])
async def split(request: pytest.FixtureRequest, server: str, database: str) -> AsyncIterator[tuple[str, str, str]]:
    """The DSN of a role that migrates into the schema app, which it owns, that of a role that may read history, and the owner's name."""
    owner, reader = (f"{name}_{secrets.token_hex(4)}" for name in ("owner", "reader"))
    for role in (owner, reader):
        await sql(server, f"CREATE ROLE {role} LOGIN PASSWORD '{role}'")
    if request.param == "the database's owner":
        await sql(database, f"ALTER DATABASE {database.rpartition('/')[2]} OWNER TO {owner}")
    await sql(database, f"CREATE SCHEMA app AUTHORIZATION {owner}; GRANT USAGE ON SCHEMA app TO {reader}")
    yield as_role(database, owner), as_role(database, reader), owner
    await sql(
        database,
        f"ALTER DATABASE {database.rpartition('/')[2]} OWNER TO postgres; DROP OWNED BY {owner}, {reader} CASCADE",
    )
    await sql(server, f"DROP ROLE {owner}, {reader}")


def role_of(dsn: str) -> str:
    """The role of a DSN."""
    return dsn.partition("//")[2].partition(":")[0]


@pytest.fixture
def catalog(folder: Folder) -> kimbledb.Catalog:
    """Two migrations."""
    folder.table(1, "a")
    folder.table(2, "b")
    made: kimbledb.Catalog = folder.catalog
    return made


async def test_nothing_to_do(split: tuple[str, str, str], catalog: kimbledb.Catalog) -> None:
    """With SELECT on history alone a role sees that there is nothing to do, and whose word that is."""
    owner_dsn, reader_dsn, owner = split
    await kimbledb.migrate(owner_dsn, catalog=catalog, schema="app")
    await sql(owner_dsn, f"GRANT SELECT ON app.migration_history TO {role_of(reader_dsn)}")

    report = await kimbledb.migrate(reader_dsn, catalog=catalog, schema="app")

    assert report.applied == ()
    assert report.history_owner == owner
    assert f"nothing to do according to the history of the role {owner}" in str(report)
    connection = await asyncpg.connect(reader_dsn)
    assert (await kimbledb.migrate(connection, catalog=catalog, schema="app")).history_owner == owner
    await connection.close()
    assert (await kimbledb.migrate(owner_dsn, catalog=catalog, schema="app")).history_owner is None


async def test_a_monitor_needs_select_on_history_alone(split: tuple[str, str, str], catalog: kimbledb.Catalog) -> None:
    """plan() and status() work with SELECT on history alone; of the log they show nothing."""
    owner_dsn, reader_dsn, _ = split
    await kimbledb.migrate(owner_dsn, catalog=catalog, schema="app", to="a.sql")
    await sql(owner_dsn, f"GRANT SELECT ON app.migration_history TO {role_of(reader_dsn)}")

    assert [step.name for step in (await kimbledb.plan(reader_dsn, catalog=catalog, schema="app")).pending] == ["b.sql"]
    status = await kimbledb.status(reader_dsn, catalog=catalog, schema="app")
    assert [row.name for row in status.history or ()] == ["a.sql"]
    assert status.log == ()


async def test_something_to_do(split: tuple[str, str, str], database: str, catalog: kimbledb.Catalog) -> None:
    """Where something is to be done such a role gets the membership that cures it, and with that it migrates."""
    owner_dsn, reader_dsn, owner = split
    await kimbledb.migrate(owner_dsn, catalog=catalog, schema="app", to="a.sql")
    await sql(owner_dsn, f"GRANT SELECT ON app.migration_history TO {role_of(reader_dsn)}")

    with pytest.raises(kimbledb.PreflightError) as caught:
        await kimbledb.migrate(reader_dsn, catalog=catalog, schema="app")
    cures = [cure for _, cure in caught.value.gaps]
    assert f'GRANT "{owner}" TO "{role_of(reader_dsn)}"' in cures
    with pytest.raises(kimbledb.PreflightError, match=f"belong to {owner}"):
        await kimbledb.rollback(reader_dsn, "a.sql", catalog=catalog, schema="app")

    await sql(database, f"GRANT {owner} TO {role_of(reader_dsn)}")
    report = await kimbledb.migrate(reader_dsn, catalog=catalog, schema="app")
    assert [step.migration.name for step in report.applied] == ["b.sql"]


async def test_without_a_grant(split: tuple[str, str, str], catalog: kimbledb.Catalog) -> None:
    """Without SELECT on history the error names both grants: that of the owner's role, and that to look."""
    owner_dsn, reader_dsn, owner = split
    await kimbledb.migrate(owner_dsn, catalog=catalog, schema="app")

    with pytest.raises(
        kimbledb.PreflightError,
        match=f"migration_history belongs to {owner}, and {role_of(reader_dsn)} may not read it",
    ) as caught:
        await kimbledb.migrate(reader_dsn, catalog=catalog, schema="app")
    [(_, cure)] = caught.value.gaps
    assert cure.endswith(f"GRANT SELECT ON app.migration_history TO {role_of(reader_dsn)}")
