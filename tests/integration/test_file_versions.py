"""Versions of files: a file has one current version, whoever writes at the same time, and whatever goes."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest


async def add(tables: asyncpg.Connection, file: str, previous: str | None = None) -> None:
    """Insert a file of ann's."""
    await tables.execute(
        "INSERT INTO file_registry (id, user_id, previous_version_id) VALUES ($1, 'ann', $2)", file, previous
    )


async def chain(tables: asyncpg.Connection, *files: str) -> None:
    """Insert versions of one file, the first one first."""
    for previous, file in zip((None, *files), files, strict=False):
        await add(tables, file, previous)


async def shown(tables: asyncpg.Connection) -> list[tuple[str, str, int, bool]]:
    """Return each version with the file's first one, its number, and whether it is current."""
    rows = await tables.fetch(
        "SELECT id, first_version_id, version, is_current_version FROM file_registry ORDER BY first_version_id, version, id"
    )
    return [tuple(row) for row in rows]


async def test_a_version_has_one_next_version(tables: asyncpg.Connection) -> None:
    """A second next version of one version is refused, and the error names the first."""
    await chain(tables, "a1", "a2")

    with pytest.raises(asyncpg.UniqueViolationError, match="a1 has a next version already, a2"):
        await add(tables, "fork", "a1")

    assert await shown(tables) == [("a1", "a1", 1, False), ("a2", "a1", 2, True)]


async def test_a_file_has_one_current_version(tables: asyncpg.Connection) -> None:
    """No statement makes an older version current beside the current one, puts a version into another file, or lets one file be two."""
    await chain(tables, "a1", "a2")
    await add(tables, "b1")

    with pytest.raises(asyncpg.UniqueViolationError, match="idx_file_registry_current_version"):
        await tables.execute("UPDATE file_registry SET is_current_version = true")
    await tables.execute("UPDATE file_registry SET first_version_id = 'a1'")

    assert await shown(tables) == [("a1", "a1", 1, False), ("a2", "a1", 2, True), ("b1", "b1", 1, True)]


async def test_two_write_a_version_at_once(tables: asyncpg.Connection, migrated_database: str) -> None:
    """Of two who make the next version of one file at the same time, the second waits for the first, and is then refused."""
    await chain(tables, "a1")
    other = await asyncpg.connect(migrated_database)
    transaction = tables.transaction()
    await transaction.start()
    await add(tables, "mine", "a1")

    theirs = asyncio.create_task(add(other, "theirs", "a1"))
    done, _ = await asyncio.wait([theirs], timeout=0.2)
    assert not done
    await transaction.commit()

    with pytest.raises(asyncpg.UniqueViolationError, match="a1 has a next version already, mine"):
        await theirs
    assert await shown(tables) == [("a1", "a1", 1, False), ("mine", "a1", 2, True)]
    await other.close()


async def test_the_first_of_two_goes_back(tables: asyncpg.Connection, migrated_database: str) -> None:
    """Where the first of two rolls back, the second makes the next version."""
    await chain(tables, "a1")
    other = await asyncpg.connect(migrated_database)
    transaction = tables.transaction()
    await transaction.start()
    await add(tables, "mine", "a1")

    theirs = asyncio.create_task(add(other, "theirs", "a1"))
    await asyncio.wait([theirs], timeout=0.2)
    await transaction.rollback()
    await theirs

    assert await shown(tables) == [("a1", "a1", 1, False), ("theirs", "a1", 2, True)]
    await other.close()


async def test_versions_that_were_written_apart(tables: asyncpg.Connection) -> None:
    """Where two files turn out to be one, their versions count on in one row, with the last one current; taken apart they are two again."""
    await chain(tables, "a1", "a2")
    await chain(tables, "b1", "b2")

    await tables.execute("UPDATE file_registry SET previous_version_id = 'a2' WHERE id = 'b1'")

    assert await shown(tables) == [
        ("a1", "a1", 1, False),
        ("a2", "a1", 2, False),
        ("b1", "a1", 3, False),
        ("b2", "a1", 4, True),
    ]
    await tables.execute("UPDATE file_registry SET previous_version_id = NULL WHERE id = 'b1'")
    assert await shown(tables) == [
        ("a1", "a1", 1, False),
        ("a2", "a1", 2, True),
        ("b1", "b1", 3, False),
        ("b2", "b1", 4, True),
    ]


async def test_a_version_of_itself(tables: asyncpg.Connection) -> None:
    """A file does not become a version of one of its later versions."""
    await chain(tables, "a1", "a2", "a3")

    with pytest.raises(asyncpg.CheckViolationError, match="a3 is a later version of a1"):
        await tables.execute("UPDATE file_registry SET previous_version_id = 'a3' WHERE id = 'a1'")


@pytest.mark.parametrize(
    ("gone", "left"),
    [
        ("a3", [("a1", "a1", 1, False), ("a2", "a1", 2, True)]),
        ("a2", [("a1", "a1", 1, False), ("a3", "a1", 3, True)]),
        ("a1", [("a2", "a1", 2, False), ("a3", "a1", 3, True)]),
        ("a2,a3", [("a1", "a1", 1, True)]),
    ],
)
async def test_a_version_that_goes(
    tables: asyncpg.Connection, gone: str, left: list[tuple[str, str, int, bool]]
) -> None:
    """Whichever versions are deleted, the latest that is left is the current one of the same file."""
    await chain(tables, "a1", "a2", "a3")

    await tables.execute("DELETE FROM file_registry WHERE id = ANY ($1)", gone.split(","))

    assert await shown(tables) == left


async def test_the_next_version_after_one_is_gone(tables: asyncpg.Connection) -> None:
    """After the version in the middle is gone the file goes on with one current version, and its person can go with all of it."""
    await chain(tables, "a1", "a2", "a3")
    await tables.execute("DELETE FROM file_registry WHERE id = 'a2'")

    await add(tables, "a4", "a3")

    assert await shown(tables) == [("a1", "a1", 1, False), ("a3", "a1", 3, False), ("a4", "a1", 4, True)]
    await tables.execute("DELETE FROM users WHERE id = 'ann'")
    assert await shown(tables) == []


async def test_versions_are_related(tables: asyncpg.Connection) -> None:
    """Each version has a relationship to the one before it, as long as it follows it."""
    await chain(tables, "a1", "a2")
    await add(tables, "b1")
    question = (
        "SELECT file_id, related_file_id FROM file_relationships WHERE relationship_type = 'version' ORDER BY file_id"
    )
    assert [tuple(row) for row in await tables.fetch(question)] == [("a2", "a1")]

    await tables.execute("UPDATE file_registry SET previous_version_id = 'a2' WHERE id = 'b1'")
    await tables.execute("UPDATE file_registry SET previous_version_id = NULL WHERE id = 'a2'")

    assert [tuple(row) for row in await tables.fetch(question)] == [("b1", "a2")]
