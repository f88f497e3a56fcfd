"""Databases as the application had them reach the whole schema, with every row."""

from __future__ import annotations

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


async def reaches(dsn: str, name: str) -> None:
    """Assert that adopt() and migrate() bring a database to the whole schema, and that its rows stay what they were."""
    connection = await asyncpg.connect(dsn)
    await connection.execute("SET timezone = 'UTC'")
    await build(connection, name)
    await fill(connection)
    before = await rows_of(connection)
    await kimbledb.adopt(dsn)

    plan = await kimbledb.plan(dsn)
    report = await kimbledb.migrate(dsn)

    assert [step.reason for step in plan.steps if step.state is kimbledb.StepState.CONFLICTING] == []
    assert len(report.applied) == 34
    await reached(dsn, connection, before)
    await connection.close()


@pytest.mark.parametrize("name", ["uuid_2025_09", "true"])
async def test_every_row_reaches_the_whole_schema(hosted_database: str, name: str) -> None:
    """adopt() and migrate() bring the database to the whole schema, and its rows stay what they were."""
    await reaches(hosted_database, name)
