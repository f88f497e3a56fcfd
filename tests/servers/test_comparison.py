"""Comparison by facts and recorded forms on each version: declared on 18, applied, dumped and restored on others."""

from __future__ import annotations

import secrets

import pytest

import kimbledb
from kimbledb.testing.background import Background
from tests.support.databases import as_role, fresh_database, sql
from tests.support.declared import recorded
from tests.support.drifting import CHANGES, EXPRESSIONS, FED_BACK, SETTINGS, restore, verified
from tests.support.programs import Cluster, folder

from .conftest import Servers, each
from .installations import VERSIONS, binaries


@pytest.fixture(scope="session")
def catalog(servers: Servers, _kimbledb_background: Background) -> kimbledb.Catalog:
    """A catalog with every kind of expression, with its declarations from 18."""
    made: kimbledb.Catalog = _kimbledb_background.run(recorded(EXPRESSIONS, servers.get(18).dsn))
    return made


@each(*VERSIONS)
async def test_no_false_drift_and_no_missed_one(cluster: Cluster, catalog: kimbledb.Catalog) -> None:
    """Right after migrate() nothing has drifted and everything can be compared; each change is told by its object."""
    async with fresh_database(cluster.dsn) as dsn:
        await kimbledb.migrate(dsn, catalog=catalog)
        assert await verified(dsn, catalog) == (set(), set())
        await sql(dsn, "; ".join(CHANGES.values()))

        assert await verified(dsn, catalog) == (set(CHANGES), set())


@each(*VERSIONS)
async def test_under_every_setting(cluster: Cluster, catalog: kimbledb.Catalog) -> None:
    """No setting of a database makes an object drift, or hides a change."""
    async with fresh_database(cluster.dsn) as dsn:
        await kimbledb.migrate(dsn, catalog=catalog)
        await sql(dsn, CHANGES["policy things.things_seen"])
        database = dsn.rpartition("/")[2]
        found = {}
        for name, value in SETTINGS.items():
            await sql(cluster.dsn, f'ALTER DATABASE "{database}" SET {name} = {value}')
            found[name] = await verified(dsn, catalog)
            await sql(cluster.dsn, f'ALTER DATABASE "{database}" RESET {name}')

    assert found == dict.fromkeys(SETTINGS, ({"policy things.things_seen"}, set()))


@each(*VERSIONS)
async def test_as_a_monitor(cluster: Cluster, catalog: kimbledb.Catalog) -> None:
    """A role with pg_monitor and SELECT on history finds what the owner finds."""
    role = f"monitor_{secrets.token_hex(4)}"
    await sql(cluster.dsn, f"CREATE ROLE {role} LOGIN PASSWORD '{role}' IN ROLE pg_monitor")
    async with fresh_database(cluster.dsn) as dsn:
        await kimbledb.migrate(dsn, catalog=catalog)
        await sql(dsn, f"GRANT SELECT ON migration_history TO {role}")
        assert await verified(as_role(dsn, role), catalog) == (set(), set())
        await sql(dsn, "; ".join(CHANGES.values()))

        assert await verified(as_role(dsn, role), catalog) == (set(CHANGES), set())
    await sql(cluster.dsn, f"DROP ROLE {role}")


@each(15, 18)
async def test_on_a_standby(cluster: Cluster, catalog: kimbledb.Catalog) -> None:
    """A standby finds what its primary finds."""
    async with fresh_database(cluster.dsn) as dsn, fresh_database(cluster.dsn) as changed:
        for each_dsn in (dsn, changed):
            await kimbledb.migrate(each_dsn, catalog=catalog)
        await sql(changed, "; ".join(CHANGES.values()))
        with folder() as place:
            standby = cluster.copy_to(place / "standby", cluster.settings)
            standby.start()
            try:
                there = [
                    f"{standby.dsn.rpartition('/')[0]}/{each_dsn.rpartition('/')[2]}" for each_dsn in (dsn, changed)
                ]
                assert await sql(there[0], "SELECT pg_is_in_recovery()")
                assert await verified(there[0], catalog) == (set(), set())
                assert await verified(there[1], catalog) == (set(CHANGES), set())
            finally:
                standby.stop()


@each(*VERSIONS)
async def test_after_an_upgrade(cluster: Cluster, servers: Servers, version: int, catalog: kimbledb.Catalog) -> None:
    """A dump of each version, restored on 18, has not drifted; adopt() renews the record, and then each change is told."""
    async with fresh_database(cluster.dsn) as dsn, fresh_database(servers.get(18).dsn) as later:
        await kimbledb.migrate(dsn, catalog=catalog)
        restore(dsn, later, dumping=binaries(version))

        assert await verified(later, catalog) == (set(), set(FED_BACK))
        await kimbledb.adopt(later, catalog=catalog)
        assert await verified(later, catalog) == (set(), set())
        await sql(later, "; ".join(CHANGES.values()))
        assert await verified(later, catalog) == (set(CHANGES), set())
