"""Catalogs that are joined, on a database."""

from __future__ import annotations

from pathlib import Path

import pytest

import kimbledb
from tests.support.folders import Folder


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Folder, Folder]:
    """Two folders, the second one on the first one. The way back of each migration is derived."""
    base, own = Folder(tmp_path / "base"), Folder(tmp_path / "own")
    base.add(1, "users", "CREATE TABLE users (id integer PRIMARY KEY);", rollback=None)
    base.add(2, "logs", "CREATE TABLE logs (id integer PRIMARY KEY);", rollback=None)
    apply = "CREATE TABLE invoices (id integer PRIMARY KEY REFERENCES users);\nALTER TABLE users ADD COLUMN vat text;"
    own.add(1, "invoices", apply, rollback=None, facts='requires = ["users.sql"]')
    return base, own


async def test_what_builds_on_another_is_declared_and_rolled_back(
    server: str, database: str, folders: tuple[Folder, Folder]
) -> None:
    """A folder on a base is recorded without its base, also a column of a base's table; the way back goes through both."""
    base, own = folders
    first = await base.declared(server)
    report = await kimbledb.declare(own.path, base=first, server=server)
    joined = kimbledb.Catalog.from_directory(own.path, base=first)
    assert [each.migration for each in report.migrations] == ["invoices.sql"]
    assert "column users.vat" in map(str, joined["invoices.sql"].creates)
    assert (await kimbledb.declare(own.path, base=first, server=server, check=True)).ok

    await kimbledb.migrate(database, catalog=joined)
    with pytest.raises(kimbledb.RollbackRefusedError, match=r"invoices\.sql"):
        await kimbledb.rollback(database, "users.sql", catalog=joined)
    back = await kimbledb.rollback(database, "users.sql", catalog=joined, cascade=True)

    assert [each.migration.name for each in back.rolled_back] == ["invoices.sql", "users.sql"]
    again = await kimbledb.migrate(database, catalog=joined)
    assert [each.migration.name for each in again.applied] == ["users.sql", "invoices.sql"]
    assert (await kimbledb.verify(database, catalog=joined)).ok


async def test_the_base_alone_knows_nothing_of_the_rest(database: str, folders: tuple[Folder, Folder]) -> None:
    """An application that has the base alone, such as an older replica, finds nothing to do and names what it does not know."""
    base, own = folders
    await kimbledb.migrate(database, catalog=kimbledb.Catalog.from_directory(own.path, base=base.catalog))

    plan = await kimbledb.plan(database, catalog=base.catalog)

    assert not plan.pending
    assert [(each.name, each.state) for each in plan.steps][-1] == ("invoices.sql", kimbledb.StepState.UNKNOWN)
