"""What history says against what the files say: renamed files, failed ones, and choices that nobody made."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import pytest

import kimbledb
from kimbledb.catalog.other_tools import TOOLS, History
from kimbledb.inspection import foreign_histories, history
from kimbledb.server.targets import target_of
from tests.support.databases import sql
from tests.support.folders import Folder


async def rows_of(dsn: str, query: str) -> list[tuple[object, ...]]:
    """What a query gives."""
    connection = await asyncpg.connect(dsn)
    try:
        return [tuple(row) for row in await connection.fetch(query)]
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
    assert plan.summary.startswith("to be refused; 1 applied, 1 pending, 1 renamed")
    with pytest.raises(kimbledb.RenamedMigrationError) as caught:
        await kimbledb.migrate(database, catalog=catalog)

    assert list(caught.value.renamed) == [("002_b.sql", "004_b.sql")]
    assert await rows_of(database, "SELECT id FROM t") == [(1,)]

    assert caught.value.hint is not None
    await sql(
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
    folder.table(1, "a")
    await folder.declared(database)
    broken = folder.add(2, "b", "SELECT 1 / 0;")
    with pytest.raises(kimbledb.MigrationError):
        await kimbledb.migrate(database, catalog=folder.catalog)
    broken.rename(folder.path / "02_c")
    (folder.path / "02_c" / "apply.sql").write_text("SELECT 1;", encoding="utf-8")
    await folder.declared(database)
    await kimbledb.migrate(database, catalog=folder.catalog)

    await sql(database, "ALTER TABLE a DROP COLUMN id")
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
    await sql(
        database,
        "CREATE TABLE b (id integer PRIMARY KEY); INSERT INTO migration_history (migration_name, checksum, "
        "kimbledb_version) SELECT 'b.sql', '" + catalog["b.sql"].checksum + "', kimbledb_version "
        "FROM migration_history LIMIT 1",
    )
    with pytest.raises(kimbledb.AlternativesError, match="history records both as applied"):
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
        rollback="DROP TABLE t;",
    )
    folder.add(2, "b", "DROP TABLE t;", facts='requires = ["a.sql"]\nirreversible = "it is gone"')
    await folder.declared(database)

    await kimbledb.migrate(database, catalog=folder.catalog)
    report = await kimbledb.verify(database, catalog=folder.catalog)

    assert [str(check) for check in report.checks if not check.passed and check.migration is not None] == []


# Histories of other tools.

GOOSE = """
    CREATE TABLE goose_db_version (id integer, version_id bigint, is_applied boolean, tstamp timestamp);
    INSERT INTO goose_db_version VALUES (1, 0, true, now()), (2, 1, true, now());
"""


async def test_a_foreign_history_is_named_before_anything_runs(database: str, tmp_path: Path) -> None:
    """What another tool may have applied, and nothing can show, is refused with the tool, its table and the cure."""
    await sql(database, "CREATE TABLE users (id integer); INSERT INTO users VALUES (1);" + GOOSE)
    catalog = write(
        tmp_path / "flat", n001_times="UPDATE users SET id = id * 100;", n002_more="INSERT INTO users VALUES (2);"
    )

    plan = await kimbledb.plan(database, catalog=catalog)
    with pytest.raises(kimbledb.ForeignHistoryError) as caught:
        await kimbledb.migrate(database, catalog=catalog)

    [note] = plan.notes
    assert note == (
        "the database holds the history of goose: public.goose_db_version, 1 row, with 1 migration of this catalog"
    )
    assert f"note: {note}" in str(plan)
    assert (note,) == caught.value.histories
    assert note in str(await kimbledb.status(database, catalog=catalog))
    assert caught.value.claimed == ("001_times.sql",)
    assert caught.value.migrations == ("001_times.sql", "002_more.sql")
    assert str(plan.step("001_times.sql").state) == "adoptable"
    assert await rows_of(database, "SELECT id FROM users") == [(1,)]
    assert await rows_of(database, "SELECT to_regclass('migration_history')") == [(None,)]

    # The way on that the error tells.
    report = await kimbledb.adopt(database, catalog=catalog)
    assert [step.name for step in report.adopted] == ["001_times.sql"]
    assert "public.goose_db_version of goose records it" in str(report)
    await kimbledb.migrate(database, catalog=catalog)
    assert await rows_of(database, "SELECT id FROM users ORDER BY id") == [(1,), (2,)]


async def test_a_foreign_history_that_says_nothing_stands_in_no_way(database: str, tmp_path: Path) -> None:
    """A table of that name with other columns, one without rows, and one that only begins to count are no history."""
    catalog = write(tmp_path / "flat", n001_a="CREATE TABLE a (id integer);")
    await sql(
        database,
        "CREATE TABLE migrations (bird text, flock integer); INSERT INTO migrations VALUES ('stork', 3);"
        "CREATE TABLE alembic_version (version_num text); CREATE TABLE schema_migrations (version text, note text);"
        "INSERT INTO schema_migrations VALUES ('1', 'mine');" + GOOSE.partition(", (2,")[0],
    )

    assert len((await kimbledb.migrate(database, catalog=catalog)).applied) == 1


async def test_what_declares_its_objects_is_looked_for(database: str, folder: Folder) -> None:
    """Beside a foreign history a migration goes ahead whose objects are declared, and are not there."""
    await sql(database, GOOSE)
    folder.table(1, "a")
    await folder.declared(database)

    report = await kimbledb.migrate(database, catalog=folder.catalog)

    assert len(report.applied) == 1
    assert len(report.plan.notes) == 1


async def test_declared_rows_that_another_tool_inserted_are_not_inserted_again(
    database: str, tmp_path: Path, server: str
) -> None:
    """A declared migration that makes no object is adopted on the word of another tool's history, and does not run."""
    write(tmp_path, n20240101000001_t="CREATE TABLE t (id integer);", n20240101000002_row="INSERT INTO t VALUES (1);")
    await kimbledb.declare(tmp_path, server=server)
    catalog = kimbledb.Catalog.from_directory(tmp_path)
    await sql(
        database,
        "CREATE TABLE t (id integer); INSERT INTO t VALUES (1); CREATE TABLE schema_migrations (version varchar(128));"
        "INSERT INTO schema_migrations VALUES ('20240101000001'), ('20240101000002')",
    )

    adopted = await kimbledb.adopt(database, catalog=catalog)

    assert [step.name for step in adopted.adopted] == ["20240101000001_t.sql", "20240101000002_row.sql"]
    assert (await kimbledb.migrate(database, catalog=catalog)).applied == ()
    assert await rows_of(database, "SELECT id FROM t") == [(1,)]


async def test_a_foreign_history_beside_our_own_is_no_question(database: str, tmp_path: Path) -> None:
    """Where kimbledb has applied something its own history counts, and nothing is asked."""
    catalog = write(tmp_path / "flat", n001_a="CREATE TABLE a (id integer);")
    await kimbledb.migrate(database, catalog=catalog)
    await sql(database, GOOSE)
    catalog = write(tmp_path / "flat", n002_b="CREATE TABLE b (id integer);")

    report = await kimbledb.migrate(database, catalog=catalog)

    assert (len(report.applied), report.plan.notes) == (1, ())


async def test_the_platforms_own_histories_are_none_of_ours(hosted_database: str, tmp_path: Path) -> None:
    """A hosted platform migrates its own schemas; its tool's history of the project's tables counts."""
    await sql(
        hosted_database,
        "CREATE TABLE other (id integer); CREATE SCHEMA storage; CREATE SCHEMA realtime; CREATE SCHEMA supabase_migrations;"
        "CREATE TABLE auth.schema_migrations AS SELECT '1' AS version;"
        "CREATE TABLE realtime.schema_migrations AS SELECT 1::bigint AS version, now() AS inserted_at;"
        "CREATE TABLE storage.migrations AS SELECT 1 AS id, 'a' AS name, 'b' AS hash, now() AS executed_at;"
        "CREATE TABLE supabase_migrations.schema_migrations (version text, statements text[], name text);",
    )
    catalog = write(tmp_path / "flat", n001_a="CREATE TABLE a (id integer);")
    assert (await kimbledb.plan(hosted_database, catalog=catalog)).notes == ()

    await sql(hosted_database, "INSERT INTO supabase_migrations.schema_migrations VALUES ('1')")

    [note] = (await kimbledb.plan(hosted_database, catalog=catalog)).notes
    assert note.startswith("the database holds the history of Supabase: supabase_migrations.schema_migrations, 1 row")
    assert (await kimbledb.plan(hosted_database, catalog=catalog, schema="tenant")).notes == ()
    # All of the built-in migrations declare what they make: they are looked for.
    assert len((await kimbledb.migrate(hosted_database, to=1)).applied) == 1


async def test_the_row_that_goose_begins_with_says_nothing(database: str, tmp_path: Path) -> None:
    """Goose's history counts from its first migration on: the row 0, with which it begins, stops nobody."""
    (tmp_path / "1_a.sql").write_text("UPDATE users SET id = id * 100")
    catalog = kimbledb.Catalog.from_directory(tmp_path)
    await sql(
        database,
        "CREATE TABLE users (id integer);"
        "CREATE TABLE goose_db_version (id integer, version_id bigint, is_applied boolean);"
        "INSERT INTO goose_db_version VALUES (1, 1, true)",
    )

    with pytest.raises(kimbledb.ForeignHistoryError, match="goose"):
        await kimbledb.migrate(database, catalog=catalog)
    await sql(database, "UPDATE goose_db_version SET version_id = 0")
    assert len((await kimbledb.migrate(database, catalog=catalog)).applied) == 1


async def test_every_history_of_the_table_is_known(database: str) -> None:
    """Each tool's table, as it makes it and with a row for what it applied, is known as that tool's."""

    def quoted(name: str) -> str:
        return '"' + name + '"'

    async def found(each: History) -> list[str]:
        home = each.schema or "public"
        table = f"{quoted(home)}.{quoted(each.table)}"
        columns = ", ".join(f"{quoted(name)} text" for name in each.columns)
        values = ", ".join("NULL" if name == "rolled_back_at" else "1" for name in each.columns)
        await sql(
            database,
            f"CREATE SCHEMA IF NOT EXISTS {quoted(home)}; CREATE TABLE {table} ({columns});"
            f"INSERT INTO {table} VALUES ({values});",
        )
        async with target_of(database).session(kimbledb.Options()) as session:
            state = await history.look(session, "public")
            there = await foreign_histories.histories(session, state, "public", kimbledb.Catalog([]))
        await sql(database, f"DROP TABLE {table}")
        return [tool for one in there for tool in one.tool.split(" or ")]

    await sql(database, "CREATE TABLE application (id integer)")
    for tool in TOOLS:
        for each in tool.histories:
            assert tool.name in await found(each), each.table


#: What tools have in their tables once they have applied two of three files, each with these files.
HISTORIES = {
    "dbmate": (
        ("20240101000001_a.sql", "20240101000002_b.sql", "20240101000003_c.sql"),
        (
            "CREATE TABLE schema_migrations (version varchar(128) PRIMARY KEY);"
            "INSERT INTO schema_migrations VALUES ('20240101000001'), ('20240101000002')"
        ),
    ),
    "golang-migrate": (
        ("1_a.sql", "2_b.sql", "3_c.sql"),
        (
            "CREATE TABLE schema_migrations (version bigint PRIMARY KEY, dirty boolean NOT NULL);"
            "INSERT INTO schema_migrations VALUES (2, false)"
        ),
    ),
    "sqlx": (
        ("1_a.sql", "2_b.sql", "3_c.sql"),
        (
            "CREATE TABLE _sqlx_migrations (version bigint, description text, installed_on timestamptz, success boolean);"
            "INSERT INTO _sqlx_migrations VALUES (1, 'a', now(), true), (2, 'b', now(), true)"
        ),
    ),
    "Supabase": (
        ("20240101000001_a.sql", "20240101000002_b.sql", "20240101000003_c.sql"),
        (
            "CREATE SCHEMA supabase_migrations;"
            "CREATE TABLE supabase_migrations.schema_migrations (version text, statements text[], name text);"
            "INSERT INTO supabase_migrations.schema_migrations VALUES ('20240101000001'), ('20240101000002')"
        ),
    ),
    "Alembic": (
        ("001_ae1027a6acf4_a.sql", "002_1975ea83b712_b.sql", "003_27c6a30d7c24_c.sql"),
        (
            "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);"
            "INSERT INTO alembic_version VALUES ('1975ea83b712')"
        ),
    ),
    "node-pg-migrate": (
        ("1704067200001_a.sql", "1704067200002_b.sql", "1704067200003_c.sql"),
        (
            "CREATE TABLE pgmigrations (id serial, name text, run_on timestamp);"
            "INSERT INTO pgmigrations (name) VALUES ('1704067200001_a'), ('1704067200002_b')"
        ),
    ),
}


@pytest.mark.parametrize("tool", HISTORIES)
async def test_what_another_tool_applied_is_recorded_and_not_run_again(
    database: str, tmp_path: Path, tool: str
) -> None:
    """Its rows are matched with the files: migrate() stops and names them, adopt() records them, and only the rest is run."""
    files, made = HISTORIES[tool]
    for number, file in enumerate(files, 1):
        (tmp_path / file).write_text(f"INSERT INTO t VALUES ({number});", encoding="utf-8")
    catalog = kimbledb.Catalog.from_directory(tmp_path)
    await sql(database, f"CREATE TABLE t (id integer); INSERT INTO t VALUES (1), (2); {made}")

    with pytest.raises(kimbledb.ForeignHistoryError) as caught:
        await kimbledb.migrate(database, catalog=catalog)
    adopted = await kimbledb.adopt(database, catalog=catalog)
    await kimbledb.migrate(database, catalog=catalog)

    assert caught.value.claimed == files[:2]
    assert tool in caught.value.histories[0]
    assert tuple(step.name for step in adopted.adopted) == files[:2]
    assert await rows_of(database, "SELECT id FROM t ORDER BY id") == [(1,), (2,), (3,)]


async def test_a_migration_that_another_tool_left_half_done_is_told(database: str, tmp_path: Path) -> None:
    """A failed or unfinished row is named in the plan and is no record of an applied migration."""
    catalog = write(tmp_path / "flat", n001_a="SELECT 1;", n002_b="SELECT 2;")
    await sql(
        database,
        "CREATE TABLE t (id integer); CREATE TABLE flyway_schema_history "
        "(installed_rank integer, version text, type text, script text, success boolean);"
        "INSERT INTO flyway_schema_history VALUES (1, '1', 'SQL', '001_a.sql', true), (2, '2', 'SQL', '002_b.sql', false)",
    )

    plan = await kimbledb.plan(database, catalog=catalog)

    [note] = plan.notes
    assert note.endswith("2 rows, with 1 migration of this catalog; failed or unfinished: 002_b.sql")
    assert [str(step.state) for step in plan.steps] == ["adoptable", "pending"]
