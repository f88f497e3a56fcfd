"""Databases as the application had them reach the whole schema, with every row."""

from __future__ import annotations

import os

import asyncpg
import pytest

import kimbledb
from tests.support.application import TABLES, Application
from tests.support.older_databases import Rows, build, fill, rows_of

#: The columns whose values follow a rule of the schema and are looked at one by one.
BY_RULE = {("audio_transcriptions", "project_id"), ("user_tokens", "expires_at")}
#: The columns that get other names.
RENAMED = {
    ("content_categories", "created_by"): "user_id",
    ("content_categories", "parent_category_id"): "parent_id",
}


def kept(before: Rows, after: Rows, ids: dict[tuple[str, str], str]) -> list[str]:
    """Return what of the rows before is not there afterwards, under the present names and ids."""
    lost = []
    for table, rows in before.items():
        now = after[{"content_categories": "categories"}.get(table, table)]
        for key, row in rows.items():
            there = now.get(ids.get((f"{table}.id", key), key))
            if there is None:
                lost.append(f"{table} {key}")
                continue
            lost += [
                f"{table}.{column}: {value} became {there.get(RENAMED.get((table, column), column))}"
                for column, value in row.items()
                if (table, column) not in BY_RULE
                and there.get(RENAMED.get((table, column), column)) not in (value, *_shown_anew(value, ids))
            ]
    return lost


def _shown_anew(value: str | None, ids: dict[tuple[str, str], str]) -> list[str]:
    """Return how a value may be shown in its later type."""
    if value is None:
        return []
    elements = [f'"{each}"' for each in value.strip("{}").split(",") if each]
    return [*(new for (_, old), new in ids.items() if old == value), f"{value}+00", f"[{', '.join(elements)}]"]


async def reached(dsn: str, connection: asyncpg.Connection, before: Rows) -> None:
    """Assert that the whole schema is there with all rows, and that the application works."""
    ids = {}
    if await connection.fetchval("SELECT to_regclass('migration_ids')"):
        ids = {(row[0], row[1]): str(row[2]) for row in await connection.fetch("SELECT * FROM migration_ids")}
    assert kept(before, await rows_of(connection), ids) == []
    assert [str(check) for check in (await kimbledb.verify(dsn)).failures] == []
    await connection.execute("BEGIN; SET search_path = public, extensions; SET ROLE service_role")
    application = Application(connection)
    for table in TABLES:
        if table not in application.seen:
            await application.insert(table)
        await application.use(table)
    await connection.execute("ROLLBACK; RESET ALL")


#: The largest two take longer than all others: ``nox -s bases`` takes them, too.
ALL = os.environ.get("KIMBLEDB_TEST_BASES") == "all"


@pytest.mark.parametrize("name", ["uuid_2025_09", "true", *(["true_35"] if ALL else [])])
async def test_every_row_reaches_the_whole_schema(hosted_database: str, name: str) -> None:
    """adopt() and migrate() bring the database to the whole schema, and its rows stay what they were."""
    connection = await asyncpg.connect(hosted_database)
    await connection.execute("SET timezone = 'UTC'")
    await build(connection, name)
    await fill(connection)
    before = await rows_of(connection)
    await kimbledb.adopt(hosted_database)

    plan = await kimbledb.plan(hosted_database)
    report = await kimbledb.migrate(hosted_database)

    assert [step.reason for step in plan.steps if step.state is kimbledb.StepState.CONFLICTING] == []
    assert len(report.applied) == 34
    await reached(hosted_database, connection, before)
    await connection.close()


@pytest.mark.skipif(not ALL, reason="nox -s bases runs it")
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
            assert "(user_id) without a row of users" in told
            await connection.execute(
                f"INSERT INTO users (id) SELECT DISTINCT user_id FROM ({query}) AS one ON CONFLICT DO NOTHING"
            )
    report = await kimbledb.migrate(hosted_database)

    assert len(stopped) > 5
    assert len(report.applied) == 33
    await reached(hosted_database, connection, before)
    await connection.close()


async def test_what_cannot_be_converted_is_set_aside(hosted_database: str) -> None:
    """Serial and text ids become uuids; tables of another meaning, or with text ids for numbers, are set aside when they are named."""
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
    await connection.close()
