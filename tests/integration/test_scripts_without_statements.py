"""Scripts that hold no statement, as that of a repair on an empty database: comments alone, or nothing."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import pytest

import kimbledb
from kimbledb.server.drivers.asyncpg import AsyncpgConnection
from tests.support.databases import psql, sql
from tests.support.folders import Folder

TEXTS = ["", "-- Nothing to do.\n", "/* Nothing. */ ;;\n", "\n-- no line end"]

pytestmark = pytest.mark.parametrize("text", TEXTS)


async def test_each_script_of_a_migration(hosted_database: str, folder: Folder, text: str) -> None:
    """A migration none of whose scripts holds a statement is applied, proven, rolled back, and applied again."""
    folder.table(1, "a")
    migration = folder.add(2, "b", text, rollback=text, hosted=text)
    (migration / "online.sql").write_text(text)
    folder.table(3, "c", facts='requires = ["b.sql"]')
    for catalog in (folder.catalog, await folder.declared(hosted_database)):
        report = await kimbledb.migrate(hosted_database, catalog=catalog)

        assert [each.migration.name for each in report.applied] == ["a.sql", "b.sql", "c.sql"]
        checks = (await kimbledb.verify(hosted_database, catalog=catalog)).checks
        assert [each.passed for each in checks if each.migration == "b.sql"] == [True]
        assert (await kimbledb.migrate(hosted_database, catalog=catalog)).applied == ()
        back = await kimbledb.rollback(hosted_database, catalog=catalog, to="a.sql")
        assert [each.migration.name for each in back.rolled_back] == ["c.sql", "b.sql"]
        assert [each.migration.name for each in (await kimbledb.migrate(hosted_database, catalog=catalog)).applied] == [
            "b.sql",
            "c.sql",
        ]
        await kimbledb.rollback(hosted_database, catalog=catalog, to=0)


async def test_flat_files(database: str, tmp_path: Path, text: str) -> None:
    """A single file without a statement is a migration like another."""
    (tmp_path / "001_a.sql").write_text(text)
    (tmp_path / "002_b.sql").write_text("CREATE TABLE b (id integer);")
    catalog = kimbledb.Catalog.from_directory(tmp_path)

    assert len((await kimbledb.migrate(database, catalog=catalog)).applied) == 2
    assert (await kimbledb.migrate(database, catalog=catalog)).applied == ()


async def test_a_derived_rollback(database: str, folder: Folder, text: str) -> None:
    """What a script without statements made, nothing, is taken back by a derived rollback, which is proven when it is recorded."""
    folder.table(1, "a")
    folder.add(2, "b", text, rollback=None)
    catalog = await folder.declared(database)
    await kimbledb.migrate(database, catalog=catalog)

    back = await kimbledb.rollback(database, catalog=catalog, to="a.sql")

    assert [each.migration.name for each in back.rolled_back] == ["b.sql"]
    assert await sql(database, "SELECT count(*) FROM migration_history") == 1


async def test_outside_of_transactions(database: str, folder: Folder, text: str) -> None:
    """A script without statements that is to run outside of a transaction is applied."""
    folder.add(1, "a", text, facts="transactional = false", rollback=text)

    report = await kimbledb.migrate(database, catalog=folder.catalog)

    assert [each.migration.name for each in report.applied] == ["a.sql"]
    await kimbledb.rollback(database, catalog=folder.catalog, to=0)
    assert await sql(database, "SELECT count(*) FROM migration_history") == 0


def test_checks_are_wanted(folder: Folder, text: str) -> None:
    """A verify.sql without a check is a fault of the folder, with its file and the cure: it would check nothing, unnoticed."""
    folder.add(1, "a", "SELECT 1;", verify=text)

    with pytest.raises(kimbledb.CatalogError, match=r"verify\.sql:\d+: it contains no check; write `-- name: <check>`"):
        _ = folder.catalog


@pytest.mark.parametrize("part", ["online", "apply"])
async def test_around_an_online_strategy(
    database: str, folder: Folder, connection: asyncpg.Connection, text: str, part: str
) -> None:
    """Where tables hold rows, either of the two scripts of an online strategy may hold no statement."""
    folder.table(1, "a")
    await kimbledb.migrate(database, catalog=folder.catalog)
    await connection.execute("INSERT INTO a VALUES (1)")
    script = "CREATE INDEX IF NOT EXISTS i ON a (id);"
    migration = folder.add(2, "b", script if part == "online" else text)
    (migration / "online.sql").write_text(text if part == "online" else script)

    report = await kimbledb.migrate(database, catalog=folder.catalog)

    assert [each.migration.name for each in report.applied] == ["b.sql"]
    assert report.plan.pending[0].online is (part == "online" and text != "")


async def test_rendered(database: str, folder: Folder, text: str) -> None:
    """A rendered file with a script without statements runs under psql, twice, and leaves nothing to do."""
    folder.table(1, "a")
    folder.add(2, "b", text, hosted=text)

    for _ in range(2):
        run = psql(database, kimbledb.render(folder.catalog))
        assert (run.returncode, run.stderr) == (0, "")

    assert (await kimbledb.migrate(database, catalog=folder.catalog)).applied == ()


async def test_where_a_record_of_forms_is_made_again(database: str, folder: Folder, text: str) -> None:
    """A history that came from elsewhere gets its forms again from scripts of which one holds no statement."""
    folder.add(1, "a", "CREATE TABLE a (n integer CHECK (n > 0));", rollback="DROP TABLE a;")
    folder.add(2, "b", text)
    folder.add(3, "c", "CREATE TABLE c (n integer);", rollback="DROP TABLE c;")
    catalog = await folder.declared(database)
    await kimbledb.migrate(database, catalog=catalog, to="b.sql")
    await sql(database, "UPDATE migration_history SET forms = NULL")

    await kimbledb.migrate(database, catalog=catalog)

    assert await sql(database, "SELECT array_agg(migration_name) FROM migration_history WHERE forms IS NULL") == [
        "b.sql"
    ]
    assert (await kimbledb.verify(database, catalog=catalog)).ok


async def test_a_failure_after_it_has_its_place(database: str, folder: Folder, text: str) -> None:
    """A failing statement of the next migration is told with its own file and line."""
    folder.add(1, "a", text)
    folder.add(2, "b", "SELECT 1;\nSELECT 1 / 0;")

    with pytest.raises(kimbledb.MigrationError) as caught:
        await kimbledb.migrate(database, catalog=folder.catalog)

    assert [each.migration.name for each in caught.value.applied] == ["a.sql"]
    assert (caught.value.failed and caught.value.failed.name, caught.value.line) == ("b.sql", 2)


async def test_sent_by_itself(connection: asyncpg.Connection, text: str) -> None:
    """A message without a statement is no error, though the server names no completed one, and the connection goes on."""
    driver = AsyncpgConnection(connection)

    await driver.execute(text)

    assert driver.completed == 0
    assert await driver.fetch("SELECT 1") == [(1,)]
