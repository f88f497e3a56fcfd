"""Comparison by facts and recorded forms: no false drift and no missed one, wherever and by whomever verify() is called."""

from __future__ import annotations

import secrets

import asyncpg
import pytest

import kimbledb
from kimbledb.testing.background import Background
from tests.support.databases import Clone, MakeTemplate, as_role, fresh_database, sql
from tests.support.declared import recorded
from tests.support.drifting import CHANGES, EXPRESSIONS, FED_BACK, SETTINGS, drifted, restore, unknown, verified
from tests.support.folders import Folder


@pytest.fixture(scope="session")
def catalog(server: str, _kimbledb_background: Background) -> kimbledb.Catalog:
    """A catalog with every kind of expression, with its declarations."""
    made: kimbledb.Catalog = _kimbledb_background.run(recorded(EXPRESSIONS, server))
    return made


@pytest.fixture(scope="session")
def migrated(make_template: MakeTemplate, catalog: kimbledb.Catalog) -> str:
    """The name of a database to which it was applied."""

    async def fill(dsn: str) -> None:
        await kimbledb.migrate(dsn, catalog=catalog)

    return make_template(fill)


@pytest.fixture
async def database(clone: Clone, migrated: str) -> str:
    """The DSN of a fresh database to which it was applied."""
    return await clone(migrated)


async def set_for_database(dsn: str, name: str, value: str) -> None:
    """Have the database's sessions begin with a setting."""
    await sql(dsn, f'ALTER DATABASE "{dsn.rpartition("/")[2]}" SET {name} = {value}')


async def test_what_was_changed_is_told_and_nothing_else(database: str, catalog: kimbledb.Catalog) -> None:
    """Right after migrate() nothing has drifted and everything can be compared; each change is told by its object."""
    assert await verified(database, catalog) == (set(), set())
    await sql(database, "; ".join(CHANGES.values()))

    assert await verified(database, catalog) == (set(CHANGES), set())


async def test_every_cure_cures(database: str, catalog: kimbledb.Catalog) -> None:
    """The hints of all changes, run in order, bring every object back to its declared form."""
    await sql(database, "; ".join(CHANGES.values()))
    report = await kimbledb.verify(database, catalog=catalog)

    connection = await asyncpg.connect(database)
    for check in report.checks:
        if check.name in CHANGES:
            await connection.execute(check.hint or "")
    await connection.close()

    assert await verified(database, catalog) == (set(), set())


@pytest.mark.parametrize("name", SETTINGS)
async def test_under_a_setting_of_the_database(database: str, catalog: kimbledb.Catalog, name: str) -> None:
    """No setting of a database makes an object drift, or hides a change."""
    await sql(database, CHANGES["policy things.things_seen"])
    await set_for_database(database, name, SETTINGS[name])

    assert await verified(database, catalog) == ({"policy things.things_seen"}, set())


@pytest.mark.parametrize("how", ["role", "dsn", "session"])
async def test_under_all_settings_of_a_role_or_a_client(database: str, catalog: kimbledb.Catalog, how: str) -> None:
    """Neither do all of them at once, set for a role, in the DSN or on a caller's connection."""
    await sql(database, CHANGES["policy things.things_seen"])
    role = f"otherwise_{secrets.token_hex(4)}"
    await sql(database, f"CREATE ROLE {role} SUPERUSER LOGIN PASSWORD '{role}'")
    try:
        target = as_role(database, role)
        if how == "role":
            await sql(
                database, "; ".join(f"ALTER ROLE {role} SET {name} = {value}" for name, value in SETTINGS.items())
            )
        elif how == "dsn":
            options = "%20".join(
                f"-c%20{name}%3D{value.strip(chr(39)).replace(' ', '%5C%20').replace('/', '%2F')}"
                for name, value in SETTINGS.items()
            )
            target += f"?options={options}"
        if how == "session":
            connection = await asyncpg.connect(target)
            for name, value in SETTINGS.items():
                await connection.execute(f"SET {name} = {value}")
            await connection.execute("SET client_encoding = 'LATIN1'; SET statement_timeout = '1min'")
            report = await kimbledb.verify(connection, catalog=catalog)
            await connection.close()
            assert (drifted(report), unknown(report)) == ({"policy things.things_seen"}, set())
        else:
            assert await verified(target, catalog) == ({"policy things.things_seen"}, set())
    finally:
        await sql(database, f"DROP OWNED BY {role}; DROP ROLE {role}")


async def test_a_restored_database_has_not_drifted(database: str, server: str, catalog: kimbledb.Catalog) -> None:
    """What a restored dump spells otherwise cannot be compared, and is no drift; other changes are told there, too."""
    async with fresh_database(server) as copy:
        restore(database, copy)

        assert await verified(copy, catalog) == (set(), set(FED_BACK))
        report = await kimbledb.verify(copy, catalog=catalog)
        assert report.ok
        [check] = [check for check in report.checks if check.name == "cannot be compared here"]
        assert (check.found or "").startswith(
            f"{len(FED_BACK)} objects: history records it as another database printed it"
        )
        assert check.informative

        structural = {"column things.w", "table things"}
        await sql(copy, "; ".join(CHANGES[name] for name in structural))
        assert await verified(copy, catalog) == (structural, set(FED_BACK))


async def test_the_text_of_a_server_is_no_fixpoint(database: str) -> None:
    """The trap that the test before stands for: the server's own text of a check, fed back, gives another text, and that is stable."""
    query = "SELECT pg_get_constraintdef(oid, true) FROM pg_constraint WHERE conname = 'things_v_check'"
    texts = [await sql(database, query)]
    for _ in range(2):
        await sql(
            database,
            f"ALTER TABLE things DROP CONSTRAINT things_v_check, ADD CONSTRAINT things_v_check {texts[-1]}",
        )
        texts.append(await sql(database, query))

    first, second, third = texts
    assert first != second
    assert second == third


async def test_a_cloned_database_has_its_record(database: str, clone: Clone, catalog: kimbledb.Catalog) -> None:
    """A clone of a database by CREATE DATABASE ... TEMPLATE can be compared like the database itself."""
    copy = await clone(database.rpartition("/")[2])
    assert await verified(copy, catalog) == (set(), set())
    await sql(copy, CHANGES["view seen"])

    assert await verified(copy, catalog) == ({"view seen"}, set())


async def test_a_monitor_needs_select_on_history_alone(database: str, catalog: kimbledb.Catalog) -> None:
    """A role with pg_monitor and SELECT on history finds what the owner finds."""
    role = f"monitor_{secrets.token_hex(4)}"
    await sql(
        database,
        f"CREATE ROLE {role} LOGIN PASSWORD '{role}' IN ROLE pg_monitor; GRANT SELECT ON migration_history TO {role}",
    )
    try:
        assert await verified(as_role(database, role), catalog) == (set(), set())
        await sql(database, "; ".join(CHANGES.values()))
        assert await verified(as_role(database, role), catalog) == (set(CHANGES), set())
    finally:
        await sql(database, f"DROP OWNED BY {role}; DROP ROLE {role}")


async def test_a_monitor_without_usage_of_an_extension(server: str, folder: Folder) -> None:
    """A monitor that may not use the schema of an extension is told which grant it lacks, and nothing has drifted."""
    folder.add(1, "a", "CREATE TABLE things (v vector(3));", facts='extensions = ["vector"]')
    role = f"monitor_{secrets.token_hex(4)}"
    await sql(server, f"CREATE ROLE {role} LOGIN PASSWORD '{role}'")
    async with fresh_database(server, "CREATE SCHEMA extensions") as dsn:
        catalog = await recorded(folder.path, server)
        await kimbledb.migrate(dsn, catalog=catalog)
        await sql(dsn, f"GRANT SELECT ON migration_history TO {role}")

        report = await kimbledb.verify(as_role(dsn, role), catalog=catalog)
        [check] = [check for check in report.checks if check.name == "cannot be compared here"]
        assert (drifted(report), check.informative) == (set(), True)
        assert (check.hint or "").startswith('GRANT USAGE ON SCHEMA "extensions"')

        await sql(dsn, f"GRANT USAGE ON SCHEMA extensions TO {role}")
        assert await verified(as_role(dsn, role), catalog) == (set(), set())
    await sql(server, f"DROP ROLE {role}")


async def test_whoever_migrates_and_whoever_looks(server: str, folder: Folder) -> None:
    """What one role recorded and another applied has not drifted for either of them, nor for a monitor."""
    owner, monitor = (f"{name}_{secrets.token_hex(4)}" for name in ("owner", "monitor"))
    folder.add(
        1,
        "a",
        f"""
CREATE TABLE things (id integer GENERATED ALWAYS AS IDENTITY, of_owner text);
CREATE FUNCTION f() RETURNS integer LANGUAGE sql RETURN 1;
GRANT SELECT, INSERT ON things TO {owner};
GRANT UPDATE (of_owner) ON things TO {owner};
GRANT SELECT ON things TO {monitor};
GRANT EXECUTE ON FUNCTION f() TO {owner};
REVOKE EXECUTE ON FUNCTION f() FROM PUBLIC;
REVOKE TRUNCATE ON things FROM CURRENT_USER;
DO $$ BEGIN
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT SELECT ON TABLES TO {monitor}', current_schema());
END $$;
""",
    )
    for role in (owner, monitor):
        await sql(server, f"CREATE ROLE {role} LOGIN PASSWORD '{role}'")
    try:
        catalog = await recorded(folder.path, server)
        async with fresh_database(server) as dsn:
            await sql(server, f'ALTER DATABASE "{dsn.rpartition("/")[2]}" OWNER TO {owner}')
            await kimbledb.migrate(as_role(dsn, owner), catalog=catalog)
            await sql(as_role(dsn, owner), f"GRANT SELECT ON migration_history TO {monitor}")

            for target in (as_role(dsn, owner), dsn, as_role(dsn, monitor)):
                assert await verified(target, catalog) == (set(), set())
            await sql(
                as_role(dsn, owner), f"REVOKE SELECT ON things FROM {monitor}; REVOKE DELETE ON things FROM {owner}"
            )
            for target in (as_role(dsn, owner), dsn, as_role(dsn, monitor)):
                assert (await verified(target, catalog))[0] == {
                    f"privilege table things to {monitor}",
                    "privilege table things to owner",
                }
    finally:
        await sql(server, f"DROP ROLE {owner}, {monitor}")


async def test_where_nobody_may_ask_for_the_cluster(server: str, catalog: kimbledb.Catalog) -> None:
    """A platform that keeps the identity of its cluster to itself can be migrated and verified by an ordinary role."""
    role = f"owner_{secrets.token_hex(4)}"
    await sql(server, f"CREATE ROLE {role} LOGIN PASSWORD '{role}'")
    async with fresh_database(server, "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC") as dsn:
        await sql(server, f'ALTER DATABASE "{dsn.rpartition("/")[2]}" OWNER TO {role}')
        await kimbledb.migrate(as_role(dsn, role), catalog=catalog)
        assert await verified(as_role(dsn, role), catalog) == (set(), set())
        await sql(dsn, CHANGES["view seen"])

        assert await verified(as_role(dsn, role), catalog) == ({"view seen"}, set())
        # Who may ask sees another origin than the record's.
        assert await verified(dsn, catalog) == (set(), {"view seen"})
    await sql(server, f"DROP ROLE {role}")
