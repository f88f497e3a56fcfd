"""Drift: what hands altered after the migrations, told by verify() with the statement that cures it."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

import asyncpg
import pytest

import kimbledb
from tests.support.databases import as_role, take_snapshot
from tests.support.folders import Folder

BEFORE = Path(__file__).parent.parent / "data" / "before"

#: What a hand did, the migration whose object it is, the object, and how its cure begins.
DAMAGES = [
    (
        "ALTER TABLE users DROP COLUMN avatar_url",
        "COMPLETE_MIGRATION.sql",
        "column users.avatar_url",
        "ALTER TABLE users ADD COLUMN avatar_url text",
    ),
    (
        "ALTER TABLE notifications ALTER COLUMN title TYPE varchar(80)",
        "notifications-table-migration.sql",
        "column notifications.title",
        "ALTER TABLE notifications ALTER COLUMN title TYPE text",
    ),
    (
        "ALTER TABLE projects ALTER COLUMN status DROP NOT NULL, ALTER COLUMN status SET DEFAULT 'new'",
        "COMPLETE_MIGRATION.sql",
        "column projects.status",
        "ALTER TABLE projects ALTER COLUMN status DROP DEFAULT, ALTER COLUMN status SET NOT NULL, ALTER COLUMN status SET",
    ),
    (
        "DROP POLICY projects_owner ON projects",
        "COMPLETE_MIGRATION.sql",
        "policy projects.projects_owner",
        "CREATE POLICY projects_owner ON projects USING (",
    ),
    (
        "ALTER POLICY categories_owner ON categories USING (true)",
        "content-organization-system.sql",
        "policy categories.categories_owner",
        "ALTER POLICY categories_owner ON categories USING (",
    ),
    (
        "ALTER TABLE messages DISABLE ROW LEVEL SECURITY",
        "COMPLETE_MIGRATION.sql",
        "table messages",
        "ALTER TABLE messages ENABLE ROW LEVEL SECURITY",
    ),
    (
        "CREATE OR REPLACE FUNCTION categories_are_a_tree() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "content-organization-system.sql",
        "function categories_are_a_tree()",
        "CREATE OR REPLACE FUNCTION categories_are_a_tree()",
    ),
    (
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'idx_notifications_unread'::regclass",
        "notifications-table-migration.sql",
        "index idx_notifications_unread",
        "REINDEX INDEX CONCURRENTLY idx_notifications_unread",
    ),
    (
        "DROP INDEX idx_notifications_unread",
        "notifications-table-migration.sql",
        "index idx_notifications_unread",
        "CREATE INDEX idx_notifications_unread ON notifications ",
    ),
    (
        "ALTER TABLE categories DISABLE TRIGGER categories_are_a_tree",
        "content-organization-system.sql",
        "trigger categories.categories_are_a_tree",
        "ALTER TABLE categories ENABLE TRIGGER categories_are_a_tree",
    ),
    (
        "DROP TRIGGER categories_set_updated_at ON categories",
        "content-organization-system.sql",
        "trigger categories.categories_set_updated_at",
        "CREATE TRIGGER categories_set_updated_at BEFORE UPDATE ON categories",
    ),
    (
        "ALTER TABLE categories DROP CONSTRAINT categories_parent_id_fkey",
        "content-organization-system.sql",
        "constraint categories.categories_parent_id_fkey",
        "ALTER TABLE categories ADD CONSTRAINT categories_parent_id_fkey FOREIGN KEY",
    ),
    (
        "ALTER TABLE categories DROP CONSTRAINT categories_name_check, ADD CONSTRAINT categories_name_check CHECK (true)",
        "content-organization-system.sql",
        "constraint categories.categories_name_check",
        "ALTER TABLE categories DROP CONSTRAINT categories_name_check",
    ),
]


async def drift_of(dsn: str) -> list[kimbledb.Check]:
    """Return what verify() says of objects that are not as declared."""
    kinds = "table|column|constraint|index|function|view|trigger|policy|privilege|statistics"
    return [check for check in (await kimbledb.verify(dsn)).checks if re.match(rf"({kinds}) ", check.name)]


async def test_nothing_has_drifted_after_migrating(migrated_on_each: str) -> None:
    """A migrated database has every object in its declared form, and says so in one check."""
    report = await kimbledb.verify(migrated_on_each)

    assert report.ok
    [drift] = [check for check in report.checks if check.name == "drift"]
    assert drift.passed
    assert re.fullmatch(r"[12][0-9]{3} objects in their declared form", drift.found or "")


@pytest.mark.parametrize(("damage", "migration", "name", "cure"), DAMAGES, ids=[each[0][:50] for each in DAMAGES])
async def test_what_was_altered_by_hand_is_told_and_cured(
    migrated_database: str, damage: str, migration: str, name: str, cure: str
) -> None:
    """What a hand altered is listed with its migration, and the statement of its hint makes the schema whole again."""
    whole = await take_snapshot(migrated_database)
    connection = await asyncpg.connect(migrated_database)
    await connection.execute(damage)

    report = await kimbledb.verify(migrated_database)
    drifted = await drift_of(migrated_database)

    assert not report.ok
    assert [(check.migration, check.name) for check in drifted] == [(migration, name)]
    hint = drifted[0].hint or ""
    assert hint.startswith(cure)
    await connection.execute("SET search_path = public, pg_temp")
    await connection.execute(hint)
    left = (await take_snapshot(migrated_database)).since(whole)
    assert [each for each in left.changed if each.kind != "privilege"] == []
    assert left.dropped == ()
    assert not await drift_of(migrated_database)
    await connection.close()


async def test_a_table_that_is_gone_is_told_once(migrated_database: str) -> None:
    """Of a dropped table and what goes with it the parts are not told one by one; the cures, in order, make all whole."""
    whole = await take_snapshot(migrated_database)
    connection = await asyncpg.connect(migrated_database)
    await connection.execute("DROP TABLE backups CASCADE; CREATE TABLE of_the_application (id integer)")

    drifted, view, *functions = await drift_of(migrated_database)

    assert (drifted.migration, drifted.name, drifted.found) == (
        "backups-table-migration.sql",
        "table backups",
        "missing",
    )
    assert (drifted.file or "").endswith("18_backups-table-migration/apply.sql")
    assert view.name == "view restore_points"
    assert all(each.name.startswith("function ") for each in functions)
    await connection.execute("SET search_path = public, pg_temp; DROP TABLE of_the_application")
    for check in (drifted, view, *functions):
        await connection.execute(check.hint or "")
    assert str((await take_snapshot(migrated_database)).since(whole)) == "no difference"
    await connection.close()


async def test_a_privilege_that_was_taken_or_given_is_told(hosted_migrated_database: str) -> None:
    """On a hosted database, what an API role may do is part of what is declared."""
    connection = await asyncpg.connect(hosted_migrated_database)
    await connection.execute("GRANT TRUNCATE ON categories TO authenticated; REVOKE ALL ON messages FROM authenticated")

    drifted = {check.name: check.hint or "" for check in await drift_of(hosted_migrated_database)}

    assert set(drifted) == {"privilege table categories to authenticated", "privilege table messages to authenticated"}
    for hint in drifted.values():
        await connection.execute(hint)
    assert await drift_of(hosted_migrated_database) == []
    await connection.close()


@pytest.mark.parametrize("old", ["uuid_ids.sql", "few_columns.sql"])
async def test_what_was_so_before_is_no_drift(database: str, connection: asyncpg.Connection, old: str) -> None:
    """Defaults, NOT NULL and keys that a database had before are no drift, also for a role that may not read the log; what a hand alters later is."""
    monitor = f"monitor_{secrets.token_hex(4)}"
    await connection.execute((BEFORE / old).read_text(encoding="utf-8"))
    await kimbledb.adopt(database)
    await kimbledb.migrate(database)
    await connection.execute(
        f"CREATE ROLE {monitor} LOGIN PASSWORD '{monitor}'; GRANT SELECT ON migration_history TO {monitor}"
    )

    assert await drift_of(database) == []
    assert await drift_of(as_role(database, monitor)) == []
    await connection.execute(
        "ALTER TABLE messages DISABLE ROW LEVEL SECURITY; ALTER TABLE users ALTER name TYPE varchar"
    )
    for target in (database, as_role(database, monitor)):
        assert {check.name for check in await drift_of(target)} == {"table messages", "column users.name"}
    await connection.execute(f"DROP OWNED BY {monitor}; DROP ROLE {monitor}")


async def test_only_what_is_applied_is_expected(database: str) -> None:
    """Before all migrations are applied, nothing is missed that the others will make."""
    await kimbledb.migrate(database, to=9)

    assert await drift_of(database) == []


async def test_a_migration_folds_over_the_one_before(
    database: str, folder: Folder, connection: asyncpg.Connection
) -> None:
    """What a later migration changes or drops is expected in its later form, and what it dropped is to stay away."""
    folder.add(1, "a", "CREATE TABLE a (id integer, old text);")
    folder.add(
        2, "b", "ALTER TABLE a ALTER id TYPE bigint;\nALTER TABLE a DROP COLUMN old;", facts='requires = ["a.sql"]'
    )
    await folder.declared(database)
    await kimbledb.migrate(database, catalog=folder.catalog)
    assert (await kimbledb.verify(database, catalog=folder.catalog)).ok
    await connection.execute("ALTER TABLE a ALTER id TYPE integer, ADD COLUMN old text")

    failures = (await kimbledb.verify(database, catalog=folder.catalog)).failures

    assert [(check.migration, check.name, check.expected, check.found, check.line) for check in failures] == [
        ("b.sql", "column a.id", "bigint", "integer", 1),
        ("b.sql", "column a.old", "gone", "text", 2),
    ]
    assert [check.hint for check in failures] == [
        "ALTER TABLE a ALTER COLUMN id TYPE bigint USING id::bigint",
        "ALTER TABLE a DROP COLUMN old",
    ]


@pytest.mark.parametrize(
    ("damage", "name"),
    [
        ("REVOKE UPDATE (name) ON users FROM authenticated", "privilege column users.name to authenticated"),
        ("GRANT SELECT (name) ON users TO authenticated", "privilege column users.name to authenticated"),
        (
            "GRANT UPDATE (name) ON users TO authenticated WITH GRANT OPTION",
            "privilege column users.name to authenticated",
        ),
    ],
)
async def test_the_cure_of_a_columns_grant_is_for_that_column_alone(
    hosted_migrated_database: str, damage: str, name: str
) -> None:
    """What a role may do to one column is given back, and nothing of the table beside it is given or taken."""
    whole = await take_snapshot(hosted_migrated_database)
    connection = await asyncpg.connect(hosted_migrated_database)
    await connection.execute(damage)

    [drifted] = await drift_of(hosted_migrated_database)
    await connection.execute(drifted.hint or "")

    assert name == drifted.name
    assert str((await take_snapshot(hosted_migrated_database)).since(whole)) == "no difference"
    await connection.close()


async def test_what_may_be_granted_on_is_given_back_so(hosted_database: str, folder: Folder) -> None:
    """A privilege that its role may grant to others is cured with that option, and the others without."""
    folder.add(
        1,
        "a",
        "CREATE TABLE a (id integer);\nREVOKE ALL ON a FROM anon, authenticated, service_role;\n"
        "GRANT SELECT ON a TO service_role; GRANT UPDATE ON a TO service_role WITH GRANT OPTION;",
    )
    await folder.declared(hosted_database)
    await kimbledb.migrate(hosted_database, catalog=folder.catalog)
    whole = await take_snapshot(hosted_database)
    connection = await asyncpg.connect(hosted_database)
    await connection.execute("REVOKE ALL ON a FROM service_role")

    [drifted] = (await kimbledb.verify(hosted_database, catalog=folder.catalog)).failures
    await connection.execute(drifted.hint or "")

    assert str((await take_snapshot(hosted_database)).since(whole)) == "no difference"
    await connection.close()


async def test_what_a_pending_migration_brings_is_no_drift(
    database: str, folder: Folder, connection: asyncpg.Connection
) -> None:
    """A form that somebody gave an object before the migration that gives it was applied is no drift, nor is what it drops."""
    folder.add(1, "a", "CREATE TABLE a (id integer, old text);")
    folder.add(2, "b", "ALTER TABLE a ALTER id TYPE bigint;", facts='requires = ["a.sql"]')
    await folder.declared(database)
    await kimbledb.migrate(database, catalog=folder.catalog, to=1)
    await connection.execute("ALTER TABLE a ALTER id TYPE bigint")
    assert (await kimbledb.verify(database, catalog=folder.catalog)).ok
    await connection.execute("ALTER TABLE a ALTER id TYPE numeric")

    failures = (await kimbledb.verify(database, catalog=folder.catalog)).failures

    assert [(check.name, check.expected, check.found) for check in failures] == [("column a.id", "integer", "numeric")]
