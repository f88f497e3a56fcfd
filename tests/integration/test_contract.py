"""The application's columns and calls on the schema, read from the facts that are kept with the tests.

The application writes as the service, past row level security, and people read
as ``authenticated``; so the calls are made on a server with the hosted roles.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

import kimbledb
from tests.support.application import ROWS, TABLES, Application, columns_of

#: Where two types were seen, the one that counts; a guess stands in parentheses.
GUESSES = {
    "(bool)": "boolean",
    "(json)": "jsonb",
    "(text)": "text",
    "(id)": "text",
    "(null)": "text",
    "(timestamptz)": "timestamptz",
}
NAMES = {"timestamptz": "timestamp with time zone"}
#: Columns of another type than the one that was seen, since the application writes values that it does not hold.
WIDER = {
    ("user_tokens", "expires_at"): "bigint",
    ("budget_alerts", "percent_used"): "numeric(20,2)",
    ("agent_findings", "impact_score"): "numeric(4,2)",
}


def _wanted_type(seen: str) -> str | None:
    if " | " in seen:
        kinds = seen.split(" | ")
        seen = "timestamptz" if "timestamptz" in kinds else "text" if "text" in kinds else "uuid"
        if "integer" in kinds:
            seen = "uuid"
    return NAMES.get(GUESSES.get(seen, seen), GUESSES.get(seen, seen)) or None


@pytest.fixture
async def service(hosted_migrated_database: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection as the application's service to a database with the whole schema, in a transaction that is undone."""
    connection = await asyncpg.connect(hosted_migrated_database)
    await connection.execute("BEGIN; SET search_path = public, extensions; SET ROLE service_role")
    yield connection
    await connection.close()


async def test_columns_and_types(service: asyncpg.Connection) -> None:
    """Every column that was seen is there, in the type that was seen, or in the one that the rules choose of two."""
    wrong = []
    for table in TABLES:
        present = await columns_of(service, table)
        for row in ROWS:
            if row["table"] == table:
                wanted = WIDER.get((table, row["column"])) or _wanted_type(row["type_seen"])
                # People, projects and conversations have text identifiers, whatever was seen.
                if row["column"] in ("user_id", "project_id", "conversation_id"):
                    wanted = "text"
                found = present.get(row["column"])
                if found is None or (wanted and wanted not in {"(number)", found}):
                    wrong.append(f"{table}.{row['column']}: wanted {wanted}, found {found}")
    assert wrong == []


@pytest.mark.parametrize("table", TABLES)
async def test_calls_of_the_application_work_on_each_table(service: asyncpg.Connection, table: str) -> None:
    """The application's insert, select, filter, order, update and upsert work with all their columns, and with every value seen."""
    application = Application(service)
    await application.insert(table)

    await application.use(table)

    # Of a task that recurs the schema queues the next run.
    own = "WHERE recurs_from IS NULL" if table == "agent_tasks" else ""
    assert await service.fetchval(f'SELECT count(*) FROM "{table}" {own}') == 1


@pytest.mark.parametrize(
    ("table", "documented", "other", "first", "second"),
    [
        ("conversations", "is_pinned", "pinned", "true", "false"),
        ("model_performance_metrics", "model_name", "model", "'one'", "'two'"),
        ("model_performance_metrics", "total_tokens", "tokens_used", "1", "2"),
        ("audio_transcriptions", "error_message", "error", "'one'", "'two'"),
        ("workflows", "active", "enabled", "true", "false"),
        ("mcp_servers", "active", "enabled", "true", "false"),
    ],
)
async def test_two_names_of_one_thing(
    service: asyncpg.Connection, table: str, documented: str, other: str, first: str, second: str
) -> None:
    """A documented column and the application's name for it stay equal: the changed side wins, both changed and different is an error."""
    application = Application(service)
    await application.insert(table)

    async def both() -> tuple[Any, Any]:
        row = await service.fetchrow(f'SELECT "{documented}", "{other}" FROM "{table}"')
        assert row is not None
        return row[0], row[1]

    assert len(set(await both())) == 1
    for column in (documented, other):
        for value in (first, second):
            await service.execute(f'UPDATE "{table}" SET "{column}" = {value}')
            one, two = await both()
            assert one == two
            assert str(one).lower() == value.strip("'")
    await service.execute("SAVEPOINT before")
    await service.execute(f'UPDATE "{table}" SET "{documented}" = {first}')
    with pytest.raises(asyncpg.PostgresError, match=documented):
        await service.execute(f'UPDATE "{table}" SET "{documented}" = {second}, "{other}" = {_third(first)}')


def _third(value: str) -> str:
    """Return a value that differs from both of the two used."""
    return {"true": "NULL", "'one'": "'three'", "1": "3"}[value]


async def test_the_general_project(service: asyncpg.Connection) -> None:
    """An insert that names no project works, and so does the value 'general', which means none."""
    await service.execute("INSERT INTO users (id) VALUES ('u')")
    for table in ("audio_transcriptions", "processed_images", "processed_documents"):
        await service.execute(f"INSERT INTO {table} (user_id, filename) VALUES ('u', 'a')")
        await service.execute(f"INSERT INTO {table} (user_id, filename, project_id) VALUES ('u', 'b', 'general')")
        assert await service.fetchval(f"SELECT count(*) FROM {table} WHERE project_id IS NULL") == 2


@pytest.mark.parametrize("migration", ["create_user_tokens_table.sql", "supabase-migration-user_tokens.sql"])
async def test_when_a_token_ends(hosted_database: str, migration: str) -> None:
    """The application writes and reads the end of a token as whole seconds since 1970, a JSON number; the schema shows the time, too."""
    await kimbledb.migrate(hosted_database, to=migration, prefer=[migration])
    connection = await asyncpg.connect(hosted_database)
    await connection.execute("INSERT INTO users (id) VALUES ('ann'), ('bob'); SET ROLE service_role")
    await connection.execute(
        """
        INSERT INTO user_tokens (user_id, refresh_token, expires_at)
        SELECT user_id, 'x', expires_at FROM json_populate_recordset(NULL::user_tokens,
            '[{"user_id": "ann", "expires_at": 1761600000}, {"user_id": "bob", "expires_at": null}]')
        """
    )

    written = await connection.fetch(
        "SELECT to_json(expires_at)::text, expires_at_time FROM user_tokens ORDER BY user_id"
    )
    # 20,388 days and 76,800 seconds after the first of January 1970.
    assert [tuple(row) for row in written] == [
        ("1761600000", datetime(2025, 10, 27, 21, 20, tzinfo=UTC)),
        (None, None),
    ]

    await connection.execute("UPDATE user_tokens SET expires_at = expires_at + 3600 WHERE user_id = 'ann'")
    await connection.execute("SET ROLE authenticated; SET kimbledb.user_id = 'ann'")
    view = "user_connections" if migration.startswith("supabase") else "user_tokens"
    seen = await connection.fetchrow(f"SELECT expires_at, expires_at_time FROM {view}")
    assert tuple(seen or ()) == (1761603600, datetime(2025, 10, 27, 22, 20, tzinfo=UTC))
    await connection.close()


async def test_scores_of_findings(service: asyncpg.Connection) -> None:
    """A finding's impact is any number from 0 to 10, with fractions, and nothing outside."""
    await service.execute("INSERT INTO agent_findings (impact_score) VALUES (0), (7.5), (9.99), (10), (NULL)")
    assert await service.fetchval("SELECT sum(impact_score)::text FROM agent_findings") == "27.49"

    for value in ("-0.01", "10.01", "NaN"):
        await service.execute("SAVEPOINT before")
        with pytest.raises(asyncpg.CheckViolationError):
            await service.execute(f"INSERT INTO agent_findings (impact_score) VALUES ('{value}')")
        await service.execute("ROLLBACK TO before")


async def test_no_data_is_left_behind(service: asyncpg.Connection) -> None:
    """After migrating no table holds a row."""
    await service.execute("RESET ROLE")
    names = await service.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname NOT LIKE 'migration_%'"
    )
    full = [row[0] for row in names if await service.fetchval(f'SELECT EXISTS (SELECT FROM "{row[0]}")')]
    assert full == []
