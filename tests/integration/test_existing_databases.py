"""Databases that are already there: histories that another hand wrote, halves, and damage."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import kimbledb
from kimbledb import StepState
from tests.support.databases import Clone, psql, take_snapshot

#: As the document's master file makes it.
MASTER_HISTORY = """
    CREATE TABLE migration_history (
        id SERIAL PRIMARY KEY,
        migration_name TEXT UNIQUE NOT NULL,
        applied_at TIMESTAMPTZ DEFAULT NOW(),
        success BOOLEAN DEFAULT TRUE,
        error_message TEXT,
        execution_time_ms INTEGER
    );
"""


async def forget(connection: asyncpg.Connection) -> None:
    """Take the history away, as in a database that was filled by hand."""
    await connection.execute("DROP TABLE IF EXISTS migration_history, migration_log")


async def names_in_order(dsn: str) -> list[str]:
    """Return the names of the migrations that a fresh database of this server gets, in order."""
    return [step.name for step in (await kimbledb.plan(dsn, schema="nothing_here")).pending]


async def test_adopting_nothing_lets_migrate_go_on(database: str, connection: asyncpg.Connection) -> None:
    """Where a part of the first migration is all there is, adopt() records nothing, and migrate() then completes it."""
    await connection.execute("CREATE TABLE users (id text PRIMARY KEY, email text); INSERT INTO users VALUES ('ann')")
    with pytest.raises(kimbledb.UnrecordedObjectsError):
        await kimbledb.migrate(database)
    await kimbledb.adopt(database, dry_run=True)
    assert await connection.fetchval("SELECT to_regclass('migration_history')") is None

    report = await kimbledb.adopt(database)

    assert report.adopted == ()
    assert await connection.fetchval("SELECT count(*) FROM migration_history") == 0
    assert len((await kimbledb.migrate(database)).applied) == 34
    assert await connection.fetchval("SELECT id FROM users") == "ann"
    assert (await kimbledb.verify(database)).ok


async def test_a_rollback_of_everything_takes_the_word_of_adopt_back(
    database: str, connection: asyncpg.Connection
) -> None:
    """Objects that come by hand after everything was rolled back are again looked at by adopt() first."""
    await kimbledb.adopt(database)
    await kimbledb.migrate(database, to=1)
    await kimbledb.rollback(database, to=0)
    await connection.execute("CREATE TABLE users (id text PRIMARY KEY)")

    with pytest.raises(kimbledb.UnrecordedObjectsError):
        await kimbledb.migrate(database)


async def test_a_repair_needs_no_column_of_a_table_that_is_not_there(migrated_database: str) -> None:
    """A repair that looks after tables of which some are not there yet is done where the others are right."""
    connection = await asyncpg.connect(migrated_database)
    await kimbledb.rollback(migrated_database, to=9)
    await forget(connection)
    await connection.execute("DROP TABLE user_tokens")

    plan = await kimbledb.plan(migrated_database)

    assert plan.step("COMPREHENSIVE_TYPE_FIX.sql").state is StepState.ADOPTABLE
    await connection.execute("ALTER TABLE projects DROP COLUMN owner_id CASCADE")
    plan = await kimbledb.plan(migrated_database)
    assert plan.step("COMPREHENSIVE_TYPE_FIX.sql").state is StepState.PENDING
    await connection.close()


async def test_the_master_files_history_is_read_and_extended_in_place(migrated_on_each: str) -> None:
    """The history of the document's master file is believed where its objects exist, and its rows stay."""
    connection = await asyncpg.connect(migrated_on_each)
    applied = await connection.fetch("SELECT migration_name FROM migration_history ORDER BY id")
    await forget(connection)
    await connection.execute(MASTER_HISTORY)
    await connection.execute("INSERT INTO migration_history (migration_name) VALUES ('00_extensions')")
    for number, (name,) in enumerate(applied):
        await connection.execute(
            "INSERT INTO migration_history (migration_name, applied_at, execution_time_ms) VALUES ($1, $2, 7)",
            name.removesuffix(".sql") if number % 2 else name,
            datetime(2025, 10, 27, 12, tzinfo=UTC),
        )
    before = await connection.fetch("SELECT * FROM migration_history ORDER BY id")

    plan = await kimbledb.plan(migrated_on_each)
    assert plan.pending == ()
    assert plan.step("COMPLETE_MIGRATION.sql").reason.startswith(
        "recorded outside of kimbledb 2025-10-27 12:00:00; all "
    )
    assert plan.step("00_extensions").state is StepState.UNKNOWN
    assert (await kimbledb.migrate(migrated_on_each)).applied == ()
    assert (await kimbledb.status(migrated_on_each)).plan.pending == ()
    assert await connection.fetch("SELECT * FROM migration_history ORDER BY id") == before

    report = await kimbledb.adopt(migrated_on_each)

    assert len(report.adopted) == 34
    after = await connection.fetch("SELECT * FROM migration_history ORDER BY id")
    assert [row["id"] for row in after] == [row["id"] for row in before]
    assert [row["migration_name"] for row in after] == ["00_extensions", *(name for (name,) in applied)]
    assert {row["applied_at"] for row in after[1:]} == {datetime(2025, 10, 27, 12, tzinfo=UTC)}
    assert {row["execution_time_ms"] for row in after[1:]} == {7}
    catalog = kimbledb.Catalog.builtin()
    assert [row["checksum"] for row in after] == [None, *(catalog[name].checksum for (name,) in applied)]
    assert (await kimbledb.adopt(migrated_on_each)).adopted == ()
    assert (await kimbledb.migrate(migrated_on_each)).applied == ()
    assert (await kimbledb.verify(migrated_on_each)).ok
    await connection.close()


async def test_a_history_that_says_more_than_is_there_is_not_believed(migrated_database: str) -> None:
    """What another hand recorded and what is not there, or only in part, is applied all the same."""
    database = migrated_database
    connection = await asyncpg.connect(database)
    await kimbledb.rollback(database, to=16)
    await forget(connection)
    await connection.execute(MASTER_HISTORY)
    await connection.execute("ALTER TABLE categories DROP COLUMN icon")
    for migration in kimbledb.Catalog.builtin():
        if migration.number <= 17:
            await connection.execute("INSERT INTO migration_history (migration_name) VALUES ($1)", migration.name)

    plan = await kimbledb.plan(database)
    categories = plan.step("content-organization-system.sql")
    assert categories.state is StepState.PARTIAL
    assert categories.reason.endswith("but column categories.icon missing")
    assert plan.step("notifications-table-migration.sql").state is StepState.PENDING
    assert plan.step("notifications-table-migration.sql").reason.endswith("but none of its objects exists")
    # Both alternatives are recorded; what is there decides.
    assert plan.step("supabase-migration-user_tokens.sql").state is StepState.REPLACED

    report = await kimbledb.migrate(database)

    names = [step.migration.number for step in report.applied]
    assert names == [4, 17, *range(18, 36)]
    assert await connection.fetchval("SELECT event FROM migration_log ORDER BY id LIMIT 1") == "takeover"
    assert (await kimbledb.verify(database)).ok
    with pytest.raises(
        kimbledb.RollbackRefusedError, match=r"adopted and not made by these migrations: .*COMPLETE_MIG"
    ):
        await kimbledb.rollback(database, 1, cascade=True)
    await connection.close()


OTHER_SHAPES = {
    "varchar names, no zone, no key": """
        CREATE TABLE migration_history (migration_name varchar(200), applied_at timestamp, success boolean);
        INSERT INTO migration_history VALUES ('COMPLETE_MIGRATION', '2025-10-27 12:00', true)""",
    "names alone": """
        CREATE TABLE migration_history (migration_name text PRIMARY KEY);
        INSERT INTO migration_history VALUES ('COMPLETE_MIGRATION.sql')""",
    "numbers without a sequence": """
        CREATE TABLE migration_history (id integer PRIMARY KEY, migration_name name NOT NULL, applied_at date, success boolean,
                                        execution_time_ms smallint);
        INSERT INTO migration_history VALUES (7, 'COMPLETE_MIGRATION.sql', '2025-10-27', true, 1)""",
    "doubled rows, numbered by hand beside a sequence": """
        CREATE SEQUENCE numbers;
        CREATE TABLE migration_history (id integer PRIMARY KEY DEFAULT nextval('numbers'), migration_name text,
                                        applied_at timestamptz, success boolean);
        INSERT INTO migration_history (id, migration_name, applied_at, success) VALUES
            (1, 'COMPLETE_MIGRATION.sql', '2025-10-25', false), (2, 'COMPLETE_MIGRATION.sql', '2025-10-26', true),
            (3, 'COMPLETE_MIGRATION.sql', '2025-10-27', NULL)""",
    "success unknown": """
        CREATE TABLE migration_history (migration_name text UNIQUE, success boolean);
        INSERT INTO migration_history VALUES ('COMPLETE_MIGRATION.sql', NULL)""",
    "columns of its own": """
        CREATE TABLE migration_history (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), migration_name text UNIQUE DEFERRABLE,
                                        applied_at timestamptz, success boolean, checksum varchar(64), batch integer DEFAULT 1);
        INSERT INTO migration_history VALUES (DEFAULT, 'COMPLETE_MIGRATION.sql', now(), true, 'of another tool')""",
}


@pytest.mark.parametrize("shape", OTHER_SHAPES)
async def test_a_history_of_another_known_shape_is_taken_over(
    database: str, connection: asyncpg.Connection, shape: str
) -> None:
    """A history of another shape is brought to ours in place, keeps its row, and migrate() and adopt() go on from it."""
    await kimbledb.migrate(database, to=1)
    await forget(connection)
    await connection.execute(OTHER_SHAPES[shape])

    plan = await kimbledb.plan(database, to=1)
    await kimbledb.adopt(database)
    assert (await kimbledb.migrate(database, to=1)).applied == ()
    assert (await kimbledb.migrate(database)).applied != ()

    assert plan.step("COMPLETE_MIGRATION.sql").state is (
        StepState.ADOPTABLE if shape == "success unknown" else StepState.APPLIED
    )
    rows = await connection.fetch("SELECT * FROM migration_history WHERE migration_name LIKE 'COMPLETE_MIGRATION%'")
    assert [(row["migration_name"], row["success"], row["adopted"]) for row in rows] == [
        ("COMPLETE_MIGRATION.sql", True, True)
    ]
    assert rows[0]["checksum"] == kimbledb.Catalog.builtin()[1].checksum
    entry = json.loads(await connection.fetchval("SELECT detail FROM migration_log WHERE event = 'takeover'"))
    assert entry["altered"]
    if shape.startswith("doubled rows"):
        assert rows[0]["applied_at"].day == 26
        assert sorted(str(row["applied_at"])[:10] for row in entry["doubled"]) == ["2025-10-25", "2025-10-27"]
    assert (await kimbledb.migrate(database)).applied == ()
    assert len(await connection.fetch("SELECT DISTINCT migration_name FROM migration_history")) == 34


UNKNOWN_SHAPES = {
    "CREATE VIEW migration_history AS SELECT 'x' AS migration_name, true AS success": "migration_history is a view",
    "CREATE TABLE migration_history (version bigint PRIMARY KEY, dirty boolean)": "has no column migration_name",
    "CREATE TABLE migration_history (migration_name integer)": "migration_history.migration_name is integer, and text",
    "CREATE TABLE migration_history (migration_name text, success text)": "success is text, and boolean is needed",
    "CREATE TABLE migration_history (migration_name text, batch integer NOT NULL)": "batch is not null and has no default",
    "CREATE TABLE migration_history (migration_name text); CREATE TABLE migration_log (line text)": "migration_log is there",
    "CREATE TABLE migration_history (migration_name text) PARTITION BY LIST (migration_name)": "is a partitioned table",
}


@pytest.mark.parametrize("statement", UNKNOWN_SHAPES)
async def test_a_history_that_cannot_be_taken_over_is_refused(
    database: str, connection: asyncpg.Connection, statement: str
) -> None:
    """A history of an unknown shape is refused with the difference, and nothing is changed; verify() reports it."""
    await connection.execute(statement)

    for call in (kimbledb.plan, kimbledb.status, kimbledb.migrate, kimbledb.adopt):
        with pytest.raises(kimbledb.HistoryError, match=UNKNOWN_SHAPES[statement]):
            await call(database)

    report = await kimbledb.verify(database)
    assert not report.ok
    [unread] = [check for check in report.checks if check.name == "history" and not check.passed]
    assert UNKNOWN_SHAPES[statement] in (unread.found or "")
    assert await connection.fetchval("SELECT to_regclass('users')") is None


async def test_a_history_under_a_view_is_refused_whole(database: str, connection: asyncpg.Connection) -> None:
    """Where a view keeps a column from being converted, nothing of the taking over is left behind."""
    await connection.execute(
        "CREATE TABLE migration_history (migration_name varchar(100));"
        "CREATE VIEW last_migrations AS SELECT migration_name FROM migration_history"
    )

    with pytest.raises(kimbledb.HistoryError, match="used by a view or rule"):
        await kimbledb.migrate(database)

    assert await connection.fetchval("SELECT to_regclass('migration_log')") is None
    columns = await connection.fetch("SELECT 1 FROM information_schema.columns WHERE table_name = 'migration_history'")
    assert len(columns) == 1


async def by_hand(dsn: str, count: int, *, closing: bool = True) -> list[str]:
    """Apply the first migrations of a bare database by psql, and return their names."""
    names = (await names_in_order(dsn))[:count]
    catalog = kimbledb.Catalog.builtin()
    text = 'CREATE EXTENSION vector; CREATE EXTENSION pg_trgm; CREATE EXTENSION "uuid-ossp";\n' if names else ""
    for name in names:
        text += f"BEGIN;\nSET LOCAL search_path = public, pg_temp;\n{catalog[name].apply_sql}\nCOMMIT;\n"
    text += "REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC;\n" if closing else ""
    run = psql(dsn, "SET client_min_messages = warning;\n" + text)
    assert (run.returncode, run.stderr) == (0, "")
    return names


@pytest.mark.parametrize("history", [False, True], ids=["no history", "with history"])
@pytest.mark.parametrize("count", [0, 1, 17, 34])
async def test_a_database_made_by_hand_is_completed(
    database: str, migrated_database: str, count: int, history: bool
) -> None:
    """After 0, 1, 17 or all migrations by psql, with a history or without, the rest comes, and the schema is that of a fresh one."""
    names = await by_hand(database, count)
    connection = await asyncpg.connect(database)
    if history:
        await connection.execute(MASTER_HISTORY)
        for name in names:
            await connection.execute("INSERT INTO migration_history (migration_name) VALUES ($1)", name)
    elif count:
        with pytest.raises(kimbledb.UnrecordedObjectsError):
            await kimbledb.migrate(database)
        assert [step.name for step in (await kimbledb.adopt(database)).adopted] == names

    report = await kimbledb.migrate(database)

    assert [step.migration.name for step in report.applied] == (await names_in_order(database))[count:]
    assert str((await take_snapshot(database)).since(await take_snapshot(migrated_database))) == "no difference"
    assert (await kimbledb.migrate(database)).applied == ()
    if history and count == 34:
        # Nothing was to be written, so that the history is as another hand made it; verify() would tell that it is open.
        await kimbledb.adopt(database)
    verification = await kimbledb.verify(database)
    assert verification.ok, str(verification)
    await connection.close()


#: What hands do to objects of the catalog, by kind.
DAMAGE = {
    "table": "DROP TABLE {name} CASCADE",
    "column": "ALTER TABLE {table} DROP COLUMN {own} CASCADE",
    "constraint": "ALTER TABLE {table} DROP CONSTRAINT {own} CASCADE",
    "index": "DROP INDEX {name}",
    "function": "DROP FUNCTION {name} CASCADE",
    "view": "DROP VIEW {name} CASCADE",
    "trigger": "DROP TRIGGER {own} ON {table}",
    "policy": "DROP POLICY {own} ON {table}",
}
VIEWS = {each.name for m in kimbledb.Catalog.builtin() for each in m.creates if each.kind == "view"}
DAMAGEABLE = sorted(
    each
    for migration in kimbledb.Catalog.builtin()
    if migration.number != 3
    for each in migration.creates
    if each.kind in DAMAGE and not (each.kind == "column" and each.name.partition(".")[0] in VIEWS)
)


def damage_of(each: kimbledb.DatabaseObject) -> str:
    """Return a block that takes an object away, where an earlier one did not take it along."""
    table, _, own = each.name.partition(".")
    statement = DAMAGE[each.kind].format(name=each.name, table=table, own=own)
    return (
        f"DO $$ BEGIN {statement}; EXCEPTION WHEN undefined_table OR undefined_column OR undefined_object"
        " OR undefined_function THEN NULL; END $$;"
    )


async def whole_again_without(gone: list[kimbledb.DatabaseObject], dsn: str) -> None:
    """Take objects and history away, and make sure that adopt() and migrate() bring the whole schema back."""
    fresh = await take_snapshot(dsn)
    connection = await asyncpg.connect(dsn)
    await forget(connection)
    await connection.execute("".join(map(damage_of, gone)))
    await connection.close()

    await kimbledb.adopt(dsn)
    await kimbledb.migrate(dsn)

    assert str((await take_snapshot(dsn)).since(fresh)) == "no difference"
    assert (await kimbledb.migrate(dsn)).applied == ()


# Each example takes seconds, so that what fails is shown as it was found.
@settings(
    max_examples=settings().max_examples // 25,
    suppress_health_check=list(HealthCheck),
    deadline=None,
    phases=[phase for phase in Phase if phase is not Phase.shrink],
)
@given(gone=st.lists(st.sampled_from(DAMAGEABLE), min_size=1, max_size=12, unique=True))
async def test_whatever_part_is_missing_comes_back(
    template: str, clone: Clone, gone: list[kimbledb.DatabaseObject]
) -> None:
    """A database without history from which any objects were taken is adopted and migrated to the whole schema."""
    await whole_again_without(gone, await clone(template))


async def test_what_is_open_by_default_is_closed(database: str, connection: asyncpg.Connection) -> None:
    """Functions that a person made without taking EXECUTE from everybody are completed, not adopted, and closed then."""
    names = await by_hand(database, 1, closing=False)
    await connection.execute("GRANT ALL ON users TO PUBLIC")

    assert (await kimbledb.adopt(database)).adopted == ()
    plan = await kimbledb.plan(database, to=1)
    report = await kimbledb.migrate(database, to=1)

    assert plan.step(names[0]).state is StepState.PARTIAL
    assert [step.migration.name for step in report.applied] == names
    assert not await connection.fetchval("SELECT has_function_privilege('public', 'requesting_user_id()', 'EXECUTE')")
    assert not await connection.fetchval("SELECT has_table_privilege('public', 'users', 'SELECT')")
    assert (await kimbledb.verify(database)).ok


async def test_a_flat_folder_goes_with_the_master_files_history(
    database: str, connection: asyncpg.Connection, tmp_path: Path
) -> None:
    """Files named as in the document are applied in order after those that its history records, and cannot be taken back."""
    for number in (1, 2, 3):
        (tmp_path / f"{number:03}_T{number}.sql").write_text(f"CREATE TABLE t{number} (id integer);")
    catalog = kimbledb.Catalog.from_directory(tmp_path)
    await connection.execute(MASTER_HISTORY)
    await connection.execute("CREATE TABLE t1 (id integer); INSERT INTO migration_history VALUES (1, '001_T1.sql')")

    report = await kimbledb.migrate(database, catalog=catalog)

    assert [step.migration.name for step in report.applied] == ["002_T2.sql", "003_T3.sql"]
    assert (await kimbledb.migrate(database, catalog=catalog)).applied == ()
    with pytest.raises(
        kimbledb.RollbackRefusedError, match=r"003_T3\.sql cannot be rolled back: it has no rollback\.sql"
    ):
        await kimbledb.rollback(database, 3, catalog=catalog)
    (tmp_path / "002_T2.sql").write_text("CREATE TABLE other (id integer);")
    with pytest.raises(kimbledb.ChangedMigrationError, match=r"002_T2\.sql"):
        await kimbledb.migrate(database, catalog=kimbledb.Catalog.from_directory(tmp_path))


#: The columns that hold no NULL and have no default: an empty table gets them as they are declared.
WANTED = [
    each
    for each in DAMAGEABLE
    if each.kind == "column" and "not_null" in (each.facts or {}) and "default" not in (each.facts or {})
]


@pytest.mark.parametrize("gone", [["categories.name"], None], ids=["one", "all"])
async def test_columns_without_null_come_back_so(template: str, clone: Clone, gone: list[str] | None) -> None:
    """Columns without NULL and without a default, of empty tables, are NOT NULL again: one, and all at once."""
    columns = [each for each in WANTED if gone is None or each.name in gone]
    assert len(columns) == 1 if gone else len(columns) > 40

    await whole_again_without(columns, await clone(template))
