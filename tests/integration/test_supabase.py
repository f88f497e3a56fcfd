"""A usual Supabase project: 25 migrations as its CLI writes them, on a platform whose schemas have owners of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

import kimbledb
from tests.support.databases import as_role, fresh_database, sql
from tests.support.supabase import DATABASE, PROJECT, ROLES

#: What another hand does to what the project reaches, and the object that is then missing.
BY_HAND = {
    "DROP TRIGGER on_auth_user_created ON auth.users": "trigger auth.users.on_auth_user_created",
    'DROP POLICY "Members read documents" ON storage.objects': 'policy storage.objects."Members read documents"',
    "DROP TABLE private.user_roles": "table private.user_roles",
    "REVOKE USAGE ON SCHEMA private FROM authenticated": "privilege schema private to authenticated",
}

#: What of the project is left in any schema.
REMAINING = """SELECT string_agg(name, ', ') FROM (
    SELECT polname::text FROM pg_policy WHERE polname !~ '^migration_'
    UNION ALL SELECT tgname FROM pg_trigger WHERE tgrelid = 'auth.users'::regclass AND NOT tgisinternal
    UNION ALL SELECT nspname FROM pg_namespace WHERE nspname = 'private'
    UNION ALL SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname !~ '^migration_'
) AS remaining (name)"""


@pytest.fixture(scope="module")
def catalog() -> kimbledb.Catalog:
    """The catalog of the project, with its declarations."""
    return kimbledb.Catalog.from_directory(PROJECT)


@pytest.fixture
async def platform(hosted_server: str) -> AsyncIterator[str]:
    """The DSN of a new database of the platform, for its superuser."""
    connection = await asyncpg.connect(hosted_server)
    # The workers of a run may share the server.
    await connection.execute("SELECT pg_advisory_lock(hashtext('hosted roles'))")
    if not await connection.fetchval("SELECT count(*) FROM pg_roles WHERE rolname = 'developer'"):
        await connection.execute(ROLES)
    has_pgcrypto = await connection.fetchval("SELECT count(*) FROM pg_available_extensions WHERE name = 'pgcrypto'")
    await connection.close()
    if not has_pgcrypto:
        pytest.skip("the server has no pgcrypto, which the platform has")
    async with fresh_database(hosted_server, DATABASE) as dsn:
        yield dsn


async def failing(dsn: str, catalog: kimbledb.Catalog) -> dict[str, str]:
    """The checks that fail, with their cures."""
    report = await kimbledb.verify(dsn, catalog=catalog)
    return {check.name: check.hint or "" for check in report.failures}


async def test_the_project_runs_and_is_held_to_what_it_reaches(platform: str, catalog: kimbledb.Catalog) -> None:
    """A role that is no superuser applies all of it; what another hand takes from other schemas is drift, and the cures mend it."""
    developer = as_role(platform, "developer")
    report = await kimbledb.migrate(developer, catalog=catalog)
    assert len(report.applied) == len(catalog) == 25
    assert "reaches outside of the target schema: schema private" in str(report.plan)
    assert await failing(developer, catalog) == {}

    await sql(platform, ";".join(BY_HAND))
    missing = await failing(developer, catalog)
    assert set(missing) == set(BY_HAND.values())
    for cure in missing.values():
        await sql(developer, cure)
    assert await failing(developer, catalog) == {}

    await kimbledb.rollback(developer, "20240126110000_avatar_ownership.sql", catalog=catalog)
    assert await failing(developer, catalog) == {}
    assert len((await kimbledb.migrate(developer, catalog=catalog)).applied) == 1

    wish: dict[str, Any] = {"confirm": urlsplit(platform).path[1:], "allow_data_loss": True}
    with pytest.raises(kimbledb.ResetRefusedError, match=r"trigger on_auth_user_created on table auth\.users needs"):
        await kimbledb.reset(developer, **wish)
    reset = await kimbledb.reset(developer, catalog=catalog, **wish)
    assert {"trigger auth.users.on_auth_user_created", "schema private"} <= {str(each) for each in reset.objects}
    assert await sql(platform, REMAINING) is None


async def test_what_security_asks_warns_and_fails_where_it_is_strict(platform: str, catalog: kimbledb.Catalog) -> None:
    """Functions without a search_path and the like warn in a project of one's own; ``strict`` makes them fail."""
    developer = as_role(platform, "developer")
    await kimbledb.migrate(developer, catalog=catalog, to="20240108121000_posts_updated_at.sql")

    report = await kimbledb.verify(developer, catalog=catalog)
    strict = await kimbledb.verify(developer, catalog=catalog, strict=True)

    assert report.ok
    warnings = {check.name: check for check in report.warnings}
    assert str(warnings["functions without a search_path"]).startswith(
        "security (medium): functions without a search_path: warning"
    )
    assert not strict.ok
    assert {check.name for check in strict.failures} == set(warnings)
    await sql(platform, "ALTER TABLE posts DISABLE ROW LEVEL SECURITY")
    assert "tables without row level security" in await failing(developer, catalog)


async def test_what_the_cli_ran_is_adopted(platform: str, catalog: kimbledb.Catalog) -> None:
    """A database in which the Supabase CLI ran the files is taken over; a half of one is completed, also in other schemas."""
    developer = as_role(platform, "developer")
    connection = await asyncpg.connect(developer)
    for path in sorted(PROJECT.glob("*.sql")):
        await connection.execute(path.read_text())
    await connection.close()
    await sql(platform, "DROP TRIGGER on_auth_user_email ON auth.users")

    adopted = await kimbledb.adopt(developer, catalog=catalog)
    report = await kimbledb.migrate(developer, catalog=catalog)

    assert len(adopted.adopted) == 21
    assert [step.name for step in adopted.plan.pending][21:22] == ["20240123093000_sync_email.sql"]
    assert len(report.applied) == 4
    assert await failing(developer, catalog) == {}


async def test_its_declarations_are_those_of_its_files(catalog: kimbledb.Catalog) -> None:
    """The declarations beside the files were recorded from their present text."""
    assert [each.name for each in catalog if not each.is_declared] == []
