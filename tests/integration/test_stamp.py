"""History by name: what nothing in the database could show is recorded, or taken out, by stamp()."""

from __future__ import annotations

import json
from typing import Any

import pytest

import kimbledb
from kimbledb.cli.main import main
from tests.support.databases import sql
from tests.support.folders import Folder, names


async def history(database: str) -> list[str]:
    """The names that history records as applied."""
    found: str = await sql(
        database,
        "SELECT coalesce(jsonb_agg(migration_name ORDER BY id), '[]')::text FROM migration_history WHERE success",
    )
    return list(json.loads(found))


async def test_what_is_recorded_by_name_is_not_run(database: str, folder: Folder) -> None:
    """A stamped migration counts as applied and is never run; taken out again, it is pending, and nothing was rolled back."""
    folder.table(1, "a")
    folder.add(2, "b", "INSERT INTO a VALUES (1);")
    catalog = folder.catalog
    await sql(database, "CREATE TABLE a (id integer PRIMARY KEY); INSERT INTO a VALUES (1)")

    report = await kimbledb.stamp(database, ["b.sql", 1], catalog=catalog)

    assert [step.name for step in report.adopted] == ["a.sql", "b.sql"]
    assert "adopted 2 migrations" in str(report)
    assert (await kimbledb.migrate(database, catalog=catalog)).applied == ()
    assert (await kimbledb.stamp(database, "b.sql", catalog=catalog)).adopted == ()
    with pytest.raises(kimbledb.RollbackRefusedError, match="adopted"):
        await kimbledb.rollback(database, "b.sql", catalog=catalog)

    taken = await kimbledb.stamp(database, (1, "b.sql"), catalog=catalog, applied=False)

    assert taken.removed == ("b.sql", "a.sql")
    assert taken.as_dict()["removed"] == ["b.sql", "a.sql"]
    assert "took 2 migrations out of history; nothing was rolled back" in str(taken)
    assert await history(database) == []
    assert await sql(database, "SELECT count(*) FROM a") == 1
    assert (await kimbledb.stamp(database, "b.sql", catalog=catalog, applied=False)).removed == ()
    entries = "SELECT string_agg(event || ' ' || migration_name || ' ' || (detail->>'stamped'), ', ' ORDER BY id) FROM migration_log"
    assert (
        await sql(database, entries) == "adopt a.sql true, adopt b.sql true, rollback b.sql true, rollback a.sql true"
    )


async def test_a_failed_one_and_one_of_older_code(database: str, folder: Folder) -> None:
    """stamp() turns a failed attempt into an applied migration, and takes out rows that the catalog does not know."""
    folder.table(1, "a")
    folder.add(2, "b", "SELECT 1 / 0;")
    with pytest.raises(kimbledb.MigrationError):
        await kimbledb.migrate(database, catalog=folder.catalog)
    await sql(database, "INSERT INTO migration_history (migration_name, kimbledb_version) VALUES ('older.sql', '0')")

    await kimbledb.stamp(database, "b.sql", catalog=folder.catalog)
    taken = await kimbledb.stamp(database, "older.sql", catalog=folder.catalog, applied=False)

    assert taken.removed == ("older.sql",)
    assert sorted(await history(database)) == ["a.sql", "b.sql"]
    assert await sql(database, "SELECT count(*) FROM migration_history WHERE error_message IS NOT NULL") == 0


async def test_a_row_of_another_hand_and_a_renamed_file(database: str, folder: Folder) -> None:
    """A row without a checksum gets it, and a renamed file's row gets the new name: no second row is made."""
    folder.table(1, "a")
    folder.add(2, "new_name", "SELECT 1;")
    catalog = folder.catalog
    await sql(
        database, "CREATE TABLE migration_history (migration_name text); INSERT INTO migration_history VALUES ('a')"
    )
    await kimbledb.stamp(database, "a.sql", catalog=catalog)
    await sql(
        database,
        "INSERT INTO migration_history (migration_name, checksum, kimbledb_version) VALUES ('old_name.sql', "
        f"'{catalog['new_name.sql'].checksum}', '1')",
    )
    with pytest.raises(kimbledb.RenamedMigrationError):
        await kimbledb.migrate(database, catalog=catalog)

    await kimbledb.stamp(database, "new_name.sql", catalog=catalog)

    assert sorted(await history(database)) == ["a.sql", "new_name.sql"]
    assert await sql(database, "SELECT count(*) FROM migration_history WHERE checksum IS NULL") == 0
    assert (await kimbledb.migrate(database, catalog=catalog)).applied == ()


async def test_what_cannot_be_stamped(database: str, folder: Folder) -> None:
    """An unknown name, an edited file and a second alternative are refused with the cure, and nothing is written."""
    file = folder.table(1, "a") / "apply.sql"
    folder.add(2, "b", "SELECT 1;", facts='provides = ["x"]\ndefault = true')
    folder.add(3, "c", "SELECT 1;", facts='provides = ["x"]')
    catalog = folder.catalog

    async def refused(kind: type[kimbledb.KimbleDBError], *names: str, **wanted: Any) -> str:
        with pytest.raises(kind) as caught:
            await kimbledb.stamp(database, names, **{"catalog": catalog, **wanted})
        return str(caught.value)

    assert "did you mean a.sql?" in await refused(kimbledb.UnknownMigrationError, "aa.sql")
    assert "did you mean a.sql?" in await refused(kimbledb.UnknownMigrationError, "aa.sql", applied=False)
    assert "exclude each other" in await refused(kimbledb.AlternativesError, "b.sql", "c.sql")
    assert await sql(database, "SELECT to_regclass('migration_history') IS NULL")
    await kimbledb.stamp(database, ("a.sql", "c.sql"), catalog=catalog)
    assert "takes c.sql out of history" in await refused(kimbledb.AlternativesError, "b.sql")
    file.write_text(file.read_text() + "-- more\nSELECT 1;\n")
    catalog = folder.catalog
    assert "take the row out of history" in await refused(kimbledb.ChangedMigrationError, "a.sql")
    assert await history(database) == ["a.sql", "c.sql"]


def test_the_command(database: str, folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    """`kimbledb stamp` records by name or number, and --remove takes out."""
    folder.table(1, "a")
    common = ("--catalog", str(folder.path), "--dsn", database)

    assert main(["stamp", "1", *common]) == 0
    assert "adopted 1 migration" in capsys.readouterr().out
    assert main(["stamp", "a.sql", "--remove", *common]) == 0
    assert "took 1 migration out of history" in capsys.readouterr().out
    assert main(["stamp", "b.sql", *common]) == 2
    assert "no migration named b.sql" in capsys.readouterr().err


async def test_applied_by_name_then_the_rest(database: str, folder: Folder) -> None:
    """What is stamped counts as applied for those that need it."""
    folder.add(1, "a", "SELECT 1 / 0;")
    folder.table(2, "b", facts='requires = ["a.sql"]')

    await kimbledb.stamp(database, 1, catalog=folder.catalog)

    assert names((await kimbledb.migrate(database, catalog=folder.catalog)).applied) == ["b.sql"]
