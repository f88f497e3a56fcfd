"""The record of forms: what history holds of the expressions of each migration's objects, and how it is renewed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

import kimbledb
from kimbledb._embedded import programs
from kimbledb.execution.scratch import NoScratch, Scratch
from kimbledb.inspection import history
from kimbledb.server.dsn import with_database
from kimbledb.server.targets import target_of
from tests.support.databases import as_role, fresh_database, psql, sql, take_snapshot
from tests.support.folders import Folder
from tests.support.programs import pgbouncer

#: ``v IN (...)`` on a varchar is printed otherwise once the server's own text is fed back.
ORDERS = """
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TABLE orders (
    id integer PRIMARY KEY,
    v varchar(10) DEFAULT 'a' CHECK (v IN ('a', 'b')),
    mood mood DEFAULT 'good',
    total numeric NOT NULL DEFAULT 0
);
CREATE INDEX orders_v ON orders (lower(v)) WHERE v IN ('a', 'b');
CREATE FUNCTION plus(n integer, step integer DEFAULT 1 + 1) RETURNS integer LANGUAGE sql BEGIN ATOMIC SELECT n + step; END;
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
CREATE POLICY known ON orders USING (v NOT IN ('x', 'y'));
CREATE VIEW chosen AS SELECT o.id, plus(o.id) AS more FROM orders o WHERE o.v IN ('a', 'b');
CREATE DOMAIN short AS varchar(5) CHECK (value IN ('c', 'd'));
"""
MORE = """
ALTER TABLE orders ALTER COLUMN total SET DEFAULT 1;
CREATE OR REPLACE VIEW chosen AS SELECT id, plus(id) AS more FROM orders WHERE v IN ('a', 'c');
"""


async def two(folder: Folder, server: str) -> kimbledb.Catalog:
    """Return a declared catalog of two migrations, of which the second changes objects of the first."""
    folder.add(
        1,
        "orders",
        ORDERS,
        rollback="DROP DOMAIN short; DROP VIEW chosen; DROP TABLE orders; DROP FUNCTION plus; DROP TYPE mood",
    )
    folder.add(
        2,
        "more",
        MORE,
        facts='requires = ["orders.sql"]',
        rollback="ALTER TABLE orders ALTER COLUMN total SET DEFAULT 0;\n"
        "CREATE OR REPLACE VIEW chosen AS SELECT o.id, plus(o.id) AS more FROM orders o WHERE o.v IN ('a', 'b');",
    )
    await kimbledb.declare(folder.path, server=server)
    return folder.catalog


async def recorded(database: str) -> dict[str, Any]:
    """Return the column ``forms`` of history, by the migration."""
    text = await sql(database, "SELECT jsonb_object_agg(migration_name, forms)::text FROM migration_history")
    found: dict[str, Any] = json.loads(text)
    return found


async def drifted(database: str, catalog: kimbledb.Catalog) -> list[str]:
    """Return the names of the objects that verify() calls drifted."""
    report = await kimbledb.verify(database, catalog=catalog)
    names = {f"{each.kind} {each.name}" for migration in catalog for each in (*migration.creates, *migration.changes)}
    return [check.name for check in report.checks if not check.passed and not check.informative and check.name in names]


def dumped(database: str) -> str:
    """Return a database as pg_dump writes it."""
    return subprocess.run([programs() / "pg_dump", database], capture_output=True, text=True, check=True).stdout


async def restored(database: str, server: str, use: Callable[[str], Awaitable[None]]) -> None:
    """Dump a database, restore it into another, and use that."""
    text = dumped(database)
    async with fresh_database(server) as other:
        assert psql(other, text).returncode == 0
        await use(other)


async def test_what_is_recorded_is_what_a_snapshot_shows(database: str, server: str, folder: Folder) -> None:
    """For each object with expressions history holds the hash that a snapshot has, by the migration that gave it its form."""
    catalog = await two(folder, server)
    await kimbledb.migrate(database, catalog=catalog)

    found = await recorded(database)
    forms = found["orders.sql"]["forms"] | found["more.sql"]["forms"]

    assert forms == {f"{kind} {name}": form for (kind, name), form in (await take_snapshot(database)).forms.items()}
    assert set(found["more.sql"]["forms"]) == {"column orders.total", "view chosen"}


async def test_the_built_in_schema_is_recorded_whole(migrated_database: str) -> None:
    """Every form of the built-in schema is recorded, in a few dozen kilobytes."""
    found = await recorded(migrated_database)
    forms = {key: form for record in found.values() for key, form in record["forms"].items()}

    shown = (await take_snapshot(migrated_database)).forms
    assert {key: forms.get(key) for key in (f"{kind} {name}" for kind, name in shown)} == {
        f"{kind} {name}": form for (kind, name), form in shown.items()
    }
    assert await sql(migrated_database, "SELECT sum(pg_column_size(forms)) FROM migration_history") < 64_000


async def test_forms_are_recorded_without_verification(database: str, server: str, folder: Folder) -> None:
    """With ``verify=False`` nothing is proved, and drift is found all the same."""
    catalog = await two(folder, server)
    await kimbledb.migrate(database, catalog=catalog, verify=False)
    assert await drifted(database, catalog) == []

    await sql(database, "CREATE OR REPLACE VIEW chosen AS SELECT id, plus(id) AS more FROM orders WHERE v IN ('b')")

    assert await drifted(database, catalog) == ["view chosen"]


async def test_a_record_holds_what_its_migration_declares(database: str, server: str, folder: Folder) -> None:
    """A column of an earlier table that bears the name of a declared one is not recorded again."""
    folder.add(1, "one", "CREATE TABLE one (id integer DEFAULT 1, word text DEFAULT 'a');")
    folder.add(
        2,
        "two",
        "CREATE TABLE two (id integer DEFAULT 2);\nALTER TABLE one ADD COLUMN more integer;",
        facts='requires = ["one.sql"]',
    )
    await kimbledb.declare(folder.path, server=server)
    await kimbledb.migrate(database, catalog=folder.catalog)

    found = await recorded(database)

    assert set(found["one.sql"]["forms"]) == {"column one.id", "column one.word"}
    assert set(found["two.sql"]["forms"]) == {"column two.id"}


async def test_what_is_not_declared_has_no_record(database: str, folder: Folder) -> None:
    """A migration without declarations leaves the column empty."""
    folder.add(1, "orders", ORDERS)
    await kimbledb.migrate(database, catalog=folder.catalog)

    assert await recorded(database) == {"orders.sql": None}


async def test_a_cloned_database_keeps_its_record(database: str, server: str, folder: Folder) -> None:
    """A clone by CREATE DATABASE has the same record, and drift in it is found."""
    catalog = await two(folder, server)
    await kimbledb.migrate(database, catalog=catalog)

    async with fresh_database(server, template=database.rpartition("/")[2]) as clone:
        assert await drifted(clone, catalog) == []
        await sql(clone, "ALTER POLICY known ON orders USING (v NOT IN ('x'))")
        assert await drifted(clone, catalog) == ["policy orders.known"]


async def test_a_restored_database_renews_its_record(database: str, server: str, folder: Folder) -> None:
    """After a restore no difference is drift, until migrate() has something to do: then drift is found again."""
    catalog = await two(folder, server)
    await kimbledb.migrate(database, catalog=catalog)

    async def use(other: str) -> None:
        before = (await take_snapshot(other)).forms["constraint", "orders.orders_v_check"]
        assert before != (await recorded(database))["orders.sql"]["forms"]["constraint orders.orders_v_check"]
        await sql(other, "ALTER TABLE orders ALTER COLUMN total SET DEFAULT 2")
        assert await drifted(other, catalog) == []

        folder.add(3, "last", "CREATE TABLE last (id integer);", facts='requires = ["more.sql"]')
        await kimbledb.declare(folder.path, server=server)
        await kimbledb.migrate(other, catalog=folder.catalog)

        assert await drifted(other, folder.catalog) == ["column orders.total"]
        renewed = (await recorded(other))["orders.sql"]
        assert renewed["table"] == await sql(other, "SELECT 'migration_history'::regclass::oid::bigint")
        assert renewed["forms"]["constraint orders.orders_v_check"] == before

    await restored(database, server, use)


async def test_adopt_renews_a_record(database: str, server: str, folder: Folder) -> None:
    """adopt() renews the records of applied migrations, and has nothing to adopt."""
    catalog = await two(folder, server)
    await kimbledb.migrate(database, catalog=catalog)

    async def use(other: str) -> None:
        await sql(other, "ALTER POLICY known ON orders USING (v NOT IN ('x'))")
        report = await kimbledb.adopt(other, catalog=catalog)

        assert report.adopted == ()
        assert await drifted(other, catalog) == ["policy orders.known"]
        assert (await kimbledb.adopt(other, catalog=catalog)).adopted == ()

    await restored(database, server, use)


async def test_a_record_is_renewed_through_a_transaction_pooler(database: str, server: str, folder: Folder) -> None:
    """The scratch schema lives and ends in one transaction, through a pool of one connection, too."""
    catalog = await two(folder, server)
    await kimbledb.migrate(database, catalog=catalog)

    async def use(other: str) -> None:
        with pgbouncer(server, pool_size=1) as pooler:
            through = with_database(pooler, other.rpartition("/")[2])
            assert (await kimbledb.adopt(through, catalog=catalog)).adopted == ()
            assert await drifted(through, catalog) == []
        await sql(other, "ALTER POLICY known ON orders USING (v NOT IN ('x'))")
        assert await drifted(other, catalog) == ["policy orders.known"]
        assert await sql(other, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'kimbledb%'") == 0

    await restored(database, server, use)


async def test_what_was_made_by_hand_is_adopted_by_what_this_server_makes_of_the_scripts(
    database: str, server: str, folder: Folder
) -> None:
    """A schema made by psql, and one restored from its dump, are adopted whole; an altered expression is not."""
    catalog = await two(folder, server)
    assert psql(database, ORDERS + MORE).returncode == 0

    async def use(other: str) -> None:
        assert [step.name for step in (await kimbledb.adopt(other, catalog=catalog)).adopted] == [
            "orders.sql",
            "more.sql",
        ]
        assert await drifted(other, catalog) == []
        await sql(other, "CREATE OR REPLACE VIEW chosen AS SELECT id, plus(id) AS more FROM orders WHERE v IN ('b')")
        assert await drifted(other, catalog) == ["view chosen"]

    await restored(database, server, use)
    await use(database)


async def test_an_altered_expression_is_not_adopted(database: str, server: str, folder: Folder) -> None:
    """A view that was altered before kimbledb came keeps its migration from being adopted."""
    catalog = await two(folder, server)
    assert psql(database, ORDERS + MORE.replace("'c'", "'d'")).returncode == 0

    report = await kimbledb.adopt(database, catalog=catalog)

    assert "more.sql" not in [step.name for step in report.adopted]


async def test_a_second_start_asks_for_no_record(database: str, server: str, folder: Folder) -> None:
    """A start with nothing to do sends one question, and what is recorded is not renewed again."""
    catalog = await two(folder, server)
    await kimbledb.migrate(database, catalog=catalog, to="orders.sql")
    before = await sql(database, "SELECT xmin::text FROM migration_history")
    await kimbledb.migrate(database, catalog=catalog)

    assert await sql(database, "SELECT xmin::text FROM migration_history WHERE migration_name = 'orders.sql'") == before


async def test_a_rollback_by_other_words_makes_the_record_one_to_be_renewed(
    database: str, server: str, folder: Folder
) -> None:
    """What a rollback gives back with the server's own text is no drift."""
    catalog = await two(folder, server)
    await kimbledb.migrate(database, catalog=catalog)
    shown = await sql(database, "SELECT pg_get_viewdef('chosen')")
    folder.add(
        3,
        "last",
        "CREATE OR REPLACE VIEW chosen AS SELECT 0 AS id, 0 AS more;",
        facts='requires = ["more.sql"]',
        rollback=f"CREATE OR REPLACE VIEW chosen AS {shown}",
    )
    await kimbledb.declare(folder.path, server=server)
    await kimbledb.migrate(database, catalog=folder.catalog)

    await kimbledb.rollback(database, catalog=folder.catalog, to="more.sql")

    assert await drifted(database, catalog) == []
    await sql(database, "CREATE OR REPLACE VIEW chosen AS SELECT id, plus(id) AS more FROM orders WHERE v IN ('b')")
    await kimbledb.adopt(database, catalog=catalog)
    assert await drifted(database, catalog) == ["view chosen"]


@asynccontextmanager
async def scratch_of(database: str, catalog: kimbledb.Catalog) -> AsyncIterator[Scratch]:
    """Yield a scratch schema beside ``public``."""
    async with (
        target_of(database).session(kimbledb.Options()) as session,
        Scratch(session, await history.look(session, "public"), "public", catalog) as scratch,
    ):
        yield scratch


LOCKS = """SELECT count(*) FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation
    WHERE l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND c.relnamespace = 'public'::regnamespace AND l.pid <> pg_backend_pid()
"""


async def test_a_scratch_schema_leaves_nothing_and_locks_nothing(database: str, server: str, folder: Folder) -> None:
    """While the scripts run beside the live schema no live table is locked, and afterwards nothing of them is left."""
    catalog = await two(folder, server)
    await kimbledb.migrate(database, catalog=catalog)
    before = await take_snapshot(database)
    objects = "SELECT count(*) FROM (SELECT oid FROM pg_class UNION ALL SELECT oid FROM pg_type UNION ALL SELECT oid FROM pg_proc) AS o"
    counted = await sql(database, objects)

    async with scratch_of(database, catalog) as scratch:
        forms = await scratch.forms(list(catalog))
        assert await sql(database, LOCKS) == 0
        second = await scratch.second_forms()
        assert await sql(database, LOCKS) == 0
        assert scratch.left_out == []

    found = await recorded(database)
    assert {name: {" ".join(key): form for key, form in each.items()} for name, each in forms.items()} == {
        name: record["forms"] for name, record in found.items()
    }
    check = ("constraint", "orders.orders_v_check")
    assert second[check] not in (None, forms["orders.sql"][check])
    assert await take_snapshot(database) == before
    assert await sql(database, objects) == counted
    assert await sql(database, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'kimbledb%'") == 0


async def test_a_scratch_schema_reaches_no_live_table(database: str, folder: Folder) -> None:
    """What a script would find in the live schema, beside an extension, is hidden: it is neither locked nor altered."""
    folder.add(
        1,
        "orders",
        "CREATE TABLE other.far (id integer);\n"
        "CREATE TABLE orders (id integer PRIMARY KEY REFERENCES other.far_key);\n"
        "ALTER TABLE orders ADD COLUMN more integer DEFAULT 1;\n"
        "ALTER TABLE orders ALTER COLUMN more SET DEFAULT 2;\n"
        "DROP TABLE IF EXISTS bystander;\n"
        "CREATE TABLE alone (id integer DEFAULT 2 + 2, word text DEFAULT other.word(), CHECK (similarity(word, 'a') > 0));\n"
        "DO $$ BEGIN EXECUTE 'ALTER TABLE alone ADD COLUMN late integer DEFAULT 3'; END $$;\n"
        "INSERT INTO orders VALUES (1);\n",
        facts='extensions = ["pg_trgm"]\nreaches = ["other.far"]',
    )
    prepare = (
        "CREATE SCHEMA other; CREATE TABLE other.far_key (id integer PRIMARY KEY); INSERT INTO other.far_key VALUES (1);"
        "CREATE FUNCTION other.word() RETURNS text LANGUAGE sql AS 'SELECT ''a''::text'"
    )
    await sql(database, prepare)
    await sql(database, "CREATE EXTENSION pg_trgm")
    await kimbledb.migrate(database, catalog=folder.catalog)
    await sql(database, "CREATE TABLE bystander (id integer)")

    async with scratch_of(database, folder.catalog) as scratch:
        await scratch.forms(list(folder.catalog))
        assert await sql(database, LOCKS) == 0
        held = "SELECT count(*) FROM pg_locks WHERE relation IN ('other.far'::regclass, 'other.far_key'::regclass)"
        assert await sql(database, held) == 0

    assert await sql(database, "SELECT to_regclass('bystander') IS NOT NULL")


async def test_a_role_that_may_make_no_schema_says_so(
    database: str, server: str, folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    """Without CREATE on the database nothing is run, the objects are compared as a reader compares them, and the log says so."""
    catalog = await two(folder, server)
    await sql(
        server,
        "DO $$ BEGIN CREATE ROLE forms_writer LOGIN PASSWORD 'forms_writer'; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
    )
    await sql(database, "GRANT ALL ON SCHEMA public TO forms_writer")
    role = as_role(database, "forms_writer")
    connection = await asyncpg.connect(role)
    await connection.execute(ORDERS + MORE.replace("'c'", "'d'"))
    await connection.close()

    async with scratch_of(role, catalog) as scratch:
        with pytest.raises(NoScratch, match="CREATE on the database"):
            await scratch.forms(list(catalog))
    await kimbledb.adopt(role, catalog=catalog)

    assert await drifted(role, catalog) == []
    assert "cannot be renewed: it takes the privilege CREATE on the database" in caplog.text
