"""The record of forms on each version: what this server makes of scripts whose declarations are from 18."""

from __future__ import annotations

import json

import pytest

import kimbledb
from kimbledb.execution.scratch import Scratch
from kimbledb.inspection import history
from kimbledb.server.dsn import with_database
from kimbledb.server.targets import target_of
from kimbledb.testing.background import Background
from tests.support.databases import fresh_database, psql, sql
from tests.support.declared import recorded
from tests.support.drifting import CHANGES, EXPRESSIONS, restore, verified
from tests.support.programs import Cluster

from .conftest import Servers, each
from .installations import VERSIONS, binaries


@pytest.fixture(scope="session")
def catalog(servers: Servers, _kimbledb_background: Background) -> kimbledb.Catalog:
    """A catalog with every kind of expression, with its declarations from 18."""
    made: kimbledb.Catalog = _kimbledb_background.run(recorded(EXPRESSIONS, servers.get(18).dsn))
    return made


def by_hand(catalog: kimbledb.Catalog) -> str:
    """Return all scripts of a catalog as a person would run them."""
    return "SET search_path = public;\n" + "".join(migration.apply_sql for migration in catalog)


@each(*VERSIONS)
async def test_a_scratch_schema_gives_the_recorded_forms(cluster: Cluster, catalog: kimbledb.Catalog) -> None:
    """What the statements make beside the live schema has the forms that they recorded when they were applied."""
    async with fresh_database(cluster.dsn) as dsn:
        await kimbledb.migrate(dsn, catalog=catalog)
        text = await sql(dsn, "SELECT jsonb_object_agg(migration_name, forms->'forms')::text FROM migration_history")
        async with (
            target_of(dsn).session(kimbledb.Options()) as session,
            Scratch(session, await history.look(session, "public"), "public", catalog) as scratch,
        ):
            made = await scratch.forms(list(catalog))

    assert scratch.left_out == []
    assert {name: {" ".join(key): form for key, form in forms.items()} for name, forms in made.items()} == json.loads(
        text
    )


@each(*VERSIONS)
async def test_a_clone_keeps_the_record(cluster: Cluster, catalog: kimbledb.Catalog) -> None:
    """In a database that is a clone of a template everything can be compared, by the record of the template."""
    made = await kimbledb.provision("acme", target=cluster.dsn, catalog=catalog)

    assert len(made.applied) == len(catalog)
    assert await verified(with_database(cluster.dsn, "acme"), catalog) == (set(), set())


@each(*VERSIONS)
async def test_after_a_restore_the_record_is_renewed(cluster: Cluster, version: int, catalog: kimbledb.Catalog) -> None:
    """adopt() lets everything be compared in a restored database, and each change be found."""
    async with fresh_database(cluster.dsn) as dsn, fresh_database(cluster.dsn) as other:
        await kimbledb.migrate(dsn, catalog=catalog)
        restore(dsn, other, dumping=binaries(version))
        assert (await kimbledb.adopt(other, catalog=catalog)).adopted == ()
        assert await verified(other, catalog) == (set(), set())
        await sql(other, "; ".join(CHANGES.values()))

        assert await verified(other, catalog) == (set(CHANGES), set())


@each(*VERSIONS)
async def test_what_changed_before_the_record_is_renewed_is_found(
    cluster: Cluster, version: int, catalog: kimbledb.Catalog
) -> None:
    """What was changed in a restored database before its record was renewed is drift afterwards."""
    async with fresh_database(cluster.dsn) as dsn, fresh_database(cluster.dsn) as other:
        await kimbledb.migrate(dsn, catalog=catalog)
        restore(dsn, other, dumping=binaries(version))
        await sql(other, "; ".join(CHANGES.values()))
        await kimbledb.adopt(other, catalog=catalog)

        assert await verified(other, catalog) == (set(CHANGES), set())


@each(*VERSIONS)
async def test_after_an_upgrade_the_record_is_renewed(
    cluster: Cluster, servers: Servers, version: int, catalog: kimbledb.Catalog
) -> None:
    """A dump of each version, restored on 18, can be compared after adopt(), and each change is found."""
    async with fresh_database(cluster.dsn) as dsn, fresh_database(servers.get(18).dsn) as later:
        await kimbledb.migrate(dsn, catalog=catalog)
        restore(dsn, later, dumping=binaries(version))
        await kimbledb.adopt(later, catalog=catalog)
        assert await verified(later, catalog) == (set(), set())
        await sql(later, "; ".join(CHANGES.values()))

        assert await verified(later, catalog) == (set(CHANGES), set())


@each(*VERSIONS)
async def test_a_schema_without_history_is_adopted(cluster: Cluster, version: int, catalog: kimbledb.Catalog) -> None:
    """What psql made of the scripts is adopted, and so is what a dump of it made; then each change is found."""
    async with fresh_database(cluster.dsn) as dsn, fresh_database(cluster.dsn) as other:
        assert psql(dsn, by_hand(catalog)).returncode == 0
        restore(dsn, other, dumping=binaries(version))
        for made in (dsn, other):
            assert len((await kimbledb.adopt(made, catalog=catalog)).adopted) == len(catalog)
            assert await verified(made, catalog) == (set(), set())
            await sql(made, "; ".join(CHANGES.values()))
            assert await verified(made, catalog) == (set(CHANGES), set())


@each(*VERSIONS)
async def test_an_altered_schema_is_not_adopted(cluster: Cluster, catalog: kimbledb.Catalog) -> None:
    """A schema whose expressions somebody altered before kimbledb came is not adopted."""
    async with fresh_database(cluster.dsn) as dsn:
        assert psql(dsn, by_hand(catalog)).returncode == 0
        await sql(dsn, CHANGES["view seen"])

        assert (await kimbledb.adopt(dsn, catalog=catalog)).adopted == ()
