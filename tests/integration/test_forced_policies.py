"""Tables whose policies hold for their owner, too, and an owner who is no superuser."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

import asyncpg
import pytest

import kimbledb
from tests.support.folders import Folder

FORCED = "ALTER TABLE {0} ENABLE ROW LEVEL SECURITY;\nALTER TABLE {0} FORCE ROW LEVEL SECURITY;\nCREATE POLICY own ON {0} USING (n > 1);\n"


@pytest.fixture
async def owner(database: str, connection: asyncpg.Connection) -> AsyncIterator[str]:
    """The DSN of the database as a plain role that may make tables in it."""
    role = f"owner_{secrets.token_hex(4)}"
    name = database.rpartition("/")[2]
    await connection.execute(
        f"CREATE ROLE {role} LOGIN PASSWORD 'owner'; GRANT CREATE ON DATABASE {name} TO {role}; GRANT USAGE, CREATE ON SCHEMA public TO {role}"
    )
    yield f"postgresql://{role}:owner@{database.rpartition('@')[2]}"
    await connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


@pytest.fixture
async def forced(owner: str, folder: Folder) -> Folder:
    """A catalog of two migrations, applied, that make tables with such policies and rows that these hide."""
    for number, name in enumerate("ab", 1):
        folder.add(
            number,
            name,
            f"CREATE TABLE {name} (n integer, v text);\nINSERT INTO {name} SELECT 1, 'x' FROM generate_series(1, 3);\n"
            + FORCED.format(name),
            rollback=f"DROP TABLE {name};",
        )
    await kimbledb.migrate(owner, catalog=folder.catalog)
    return folder


async def test_a_rollback_counts_rows_that_its_owner_cannot_see(
    owner: str, forced: Folder, connection: asyncpg.Connection
) -> None:
    """A rollback counts the rows that the owner cannot see, and goes with leave."""
    with pytest.raises(kimbledb.DataLossError) as caught:
        await kimbledb.rollback(owner, "b.sql", catalog=forced.catalog)
    assert [str(loss) for loss in caught.value.losses] == ["table b: 3 rows"]
    assert await connection.fetchval("SELECT relforcerowsecurity FROM pg_class WHERE relname = 'b'") is True

    report = await kimbledb.rollback(owner, "b.sql", catalog=forced.catalog, allow_data_loss=True)

    assert [str(loss) for loss in report.losses] == ["table b: 3 rows"]


@pytest.mark.usefixtures("forced")
async def test_a_reset_counts_rows_that_its_owner_cannot_see(owner: str, connection: asyncpg.Connection) -> None:
    """A reset counts such rows, too, and goes with leave."""
    name = owner.rpartition("/")[2]
    with pytest.raises(kimbledb.DataLossError) as caught:
        await kimbledb.reset(owner, confirm=name)
    assert [str(loss) for loss in caught.value.losses] == ["table a: 3 rows", "table b: 3 rows"]
    assert (
        await connection.fetchval("SELECT bool_and(relforcerowsecurity) FROM pg_class WHERE relname IN ('a', 'b')")
        is True
    )

    await kimbledb.reset(owner, confirm=name, allow_data_loss=True)

    assert await connection.fetchval("SELECT to_regclass('a') IS NULL AND to_regclass('b') IS NULL")


async def test_values_of_a_column_are_counted(owner: str, forced: Folder, connection: asyncpg.Connection) -> None:
    """Values of a column that would go are counted, and policies still hold for the owner afterwards."""
    forced.add(3, "c", "ALTER TABLE a DROP COLUMN v;", rollback="SELECT 1;")
    with pytest.raises(kimbledb.DataLossError) as caught:
        await kimbledb.migrate(owner, catalog=forced.catalog)
    assert [str(loss) for loss in caught.value.losses] == ["column a.v: 3 values"]

    await kimbledb.migrate(owner, catalog=forced.catalog, allow_data_loss=True)

    assert await connection.fetchval("SELECT relforcerowsecurity FROM pg_class WHERE relname = 'a'") is True


async def test_a_script_that_would_not_see_all_rows(owner: str, forced: Folder) -> None:
    """A script whose statement such policies would hide rows from fails, with a cure for an owner."""
    forced.add(3, "c", "UPDATE a SET v = 'y';")

    with pytest.raises(kimbledb.MigrationError) as caught:
        await kimbledb.migrate(owner, catalog=forced.catalog)

    assert caught.value.sqlstate == "42501"
    assert caught.value.hint is not None
    assert "BYPASSRLS" in caught.value.hint
