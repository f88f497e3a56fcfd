"""A repair changes what it repairs, and nothing beside."""

from __future__ import annotations

import asyncpg
import pytest

import kimbledb

#: From before, with triggers of another hand that stamp each row which is updated.
STAMPED = """
    CREATE FUNCTION update_updated_at_column() RETURNS trigger LANGUAGE plpgsql
        AS 'BEGIN NEW.updated_at = now(); RETURN NEW; END';
    CREATE TABLE users (id text PRIMARY KEY, email text);
    CREATE TABLE projects (id text PRIMARY KEY, name text NOT NULL, owner_id text REFERENCES users, updated_at timestamptz);
    CREATE TABLE audio_transcriptions (id uuid PRIMARY KEY, user_id text, filename text, updated_at timestamptz);
    INSERT INTO users VALUES ('ann', 'ann@example.org');
    INSERT INTO projects VALUES ('p', 'One', 'ann', '2024-01-01');
    INSERT INTO audio_transcriptions VALUES (gen_random_uuid(), 'ann', 'a.m4a', '2024-01-01');
    CREATE TRIGGER update_projects_updated_at BEFORE UPDATE ON projects
        FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();
    CREATE TRIGGER update_transcriptions_updated_at BEFORE UPDATE ON audio_transcriptions
        FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();
"""


@pytest.mark.parametrize("table", ["projects", "audio_transcriptions"])
async def test_no_row_looks_changed(database: str, connection: asyncpg.Connection, table: str) -> None:
    """A row that was there before keeps its updated_at, whoever's trigger stamps what is updated."""
    await connection.execute(STAMPED)

    await kimbledb.adopt(database)
    await kimbledb.migrate(connection)

    assert await connection.fetchval(f"SELECT updated_at = '2024-01-01' FROM {table}")


async def test_nor_by_an_online_strategy(database: str, connection: asyncpg.Connection) -> None:
    """The same where online.sql runs first."""
    await connection.execute(STAMPED)

    await kimbledb.adopt(database)
    await kimbledb.migrate(database)

    assert await connection.fetchval("SELECT updated_at = '2024-01-01' FROM audio_transcriptions")
