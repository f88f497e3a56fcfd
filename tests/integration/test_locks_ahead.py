"""A completion beside an application that uses its tables."""

from __future__ import annotations

import asyncio

import asyncpg

import kimbledb
from tests.support.folders import Folder
from tests.support.waiting import eventually


async def test_a_completion_waits_for_a_table_before_it_holds_what_that_refers_to(
    database: str, folder: Folder
) -> None:
    """While an application's transaction uses a table, nothing holds the table that its next statement will need."""
    tables = (
        "CREATE TABLE a_users (id integer PRIMARY KEY); CREATE TABLE messages (user_id integer REFERENCES a_users);"
    )
    folder.add(1, "all", tables.replace("(id", "(name text, id").replace("(user_id", "(body text, user_id"))
    catalog = await folder.declared(database)
    application, watcher = await asyncpg.connect(database), await asyncpg.connect(database)
    try:
        await application.execute(tables)
        await kimbledb.adopt(database, catalog=catalog)
        transaction = application.transaction()
        await transaction.start()
        await application.execute("LOCK TABLE messages IN ROW EXCLUSIVE MODE")
        run = asyncio.create_task(kimbledb.migrate(database, catalog=catalog))
        waiting = "SELECT pid FROM pg_locks WHERE NOT granted AND relation = 'messages'::regclass"
        pid = await eventually(lambda: watcher.fetchval(waiting))
        held = await watcher.fetch(
            "SELECT mode FROM pg_locks WHERE pid = $1 AND granted AND relation = 'a_users'::regclass"
            " AND mode IN ('AccessExclusiveLock', 'ShareRowExclusiveLock')",
            pid,
        )

        assert held == []
        await application.execute("INSERT INTO a_users (id) VALUES (1); INSERT INTO messages (user_id) VALUES (1)")
        await transaction.commit()
        assert [step.name for step in (await run).plan.pending] == ["all.sql"]
        assert await watcher.fetchval("SELECT count(*) FROM messages WHERE body IS NULL") == 1
    finally:
        await application.close()
        await watcher.close()
