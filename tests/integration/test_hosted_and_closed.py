"""hosted.sql runs on hosted databases alone, and what a closed catalog makes starts closed."""

from __future__ import annotations

import pytest

import kimbledb
from kimbledb.testing.background import Background
from tests.support.databases import psql, sql
from tests.support.folders import Folder

APPLY = """\
CREATE TABLE orders (id integer PRIMARY KEY, number serial, person uuid);
CREATE VIEW recent AS SELECT id FROM orders;
CREATE MATERIALIZED VIEW totals AS SELECT count(*) FROM orders;
CREATE SEQUENCE "Own";
CREATE FUNCTION next_order("of" integer, VARIADIC more text[]) RETURNS integer LANGUAGE sql AS 'SELECT 1';
CREATE PROCEDURE tidy(INOUT n integer) LANGUAGE plpgsql AS 'BEGIN END';
CREATE AGGREGATE together(text) (SFUNC = textcat, STYPE = text);
"""
HOSTED = """\
GRANT SELECT ON orders TO authenticated;
GRANT EXECUTE ON FUNCTION next_order(integer, text[]) TO authenticated, service_role;
ALTER TABLE orders ADD CONSTRAINT orders_person FOREIGN KEY (person) REFERENCES auth.users (id);
"""
#: What PUBLIC and the platform's roles may do with the relations and routines of the schema.
MAY = """
SELECT coalesce(jsonb_object_agg(name, roles), '{}')::text FROM (
    SELECT name, string_agg(DISTINCT coalesce(nullif(pg_get_userbyid(grantee), 'unknown (OID=0)'), 'public'), ' ' ORDER BY
                            coalesce(nullif(pg_get_userbyid(grantee), 'unknown (OID=0)'), 'public')) AS roles
    FROM (
        SELECT c.relname, relowner, relacl FROM pg_class AS c
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'm', 'S') AND relname !~ '^migration_'
        UNION ALL
        SELECT proname, proowner, coalesce(proacl, acldefault('f', proowner)) FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace
          AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_proc'::regclass AND d.objid = pg_proc.oid AND d.deptype = 'e')
    ) AS made (name, owner, acl), aclexplode(acl) AS a
    WHERE grantee <> owner GROUP BY name) AS open
"""
OPENED = '{"orders": "authenticated", "next_order": "authenticated service_role"}'


@pytest.fixture
async def hosted_database(hosted_database: str) -> str:
    """The database of a hosted platform, with its table of people."""
    await sql(hosted_database, "CREATE TABLE auth.users (id uuid PRIMARY KEY)")
    return hosted_database


async def may(dsn: str) -> str:
    """What PUBLIC and the platform's roles may do, by the names of the objects."""
    found: str = await sql(dsn, MAY.strip())
    return found


async def drift(dsn: str, folder: Folder) -> list[tuple[str, str | None, str | None]]:
    """The failed checks of the migrations: the name, what was found, and the hint."""
    report = await kimbledb.verify(dsn, catalog=folder.catalog)
    return [(each.name, each.found, each.hint) for each in report.failures if each.migration is not None]


async def test_hosted_sql_runs_on_hosted_databases_alone(database: str, hosted_database: str, folder: Folder) -> None:
    """On a hosted database it runs after apply.sql, in the same transaction; on a bare one it is not run."""
    folder.add(1, "orders", APPLY, hosted=HOSTED)
    keys = "SELECT count(*) FROM pg_constraint WHERE conname = 'orders_person'"

    for dsn in (database, hosted_database):
        await kimbledb.migrate(dsn, catalog=folder.catalog)

    assert (await sql(database, keys), await sql(hosted_database, keys)) == (0, 1)
    assert (await kimbledb.migrate(hosted_database, catalog=folder.catalog)).applied == ()


async def test_a_closed_catalog_starts_closed(database: str, hosted_database: str, folder: Folder) -> None:
    """Where default privileges grant all to the platform's roles, they may do what hosted.sql grants; PUBLIC may nothing."""
    folder.add(1, "orders", APPLY, hosted=HOSTED)
    folder.close()

    for dsn in (database, hosted_database):
        await kimbledb.migrate(dsn, catalog=folder.catalog)

    assert await may(database) == "{}"
    assert await may(hosted_database) == OPENED


async def test_another_catalog_keeps_what_the_platform_grants(hosted_database: str, folder: Folder) -> None:
    """Nothing is taken back in a catalog that is not closed."""
    folder.add(1, "orders", APPLY)

    await kimbledb.migrate(hosted_database, catalog=folder.catalog)

    assert '"orders": "anon authenticated service_role"' in await may(hosted_database)
    assert '"next_order": "anon authenticated public service_role"' in await may(hosted_database)


async def test_what_was_there_before_keeps_its_privileges(hosted_database: str, folder: Folder) -> None:
    """A function that is replaced, a table that is altered and those of others keep theirs, whatever a migration does to them."""
    folder.add(1, "orders", APPLY, hosted=HOSTED)
    folder.add(
        2,
        "more",
        "CREATE OR REPLACE FUNCTION next_order(\"of\" integer, VARIADIC more text[]) RETURNS integer LANGUAGE sql AS 'SELECT 2';\n"
        "ALTER TABLE orders ADD COLUMN note text;\n"
        "CREATE OR REPLACE VIEW recent AS SELECT id, 1 AS one FROM orders;\n"
        "ALTER TABLE theirs RENAME TO others;\nCREATE TABLE lines (id integer);\n",
    )
    folder.close()
    await sql(hosted_database, "CREATE TABLE theirs (id integer)")

    await kimbledb.migrate(hosted_database, catalog=folder.catalog)

    assert '"others": "anon authenticated service_role"' in await may(hosted_database)
    assert '"next_order": "authenticated service_role"' in await may(hosted_database)
    assert '"lines"' not in await may(hosted_database)


async def test_what_parts_of_a_script_make_is_closed(hosted_database: str, folder: Folder) -> None:
    """What a block makes under an EXCEPTION, as another role, or with other settings is closed, too."""
    folder.add(
        1,
        "odd",
        "DO $$ BEGIN BEGIN CREATE TABLE inner_one (id integer); RAISE EXCEPTION 'x'; EXCEPTION WHEN OTHERS THEN NULL; END;\n"
        "BEGIN CREATE TABLE kept (id integer); EXCEPTION WHEN OTHERS THEN NULL; END; END $$;\n"
        "SET LOCAL search_path = nowhere;\n"
        "SELECT 1 AS n INTO public.copied;\n"
        "CREATE FUNCTION public.f() RETURNS integer LANGUAGE sql AS 'SELECT 1';\n",
        hosted="GRANT SELECT ON kept TO anon;\n",
    )
    folder.close()

    await kimbledb.migrate(hosted_database, catalog=folder.catalog)

    assert await may(hosted_database) == '{"kept": "anon"}'


async def test_an_error_in_hosted_sql_has_its_file_and_line(hosted_database: str, folder: Folder) -> None:
    """An error of a name, and one that arises while a statement runs, are found in hosted.sql; nothing is left."""
    for text, line in (
        ("-- one\n\nGRANT SELECT ON orderz TO anon;\n", 3),
        ("GRANT SELECT ON orders TO anon;\n\nSELECT 1 / (SELECT 0);\nSELECT 1;\n", 3),
        ("\nGRANT SELEC ON orders TO anon;\n", 2),
    ):
        there = Folder(folder.path / str(len(text)))
        there.add(1, "orders", APPLY, hosted=text)
        there.close()

        with pytest.raises(kimbledb.MigrationError) as caught:
            await kimbledb.migrate(hosted_database, catalog=there.catalog)

        assert str(caught.value.file).endswith("01_orders/hosted.sql")
        assert caught.value.line == line
        assert await sql(hosted_database, "SELECT to_regclass('orders')") is None


async def test_an_error_in_apply_sql_stays_there(hosted_database: str, folder: Folder) -> None:
    """An error in apply.sql is found there, also where a hosted.sql follows."""
    folder.add(1, "orders", APPLY + "SELECT 1 / (SELECT 0);\n", hosted=HOSTED)
    folder.close()

    with pytest.raises(kimbledb.MigrationError) as caught:
        await kimbledb.migrate(hosted_database, catalog=folder.catalog)

    assert str(caught.value.file).endswith("01_orders/apply.sql")
    assert caught.value.line == 8


async def test_a_script_that_closes_all_cursors_is_refused(database: str, folder: Folder) -> None:
    """In a closed catalog CLOSE ALL hides what was there before, and the error says so."""
    folder.add(1, "a", "CREATE TABLE a (id integer);\nCLOSE ALL;\n")
    folder.close()

    with pytest.raises(kimbledb.MigrationError, match="take CLOSE ALL out"):
        await kimbledb.migrate(database, catalog=folder.catalog)


@pytest.mark.parametrize("closed", [False, True])
async def test_steps_outside_of_a_transaction(hosted_database: str, folder: Folder, closed: bool) -> None:
    """Of a migration that cannot run in a transaction hosted.sql runs in the one that records it; what it makes is closed."""
    folder.add(
        1,
        "orders",
        "CREATE TABLE orders (id integer, person uuid);\nCREATE INDEX CONCURRENTLY i ON orders (id);\n",
        hosted="GRANT SELECT ON orders TO authenticated;\n"
        "ALTER TABLE orders ADD CONSTRAINT orders_person FOREIGN KEY (person) REFERENCES auth.users (id);\n",
        facts="transactional = false",
    )
    if closed:
        folder.close()

    await kimbledb.migrate(hosted_database, catalog=folder.catalog)

    who = "authenticated" if closed else "anon authenticated service_role"
    assert await may(hosted_database) == f'{{"orders": "{who}"}}'
    assert await sql(hosted_database, "SELECT count(*) FROM pg_constraint WHERE conname = 'orders_person'") == 1


async def test_a_failing_hosted_sql_outside_of_a_transaction_goes_on_later(
    hosted_database: str, folder: Folder
) -> None:
    """The statements that were done stay done; once hosted.sql is mended the migration is completed."""
    made = folder.add(
        1,
        "orders",
        "CREATE TABLE orders (id integer);\nCREATE INDEX CONCURRENTLY i ON orders (id);\n",
        hosted="GRANT SELECT ON orderz TO authenticated;\n",
        facts="transactional = false",
    )

    with pytest.raises(kimbledb.MigrationError) as caught:
        await kimbledb.migrate(hosted_database, catalog=folder.catalog)

    assert str(caught.value.file).endswith("hosted.sql")
    assert "its 2 statements stay done" in str(caught.value)
    (made / "hosted.sql").write_text("GRANT SELECT ON orders TO authenticated;\n")
    await kimbledb.migrate(hosted_database, catalog=folder.catalog)
    assert await sql(hosted_database, "SELECT has_table_privilege('authenticated', 'orders', 'SELECT')")


async def test_online_statements_of_a_closed_catalog_are_closed(hosted_database: str, folder: Folder) -> None:
    """What online.sql makes beside a table with rows starts closed, as what apply.sql makes."""
    folder.add(1, "orders", "CREATE TABLE orders (id integer);\n")
    path = folder.add(
        2,
        "more",
        "CREATE TABLE IF NOT EXISTS beside (id integer);\nCREATE INDEX IF NOT EXISTS i ON orders (id);\n",
        hosted="GRANT SELECT ON orders TO anon;\n",
    )
    (path / "online.sql").write_text(
        "CREATE TABLE IF NOT EXISTS beside (id integer);\nCREATE INDEX CONCURRENTLY IF NOT EXISTS i ON orders (id);\n"
    )
    folder.close()
    await kimbledb.migrate(hosted_database, catalog=folder.catalog, to="orders.sql")
    await sql(hosted_database, "INSERT INTO orders SELECT generate_series(1, 100)")
    await sql(hosted_database, "ANALYZE orders")

    report = await kimbledb.migrate(hosted_database, catalog=folder.catalog)

    assert report.plan.step("more.sql").online
    assert await may(hosted_database) == '{"orders": "anon"}'


# Declarations.

ALTERED = """\
CREATE OR REPLACE FUNCTION next_order("of" integer, VARIADIC more text[]) RETURNS integer LANGUAGE sql AS 'SELECT 2';
ALTER TABLE orders ADD COLUMN note text;
DROP VIEW recent;
"""


def statements_of(migration: kimbledb.Migration) -> dict[tuple[str, bool | None], list[str]]:
    """What each statement declares, by its place and platform: the objects with what roles may do or lack."""
    return {
        (f"{each.part}.sql:{each.line}", each.hosted): [
            f"{item} {(item.facts or {}).get('may') or (item.facts or {}).get('lacks') or ''}".strip()
            for item in (*each.creates, *each.changes)
            if item.kind in ("privilege", "table", "function")
        ]
        + [f"drops {item}" for item in each.drops]
        for each in migration.declarations.statements
    }


async def test_declare_records_statements_of_hosted_sql_and_what_is_closed(folder: Folder) -> None:
    """Each grant stands with its line of hosted.sql, on the hosted platform; each function with what PUBLIC lacks, on both."""
    folder.add(
        1,
        "orders",
        "CREATE TABLE orders (id integer);\nCREATE FUNCTION f() RETURNS integer LANGUAGE sql AS 'SELECT 1';\n",
        hosted="-- Grants.\nGRANT SELECT ON orders TO authenticated;\nGRANT EXECUTE ON FUNCTION f() TO anon;\n",
        rollback=None,
    )
    folder.add(2, "more", "CREATE OR REPLACE FUNCTION f() RETURNS integer LANGUAGE sql AS 'SELECT 2';\n", rollback=None)
    folder.close()

    report = await kimbledb.declare(folder.path)

    assert statements_of(folder.catalog[1]) == {
        ("apply.sql:1", None): ["table orders"],
        ("apply.sql:2", None): ["function f()", "privilege function f() to public ('execute',)"],
        ("hosted.sql:2", True): ["privilege table orders to authenticated ('select',)"],
        ("hosted.sql:3", True): ["privilege function f() to anon ('execute',)"],
    }
    assert statements_of(folder.catalog[2]) == {("apply.sql:1", None): ["function f()"]}
    assert [each.no_rollback for each in report.migrations] == [None, None]
    assert (await kimbledb.declare(folder.path, check=True)).ok
    (folder.path / "01_orders" / "hosted.sql").write_text("GRANT SELECT ON orders TO anon;\n")
    assert not (await kimbledb.declare(folder.path, check=True)).ok


async def test_verify_right_after_migrate(database: str, hosted_database: str, folder: Folder) -> None:
    """What was declared on both platforms is proven, and shows no drift, where default privileges grant all to everybody."""
    folder.add(1, "orders", APPLY, hosted=HOSTED, rollback=None)
    folder.add(2, "more", ALTERED, hosted="GRANT INSERT ON orders TO authenticated;\n", rollback=None)
    folder.close()
    await kimbledb.declare(folder.path)

    for dsn in (database, hosted_database):
        await kimbledb.migrate(dsn, catalog=folder.catalog)
        assert await drift(dsn, folder) == []


async def test_a_derived_rollback_closes_what_it_makes_again(
    hosted_database: str, database: str, folder: Folder
) -> None:
    """An object that a rollback makes again starts closed, and gets the grants that earlier migrations declare."""
    folder.add(
        1,
        "orders",
        "CREATE TABLE orders (id integer);\nCREATE VIEW recent AS SELECT id FROM orders;\nCREATE VIEW old AS SELECT id FROM orders;\n"
        "CREATE FUNCTION f() RETURNS integer LANGUAGE sql AS 'SELECT 1';\n",
        hosted="GRANT SELECT ON orders, recent TO authenticated;\nGRANT EXECUTE ON FUNCTION f() TO anon;\n",
    )
    folder.add(2, "derived", "DROP VIEW recent, old;\nDROP FUNCTION f();\n", rollback=None)
    folder.close()
    await kimbledb.declare(folder.path)
    before = '{"f": "anon", "orders": "authenticated", "recent": "authenticated"}'
    await kimbledb.migrate(hosted_database, catalog=folder.catalog)

    assert await may(hosted_database) == '{"orders": "authenticated"}'
    await kimbledb.rollback(hosted_database, "derived.sql", catalog=folder.catalog)

    assert await may(hosted_database) == before
    assert await drift(hosted_database, folder) == []
    assert len((await kimbledb.migrate(hosted_database, catalog=folder.catalog)).applied) == 1
    await kimbledb.migrate(database, catalog=folder.catalog)
    await kimbledb.rollback(database, "derived.sql", catalog=folder.catalog)
    assert await may(database) == "{}"


async def test_a_written_rollback_closes_what_it_makes_again(hosted_database: str, folder: Folder) -> None:
    """A rollback.sql runs on both platforms and grants nothing to the roles of one; what earlier migrations granted is back."""
    folder.add(
        1,
        "orders",
        "CREATE TABLE orders (id integer);\nCREATE VIEW recent AS SELECT id FROM orders;\nCREATE VIEW old AS SELECT id FROM orders;\n",
        hosted="GRANT SELECT ON orders, recent TO authenticated;\n",
    )
    folder.add(
        2,
        "written",
        "DROP VIEW recent, old;\n",
        rollback="CREATE VIEW recent AS SELECT id FROM orders;\nCREATE VIEW old AS SELECT id FROM orders;\n",
    )
    folder.close()
    await kimbledb.declare(folder.path)
    await kimbledb.migrate(hosted_database, catalog=folder.catalog)

    await kimbledb.rollback(hosted_database, "written.sql", catalog=folder.catalog)

    assert await may(hosted_database) == '{"orders": "authenticated", "recent": "authenticated"}'
    assert await drift(hosted_database, folder) == []


async def test_the_rollback_of_a_migration_with_hosted_sql(hosted_database: str, folder: Folder) -> None:
    """What hosted.sql did to older tables is derived back, too, and the table of its own goes with its grants."""
    folder.add(1, "orders", APPLY, hosted=HOSTED)
    folder.add(
        2,
        "more",
        "CREATE TABLE lines (id integer, person uuid);\n",
        hosted="GRANT SELECT ON lines TO authenticated;\nGRANT INSERT ON orders TO authenticated;\nREVOKE SELECT ON orders FROM authenticated;\n",
        rollback=None,
    )
    folder.close()
    await kimbledb.declare(folder.path)
    await kimbledb.migrate(hosted_database, catalog=folder.catalog)
    assert '"lines": "authenticated"' in await may(hosted_database)

    await kimbledb.rollback(hosted_database, "more.sql", catalog=folder.catalog)

    assert await may(hosted_database) == OPENED
    assert await sql(hosted_database, "SELECT has_table_privilege('authenticated', 'orders', 'SELECT')")
    assert not await sql(hosted_database, "SELECT has_table_privilege('authenticated', 'orders', 'INSERT')")


# Drift.


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory, _kimbledb_background: Background) -> Folder:
    """A closed folder whose declarations were recorded on both platforms."""
    folder = Folder(tmp_path_factory.mktemp("recorded"))
    folder.add(1, "orders", APPLY, hosted=HOSTED)
    folder.close()

    async def record() -> None:
        await kimbledb.declare(folder.path)

    _kimbledb_background.run(record())
    return folder


@pytest.mark.parametrize(
    ("opening", "name", "cure"),
    [
        (
            "GRANT SELECT ON recent TO anon",
            "privilege view recent to anon",
            "REVOKE ALL ON TABLE recent FROM anon",
        ),
        (
            "GRANT UPDATE ON orders TO authenticated",
            "privilege table orders to authenticated",
            "REVOKE UPDATE ON TABLE orders FROM authenticated",
        ),
        (
            "GRANT USAGE ON SEQUENCE orders_number_seq TO service_role",
            "privilege sequence orders_number_seq to service_role",
            "REVOKE ALL ON SEQUENCE orders_number_seq FROM service_role",
        ),
        (
            "GRANT UPDATE (person) ON orders TO anon",
            "privilege column orders.person to anon",
            "REVOKE ALL (person) ON TABLE orders FROM anon",
        ),
        (
            "GRANT SELECT ON totals TO PUBLIC",
            "privilege view totals to public",
            "REVOKE ALL ON TABLE totals FROM PUBLIC",
        ),
        (
            "GRANT EXECUTE ON FUNCTION next_order TO PUBLIC",
            "privilege function next_order(integer,text[]) to public",
            "REVOKE EXECUTE ON FUNCTION next_order",
        ),
        (
            "GRANT EXECUTE ON PROCEDURE tidy TO anon",
            "privilege function tidy(integer) to anon",
            "REVOKE ALL ON PROCEDURE tidy",
        ),
    ],
)
async def test_who_opens_a_closed_catalog_is_found(
    hosted_database: str, recorded: Folder, opening: str, name: str, cure: str
) -> None:
    """A privilege that no migration grants on an object of a closed catalog is drift, and the hint takes it back."""
    await kimbledb.migrate(hosted_database, catalog=recorded.catalog)
    assert await drift(hosted_database, recorded) == []
    await sql(hosted_database, opening)

    [(found, _, hint)] = await drift(hosted_database, recorded)

    assert hint is not None
    assert hint.startswith(cure)
    assert found.startswith(name)
    await sql(hosted_database, hint)
    assert await drift(hosted_database, recorded) == []


async def test_privileges_of_others_are_theirs(hosted_database: str, recorded: Folder) -> None:
    """In a closed catalog, too, a role of the application's own and an object of its own may have what they have."""
    await kimbledb.migrate(hosted_database, catalog=recorded.catalog)
    await sql(hosted_database, "CREATE TABLE theirs (id integer); GRANT SELECT ON orders TO pg_monitor")

    assert await drift(hosted_database, recorded) == []


@pytest.mark.parametrize("where", ["IN SCHEMA public ", ""])
async def test_default_privileges_explain_more_than_is_declared(
    hosted_database: str, folder: Folder, where: str
) -> None:
    """In a catalog that is not closed a role may have more than it is granted, where default privileges give it that."""
    folder.add(1, "orders", APPLY, hosted=HOSTED)
    if not where:
        for kind in ("TABLES", "SEQUENCES", "FUNCTIONS"):
            await sql(
                hosted_database,
                f"ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON {kind} FROM anon, authenticated, service_role;"
                f"ALTER DEFAULT PRIVILEGES GRANT ALL ON {kind} TO anon, authenticated, service_role",
            )
    await kimbledb.declare(folder.path)
    await kimbledb.migrate(hosted_database, catalog=folder.catalog)

    assert '"orders": "anon authenticated service_role"' in await may(hosted_database)
    assert await drift(hosted_database, folder) == []


async def test_more_than_default_privileges_give_is_drift(hosted_database: str, folder: Folder) -> None:
    """What neither a migration nor a default privilege gives is drift in a catalog that is not closed, as ever."""
    await sql(
        hosted_database, "ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE INSERT, UPDATE ON TABLES FROM authenticated"
    )
    folder.add(1, "orders", APPLY, hosted=HOSTED)
    await kimbledb.declare(folder.path)
    await kimbledb.migrate(hosted_database, catalog=folder.catalog)
    assert await drift(hosted_database, folder) == []
    await sql(hosted_database, "GRANT INSERT ON orders TO authenticated; GRANT UPDATE ON recent TO authenticated")

    [(name, found, hint)] = await drift(hosted_database, folder)

    assert name == "privilege table orders to authenticated"
    assert "insert" in str(found)
    assert hint == "REVOKE INSERT ON TABLE orders FROM authenticated"


# The rendered file.


@pytest.mark.parametrize("closed", [False, True])
async def test_the_rendered_file_does_the_same(
    database: str, hosted_database: str, folder: Folder, closed: bool
) -> None:
    """On both platforms the file runs hosted.sql and closes as migrate() does, in each of its transactions, once or twice."""
    folder.add(1, "orders", APPLY, hosted=HOSTED)
    folder.add(2, "kinds", "CREATE TYPE kind AS ENUM ('a');\n")
    folder.add(
        3,
        "more",
        "ALTER TYPE kind ADD VALUE 'b';\nCREATE OR REPLACE VIEW recent AS SELECT id, 1 AS one FROM orders;\n"
        "CREATE TABLE lines (id integer, kind kind);\n",
        hosted="GRANT SELECT ON lines TO anon;\n",
    )
    folder.add(
        4, "last", "CREATE TABLE last (kind kind DEFAULT 'b');\n", hosted="GRANT INSERT ON last TO service_role;\n"
    )
    if closed:
        folder.close()
    text = kimbledb.render(folder.catalog)
    twin = await may_after_migrate(hosted_database, folder)

    for dsn in (database, hosted_database):
        for _ in range(2):
            done = psql(dsn, text)
            assert (done.returncode, done.stderr) == (0, "")

    if closed:
        assert await may(database) == "{}"
    assert await may(hosted_database) == twin
    assert await sql(hosted_database, "SELECT count(*) FROM pg_constraint WHERE conname = 'orders_person'") == 1
    assert (await kimbledb.migrate(hosted_database, catalog=folder.catalog)).applied == ()


async def may_after_migrate(dsn: str, folder: Folder) -> str:
    """What PUBLIC and the platform's roles may do after migrate(), in a database that is emptied afterwards."""
    await kimbledb.migrate(dsn, catalog=folder.catalog)
    found = await may(dsn)
    await kimbledb.reset(dsn, confirm=dsn.rpartition("/")[2].partition("?")[0], allow_data_loss=True)
    return found


async def test_a_derived_rollback_leaves_what_the_platform_gives(hosted_database: str, folder: Folder) -> None:
    """Where default privileges give a role more than it is granted, the rollback takes back what its migration granted."""
    await sql(hosted_database, "ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE UPDATE ON TABLES FROM authenticated")
    folder.add(1, "orders", "CREATE TABLE orders (id integer);\n", hosted="GRANT SELECT ON orders TO authenticated;\n")
    folder.add(
        2,
        "more",
        "CREATE TABLE lines (id integer);\n",
        hosted="GRANT UPDATE ON orders TO authenticated;\n",
        rollback=None,
    )
    await kimbledb.declare(folder.path)
    await kimbledb.migrate(hosted_database, catalog=folder.catalog)

    await kimbledb.rollback(hosted_database, "more.sql", catalog=folder.catalog)

    assert not await sql(hosted_database, "SELECT has_table_privilege('authenticated', 'orders', 'UPDATE')")
    assert await sql(hosted_database, "SELECT has_table_privilege('authenticated', 'orders', 'INSERT')")
