"""A folder catalog with every kind of object, declared in the forms that version 18 gives them, on each version."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import kimbledb
from kimbledb.testing.background import Background
from tests.conftest import picture
from tests.declare import as_toml
from tests.faults.parts import fresh_database, sql

from .conftest import Servers, each
from .installations import VERSIONS

KINDS = Path(__file__).parent / "kinds"

pytestmark = each(*VERSIONS)

#: For what compares the definitions of views.
SPELLING = "15 names the table before each column of a view of one table, and a view is compared by the text of 18"


async def declare(server: str, folder: Path) -> None:
    """Write into each migration.toml of a folder what its migration makes, changes and drops on a server."""
    plain = kimbledb.Catalog.from_directory(folder)
    async with fresh_database(server) as dsn:
        before = await picture(dsn)
        for migration in plain:
            await kimbledb.migrate(dsn, catalog=plain, to=migration.number)
            after = await picture(dsn)
            with (folder / Path(migration.location).name / "migration.toml").open("a", encoding="utf-8") as file:
                file.write(as_toml(after.since(before)))
            before = after


@pytest.fixture(scope="session")
def catalog(
    servers: Servers, tmp_path_factory: pytest.TempPathFactory, _kimbledb_background: Background
) -> kimbledb.Catalog:
    """The catalog, with declarations from version 18."""
    folder = tmp_path_factory.mktemp("kinds") / "migrations"
    shutil.copytree(KINDS, folder)
    _kimbledb_background.run(declare(servers.get(18).dsn, folder))
    return kimbledb.Catalog.from_directory(folder)


@pytest.fixture
def spelling(request: pytest.FixtureRequest, version: int) -> None:
    """Expect the test to fail where views are spelt otherwise."""
    if version == 15:
        request.applymarker(pytest.mark.xfail(reason=SPELLING, raises=AssertionError, strict=True))


@pytest.mark.usefixtures("version")
async def test_it_holds_every_kind(catalog: kimbledb.Catalog) -> None:
    """No kind of object that a catalog can declare is missing."""
    declared = {each.kind for migration in catalog for each in migration.creates}

    assert declared == set(kimbledb.model.OBJECT_KINDS)


async def test_it_is_applied_and_goes_back_whole(fresh: str, catalog: kimbledb.Catalog) -> None:
    """Everything is applied and proved, nothing is to do twice, and a rollback leaves an empty schema."""
    report = await kimbledb.migrate(fresh, catalog=catalog)
    assert len(report.applied) == 4
    assert (await kimbledb.migrate(fresh, catalog=catalog)).applied == ()

    await kimbledb.rollback(fresh, to=0, catalog=catalog)

    assert list(await picture(fresh)) == []


@pytest.mark.usefixtures("spelling")
async def test_it_verifies(fresh: str, catalog: kimbledb.Catalog) -> None:
    """Right after it was applied every object is as it is declared."""
    await kimbledb.migrate(fresh, catalog=catalog)

    assert (await kimbledb.verify(fresh, catalog=catalog)).failures == ()


@pytest.mark.usefixtures("spelling")
async def test_it_is_adopted_after_its_history_was_lost(fresh: str, catalog: kimbledb.Catalog) -> None:
    """Every migration is found again by what is there, and what was adopted verifies."""
    await kimbledb.migrate(fresh, catalog=catalog)
    await sql(fresh, "DROP TABLE migration_history, migration_log")

    report = await kimbledb.adopt(fresh, catalog=catalog)

    assert len(report.adopted) == 4
    assert (await kimbledb.verify(fresh, catalog=catalog)).failures == ()


@pytest.mark.usefixtures("spelling")
async def test_a_changed_view_is_drift(fresh: str, catalog: kimbledb.Catalog) -> None:
    """A view that somebody changed is named, and no other is."""
    await kimbledb.migrate(fresh, catalog=catalog)
    await sql(fresh, "CREATE OR REPLACE VIEW names AS SELECT id, name, upper(name) AS loud FROM people")

    assert [check.name for check in (await kimbledb.verify(fresh, catalog=catalog)).failures] == ["view names"]


#: What somebody changes, by the object that drifts.
CHANGES = {
    "column people.tags": "ALTER TABLE people ALTER COLUMN tags SET DEFAULT '{}'",
    "constraint people.people_nick": "ALTER TABLE people DROP CONSTRAINT people_nick",
    "function twice(integer)": "ALTER FUNCTION twice VOLATILE",
    "index people_one_seller": "DROP INDEX people_one_seller",
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

    checks = (await kimbledb.verify(fresh, catalog=catalog)).failures

    found = {check.name for check in checks if check.migration is not None and not check.name.startswith("view ")}
    assert found == set(CHANGES)
