"""The five common issues of the document, each answered with its cure."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

import kimbledb
from tests.support.folders import Folder


async def _failure(database: str, folder: Folder, **options: Any) -> kimbledb.MigrationError:
    with pytest.raises(kimbledb.MigrationError) as caught:
        await kimbledb.migrate(database, catalog=folder.catalog, **options)
    return caught.value


async def test_relation_already_exists(database: str, folder: Folder, connection: asyncpg.Connection) -> None:
    """A table that is there already is answered with IF NOT EXISTS and adoption."""
    await connection.execute("CREATE TABLE a (id integer)")
    folder.add(1, "a", "CREATE TABLE a (id integer);")

    error = await _failure(database, folder)

    assert error.sqlstate == "42P07"
    assert error.hint is not None
    assert "IF NOT EXISTS" in error.hint
    assert "adopt" in error.hint


async def test_column_does_not_exist(database: str, folder: Folder) -> None:
    """A missing column is answered with the migration that makes it."""
    folder.add(1, "a", "CREATE TABLE a (id integer);\nCREATE INDEX ON a (project_id);")

    error = await _failure(database, folder)

    assert error.sqlstate == "42703"
    assert error.hint is not None
    assert "requires" in error.hint


async def test_foreign_key_fails(database: str, folder: Folder) -> None:
    """A key to a missing table is answered with what it requires, and one that rows break with those rows."""
    folder.add(1, "a", "CREATE TABLE a (id integer REFERENCES parents (id));")
    missing = await _failure(database, folder)
    assert missing.sqlstate == "42P01"
    assert missing.hint is not None
    assert "requires" in missing.hint

    (folder.path / "01_a" / "apply.sql").write_text(
        "CREATE TABLE parents (id integer PRIMARY KEY);\nCREATE TABLE a (id integer);\nINSERT INTO a VALUES (1);\n"
        "ALTER TABLE a ADD FOREIGN KEY (id) REFERENCES parents;"
    )
    broken = await _failure(database, folder)
    assert (broken.sqlstate, broken.line) == ("23503", 4)
    assert broken.hint is not None
    assert "rows" in broken.hint


async def test_permission_denied(database: str, folder: Folder, connection: asyncpg.Connection) -> None:
    """A role that may not is told so before the first step, with the GRANT that cures it; the GRANT does cure it."""
    folder.table(1, "a")
    await connection.execute("CREATE ROLE humble LOGIN PASSWORD 'humble'; CREATE SCHEMA theirs;")
    humble = database.replace("//postgres", "//humble", 1)
    humble = "//humble:humble@".join([humble.split("//", 1)[0], humble.split("@", 1)[1]])
    try:
        with pytest.raises(kimbledb.PreflightError) as caught:
            await kimbledb.migrate(humble, catalog=folder.catalog, schema="theirs")
        [(gap, cure)] = caught.value.gaps
        assert gap == 'humble may not create in the schema "theirs"'
        await connection.execute(cure)
        assert len((await kimbledb.migrate(humble, catalog=folder.catalog, schema="theirs")).applied) == 1
    finally:
        await connection.execute("DROP OWNED BY humble CASCADE; DROP ROLE humble;")


async def test_vector_not_found(database: str, folder: Folder) -> None:
    """A script that uses vector without declaring it is told to declare the extension; declared, it works."""
    folder.add(1, "a", "CREATE TABLE a (embedding vector(3));")
    error = await _failure(database, folder)
    assert error.hint is not None
    assert 'extensions = ["vector"]' in error.hint

    (folder.path / "01_a" / "migration.toml").write_text('extensions = ["vector"]')
    assert len((await kimbledb.migrate(database, catalog=folder.catalog)).applied) == 1


async def test_extension_that_the_server_lacks(database: str, folder: Folder) -> None:
    """Extensions that the server does not have, or has too old, are all told before the first step, with the cure."""
    folder.table(1, "a", facts="[extensions]\nno_such_extension = '1.0'\npg_trgm = '99'")

    with pytest.raises(kimbledb.PreflightError) as caught:
        await kimbledb.migrate(database, catalog=folder.catalog)

    assert len(caught.value.gaps) == 2
    assert "no_such_extension" in str(caught.value)
    assert "99 is the oldest supported version" in str(caught.value)


async def test_a_space_that_is_none_in_a_body(database: str, folder: Folder) -> None:
    """In a function's body, which only the server reads, a no-break space is named where the server stops at it."""
    folder.add(
        1,
        "a",
        "CREATE FUNCTION f() RETURNS integer LANGUAGE sql AS $$\n    SELECT\u00a0count(*)::integer FROM pg_class\n$$;",
    )

    error = await _failure(database, folder)

    assert error.line == 2
    assert error.hint == "column 11 holds a no-break space (U+00A0), which is part of a name there: write it in ASCII"
