"""The largest of the databases that the application had: they take longer than all other tests. ``nox -s bases`` runs them."""

from __future__ import annotations

import asyncpg
import pytest

import kimbledb
from tests.integration.test_real_databases import reached, reaches
from tests.support.older_databases import build, fill, rows_of


async def test_every_row_of_the_largest_reaches_the_whole_schema(hosted_database: str) -> None:
    """adopt() and migrate() bring the largest database to the whole schema, and its rows stay what they were."""
    await reaches(hosted_database, "true_35")


async def test_rows_without_their_person_stop_the_plan_until_there_is_one(hosted_database: str) -> None:
    """A database without its people stops at every table that refers to them, and goes on when they are there."""
    connection = await asyncpg.connect(hosted_database)
    await connection.execute("SET timezone = 'UTC'")
    await build(connection, "bare_35")
    await fill(connection)
    before = await rows_of(connection)
    await kimbledb.adopt(hosted_database)
    stopped = [
        each for each in (await kimbledb.plan(hosted_database)).steps if each.completion and each.completion.conflicts
    ]
    with pytest.raises(kimbledb.ConflictingObjectsError):
        await kimbledb.migrate(hosted_database)
    assert await rows_of(connection) == before

    await kimbledb.migrate(hosted_database, to="COMPLETE_MIGRATION.sql")
    for step in stopped:
        for conflict in step.completion.conflicts if step.completion else ():
            told, _, query = conflict.partition(", listed by: ")
            assert "(user_id) without a row of users (id), a table that this plan makes empty: migrate up to it" in told
            await connection.execute(
                f"INSERT INTO users (id) SELECT DISTINCT user_id FROM ({query}) AS one ON CONFLICT DO NOTHING"
            )
    report = await kimbledb.migrate(hosted_database)

    assert len(stopped) > 5
    assert len(report.applied) == 33
    await reached(hosted_database, connection, before)
    await connection.close()


async def test_what_cannot_be_converted_is_set_aside(hosted_database: str) -> None:
    """Serial and text ids become uuids; tables of another meaning, or with text ids for numbers, are set aside when they are named.

    A rollback of everything keeps every row, too.
    """
    connection = await asyncpg.connect(hosted_database)
    await connection.execute("SET timezone = 'UTC'")
    await build(connection, "master")
    await fill(connection)
    before = await rows_of(connection)
    await kimbledb.adopt(hosted_database)
    plan = await kimbledb.plan(hosted_database)
    named = [name for step in plan.steps if step.completion for name in step.completion.could_set_aside]
    assert named == ["processed_documents", "processed_images", "mcp_health_checks", "mcp_servers"]

    tables = [*named, "mcp_tools"]  # whose rows refer to those of mcp_servers
    report = await kimbledb.migrate(hosted_database, set_aside=tables)

    assert {each.table: (each.rows, each.copied) for each in report.set_aside} == {
        "processed_documents": (3, 3),
        "processed_images": (3, 3),
        "mcp_servers": (3, 0),
        "mcp_health_checks": (3, 0),
        "mcp_tools": (3, 0),
    }
    aside = {f"{table}_set_aside": before.pop(table) for table in tables}
    await reached(hosted_database, connection, {**before, **aside})
    await kimbledb.rollback(hosted_database, to=0, allow_data_loss=True)
    left = await rows_of(connection)
    assert {table: len(rows) for table, rows in {**before, **aside}.items()} == {
        table: len(left.get(table, ())) for table in {**before, **aside}
    }
    await connection.close()
