"""Restore points of backups: made, listed, and kept until they expire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

BACKUP = "INSERT INTO backups (id, user_id, status, completed_at, created_at) VALUES ($1, 'ann', $2, $3, $3)"
NEW_YEAR = datetime(2025, 12, 31, 23, 30, tzinfo=UTC)


async def listed(tables: asyncpg.Connection) -> list[tuple[str, str]]:
    """Return the restore points with their names."""
    return [tuple(row) for row in await tables.fetch("SELECT id, name FROM restore_points ORDER BY id")]


async def test_a_restore_point_is_made_and_listed(tables: asyncpg.Connection) -> None:
    """A completed backup becomes a restore point, by a name or its day of UTC, for thirty days unless said otherwise."""
    await tables.execute("SET TIME ZONE 'Pacific/Kiritimati'")
    for backup in ("a", "b", "c"):
        await tables.execute(BACKUP, backup, "completed", NEW_YEAR)
    before = datetime.now(UTC)

    made = await tables.fetchrow("SELECT * FROM make_restore_point('a', 'before the move')")
    await tables.execute("SELECT make_restore_point('b', ' ', NULL)")

    assert made is not None
    assert timedelta(days=30) <= made["expires_at"] - before < timedelta(days=30, minutes=1)
    assert await listed(tables) == [("a", "before the move"), ("b", "automatic 2025-12-31")]
    assert await tables.fetchval("SELECT expires_at FROM restore_points WHERE id = 'b'") is None


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("make_restore_point('pending')", "backup pending is pending"),
        ("make_restore_point('expired')", "backup expired is expired"),
        ("make_restore_point('none')", "there is no backup none"),
        ("make_restore_point('done', keep_until => '2020-01-01')", "cannot be kept until 2020-01-01"),
        ("release_restore_point('done')", "there is no restore point done"),
    ],
)
async def test_what_cannot_be_a_restore_point(tables: asyncpg.Connection, call: str, words: str) -> None:
    """A backup that is not there, not completed or expired becomes no restore point, and none is kept until a time that is over."""
    for backup, status in (("pending", "pending"), ("expired", "completed"), ("done", "completed")):
        await tables.execute(BACKUP, backup, status, NEW_YEAR)
    await tables.execute("UPDATE backups SET expires_at = now() WHERE id = 'expired'")

    with pytest.raises(asyncpg.PostgresError, match=words):
        await tables.execute(f"SELECT {call}")


@pytest.mark.parametrize("keep_until", ["'2999-01-01'", "NULL"])
@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM backups",
        "DELETE FROM backups WHERE id = 'a'",
        "DELETE FROM users WHERE id = 'ann'",
        "TRUNCATE backups",
        "TRUNCATE users CASCADE",
        "UPDATE backups SET is_restore_point = false",
        "UPDATE backups SET status = 'failed'",
        "UPDATE backups SET backup_data = NULL",
        "UPDATE backups SET backup_data = '[]'",
        "UPDATE backups SET id = 'b'",
    ],
)
async def test_a_restore_point_is_kept(tables: asyncpg.Connection, statement: str, keep_until: str) -> None:
    """A restore point that has not expired is not deleted, not with its person, not by TRUNCATE, not emptied and not made another thing."""
    await tables.execute(BACKUP, "a", "completed", NEW_YEAR)
    await tables.execute("UPDATE backups SET backup_data = '{}'")
    await tables.execute(f"SELECT make_restore_point('a', keep_until => {keep_until})")

    with pytest.raises(asyncpg.RestrictViolationError, match="restore point a is protected until") as caught:
        await tables.execute(statement)

    assert caught.value.hint == "Wait, or end the protection with release_restore_point()."
    assert await listed(tables) == [("a", "automatic 2025-12-31")]


async def test_a_restore_point_is_put_into_another_place_as_well(tables: asyncpg.Connection) -> None:
    """A restore point is uploaded after it was made, and where it lies then is kept like the rest."""
    await tables.execute(BACKUP, "a", "completed", NEW_YEAR)
    await tables.execute("UPDATE backups SET backup_data = '{}'; SELECT make_restore_point('a')")

    await tables.execute(
        "UPDATE backups SET drive_file_id = 'one', drive_uploaded_at = now(), storage_location = 'two'"
    )

    assert await tables.fetchval("SELECT storage_location FROM restore_points") == "two"
    with pytest.raises(asyncpg.RestrictViolationError):
        await tables.execute("UPDATE backups SET drive_file_id = 'three'")


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM backups", "DELETE FROM users WHERE id = 'ann'", "TRUNCATE backups", "TRUNCATE users CASCADE"],
)
@pytest.mark.parametrize(
    "ended", ["SELECT release_restore_point('a')", "UPDATE backups SET expires_at = now() - interval '1 second'"]
)
async def test_a_restore_point_that_is_over(tables: asyncpg.Connection, ended: str, statement: str) -> None:
    """Once it has expired, or was released, a restore point is listed no more and goes like any other backup."""
    await tables.execute(BACKUP, "a", "completed", NEW_YEAR)
    await tables.execute("SELECT make_restore_point('a')")
    await tables.execute(ended)
    assert await listed(tables) == []

    await tables.execute(statement)

    assert await tables.fetchval("SELECT count(*) FROM backups") == 0


async def test_what_has_expired_is_purged(tables: asyncpg.Connection) -> None:
    """Backups that have expired are purged, and neither others nor restore points."""
    for backup in ("old", "plain", "point"):
        await tables.execute(BACKUP, backup, "completed", NEW_YEAR)
    await tables.execute("SELECT make_restore_point('old'), make_restore_point('point')")
    await tables.execute("SELECT release_restore_point('old')")

    assert await tables.fetchval("SELECT purge_expired_backups()") == 1

    assert [row["id"] for row in await tables.fetch("SELECT id FROM backups ORDER BY id")] == ["plain", "point"]
