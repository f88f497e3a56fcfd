"""What a script may do outside of the target schema: nothing, unless its migration says so."""

from __future__ import annotations

import shutil
from pathlib import Path

import asyncpg
import pytest

import kimbledb
from tests.support.folders import Folder

#: An event trigger that makes a table in another schema for each table that is made.
AUDIT = """
    CREATE SCHEMA audit;
    CREATE FUNCTION audit.follow() RETURNS event_trigger LANGUAGE plpgsql AS $$
    DECLARE
        made record;
    BEGIN
        FOR made IN SELECT * FROM pg_event_trigger_ddl_commands() WHERE object_type = 'table' AND schema_name = 'tenant' LOOP
            EXECUTE format('CREATE TABLE audit.%I (id bigserial PRIMARY KEY, at timestamptz)', made.objid::regclass);
        END LOOP;
    END $$;
    CREATE EVENT TRIGGER follow ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION audit.follow();
"""


@pytest.fixture
async def audited(database: str, connection: asyncpg.Connection) -> str:
    """The DSN of a database in which each table of the schema `tenant` gets one in `audit`."""
    await connection.execute("CREATE SCHEMA tenant; SET search_path = tenant")
    await connection.execute(AUDIT)
    return database


async def test_an_event_trigger_reaches_out(audited: str, folder: Folder, connection: asyncpg.Connection) -> None:
    """What an event trigger makes in another schema stops the script, with the fact that lets it through; with that the plan says it."""
    path = folder.add(1, "a", "CREATE TABLE a (n integer);", rollback="DROP TABLE a; DROP TABLE audit.a;")
    with pytest.raises(kimbledb.MigrationError) as caught:
        await kimbledb.migrate(audited, catalog=folder.catalog, schema="tenant")
    assert caught.value.sqlstate == "KD004"
    assert caught.value.hint is not None
    cure, _, line = caught.value.hint.partition(" the head of the script: ")
    assert cure.startswith("name only objects of the target schema; if this is meant, say so in migration.toml")
    assert line == 'reaches = ["audit.a"]'
    (path / "migration.toml").write_text(line)

    report = await kimbledb.migrate(audited, catalog=folder.catalog, schema="tenant")

    assert "reaches outside of the target schema: audit.a" in str(report.plan)
    assert await connection.fetchval("SELECT count(*) FROM audit.a") == 0
    await kimbledb.rollback(audited, "a.sql", catalog=folder.catalog, schema="tenant")
    assert await connection.fetchval("SELECT to_regclass('audit.a')") is None


@pytest.mark.parametrize("fact", ["audit", "audit.*"])
async def test_a_whole_schema(audited: str, folder: Folder, connection: asyncpg.Connection, fact: str) -> None:
    """A schema that is named whole may be used, made and dropped."""
    folder.add(
        1,
        "a",
        "CREATE TABLE a (n integer);\nDROP EVENT TRIGGER follow;\nDROP SCHEMA audit CASCADE;\nCREATE SCHEMA audit;\n"
        "CREATE FUNCTION audit.one() RETURNS integer LANGUAGE sql AS 'SELECT 1';\nCREATE TYPE audit.e AS ENUM ('x');",
        facts=f'reaches = ["{fact}"]',
    )

    await kimbledb.migrate(audited, catalog=folder.catalog, schema="tenant", verify=False)

    assert await connection.fetchval("SELECT audit.one()") == 1


@pytest.mark.parametrize(
    ("reach", "reached"),
    [
        ("ALTER TABLE other.t ADD COLUMN m integer; CREATE INDEX i ON other.t (m)", None),
        ("DROP INDEX other.t_n", None),
        ("DROP TABLE other.t", None),
        ("DROP FUNCTION other.f; CREATE FUNCTION other.f(a text) RETURNS integer LANGUAGE sql AS 'SELECT 2'", None),
        ("DROP TYPE other.e", None),
        ("DROP TABLE other.u", "a relation u of the schema other was dropped"),
        ("CREATE INDEX i ON other.u (n)", "other.u was made or altered"),
        ("DROP FUNCTION other.g()", "a function g of the schema other was dropped"),
        ("CREATE TYPE other.e2 AS ENUM ('x')", "type other.e2 was made or altered"),
        ("DROP SCHEMA other CASCADE", "the schema other was dropped"),
        ("DROP SCHEMA lonely", "the schema lonely was dropped"),
        ("DROP SCHEMA lonely; CREATE SCHEMA lonelier", "the schema lonely was dropped"),
        ("ALTER SCHEMA other RENAME TO another", "schema another was made or altered"),
        (
            "ALTER DEFAULT PRIVILEGES IN SCHEMA other GRANT SELECT ON TABLES TO PUBLIC",
            "default privileges of the schema other were made or altered",
        ),
    ],
)
async def test_only_the_named_objects_may_be_changed(
    database: str, folder: Folder, connection: asyncpg.Connection, reach: str, reached: str | None
) -> None:
    """An object that is named may be changed with all that is its own; what is beside it, and its schema, may not."""
    await connection.execute(
        "CREATE SCHEMA other; CREATE SCHEMA lonely; CREATE TABLE other.t (id serial, n integer); CREATE INDEX t_n ON other.t (n);"
        "CREATE TABLE other.u (n integer); CREATE TYPE other.e AS ENUM ('x');"
        "CREATE FUNCTION other.f() RETURNS integer LANGUAGE sql AS 'SELECT 1';"
        "CREATE FUNCTION other.g() RETURNS integer LANGUAGE sql AS 'SELECT 1';"
    )
    folder.add(1, "a", f"{reach};", facts='reaches = ["other.t", "other.f", "other.e"]\ntitle = "a"')

    if reached is None:
        assert len((await kimbledb.migrate(database, catalog=folder.catalog)).applied) == 1
    else:
        with pytest.raises(kimbledb.MigrationError) as caught:
            await kimbledb.migrate(database, catalog=folder.catalog)
        assert caught.value.sqlstate == "KD004"
        assert reached in str(caught.value)


async def test_the_only_other_schema_is_dropped(database: str, folder: Folder, connection: asyncpg.Connection) -> None:
    """A script that drops the only schema beside the target is rolled back."""
    await connection.execute("CREATE SCHEMA other")
    folder.add(1, "a", "DROP SCHEMA other;")

    with pytest.raises(kimbledb.MigrationError, match="the schema other was dropped"):
        await kimbledb.migrate(database, catalog=folder.catalog)


async def test_an_extension_made_in_a_script(database: str, folder: Folder) -> None:
    """An extension that a script makes is named as that, and not by all that it brings; the cure is the one for extensions."""
    folder.add(1, "a", "CREATE TABLE a (n integer); CREATE EXTENSION pg_trgm SCHEMA public;")

    with pytest.raises(kimbledb.MigrationError) as caught:
        await kimbledb.migrate(database, catalog=folder.catalog, schema="tenant")

    assert "the script reached outside of the target schema: the extension pg_trgm was made (SQLSTATE KD004)" in str(
        caught.value
    )
    assert (caught.value.hint or "").startswith(
        "name extensions under `extensions` in migration.toml, or after `-- kim"
    )
    assert "DO '" not in str(caught.value)  # the stack of kimbledb's own blocks


async def test_much_is_cut_short(database: str, folder: Folder, connection: asyncpg.Connection) -> None:
    """Of many things that a script reached the first five are named, and how many more there are."""
    await connection.execute("CREATE SCHEMA other")
    folder.add(1, "a", "\n".join(f"CREATE VIEW other.v{number} AS SELECT 1 AS one;" for number in range(40)))

    with pytest.raises(kimbledb.MigrationError) as caught:
        await kimbledb.migrate(database, catalog=folder.catalog)

    assert "other.v0 was made or altered, other.v1 was made or altered, " in str(caught.value)
    assert " and 35 more (SQLSTATE KD004)" in str(caught.value)
    assert (caught.value.hint or "").endswith('reaches = ["other.*"]')
    assert len(str(caught.value)) < 1000


async def test_a_single_file(audited: str, tmp_path: Path) -> None:
    """A file of a flat folder says it in a comment at its head."""
    script = tmp_path / "001_a.sql"
    script.write_text('-- kimbledb: reaches = ["audit.*"]\nCREATE TABLE a (n integer);')

    report = await kimbledb.migrate(audited, catalog=kimbledb.Catalog.from_directory(tmp_path), schema="tenant")

    assert len(report.applied) == 1


async def test_outside_of_a_transaction(database: str, folder: Folder, connection: asyncpg.Connection) -> None:
    """Statements of a migration that is no transaction stay in the schema, too, or reach what is named."""
    await connection.execute("CREATE SCHEMA other; CREATE TABLE other.t (n integer)")
    path = folder.add(
        1,
        "a",
        "VACUUM;\nALTER TABLE other.t ADD COLUMN m integer;",
        facts="transactional = false",
        rollback="SELECT 1;",
    )
    with pytest.raises(kimbledb.MigrationError) as caught:
        await kimbledb.migrate(database, catalog=folder.catalog)
    assert (caught.value.sqlstate, caught.value.line) == ("KD004", 2)

    (path / "migration.toml").write_text('transactional = false\nreaches = ["other.t"]')
    await kimbledb.migrate(database, catalog=folder.catalog)

    assert await connection.fetchval("SELECT count(m) FROM other.t") == 0


async def test_a_trigger_on_anothers_table_beside_a_key_to_it(
    database: str, folder: Folder, connection: asyncpg.Connection
) -> None:
    """A key to another schema's table may be made and dropped; a trigger or a policy there may not, though the locks are the same."""
    await connection.execute("CREATE SCHEMA auth; CREATE TABLE auth.users (id integer PRIMARY KEY)")
    await connection.execute("CREATE FUNCTION follow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")
    folder.add(1, "key", "CREATE TABLE a (id integer REFERENCES auth.users, n integer);")
    folder.add(2, "no_key", "ALTER TABLE a DROP CONSTRAINT a_id_fkey;")
    assert len((await kimbledb.migrate(database, catalog=folder.catalog)).applied) == 2

    for number, reach in enumerate(
        (
            (
                "ALTER TABLE a ADD FOREIGN KEY (id) REFERENCES auth.users;\n"
                "CREATE TRIGGER follow AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION follow()"
            ),
            (
                "ALTER TABLE a ADD CONSTRAINT k FOREIGN KEY (id) REFERENCES auth.users; ALTER TABLE a DROP CONSTRAINT k;\n"
                "CREATE POLICY p ON auth.users"
            ),
        ),
        start=3,
    ):
        path = folder.add(number, "reach", reach)
        with pytest.raises(kimbledb.MigrationError, match=r"auth\.users was made or altered"):
            await kimbledb.migrate(database, catalog=folder.catalog)
        shutil.rmtree(path)


async def test_a_file_is_told_the_line_to_write(database: str, tmp_path: Path, connection: asyncpg.Connection) -> None:
    """The error names the object, the file, the line of its statement, and the line that lets it through."""
    await connection.execute("CREATE SCHEMA other")
    script = tmp_path / "001_a.sql"
    script.write_text("CREATE TABLE a (n integer);\nCREATE TABLE other.b (n integer);\n")

    with pytest.raises(kimbledb.MigrationError, match=r"other\.b was made or altered") as caught:
        await kimbledb.migrate(database, catalog=kimbledb.Catalog.from_directory(tmp_path))

    assert (caught.value.file, caught.value.line) == (str(script), 2)
    assert caught.value.hint is not None
    assert caught.value.hint.endswith('begin the file with the line: -- kimbledb: reaches = ["other.b"]')


async def test_a_schema_of_ones_own(database: str, server: str, folder: Folder, connection: asyncpg.Connection) -> None:
    """A schema that a migration makes for itself is declared with all that is in it, held to it, and taken back."""
    folder.add(1, "a", "CREATE TABLE a (n integer);")
    folder.add(2, "own", "CREATE SCHEMA own;\nCREATE TABLE own.b (n integer);", rollback=None)
    with pytest.raises(kimbledb.MigrationError) as caught:
        await kimbledb.migrate(database, catalog=folder.catalog)
    assert 'reaches = ["schema own"]' in str(caught.value.hint)
    (folder.path / "02_own" / "migration.toml").write_text('reaches = ["schema own"]')
    folder.add(3, "later", "CREATE TABLE c (n integer);\nALTER TABLE a ADD COLUMN m integer;", rollback=None)
    catalog = await folder.declared(server)
    assert [str(each) for each in catalog["own.sql"].creates][:2] == ["schema own", "table own.b"]

    await kimbledb.migrate(database, catalog=catalog)
    await connection.execute("DROP SCHEMA own CASCADE; CREATE SCHEMA hers")
    failures = (await kimbledb.verify(database, catalog=catalog)).failures
    assert [check.name for check in failures if check.migration] == ["schema own", "table own.b"]
    for check in failures:
        await connection.execute(check.hint or "")
    assert (await kimbledb.verify(database, catalog=catalog)).ok

    await kimbledb.rollback(database, to="a.sql", catalog=catalog)
    assert (
        await connection.fetchval("SELECT string_agg(nspname, ',') FROM pg_namespace WHERE nspname IN ('own', 'hers')")
        == "hers"
    )
