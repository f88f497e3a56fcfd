"""A folder catalog with every kind of object, declared in the forms that version 18 gives them, on each version."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import kimbledb
from kimbledb.model.objects import OBJECT_KINDS
from kimbledb.testing.background import Background
from tests.support.databases import fresh_database, sql, take_snapshot
from tests.support.programs import Cluster

from .conftest import Servers, each
from .installations import VERSIONS

KINDS = Path(__file__).parent / "kinds"

pytestmark = each(*VERSIONS)

#: By it and by the roles a database is known as a hosted platform's, of which privileges are declared.
HOSTED = "CREATE SCHEMA auth"


@pytest.fixture
async def fresh(cluster: Cluster) -> AsyncIterator[str]:
    """The DSN of a fresh database in which privileges count."""
    async with fresh_database(cluster.dsn) as dsn:
        await sql(dsn, HOSTED)
        yield dsn


@pytest.fixture(scope="session")
def declared(servers: Servers, tmp_path_factory: pytest.TempPathFactory, _kimbledb_background: Background) -> Path:
    """The catalog's folder, with declarations from version 18."""
    folder = tmp_path_factory.mktemp("kinds") / "migrations"
    shutil.copytree(KINDS, folder)
    _kimbledb_background.run(kimbledb.declare(folder, server=servers.get(18).dsn))
    return folder


@pytest.fixture(scope="session")
def catalog(declared: Path) -> kimbledb.Catalog:
    """The catalog, which declares each object in its form."""
    return kimbledb.Catalog.from_directory(declared)


async def drifted(dsn: str, catalog: kimbledb.Catalog) -> list[str]:
    """The names of what is not as a migration says; what the security checks say of the catalog is no matter here."""
    verification = await kimbledb.verify(dsn, catalog=catalog)
    return [check.name for check in verification.failures if check.migration is not None]


@pytest.mark.usefixtures("version")
async def test_it_holds_every_kind(catalog: kimbledb.Catalog) -> None:
    """No kind of object that a catalog can declare is missing."""
    declared = {each.kind for migration in catalog for each in migration.creates}

    assert declared == set(OBJECT_KINDS)


async def test_it_is_applied_and_goes_back_whole(fresh: str, catalog: kimbledb.Catalog) -> None:
    """Everything is applied and proved, nothing is to do twice, and a rollback leaves an empty schema."""
    report = await kimbledb.migrate(fresh, catalog=catalog)
    assert len(report.applied) == 4
    assert (await kimbledb.migrate(fresh, catalog=catalog)).applied == ()

    await kimbledb.rollback(fresh, to=0, catalog=catalog)

    assert list(await take_snapshot(fresh)) == []


async def test_it_verifies(fresh: str, catalog: kimbledb.Catalog) -> None:
    """Right after it was applied every object is as it is declared."""
    await kimbledb.migrate(fresh, catalog=catalog)

    assert await drifted(fresh, catalog) == []


async def test_it_is_adopted_after_its_history_was_lost(fresh: str, catalog: kimbledb.Catalog) -> None:
    """Every migration is found again by what is there, and what was adopted verifies."""
    await kimbledb.migrate(fresh, catalog=catalog)
    await sql(fresh, "DROP TABLE migration_history, migration_log")

    report = await kimbledb.adopt(fresh, catalog=catalog)

    assert len(report.adopted) == 4
    assert await drifted(fresh, catalog) == []


async def test_a_changed_view_is_drift(fresh: str, catalog: kimbledb.Catalog) -> None:
    """A view that somebody changed is named, and no other is."""
    await kimbledb.migrate(fresh, catalog=catalog)
    await sql(fresh, "CREATE OR REPLACE VIEW names AS SELECT id, name, upper(name) AS loud FROM people")

    assert await drifted(fresh, catalog) == ["view names"]


#: What somebody changes, by the object that drifts.
CHANGES = {
    "column people.tags": "ALTER TABLE people ALTER COLUMN tags SET DEFAULT '{}'",
    "constraint people.people_nick": "ALTER TABLE people DROP CONSTRAINT people_nick",
    "function twice(integer)": "ALTER FUNCTION twice VOLATILE",
    "index people_one_seller": "DROP INDEX people_one_seller",
    "privilege table scratch to service_role": "REVOKE TRUNCATE ON scratch FROM service_role",
    "policy people.own": "ALTER POLICY own ON people USING (born IS NOT NULL)",
    "rule base_notes.no_delete": "CREATE OR REPLACE RULE no_delete AS ON DELETE TO base_notes DO INSTEAD NOTHING",
    "sequence invoice_number": "ALTER SEQUENCE invoice_number INCREMENT 7",
    "statistics people_years": "DROP STATISTICS people_years",
    "trigger people.people_touch": "ALTER TABLE people DISABLE TRIGGER people_touch",
    "type price": "ALTER DOMAIN price DROP NOT NULL",
}


async def test_a_real_change_is_drift(fresh: str, catalog: kimbledb.Catalog) -> None:
    """Of tables, expressions, functions, rules and all else but views, what somebody changed is named and nothing else."""
    await kimbledb.migrate(fresh, catalog=catalog)
    await sql(fresh, "; ".join(CHANGES.values()))

    assert {name for name in await drifted(fresh, catalog) if not name.startswith("view ")} == set(CHANGES)
