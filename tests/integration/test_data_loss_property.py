"""Whatever a script does, rows and values that were there before it do not go unasked."""

from __future__ import annotations

import asyncpg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import kimbledb
from kimbledb.catalog.catalog import Catalog
from kimbledb.model.migration import Migration
from tests.support.databases import Clone, MakeTemplate

BASE = """
CREATE TABLE p (id integer PRIMARY KEY, v text);
CREATE TABLE c (id integer PRIMARY KEY, p_id integer REFERENCES p ON DELETE CASCADE, note text);
CREATE TABLE parts (id integer, region text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE parts_eu PARTITION OF parts FOR VALUES IN ('eu');
CREATE TABLE parts_us PARTITION OF parts FOR VALUES IN ('us');
CREATE FUNCTION clear_c() RETURNS void LANGUAGE sql AS 'DELETE FROM public.c';
INSERT INTO p SELECT i, 'value ' || i FROM generate_series(1, 10) AS i;
INSERT INTO c SELECT i, 1 + i % 10, 'note ' || i FROM generate_series(1, 50) AS i;
INSERT INTO parts SELECT i, 'eu' FROM generate_series(1, 4) AS i;
"""
#: Pieces of scripts, which may make others fail: then those do nothing. None of them changes
#: a key or a value by an UPDATE, which going forward is no loss.
PIECES = [
    "DELETE FROM p WHERE id <= 2",
    "DELETE FROM p WHERE id > 100",
    "DELETE FROM c WHERE id % 2 = 0",
    "DELETE FROM parts WHERE id = 1",
    "INSERT INTO p SELECT i, 'more' FROM generate_series(101, 105) AS i",
    "INSERT INTO c SELECT i, 1, 'more' FROM generate_series(101, 105) AS i",
    "INSERT INTO c SELECT i, 1, 'note ' || i FROM generate_series(1, 10) AS i ON CONFLICT DO NOTHING",
    "INSERT INTO parts VALUES (9, 'us'), (10, 'eu')",
    "MERGE INTO c USING p ON c.p_id = p.id AND p.id = 3 WHEN MATCHED THEN DELETE",
    "SELECT clear_c()",
    "TRUNCATE c",
    "TRUNCATE parts_us",
    "TRUNCATE p CASCADE",
    "DROP TABLE c",
    "DROP TABLE kept_c",
    "DROP TABLE parts_eu",
    "ALTER TABLE c RENAME TO kept_c",
    "ALTER TABLE kept_c RENAME TO c",
    "CREATE TABLE c (id integer PRIMARY KEY, p_id integer, note text)",
    "CREATE TABLE kept_c AS SELECT * FROM c",
    "CREATE TEMPORARY TABLE kept_c AS SELECT * FROM c",
    "INSERT INTO c SELECT * FROM kept_c",
    "INSERT INTO kept_c SELECT * FROM c",
    "ALTER TABLE c DROP CONSTRAINT c_p_id_fkey",
    "ALTER TABLE c SET UNLOGGED",
    "ALTER TABLE c ALTER note TYPE varchar(4) USING left(note, 4)",
    "ALTER TABLE c ALTER note TYPE varchar(40)",
    "ALTER TABLE c DROP COLUMN note",
    "ALTER TABLE c ADD COLUMN note text",
    "ALTER TABLE c ADD COLUMN extra uuid DEFAULT gen_random_uuid()",
    "ALTER TABLE p RENAME v TO w",
    "ALTER TABLE p RENAME w TO v",
    "ALTER TABLE p ADD COLUMN v text",
    "ALTER TABLE p DROP COLUMN v",
    "ALTER TABLE p DROP COLUMN w",
    "ALTER TABLE p ALTER v TYPE text USING NULL",
    "CLUSTER p USING p_pkey",
    "REINDEX TABLE p",
    "ALTER TABLE parts DETACH PARTITION parts_eu",
    "ALTER TABLE parts ATTACH PARTITION parts_eu FOR VALUES IN ('eu')",
    "UPDATE parts SET region = 'us' WHERE id <= 2",
    "UPDATE parts SET region = 'eu' WHERE region = 'us'",
    "CREATE RULE nothing AS ON INSERT TO c DO INSTEAD NOTHING",
    "CREATE TRIGGER away AFTER INSERT ON p EXECUTE FUNCTION clear_on_insert()",
    "CREATE FUNCTION clear_on_insert() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN DELETE FROM public.c WHERE id > 25; RETURN NULL; END'",
]
#: The tables that may hold the rows of a kind.
TABLES = {"p": ("p",), "c": ("c", "kept_c"), "parts": ("parts", "parts_eu", "parts_us")}


async def rows_of(dsn: str) -> dict[tuple[str, int], set[str]]:
    """Return each row by kind and id, with all the values of its texts, wherever it stands."""
    found: dict[tuple[str, int], set[str]] = {}
    connection = await asyncpg.connect(dsn)
    try:
        for kind, table in [(kind, table) for kind, tables in TABLES.items() for table in tables]:
            if await connection.fetchval("SELECT to_regclass($1) IS NULL", f"public.{table}"):
                continue
            for row in await connection.fetch(f"SELECT * FROM public.{table}"):
                # The region of a part may be updated.
                texts = {value for value in row.values() if isinstance(value, str) and kind != "parts"}
                found.setdefault((kind, row["id"]), set()).update(texts)
    finally:
        await connection.close()
    return found


@pytest.fixture(scope="session")
def base(make_template: MakeTemplate) -> str:
    """The name of a database with the tables of these tests."""

    async def fill(dsn: str) -> None:
        connection = await asyncpg.connect(dsn)
        await connection.execute(BASE)
        await connection.close()

    return make_template(fill)


@settings(
    max_examples=settings().max_examples // 8,
    suppress_health_check=list(HealthCheck),
    deadline=None,
    phases=[phase for phase in Phase if phase is not Phase.shrink],
)
@given(pieces=st.lists(st.sampled_from(PIECES), min_size=1, max_size=6), wrapped=st.booleans())
async def test_what_was_there_is_there(base: str, clone: Clone, pieces: list[str], wrapped: bool) -> None:
    """Where migrate() goes on without leave, each row that was there before still is, with its values; where it refuses, nothing changed."""
    dsn = await clone(base)
    before = await rows_of(dsn)
    statements = [f"EXECUTE '{each.replace(chr(39), chr(39) * 2)}'" for each in pieces]
    # Each in a subtransaction of its own, or all in one script as it stands.
    script = "\n".join(f"DO $do$ BEGIN {each}; EXCEPTION WHEN OTHERS THEN NULL; END $do$;" for each in statements)
    catalog = Catalog([Migration(name="a.sql", number=1, apply_sql=script if wrapped else ";\n".join(pieces) + ";\n")])

    try:
        await kimbledb.migrate(dsn, catalog=catalog)
    except kimbledb.DataLossError:
        assert await rows_of(dsn) == before
    except kimbledb.MigrationError:
        assert not wrapped
        assert await rows_of(dsn) == before
    else:
        after = await rows_of(dsn)
        assert {
            key: values - after.get(key, set())
            for key, values in before.items()
            if key not in after or values - after[key]
        } == {}
