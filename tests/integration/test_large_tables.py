"""The online strategy that is derived from declarations: what takes long on a large table runs outside of its transaction."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

import kimbledb
from kimbledb.events import Event, Statement
from tests.support.databases import take_snapshot
from tests.support.folders import Folder
from tests.support.large import OTHER_INDEX, at_work, plain_end, with_orders
from tests.support.large import ROWS as ORDERS

#: Makes tables of the built-in migrations large: 700 rows of 1,500 bytes each.
ROWS = {
    "users": "INSERT INTO users (id, email, name) SELECT 'u' || n, n || '@example.org', {wide} FROM {numbers}",
    "projects": "INSERT INTO projects (id, name, owner_id, user_id, description) SELECT 'p' || n, 'p', 'u1', 'u1', {wide} FROM {numbers}",
    "conversations": "INSERT INTO conversations (id, user_id, title) SELECT 'c' || n, 'u1', {wide} FROM {numbers}",
    "messages": "INSERT INTO messages (conversation_id, user_id, role, content) SELECT 'c1', 'u1', 'user', {wide} FROM {numbers}",
    "knowledge_base": "INSERT INTO knowledge_base (user_id, title, content) SELECT 'u1', 'A title', {wide} FROM {numbers}",
    "files": "INSERT INTO files (user_id, filename) SELECT 'u1', {wide} FROM {numbers}",
    "audio_transcriptions": "INSERT INTO audio_transcriptions (user_id, text) SELECT 'u1', {wide} FROM {numbers}",
    "model_performance_metrics": "INSERT INTO model_performance_metrics (model_name, task_type, metadata) SELECT 'm', 'coding', jsonb_build_object('a', {wide}) FROM {numbers}",
    "api_logs": "INSERT INTO api_logs (method, endpoint) SELECT 'GET', {wide} FROM {numbers}",
}


async def fill(connection: asyncpg.Connection) -> dict[str, int]:
    """Make the tables that are there large, and return how many rows each holds."""
    counts = {}
    for table, rows in ROWS.items():
        if await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", table):
            await connection.execute(rows.format(wide="repeat('x', 1500)", numbers="generate_series(1, 700) AS n"))
            counts[table] = await connection.fetchval(f"SELECT count(*) FROM {table}")
    return counts


@pytest.mark.parametrize("begun", [False, True])
async def test_nobody_is_held_up(database: str, folder: Folder, begun: bool) -> None:
    """A large table gets its declared form beside readers and writers, whose own stamps go on; other rows are not stamped."""
    catalog = await with_orders(database, folder)
    plain = await plain_end(database, catalog)
    connection = await asyncpg.connect(database)
    if begun:
        await connection.execute(OTHER_INDEX)
    [step] = (await kimbledb.plan(database, catalog=catalog)).pending
    assert step.completion is not None
    assert {hazard.name for hazard in step.hazards} == {"access_exclusive_lock"}

    async with at_work(database) as waits:
        report = await kimbledb.migrate(database, catalog=catalog)

    assert report.applied[0].migration.name == "more.sql"
    assert bool(report.applied[0].notes) is begun
    # The new trigger has filled those that the application updated sooner.
    assert str(report.updates[0]).startswith("updated rows of orders: ")
    assert ORDERS - len(waits.updated) <= report.updates[0].count <= ORDERS
    assert not (await take_snapshot(database)).since(plain)
    assert waits.longest < kimbledb.Options().lock_timeout
    stamped = {each["id"] for each in await connection.fetch("SELECT id FROM orders WHERE updated_at <> '2024-01-01'")}
    assert stamped == waits.updated
    paid = await connection.fetch("SELECT count(*) FILTER (WHERE paid), count(*) FROM orders")
    assert tuple(paid[0]) == (ORDERS / 2, ORDERS)
    await connection.close()


async def test_the_old_index_serves_until_the_new_one_is_there(
    database: str, folder: Folder, connection: asyncpg.Connection
) -> None:
    """While an index of the declared name and another shape is built anew, the one that was there is valid."""
    catalog = await with_orders(database, folder)
    await connection.execute(OTHER_INDEX)
    seen: list[list[int]] = []
    #: How many columns each valid index has.
    valid = (
        "SELECT indnatts FROM pg_index JOIN pg_class ON oid = indexrelid"
        " WHERE relname ~ 'idx_orders_total' AND indisvalid ORDER BY indnatts"
    )
    run = asyncio.create_task(kimbledb.migrate(database, catalog=catalog))

    while not run.done():
        found = [row["indnatts"] for row in await connection.fetch(valid)]
        if found not in seen:
            seen.append(found)
        await asyncio.sleep(0.001)
    await run

    assert seen == [[1], [1, 2], [2]]
    assert await connection.fetchval("SELECT obj_description('idx_orders_total'::regclass)") == "By what they cost."


async def test_without_a_session_of_ones_own(database: str, folder: Folder, connection: asyncpg.Connection) -> None:
    """By a connection the transaction does it all; the plan says so as hazards, which can be refused, and direct_dsn opens the other way."""
    catalog = await with_orders(database, folder)
    [step] = (await kimbledb.plan(connection, catalog=catalog)).pending
    assert step.completion is None
    assert {"index_build", "constraint_validation"} <= {hazard.name for hazard in step.hazards}
    refusing = kimbledb.Options(refuse_hazards=("index_build", "constraint_validation"))
    with pytest.raises(kimbledb.HazardError):
        await kimbledb.migrate(connection, catalog=catalog, options=refusing)

    direct = kimbledb.Options(refuse_hazards=("index_build", "constraint_validation"), direct_dsn=database)
    report = await kimbledb.migrate(connection, catalog=catalog, options=direct)

    assert report.plan.pending[0].completion is not None


async def test_what_breaks_a_rule_is_taken_back(database: str, folder: Folder, connection: asyncpg.Connection) -> None:
    """A row that breaks a key meanwhile stops the run; the key goes again, the application writes as before, and the next run goes on."""
    catalog = await with_orders(database, folder)
    breaking: list[asyncio.Task[str]] = []

    def told(event: Event) -> None:
        if isinstance(event, Statement) and event.place == 1:
            update = "UPDATE orders SET customer_id = 99 WHERE id = 7"
            breaking.append(asyncio.create_task(connection.execute(update)))

    with pytest.raises(kimbledb.MigrationError) as caught:
        await kimbledb.migrate(database, catalog=catalog, progress=told)

    await asyncio.gather(*breaking)
    assert "taken back: " in str(caught.value)
    assert "the constraint orders_customer_id_fkey on public.orders, which is not validated" in str(caught.value)
    await connection.execute("UPDATE orders SET customer_id = 98 WHERE id = 8")
    assert await connection.fetchval("SELECT count(*) FROM pg_constraint WHERE NOT convalidated") == 0
    await connection.execute("UPDATE orders SET customer_id = 1 WHERE id IN (7, 8)")
    await kimbledb.migrate(database, catalog=catalog)
    assert not [check for check in (await kimbledb.verify(database, catalog=catalog)).failures if check.migration]


async def test_a_rule_that_was_not_validated(database: str, folder: Folder, connection: asyncpg.Connection) -> None:
    """A declared rule that is there and was never validated is validated, also where the table is small."""
    catalog = await with_orders(database, folder, rows=False)
    await connection.execute(
        "ALTER TABLE orders ADD CONSTRAINT orders_total_check CHECK (total >= 0) NOT VALID,"
        "ADD CONSTRAINT orders_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers (id) NOT VALID"
    )

    await kimbledb.migrate(database, catalog=catalog)

    assert await connection.fetchval("SELECT count(*) FROM pg_constraint WHERE NOT convalidated") == 0


async def test_what_a_stage_left_is_not_needed_by_a_transaction(
    database: str, folder: Folder, connection: asyncpg.Connection
) -> None:
    """After an interruption a run without a session of its own brings the rest, and takes away what was only meant for the way."""
    catalog = await with_orders(database, folder)
    await connection.execute(OTHER_INDEX)
    await connection.execute(
        "CREATE INDEX idx_orders_total_kimbledb_new ON orders (total, id);"
        "CREATE UNIQUE INDEX orders_number_key ON orders (number);"
        "ALTER TABLE orders ADD CONSTRAINT kimbledb_not_null CHECK (number IS NOT NULL)"
    )

    await kimbledb.migrate(connection, catalog=catalog)

    assert await connection.fetchval("SELECT to_regclass('idx_orders_total_kimbledb_new') IS NULL")
    assert not await connection.fetchval("SELECT count(*) FROM pg_constraint WHERE conname = 'kimbledb_not_null'")
    assert not [check for check in (await kimbledb.verify(database, catalog=catalog)).failures if check.migration]


@pytest.mark.parametrize(
    ("name", "table", "values"),
    [
        (
            "add-project-to-transcriptions.sql",
            "audio_transcriptions",
            {"project_id": "p1", "auto_categorized": True, "category_confidence": 0.5},
        ),
        ("add-conversation-pinning.sql", "conversations", {"pinned": True}),
        (
            "add-transcription-job-tracking.sql",
            "audio_transcriptions",
            {"status": "processing", "progress": 50, "job_id": "j", "error": "late"},
        ),
        ("api-logs-schema.sql", "api_logs", {"session_id": "s", "error_category": "timeout", "rate_limited": True}),
    ],
)
async def test_what_the_application_writes_in_between_is_kept(
    database: str, connection: asyncpg.Connection, name: str, table: str, values: dict[str, Any]
) -> None:
    """What the application writes into new columns of a large table before the rest is done is there afterwards."""
    order = [step.name for step in kimbledb.Planner(kimbledb.Catalog.builtin()).plan().pending]
    await kimbledb.migrate(database, to=order[order.index(name) - 1], verify=False)
    await fill(connection)
    [step] = (await kimbledb.plan(database, to=name)).pending
    assert step.completion is not None
    await interrupt(database, len(step.completion.online), to=name)
    written = ", ".join(f"{column} = ${place}" for place, column in enumerate(values, 1))
    one = f"(SELECT id FROM {table} ORDER BY id LIMIT 1)"
    await connection.execute(f"UPDATE {table} SET {written} WHERE id = {one}", *values.values())

    report = await kimbledb.migrate(database, to=name)

    assert report.verification.ok
    kept = await connection.fetchrow(f"SELECT {', '.join(values)} FROM {table} WHERE id = {one}")
    assert kept is not None
    assert dict(kept.items()) == values


async def interrupt(dsn: str, place: int, **wanted: Any) -> None:
    """Run migrate(), and cancel it as soon as the statement at a place of the online strategy begins."""

    def stop(event: Event) -> None:
        if isinstance(event, Statement) and event.place == place:
            run.cancel()

    run = asyncio.create_task(kimbledb.migrate(dsn, progress=stop, **wanted))
    with pytest.raises(asyncio.CancelledError):
        await run
