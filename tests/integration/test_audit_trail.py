"""The trail of drive edits: only ever added to, and whole."""

from __future__ import annotations

import asyncpg
import pytest

REQUESTS = """
    INSERT INTO drive_edit_requests (user_id, drive_file_id) VALUES ('ann', 'one'), ('bob', 'two');
    UPDATE drive_edit_requests SET status = 'approved' WHERE user_id = 'ann';
"""


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE drive_edit_audit_log SET action = 'changed'",
        "DELETE FROM drive_edit_audit_log",
        "TRUNCATE drive_edit_audit_log",
        "TRUNCATE users, drive_edit_audit_log CASCADE",
    ],
)
async def test_the_trail_is_only_added_to(tables: asyncpg.Connection, statement: str) -> None:
    """No entry of the trail is changed or deleted, and the trail is not emptied, whoever asks."""
    await tables.execute(REQUESTS)

    with pytest.raises(asyncpg.ObjectNotInPrerequisiteStateError, match="drive_edit_audit_log is only ever added to"):
        await tables.execute(statement)

    assert await tables.fetchval("SELECT count(*) FROM drive_edit_audit_log") == 3


@pytest.mark.parametrize("statement", ["DELETE FROM users", "TRUNCATE drive_edit_requests", "TRUNCATE users CASCADE"])
async def test_requests_that_go_leave_their_trail(tables: asyncpg.Connection, statement: str) -> None:
    """Each request that goes has an entry that says so, also where it goes with its person or by TRUNCATE."""
    await tables.execute(REQUESTS)

    await tables.execute(statement)

    assert await tables.fetchval("SELECT count(*) FROM drive_edit_requests") == 0
    rows = await tables.fetch(
        "SELECT user_id, old_status FROM drive_edit_audit_log WHERE action = 'deleted' ORDER BY user_id"
    )
    assert [tuple(row) for row in rows] == [("ann", "approved"), ("bob", "pending")]


async def test_every_table_that_refuses_a_delete_refuses_a_truncate(migrated_database: str) -> None:
    """Of the tables that refuse to have rows deleted, whatever the row, none can be emptied: a TRUNCATE fires no trigger of a row."""
    connection = await asyncpg.connect(migrated_database)
    guarded = await connection.fetch(
        """
        SELECT t.tgrelid::regclass::text AS name, bool_or(t.tgtype & 32 = 32) AS truncate
        FROM pg_trigger AS t JOIN pg_proc AS p ON p.oid = t.tgfoid
        WHERE NOT t.tgisinternal AND p.proname ~ 'append_only' GROUP BY 1 ORDER BY 1
        """
    )
    await connection.close()

    assert [tuple(row) for row in guarded] == [("drive_edit_audit_log", True), ("migration_log", True)]
