"""Roles that may not do everything, and extensions that are not there."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator

import asyncpg
import pytest

import kimbledb
from tests.support.databases import fresh_database, sql
from tests.support.folders import Folder, Steps, names


def _as(dsn: str, role: str, password: str) -> str:
    """The DSN for another role."""
    return re.sub(r"//[^@]*@", f"//{role}:{password}@", dsn)


@pytest.fixture
async def plain(server: str) -> AsyncIterator[tuple[str, str, str]]:
    """A fresh database, the DSN of a role there that may only connect, and the role's name."""
    role, password = f"plain_{secrets.token_hex(4)}", secrets.token_hex(8)
    await sql(server, f"CREATE ROLE {role} LOGIN PASSWORD '{password}'")
    async with fresh_database(server) as dsn:
        yield dsn, _as(dsn, role, password), role
        await sql(dsn, f"DROP OWNED BY {role}")
    await sql(server, f"DROP ROLE {role}")


async def test_all_gaps_at_once(plain: tuple[str, str, str], folder: Folder) -> None:
    """What a role lacks is told before the first step, all of it, and what the error says cures it (faults 30, 31)."""
    dsn, role_dsn, role = plain
    folder.add(
        1,
        "a",
        "CREATE TABLE a (n integer);",
        facts='extensions = { one_that_is_not = "1", pg_stat_statements = "1", plpgsql = "9" }',
    )
    catalog = folder.catalog

    with pytest.raises(kimbledb.PreflightError) as caught:
        await kimbledb.migrate(role_dsn, catalog=catalog)

    said = str(caught.value)
    assert f'GRANT USAGE, CREATE ON SCHEMA "public" TO "{role}"' in said
    assert "the server has no extension one_that_is_not" in said
    assert f"{role} may not create the extension pg_stat_statements" in said
    # In the server's words, since only it knows: the extension was tried.
    assert 'permission denied to create extension "pg_stat_statements"' in said
    assert 'let an administrator run: CREATE EXTENSION "pg_stat_statements"' in said
    assert "the extension plpgsql is 1.0, and 9 is the oldest supported version" in said
    assert await sql(dsn, "SELECT to_regclass('migration_history') IS NULL")


async def test_a_role_with_just_enough(plain: tuple[str, str, str], steps: Steps) -> None:
    """With the GRANT that the error names, a role that owns nothing else migrates and rolls back (faults 30)."""
    dsn, role_dsn, _ = plain
    catalog = steps("a", "b").catalog
    with pytest.raises(kimbledb.PreflightError) as caught:
        await kimbledb.migrate(role_dsn, catalog=catalog)
    [(_, cure)] = caught.value.gaps
    await sql(dsn, cure)

    assert names((await kimbledb.migrate(role_dsn, catalog=catalog)).applied) == ["a.sql", "b.sql"]
    assert (await kimbledb.verify(role_dsn, catalog=catalog)).ok
    assert len((await kimbledb.rollback(role_dsn, to=0, catalog=catalog, allow_data_loss=True)).rolled_back) == 2


async def test_a_platform_that_refuses_a_trusted_extension(plain: tuple[str, str, str], folder: Folder) -> None:
    """An extension that its control file calls trusted and the platform refuses is told with its cure, and nothing is touched (faults 30)."""
    dsn, role_dsn, role = plain
    await sql(
        dsn,
        f"GRANT CREATE ON DATABASE {dsn.rpartition('/')[2]} TO {role}; GRANT USAGE, CREATE ON SCHEMA public TO {role};"
        "CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION 'not on this platform' USING ERRCODE = '42501'; END $$;"
        "CREATE EVENT TRIGGER refuse ON ddl_command_start WHEN TAG IN ('CREATE EXTENSION') EXECUTE FUNCTION refuse()",
    )
    folder.add(1, "a", "CREATE TABLE a (n integer);", facts='extensions = ["pg_trgm", "fuzzystrmatch"]')

    with pytest.raises(kimbledb.PreflightError) as caught:
        await kimbledb.migrate(role_dsn, catalog=folder.catalog)

    assert caught.value.gaps == tuple(
        (
            f"{role} may not create the extension {name}: not on this platform",
            f'let an administrator run: CREATE EXTENSION "{name}"',
        )
        for name in ("pg_trgm", "fuzzystrmatch")
    )
    assert await sql(dsn, "SELECT to_regclass('migration_history') IS NULL")


#: Has the server call every extension untrusted, while it lets a role create it: so it looks on platforms
#: that hook into CREATE EXTENSION.
CALLED_UNTRUSTED = """
    DO $$
    DECLARE
        versions pg_proc;
    BEGIN
        SELECT * INTO versions FROM pg_proc WHERE proname = 'pg_available_extension_versions';
        -- What is built in is known by its number, and would be called all the same.
        ALTER FUNCTION pg_available_extension_versions() RENAME TO built_in_extension_versions;
        EXECUTE format('CREATE FUNCTION pg_catalog.pg_available_extension_versions(%s) RETURNS SETOF record LANGUAGE sql AS %L',
            pg_get_function_arguments(versions.oid),
            'SELECT name, default_version, true, false'
                || (SELECT string_agg(', NULL::' || format_type(each, NULL), '') FROM unnest(versions.proallargtypes[5:]) AS each)
                || ' FROM pg_available_extensions()');
    END
    $$
"""


async def test_a_platform_that_allows_an_untrusted_extension(plain: tuple[str, str, str], folder: Folder) -> None:
    """An extension that the catalogs call untrusted and the platform lets the role create is created (faults 30)."""
    dsn, role_dsn, role = plain
    await sql(
        dsn,
        f"GRANT CREATE ON DATABASE {dsn.rpartition('/')[2]} TO {role}; GRANT USAGE, CREATE ON SCHEMA public TO {role};"
        + CALLED_UNTRUSTED,
    )
    folder.add(1, "a", "CREATE TABLE a (n integer);", facts='extensions = ["pg_trgm"]')

    assert names((await kimbledb.migrate(role_dsn, catalog=folder.catalog)).applied) == ["a.sql"]
    assert await sql(dsn, "SELECT count(*) FROM pg_extension WHERE extname = 'pg_trgm'") == 1


async def test_trying_an_extension_leaves_nothing(plain: tuple[str, str, str], folder: Folder) -> None:
    """Of extensions that are tried because one is doubtful none stays when the call is refused (faults 30)."""
    dsn, role_dsn, role = plain
    await sql(dsn, f"GRANT USAGE, CREATE ON SCHEMA public TO {role}")
    folder.add(1, "a", "CREATE TABLE a (n integer);", facts='extensions = ["pg_trgm", "pg_stat_statements"]')

    with pytest.raises(kimbledb.PreflightError) as caught:
        await kimbledb.migrate(role_dsn, catalog=folder.catalog)

    assert [gap.partition(":")[0] for gap, _ in caught.value.gaps] == [
        f"{role} may not create the extension {name}" for name in ("pg_trgm", "pg_stat_statements")
    ]
    assert await sql(dsn, "SELECT string_agg(extname, ' ') FROM pg_extension") == "plpgsql"


async def test_a_table_of_another_role(plain: tuple[str, str, str], folder: Folder) -> None:
    """A table that a migration changes and that another role owns is told with the membership that cures it (faults 30)."""
    dsn, role_dsn, role = plain
    await sql(dsn, f"GRANT USAGE, CREATE ON SCHEMA public TO {role}")
    folder.table(1, "a")
    folder.add(
        2,
        "b",
        "ALTER TABLE a ADD COLUMN IF NOT EXISTS n integer;",
        facts='requires = ["a.sql"]',
    )
    await folder.declared(dsn)
    await kimbledb.migrate(role_dsn, catalog=folder.catalog, to="a.sql")
    await sql(dsn, "ALTER TABLE a OWNER TO postgres")

    with pytest.raises(kimbledb.PreflightError, match='"a" belongs to postgres') as caught:
        await kimbledb.migrate(role_dsn, catalog=folder.catalog)
    [(_, cure)] = caught.value.gaps
    assert cure == f'GRANT "postgres" TO "{role}"'


async def test_a_schema_that_it_may_not_make(plain: tuple[str, str, str], steps: Steps) -> None:
    """A missing schema that the role may not make is told with the GRANT for the database (faults 30)."""
    dsn, role_dsn, _ = plain
    catalog = steps("a").catalog

    with pytest.raises(kimbledb.PreflightError) as caught:
        await kimbledb.migrate(role_dsn, catalog=catalog, schema="tenant")
    [(_, cure)] = caught.value.gaps
    assert cure.startswith("GRANT CREATE ON DATABASE ")
    await sql(dsn, cure)

    assert names((await kimbledb.migrate(role_dsn, catalog=catalog, schema="tenant")).applied) == ["a.sql"]


async def test_history_of_another_role(plain: tuple[str, str, str], steps: Steps) -> None:
    """History that the role may not read or that a policy hides from it is an error, and never reads as empty (faults 30, 37)."""
    dsn, role_dsn, role = plain
    catalog = steps("a").catalog
    await kimbledb.migrate(dsn, catalog=catalog)

    with pytest.raises(kimbledb.PreflightError, match=f"belongs to postgres, and {role} may not read it") as caught:
        await kimbledb.migrate(role_dsn, catalog=catalog)
    [(_, cure)] = caught.value.gaps
    assert cure.endswith(f"GRANT SELECT ON public.migration_history TO {role}")

    await sql(dsn, f"GRANT SELECT ON migration_history TO {role}")
    await sql(dsn, "CREATE POLICY half ON migration_history AS RESTRICTIVE USING (id > 1)")
    with pytest.raises(kimbledb.PreflightError, match="row-level security"):
        await kimbledb.migrate(role_dsn, catalog=catalog)


async def test_an_extension_in_another_schema(database: str) -> None:
    """Extensions are used in the schema in which they are (faults 31)."""
    connection = await asyncpg.connect(database)
    await connection.execute(
        "CREATE SCHEMA tools; CREATE EXTENSION vector SCHEMA tools; CREATE EXTENSION pg_trgm SCHEMA tools"
    )
    await connection.close()

    report = await kimbledb.migrate(database, to="COMPLETE_MIGRATION.sql")

    assert report.verification.ok
    home = "SELECT string_agg(DISTINCT nspname, ' ') FROM pg_extension JOIN pg_namespace AS n ON n.oid = extnamespace "
    assert await sql(database, home + "WHERE extname IN ('vector', 'pg_trgm')") == "tools"


async def test_an_extension_that_is_too_old(database: str) -> None:
    """An installed extension that is too old is told with the statement that brings it on (faults 31)."""
    connection = await asyncpg.connect(database)
    oldest = await connection.fetchval(
        "SELECT version FROM pg_available_extension_versions WHERE name = 'vector' "
        "ORDER BY string_to_array(version, '.')::int[] LIMIT 1"
    )
    await connection.execute(f"CREATE EXTENSION vector VERSION '{oldest}'")
    await connection.execute("UPDATE pg_extension SET extversion = '0.4.4' WHERE extname = 'vector'")
    await connection.close()

    with pytest.raises(kimbledb.PreflightError, match=r"the extension vector is 0\.4\.4, and 0\.\d") as caught:
        await kimbledb.migrate(database)

    assert 'ALTER EXTENSION "vector" UPDATE' in str(caught.value)
    assert await sql(database, "SELECT to_regclass('migration_history') IS NULL")
