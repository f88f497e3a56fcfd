"""The project of a row: none, 'general', a tag or a project, in every table that has one, in new rows and in old ones."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

import kimbledb

#: The tables with a key to projects, and what an insert must name.
TABLES = {
    "conversations": ("user_id", "'ann'"),
    "messages": ("conversation_id, role, content", "'talk', 'user', '.'"),
    "knowledge_base": ("user_id", "'ann'"),
    "files": ("user_id", "'ann'"),
    "audio_transcriptions": ("user_id", "'ann'"),
    "processed_images": ("user_id", "'ann'"),
    "processed_documents": ("user_id", "'ann'"),
    "device_context": ("device_id, user_id", "(SELECT id FROM devices), 'ann'"),
}


@pytest.fixture
async def service(migrated_database: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the whole schema with a person, a project, a conversation and a device."""
    connection = await asyncpg.connect(migrated_database)
    await connection.execute(
        """
        INSERT INTO users (id) VALUES ('ann');
        INSERT INTO projects (id, name, owner_id) VALUES ('work', 'w', 'ann');
        INSERT INTO devices (user_id) VALUES ('ann');
        INSERT INTO conversations (id, user_id) VALUES ('talk', 'ann');
        """
    )
    yield connection
    await connection.close()


async def test_every_table_with_a_project_is_tried(service: asyncpg.Connection) -> None:
    """The tables of this file are all that have a key to projects for a column project_id."""
    rows = await service.fetch(
        "SELECT k.conrelid::regclass::text FROM pg_constraint AS k JOIN pg_attribute AS a "
        "ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1] AND a.attname = 'project_id' "
        "WHERE k.confrelid = 'projects'::regclass"
    )
    assert {row[0] for row in rows} == set(TABLES)


async def project_after(connection: asyncpg.Connection, table: str, given: str | None) -> str | None:
    """Return the project of a row after an insert with it, and make sure that an update to it ends the same."""
    columns, values = TABLES[table]
    if given is None:
        insert = f"INSERT INTO {table} ({columns}) VALUES ({values}) RETURNING id::text, project_id"
    else:
        insert = (
            f"INSERT INTO {table} ({columns}, project_id) VALUES ({values}, '{given}') RETURNING id::text, project_id"
        )
    row = await connection.fetchrow(insert)
    assert row is not None
    if given is not None:
        await connection.execute(f"UPDATE {table} SET project_id = NULL WHERE id::text = $1", row[0])
        await connection.execute(f"UPDATE {table} SET project_id = '{given}' WHERE id::text = $1", row[0])
        assert row[1] == await connection.fetchval(f"SELECT project_id FROM {table} WHERE id::text = $1", row[0])
    await connection.execute(f"DELETE FROM {table} WHERE id::text = $1", row[0])
    return str(row[1]) if row[1] else None


async def test_the_project_of_a_row(service: asyncpg.Connection) -> None:
    """No project and 'general' mean none, a project is kept, a project 'general', too, and an unknown name is refused but where it is a tag."""
    for table in TABLES:
        assert await project_after(service, table, None) is None, table
        assert await project_after(service, table, "general") is None, table
        assert await project_after(service, table, "work") == "work", table
        if table == "audio_transcriptions":
            assert await project_after(service, table, "gaming") is None
        else:
            with pytest.raises(asyncpg.ForeignKeyViolationError):
                await project_after(service, table, "gaming")
    await service.execute("INSERT INTO projects (id, name, owner_id) VALUES ('general', 'g', 'ann')")
    for table in TABLES:
        assert await project_after(service, table, "general") == "general", table


async def test_the_tag_of_a_transcription(service: asyncpg.Connection) -> None:
    """A name that no project has becomes the tag; a project takes the place of such a tag, and leaves one that stood beside it."""

    async def after(change: str) -> tuple[str | None, str | None]:
        row = await service.fetchrow(f"UPDATE audio_transcriptions SET {change} RETURNING project_id, project_tag")
        assert row is not None
        return row["project_id"], row["project_tag"]

    await service.execute("INSERT INTO audio_transcriptions (user_id, project_id) VALUES ('ann', 'gaming')")

    assert await after("text = 'x'") == (None, "gaming")
    assert await after("project_id = 'general'") == (None, "general")
    assert await after("project_id = 'work'") == ("work", None)
    assert await after("project_tag = 'music'") == ("work", "music")
    assert await after("project_id = 'general'") == (None, "general")
    assert await after("project_id = 'music', project_tag = 'music'") == (None, "music")
    assert await after("project_id = 'work', project_tag = 'gaming'") == ("work", "gaming")
    assert await after("project_id = NULL") == (None, "gaming")
    with pytest.raises(asyncpg.CheckViolationError, match="project_tag is another name"):
        await after("project_id = 'one', project_tag = 'two'")


async def test_rows_from_before(database: str) -> None:
    """Tags of transcriptions from before are kept as tags, 'general' of other tables becomes none, projects stay, and no row is stamped."""
    connection = await asyncpg.connect(database)
    await connection.execute(
        """
        CREATE EXTENSION vector;
        CREATE TABLE users (id text PRIMARY KEY);
        CREATE TABLE projects (id text PRIMARY KEY, name text NOT NULL, owner_id text REFERENCES users);
        INSERT INTO users VALUES ('ann');
        INSERT INTO projects VALUES ('work', 'w', 'ann'), ('music', 'm', 'ann');
        """
    )
    for table in TABLES:
        key = {"p": "integer GENERATED BY DEFAULT AS IDENTITY", "a": "uuid DEFAULT gen_random_uuid()"}.get(table[0])
        await connection.execute(
            f"""
            CREATE TABLE {table} (id {key or "text DEFAULT gen_random_uuid()"} PRIMARY KEY, user_id text, filename text,
                                  project_id text DEFAULT 'general', conversation_id text, role text DEFAULT 'user',
                                  content text DEFAULT '.', device_id text DEFAULT gen_random_uuid(),
                                  updated_at timestamptz NOT NULL DEFAULT '2020-01-01');
            INSERT INTO {table} (user_id, filename) VALUES ('ann', 'none');
            INSERT INTO {table} (user_id, filename, project_id) VALUES ('ann', 'null', NULL), ('ann', 'project', 'work');
            """
        )
    await connection.execute(
        """
        UPDATE messages SET conversation_id = (SELECT min(id) FROM conversations);
        CREATE TABLE devices AS SELECT device_id AS id, user_id FROM device_context;
        """
    )
    await connection.execute(
        "INSERT INTO audio_transcriptions (user_id, filename, project_id) VALUES ('ann', 'tag', 'gaming'), ('ann', 'named', 'music')"
    )

    await kimbledb.adopt(database)
    await kimbledb.migrate(database)

    rows = await connection.fetch(
        "SELECT filename, project_id, project_tag FROM audio_transcriptions ORDER BY filename"
    )
    assert [tuple(row) for row in rows] == [
        ("named", "music", None),
        ("none", None, "general"),
        ("null", None, None),
        ("project", "work", None),
        ("tag", None, "gaming"),
    ]
    for table in TABLES.keys() - {"audio_transcriptions"}:
        rows = await connection.fetch(f"SELECT filename, project_id FROM {table} ORDER BY filename")
        assert [tuple(row) for row in rows] == [("none", None), ("null", None), ("project", "work")], table
    for table in TABLES:
        assert not await connection.fetchval(f"SELECT count(*) FROM {table} WHERE updated_at <> '2020-01-01'"), table
    for table in ("conversations", "audio_transcriptions"):
        different = f"SELECT count(*) FROM {table} WHERE shared_project_id IS DISTINCT FROM project_id"
        assert await connection.fetchval(different) == 0, table
    await connection.execute("INSERT INTO audio_transcriptions (user_id, filename) VALUES ('ann', 'later')")
    assert await connection.fetchval("SELECT project_tag FROM audio_transcriptions WHERE filename = 'later'") is None
    await connection.close()


async def test_categories_of_the_former_name(database: str) -> None:
    """Categories that a database has as content_categories are taken over with their ids, and what refers to them still does."""
    connection = await asyncpg.connect(database)
    await connection.execute(
        """
        CREATE EXTENSION vector;
        CREATE TABLE users (id text PRIMARY KEY);
        CREATE TABLE content_categories (
            id text PRIMARY KEY, name text NOT NULL UNIQUE, keywords text[] DEFAULT '{}',
            created_by text NOT NULL REFERENCES users ON DELETE CASCADE,
            parent_category_id text REFERENCES content_categories ON DELETE SET NULL,
            updated_at timestamptz DEFAULT '2020-01-01');
        CREATE TABLE projects (id text PRIMARY KEY, name text NOT NULL, owner_id text REFERENCES users, category_id text);
        INSERT INTO users VALUES ('ann');
        INSERT INTO content_categories (id, name, created_by, parent_category_id)
            VALUES ('top', 'Top', 'ann', NULL), ('below', 'Below', 'ann', 'top');
        INSERT INTO projects VALUES ('work', 'w', 'ann', 'below'), ('none', 'n', 'ann', NULL);
        """
    )
    await kimbledb.adopt(database)
    await kimbledb.migrate(database, to="content-organization-system.sql")

    rows = await connection.fetch(
        "SELECT id, name, user_id, parent_id, keywords, sort_order FROM categories ORDER BY id"
    )
    assert [tuple(row) for row in rows] == [
        ("below", "Below", "ann", "top", [], 0),
        ("top", "Top", "ann", None, [], 0),
    ]
    assert await connection.fetchval("SELECT category_id FROM projects WHERE id = 'work'") == "below"
    assert await connection.fetchval("SELECT count(*) FROM categories WHERE updated_at = '2020-01-01'") == 2
    assert await connection.fetchval("SELECT to_regclass('content_categories')") is None
    await connection.execute("DELETE FROM categories WHERE id = 'below'")
    assert await connection.fetchval("SELECT category_id FROM projects WHERE id = 'work'") is None
    await connection.execute("INSERT INTO categories (name, user_id) VALUES ('new', 'ann')")
    await connection.close()
