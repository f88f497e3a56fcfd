"""What history says against what the files say: renamed files, failed ones, and choices that nobody made."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import pytest
from tests.conftest import Folder

import kimbledb


async def rows_of(dsn: str, query: str) -> list[tuple[object, ...]]:
    """What a query gives."""
    connection = await asyncpg.connect(dsn)
    try:
        return [tuple(row) for row in await connection.fetch(query)]
    finally:
        await connection.close()


async def execute(dsn: str, sql: str) -> None:
    """Run statements by hand."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


def write(root: Path, **files: str) -> kimbledb.Catalog:
    """Write a flat folder, and return the catalog of it."""
    root.mkdir(exist_ok=True)
    for name, text in files.items():
        (root / f"{name.removeprefix('n')}.sql").write_text(text, encoding="utf-8")
    return kimbledb.Catalog.from_directory(root)


async def test_a_renamed_file_does_not_run_again(database: str, tmp_path: Path) -> None:
    """A file that history knows under another name is refused with both names, and the cure that is told works."""
    root = tmp_path / "flat"
    write(root, n001_a="CREATE TABLE t (id integer);", n002_b="INSERT INTO t VALUES (1);")
    await kimbledb.migrate(database, catalog=kimbledb.Catalog.from_directory(root))
    (root / "002_b.sql").rename(root / "004_b.sql")
    catalog = write(root, n005_c="INSERT INTO t VALUES (2);")

    plan = await kimbledb.plan(database, catalog=catalog)
    assert str(plan.step("004_b.sql").state) == "renamed"
    with pytest.raises(kimbledb.RenamedMigrationError) as caught:
        await kimbledb.migrate(database, catalog=catalog)

    assert list(caught.value.renamed) == [("002_b.sql", "004_b.sql")]
    assert await rows_of(database, "SELECT id FROM t") == [(1,)]

    assert caught.value.hint is not None
    await execute(
        database,
        caught.value.hint.partition("UPDATE ")[1] + caught.value.hint.partition("UPDATE ")[2].partition(";")[0],
    )
    await kimbledb.migrate(database, catalog=catalog)
    assert await rows_of(database, "SELECT id FROM t ORDER BY id") == [(1,), (2,)]


async def test_a_renamed_folder_does_not_run_again(database: str, folder: Folder) -> None:
    """A start at which nothing else is to be done notices it, too."""
    made = folder.table(1, "a")
    await kimbledb.migrate(database, catalog=folder.catalog)
    made.rename(folder.path / "01_b")

    with pytest.raises(kimbledb.RenamedMigrationError, match=r"b\.sql is a\.sql in history"):
        await kimbledb.migrate(database, catalog=folder.catalog)


async def test_a_failed_row_of_a_file_that_is_gone_stands_in_no_way(database: str, folder: Folder) -> None:
    """A migration that failed once and was renamed needs nothing: drift is told as such, and a rollback goes."""
    folder.table(1, "a", facts='creates = ["table a", "column a.id"]')
    broken = folder.add(2, "b", "SELECT 1 / 0;")
    with pytest.raises(kimbledb.MigrationError):
        await kimbledb.migrate(database, catalog=folder.catalog)
    broken.rename(folder.path / "02_c")
    (folder.path / "02_c" / "apply.sql").write_text("SELECT 1;", encoding="utf-8")
    await kimbledb.migrate(database, catalog=folder.catalog)

    await execute(database, "ALTER TABLE a DROP COLUMN id")
    report = await kimbledb.verify(database, catalog=folder.catalog)
    assert [(check.name, check.informative) for check in report.checks if check.name.startswith("column")] == [
        ("column a.id", False)
    ]

    await kimbledb.rollback(database, to=0, catalog=folder.catalog)
    assert await rows_of(database, "SELECT migration_name FROM migration_history WHERE success") == []


def alternatives(folder: Folder) -> kimbledb.Catalog:
    """Two ways to the same thing, of which neither is the default, after a migration of their own."""
    folder.table(1, "base")
    folder.table(2, "a", facts='provides = ["thing"]\nrequires = ["base.sql"]')
    folder.table(3, "b", facts='provides = ["thing"]\nrequires = ["base.sql"]')
    return folder.catalog


async def test_who_only_looks_needs_no_choice(database: str, folder: Folder) -> None:
    """status(), verify() and rollback() take no `prefer`, and need none."""
    catalog = alternatives(folder)
    await kimbledb.migrate(database, catalog=catalog, to="base.sql", prefer=["a.sql"])

    status = await kimbledb.status(database, catalog=catalog)
    report = await kimbledb.verify(database, catalog=catalog)
    rolled_back = await kimbledb.rollback(database, "base.sql", catalog=catalog)

    assert [str(step.state) for step in status.plan.steps] == ["applied", "undecided", "undecided"]
    assert "base_is_there" in [check.name for check in report.checks]
    assert [step.migration.name for step in rolled_back.rolled_back] == ["base.sql"]


async def test_both_alternatives_can_be_seen_and_one_rolled_back(database: str, folder: Folder) -> None:
    """Where history holds both, status() and verify() show it, and the rollback that is the cure goes."""
    catalog = alternatives(folder)
    await kimbledb.migrate(database, catalog=catalog, prefer=["a.sql"])
    await execute(
        database,
        "CREATE TABLE b (id integer PRIMARY KEY); INSERT INTO migration_history (migration_name, checksum, "
        "kimbledb_version) SELECT 'b.sql', '" + catalog["b.sql"].checksum + "', kimbledb_version "
        "FROM migration_history LIMIT 1",
    )
    with pytest.raises(kimbledb.AlternativesError, match="both are applied"):
        await kimbledb.migrate(database, catalog=catalog)

    status = await kimbledb.status(database, catalog=catalog)
    report = await kimbledb.verify(database, catalog=catalog)
    await kimbledb.rollback(database, "b.sql", catalog=catalog)

    assert {"applied"} == {str(step.state) for step in status.plan.steps}
    assert {"a_is_there", "b_is_there"} <= {check.name for check in report.checks}
    assert (await kimbledb.migrate(database, catalog=catalog)).applied == ()


def test_a_file_for_any_database_needs_a_default(folder: Folder) -> None:
    """render() takes no `prefer`, and its error does not speak of one."""
    with pytest.raises(kimbledb.AlternativesError) as caught:
        kimbledb.render(alternatives(folder))

    assert "default = true" in str(caught.value.hint)
    assert "prefer" not in str(caught.value.hint)


async def test_a_dropped_table_is_not_missed(database: str, folder: Folder) -> None:
    """verify() is content where a later migration drops a table, with all that hangs on it."""
    folder.add(
        1,
        "a",
        "CREATE TABLE t (id serial PRIMARY KEY, i integer UNIQUE);\nCREATE INDEX t_by_i ON t (i);",
        facts='creates = ["table t", "column t.id", "column t.i", "constraint t.t_i_key", "index t_by_i", "sequence t_id_seq"]',
        rollback="DROP TABLE t;",
    )
    folder.add(2, "b", "DROP TABLE t;", facts='requires = ["a.sql"]\ndrops = ["table t"]\nirreversible = "it is gone"')

    await kimbledb.migrate(database, catalog=folder.catalog)
    report = await kimbledb.verify(database, catalog=folder.catalog)

    assert [str(check) for check in report.checks if not check.passed and check.migration is not None] == []
