"""What helps against an error of the server: each script fails for a reason of its own, and the hint is true."""

from __future__ import annotations

import re

import pytest

import kimbledb
from tests.support.databases import sql
from tests.support.folders import Folder

#: Scripts by what is wrong with them, each with its SQLSTATE, what the hint must say, and facts of the migration.
FAULTS: dict[str, tuple[str, str, str, str]] = {
    "no transaction": ("DO $$ BEGIN EXECUTE 'VACUUM'; END $$;", "25001", "transactional = false", ""),
    "too late": ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE;", "25001", "take SET TRANSACTION out", ""),
    "commit in a block": ("DO $$ BEGIN COMMIT; END $$;", "2D000", "take COMMIT, ROLLBACK", ""),
    "commit in EXECUTE": ("DO $$ BEGIN EXECUTE 'COMMIT'; END $$;", "0A000", "take COMMIT, ROLLBACK", ""),
    "bare COMMIT": ("CREATE TABLE t (i int) COMMIT;", "42601", "take COMMIT, ROLLBACK", ""),
    "another dialect": ("CREATE TABLE t (i int AUTO_INCREMENT);", "42601", "another database's", ""),
    "no ICU": ("CREATE COLLATION c (provider = icu, locale = 'de');", "0A000", "built without ICU", ""),
    "no collation": ('CREATE TABLE t (t text COLLATE "de-x-icu");', "42704", "pg_collation", ""),
    "no role": ("GRANT SELECT ON pg_class TO nobody_there;", "42704", "CREATE ROLE", ""),
    "no extension": ("CREATE EXTENSION no_such_extension;", "0A000", "install the extension on the server", ""),
    "function of uuid-ossp": ("SELECT uuid_generate_v4();", "42883", r'write extensions = \["uuid-ossp"\]', ""),
    "function of pgcrypto": ("SELECT gen_salt('bf');", "42883", r'write extensions = \["pgcrypto"\]', ""),
    "function of pg_trgm": ("SELECT similarity('a', 'b');", "42883", r'write extensions = \["pg_trgm"\]', ""),
    "class of pg_trgm": (
        "CREATE TABLE t (t text);\nCREATE INDEX ON t USING gin (t gin_trgm_ops);",
        "42704",
        r'write extensions = \["pg_trgm"\]',
        "",
    ),
    "class of vector": (
        "CREATE TABLE t (t tsvector);\nCREATE INDEX ON t USING gin (t vector_cosine_ops);",
        "42704",
        r'write extensions = \["vector"\]',
        "",
    ),
    "type of vector": ("CREATE TABLE t (e halfvec(3));", "42704", r'write extensions = \["vector"\]', ""),
    "type of citext": ("CREATE TABLE t (e citext);", "42704", r'write extensions = \["citext"\]', ""),
    "declared already": ("SELECT cosine_distance(1);", "42883", "vector, which is declared", 'extensions = ["vector"]'),
    "own function over vectors": (
        "SELECT my_distance('[1]'::vector);",
        "42883",
        "takes these arguments",
        'extensions = ["vector"]',
    ),
    "own type": ("CREATE TABLE t (e my_vector);", "42704", "requires", ""),
    "no default class": (
        "CREATE TABLE t (e vector(3));\nCREATE INDEX ON t USING hnsw (e);",
        "42704",
        "write the operator class",
        'extensions = ["vector"]',
    ),
    "no class for gist": ("CREATE TABLE t (i int, EXCLUDE USING gist (i WITH =));", "42704", "btree_gist", ""),
    "member of an extension": ("DROP TYPE vector;", "2BP01", "such as an extension", 'extensions = ["vector"]'),
    "dependents": (
        "CREATE TABLE t (i int);\nCREATE VIEW v AS SELECT i FROM t;\nDROP TABLE t;",
        "2BP01",
        "drop or move them first",
        "",
    ),
    "a view uses it": (
        "CREATE TABLE t (i int);\nCREATE VIEW v AS SELECT i FROM t;\nALTER TABLE t ALTER i TYPE bigint;",
        "0A000",
        "drop what depends on the column before",
        "",
    ),
    "another type": (
        "CREATE TABLE u (id uuid PRIMARY KEY);\nCREATE TABLE t (u text REFERENCES u);",
        "42804",
        "the types differ",
        "",
    ),
    "no conflict key": (
        "CREATE TABLE t (i int);\nINSERT INTO t VALUES (1) ON CONFLICT (i) DO NOTHING;",
        "42P10",
        "unique key of exactly these columns",
        "",
    ),
    "a value that does not fit": (
        "CREATE TABLE t (i text);\nINSERT INTO t VALUES ('x');\nALTER TABLE t ALTER i TYPE int USING i::int;",
        "22P02",
        "a value does not fit",
        "",
    ),
    "no schema": ("CREATE TABLE no_such_schema.t (i int);", "3F000", "administrator make it", ""),
    "only reads": ("SET TRANSACTION READ ONLY;\nCREATE TABLE t (i int);", "25006", "only reads", ""),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_the_hint_is_true(database: str, folder: Folder, fault: str) -> None:
    """Each error is answered with what helps against it, and with no other extension or built-in migration."""
    script, sqlstate, said, facts = FAULTS[fault]
    if fault in ("no ICU", "no collation") and await sql(
        database, "SELECT count(*) FROM pg_collation WHERE collprovider = 'i'"
    ):
        pytest.skip("this server is built with ICU")
    migration = kimbledb.Catalog.from_directory(_folder(folder, script, facts).path)

    with pytest.raises(kimbledb.MigrationError) as caught:
        await kimbledb.migrate(database, catalog=migration)

    assert sqlstate == caught.value.sqlstate
    assert re.search(said, str(caught.value.hint)), caught.value.hint
    assert "FIX_PROJECT" not in str(caught.value)
    if not re.search("vec", script + facts) and fault != "no extension":
        assert "vector" not in str(caught.value.hint).replace("vector_cosine_ops", "")


def _folder(folder: Folder, script: str, facts: str) -> Folder:
    folder.add(1, "a", script, facts=facts)
    return folder


async def test_a_new_value_of_an_enum(database: str, folder: Folder) -> None:
    """A value that was added in the same transaction cannot be used: its use wants a migration of its own."""
    folder.add(1, "a", "CREATE TYPE e AS ENUM ('a');\nCREATE TABLE t (e e);")
    folder.add(2, "b", "ALTER TYPE e ADD VALUE 'b';\nINSERT INTO t VALUES ('b');")

    with pytest.raises(kimbledb.MigrationError) as caught:
        await kimbledb.migrate(database, catalog=folder.catalog)

    assert caught.value.sqlstate == "55P04"
    assert "in a migration of its own" in str(caught.value.hint)


async def test_a_long_error_is_cut(database: str, folder: Folder) -> None:
    """An error of any length is shown short: words, details and the line."""
    columns = ", ".join(f"c{number} int" for number in range(300))
    views = "".join(f"CREATE VIEW v{number} AS SELECT * FROM t;\n" for number in range(60))
    folder.add(
        1,
        "a",
        f"CREATE TABLE t ({columns});\n{views}SELECT {'x' * 20}, {', '.join(['1'] * 400)}, no_such_column FROM t;",
    )
    folder.add(2, "b", "DROP TABLE t;")

    with pytest.raises(kimbledb.MigrationError) as caught:
        await kimbledb.migrate(database, catalog=folder.catalog)

    assert caught.value.sqlstate == "42703"
    assert max(map(len, str(caught.value).splitlines())) <= 400
    assert len(str(caught.value)) < 2000
