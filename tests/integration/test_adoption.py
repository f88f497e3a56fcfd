"""Databases that are there already: what they show, and writing history for it."""

from __future__ import annotations

import asyncpg
import pytest

import kimbledb
from kimbledb import StepState
from tests.support.folders import Folder


async def _forget(connection: asyncpg.Connection) -> None:
    """Take the history away, as in a database that was filled by hand."""
    await connection.execute("DROP TABLE migration_history, migration_log")


async def test_a_whole_database_is_adopted(migrated_on_each: str) -> None:
    """A database that holds everything and no history is refused by migrate(), adopted whole, and then up to date."""
    connection = await asyncpg.connect(migrated_on_each)
    await _forget(connection)
    with pytest.raises(kimbledb.UnrecordedObjectsError, match="34 migrations"):
        await kimbledb.migrate(migrated_on_each)

    dry = await kimbledb.adopt(migrated_on_each, dry_run=True)
    assert len(dry.adopted) == 34
    assert await connection.fetchval("SELECT to_regclass('migration_history')") is None

    report = await kimbledb.adopt(migrated_on_each)

    assert len(report.adopted) == 34
    assert (await kimbledb.migrate(migrated_on_each)).applied == ()
    rows = await connection.fetch("SELECT adopted, evidence, success FROM migration_history")
    assert [bool(row["adopted"] and row["success"] and row["evidence"]) for row in rows] == [True] * 34
    assert await connection.fetchval("SELECT count(*) FROM migration_log WHERE event = 'adopt'") == 34
    await connection.close()


async def test_a_half_filled_database_is_completed(migrated_database: str) -> None:
    """What is there in part keeps its rows and gets what is missing; what is proved is adopted and not run."""
    connection = await asyncpg.connect(migrated_database)
    await kimbledb.rollback(migrated_database, to=17)
    await connection.execute("INSERT INTO users (id) VALUES ('ann')")
    await connection.execute("INSERT INTO notifications (user_id, title) VALUES ('ann', 'kept')")
    await connection.execute("ALTER TABLE notifications DROP COLUMN priority; DROP INDEX idx_notifications_unread")
    await _forget(connection)

    plan = await kimbledb.plan(migrated_database)
    assert plan.step("notifications-table-migration.sql").state is StepState.PARTIAL
    assert "missing" in plan.step("notifications-table-migration.sql").reason
    assert plan.step("COMPLETE_MIGRATION.sql").state is StepState.ADOPTABLE
    assert plan.step("mcp-servers-schema.sql").state is StepState.PENDING

    adopted = await kimbledb.adopt(migrated_database)
    names = [step.name for step in adopted.adopted]
    assert "COMPLETE_MIGRATION.sql" in names
    assert "notifications-table-migration.sql" not in names
    report = await kimbledb.migrate(migrated_database)

    assert len(names) + len(report.applied) == 34
    assert await connection.fetchval("SELECT title FROM notifications WHERE priority = 'normal'") == "kept"
    assert (await kimbledb.verify(migrated_database)).ok
    await connection.close()


async def test_a_column_of_another_type_stops_the_run(database: str, connection: asyncpg.Connection) -> None:
    """A column of another type, which no pending repair converts, is told by name and stops the run."""
    await kimbledb.migrate(database, to=4)
    await connection.execute("CREATE TABLE indexing_state (id uuid PRIMARY KEY, total_indexed bytea)")

    plan = await kimbledb.plan(database)
    step = plan.step("indexing-state-schema.sql")
    assert step.state is StepState.CONFLICTING
    assert "column indexing_state.total_indexed is bytea instead of integer" in step.reason
    with pytest.raises(kimbledb.ConflictingObjectsError, match="total_indexed"):
        await kimbledb.migrate(database)


async def test_either_alternative_is_told_by_what_it_made(migrated_on_each: str) -> None:
    """A database is not offered the alternative of what it shows, whatever its platform's default."""
    connection = await asyncpg.connect(migrated_on_each)
    hosted = await connection.fetchval("SELECT to_regclass('user_connections') IS NOT NULL")
    await _forget(connection)
    plan = await kimbledb.plan(migrated_on_each)
    taken, left = ("supabase-migration-user_tokens.sql", "create_user_tokens_table.sql")
    if not hosted:
        taken, left = left, taken
    assert plan.step(taken).state is StepState.ADOPTABLE
    assert plan.step(left).state is StepState.REPLACED
    await connection.close()


async def test_what_was_adopted_is_rolled_back_only_when_asked(
    database: str, folder: Folder, connection: asyncpg.Connection
) -> None:
    """An adopted migration is taken back with include_adopted only."""
    folder.add(1, "a", "CREATE TABLE IF NOT EXISTS a (id integer);", rollback="DROP TABLE a;")
    await folder.declared(database)
    await connection.execute("CREATE TABLE a (id integer)")
    await kimbledb.adopt(database, catalog=folder.catalog)

    with pytest.raises(kimbledb.RollbackRefusedError, match="adopted"):
        await kimbledb.rollback(database, 1, catalog=folder.catalog)

    assert len((await kimbledb.rollback(database, 1, catalog=folder.catalog, include_adopted=True)).rolled_back) == 1
