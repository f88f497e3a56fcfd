"""Names that a stranger has planted."""

from __future__ import annotations

import asyncpg
import pytest

import kimbledb
from tests.support.databases import fresh_database, sql
from tests.support.folders import Steps, names

#: Called by whoever looks these names up where a stranger may plant them. Each call is counted.
PLANTED = """
CREATE SCHEMA IF NOT EXISTS {home};
CREATE FUNCTION {home}.current_setting(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.canary VALUES ('current_setting'); RETURN pg_catalog.current_setting($1); END $$;
CREATE FUNCTION {home}.to_regclass(text) RETURNS regclass LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.canary VALUES ('to_regclass'); RETURN pg_catalog.to_regclass($1); END $$;
CREATE FUNCTION {home}.now() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.canary VALUES ('now'); RETURN pg_catalog.now(); END $$;
CREATE FUNCTION {home}.same(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.canary VALUES ('='); RETURN $1 OPERATOR(pg_catalog.=) $2; END $$;
CREATE OPERATOR {home}.= (LEFTARG = text, RIGHTARG = text, FUNCTION = {home}.same);
CREATE TABLE {home}.pg_class (relname text, relnamespace oid, oid oid);
CREATE TABLE {home}.migration_history (migration_name text);
"""


@pytest.mark.parametrize("where", ["a schema before pg_catalog", '"$user"'])
async def test_planted_names_are_not_called(server: str, steps: Steps, where: str) -> None:
    """Names planted in schemas that come first by the database's own search_path are called by no call of ours (faults 50)."""
    catalog = steps("a", "b").catalog
    async with fresh_database(server) as dsn:
        home = "evil" if where != '"$user"' else "postgres"
        database = dsn.rpartition("/")[2]
        connection = await asyncpg.connect(dsn)
        await connection.execute("CREATE TABLE public.canary (called text)")
        await connection.execute(PLANTED.format(home=home))
        await connection.execute(f'ALTER DATABASE "{database}" SET search_path = {home}, pg_catalog, public')
        await connection.close()

        # A connection of the caller's, with planted temporary objects beside.
        target = await asyncpg.connect(dsn)
        await target.execute("CREATE TEMPORARY TABLE migration_log (id bigint, event text)")
        await target.execute("CREATE TEMPORARY TABLE pg_namespace (oid oid, nspname text)")
        for each in (dsn, target):
            await kimbledb.plan(each, catalog=catalog)
            await kimbledb.migrate(each, catalog=catalog)
            assert (await kimbledb.verify(each, catalog=catalog)).ok
            await kimbledb.status(each, catalog=catalog)
            await kimbledb.rollback(each, to=0, catalog=catalog, allow_data_loss=True)
        await target.close()

        assert await sql(dsn, "SELECT pg_catalog.count(*) FROM public.canary") == 0
        assert await sql(dsn, f"SELECT pg_catalog.count(*) FROM {home}.migration_history") == 0


async def test_a_function_beside_the_servers_own(database: str, steps: Steps) -> None:
    """A helper of one's own that is called in place of pg_catalog's is no danger, before the first call or after it, and verify() tells of it (faults 50)."""
    catalog = steps("a", "b").catalog
    await sql(
        database,
        "CREATE FUNCTION round(double precision, integer) RETURNS numeric LANGUAGE sql SET search_path FROM CURRENT AS 'SELECT 7.0'",
    )
    await kimbledb.migrate(database, catalog=catalog, to="a.sql")
    await sql(
        database,
        "CREATE FUNCTION length(varchar) RETURNS integer LANGUAGE sql SET search_path FROM CURRENT AS 'SELECT 7'",
    )

    assert names((await kimbledb.migrate(database, catalog=catalog)).applied) == ["b.sql"]
    report = await kimbledb.verify(database, catalog=catalog)

    assert report.ok
    [told] = [check for check in report.checks if check.name == "functions beside the server's"]
    assert told.informative
    assert [row["object"] for row in told.rows] == [
        "public.length(character varying)",
        "public.round(double precision,integer)",
    ]


async def test_a_schema_that_anybody_may_plant_in(database: str, steps: Steps) -> None:
    """A target schema in which everybody may create is refused with the statement that shuts it, and nothing is touched (faults 50)."""
    catalog = steps("a").catalog
    await sql(database, "GRANT CREATE ON SCHEMA public TO PUBLIC")

    with pytest.raises(kimbledb.PreflightError, match="PUBLIC may create in the schema public") as caught:
        await kimbledb.migrate(database, catalog=catalog)
    [(_, cure)] = caught.value.gaps
    assert await sql(database, "SELECT to_regclass('migration_history') IS NULL")
    await sql(database, cure)

    assert names((await kimbledb.migrate(database, catalog=catalog)).applied) == ["a.sql"]


async def test_ones_own_schema_is_ones_own(server: str, steps: Steps) -> None:
    """An application's own functions with names of their own, and an overload with the very arguments, hinder nothing (faults 50)."""
    catalog = steps("a").catalog
    async with fresh_database(server) as dsn:
        await sql(dsn, "CREATE FUNCTION my_length(varchar) RETURNS integer LANGUAGE sql AS 'SELECT 7'")
        await sql(dsn, "CREATE FUNCTION lower(text) RETURNS text LANGUAGE sql AS $$ SELECT 'mine' $$")

        assert names((await kimbledb.migrate(dsn, catalog=catalog)).applied) == ["a.sql"]
