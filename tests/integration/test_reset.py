"""Taking everything out of a schema, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

import kimbledb
from tests.support.databases import take_snapshot
from tests.support.folders import Folder


def name_of(dsn: str) -> str:
    """Return the name of a DSN's database."""
    return urlsplit(dsn).path[1:]


#: What a reset leaves as it was.
AROUND = """
    SELECT 'extension', e.extname, e.extversion, n.nspname FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
    UNION ALL
    SELECT 'member', pg_describe_object(d.classid, d.objid, 0), d.refobjid::text, NULL FROM pg_depend AS d WHERE d.deptype = 'e'
    UNION ALL
    SELECT 'schema', n.nspname, pg_get_userbyid(n.nspowner), n.nspacl::text FROM pg_namespace AS n WHERE n.nspname !~ '^pg_'
    UNION ALL
    SELECT 'default', d.defaclnamespace::regnamespace::text, d.defaclobjtype::text, d.defaclacl::text FROM pg_default_acl AS d
    ORDER BY 1, 2, 3, 4
"""


async def around(connection: asyncpg.Connection) -> list[tuple[Any, ...]]:
    """Return what a reset leaves as it was."""
    return [tuple(row) for row in await connection.fetch(AROUND)]


async def test_everything_and_no_more(migrated_on_each: str) -> None:
    """The whole schema goes, extensions, the schema and all privileges around stay, and migrate() makes it again."""
    dsn = migrated_on_each
    connection = await asyncpg.connect(dsn)
    before, pictured = await around(connection), await take_snapshot(dsn)

    report = await kimbledb.reset(dsn, confirm=name_of(dsn))

    # The privileges on the schema itself, and those by default, are around it.
    left = [each for each in await take_snapshot(dsn) if each.kind != "default privilege"]
    assert [each for each in left if not each.name.startswith("schema to ")] == []
    assert await around(connection) == before
    assert {each.name for each in report.objects if each.kind == "table"} >= {"users", "conversations", "workflows"}
    assert "table users" in str(report)
    await kimbledb.migrate(dsn, verify=False)
    assert not (await take_snapshot(dsn)).since(pictured)
    await connection.close()


async def test_the_name_confirms(database: str, folder: Folder, connection: asyncpg.Connection) -> None:
    """Another name than the database's is refused, and the error says which is expected."""
    folder.table(1, "a")
    await kimbledb.migrate(database, catalog=folder.catalog)

    with pytest.raises(kimbledb.ConfirmationError) as caught:
        await kimbledb.reset(database, confirm="production")

    assert caught.value.expected == name_of(database)
    assert await connection.fetchval("SELECT to_regclass('a')") is not None


async def test_rows_refuse(database: str, folder: Folder, connection: asyncpg.Connection) -> None:
    """Rows at stake are refused with exact counts for each table; allowed, they go, and the report says so."""
    folder.table(1, "a")
    folder.table(2, "b")
    await kimbledb.migrate(database, catalog=folder.catalog)
    await connection.execute("INSERT INTO b SELECT generate_series(1, 7); CREATE TABLE mine AS SELECT 1 AS one")

    with pytest.raises(kimbledb.DataLossError) as caught:
        await kimbledb.reset(database, confirm=name_of(database))

    assert [str(loss) for loss in caught.value.losses] == ["table b: 7 rows", "table mine: 1 row"]
    assert await connection.fetchval("SELECT count(*) FROM b") == 7
    report = await kimbledb.reset(database, confirm=name_of(database), allow_data_loss=True)
    assert [loss.count for loss in report.losses] == [7, 1]


async def test_the_log_goes_on(database: str, folder: Folder, connection: asyncpg.Connection) -> None:
    """History is empty afterwards; the log keeps what was before and tells of the reset, with the names."""
    folder.table(1, "a")
    await kimbledb.migrate(database, catalog=folder.catalog)

    await kimbledb.reset(database, confirm=name_of(database))

    assert await connection.fetchval("SELECT count(*) FROM migration_history") == 0
    rows = await connection.fetch("SELECT event, detail FROM migration_log ORDER BY id")
    assert [row["event"] for row in rows] == ["apply", "reset"]
    assert "table a" in rows[1]["detail"]
    assert (await kimbledb.status(database, catalog=folder.catalog)).history == ()


async def test_once_more_does_nothing(database: str, folder: Folder) -> None:
    """A second reset, and one of a schema that was never there, have nothing to do."""
    folder.table(1, "a")
    await kimbledb.migrate(database, catalog=folder.catalog)
    await kimbledb.reset(database, confirm=name_of(database))

    assert (await kimbledb.reset(database, confirm=name_of(database))).objects == ()
    report = await kimbledb.reset(database, confirm=name_of(database), schema="nowhere")
    assert "nothing to reset" in str(report)


@pytest.mark.parametrize(
    ("made", "name"),
    [
        ("CREATE VIEW report.v AS SELECT id FROM public.a", "view report.v"),
        ("CREATE TABLE report.t (a_id integer REFERENCES public.a)", "constraint t_a_id_fkey on table report.t"),
        (
            "CREATE FUNCTION report.f() RETURNS SETOF public.a LANGUAGE sql AS 'SELECT 1'",
            "function report.f()",
        ),
        ("CREATE TABLE report.p PARTITION OF public.parts FOR VALUES FROM (0) TO (9)", "table report.p"),
        ("CREATE TABLE report.h () INHERITS (public.a)", "table report.h"),
        ("CREATE TABLE report.k (mood public.mood)", "table report.k"),
        ("CREATE TABLE report.d (n integer DEFAULT public.one())", "default value for column n of table report.d"),
        ("CREATE CAST (integer AS public.mood) WITH FUNCTION public.as_mood(integer)", "cast from integer to"),
    ],
)
async def test_dependants_outside_stop_it_by_name(
    database: str, connection: asyncpg.Connection, made: str, name: str
) -> None:
    """What another schema has made on the target's objects stops the reset by its name, and nothing is touched."""
    await connection.execute(
        """
        CREATE TABLE a (id integer PRIMARY KEY);
        CREATE TABLE parts (n integer) PARTITION BY RANGE (n);
        CREATE TYPE mood AS ENUM ('good');
        CREATE FUNCTION one() RETURNS integer LANGUAGE sql AS 'SELECT 1';
        CREATE FUNCTION as_mood(integer) RETURNS mood LANGUAGE sql AS $$SELECT 'good'::mood$$;
        CREATE SCHEMA report;
        """
        + made
    )

    with pytest.raises(kimbledb.ResetRefusedError) as caught:
        await kimbledb.reset(database, confirm=name_of(database), allow_data_loss=True)

    assert name in str(caught.value)
    assert len(caught.value.dependents) >= 1
    assert await connection.fetchval("SELECT to_regclass('public.a') IS NOT NULL AND to_regtype('mood') IS NOT NULL")


async def test_circles_come_apart(database: str, connection: asyncpg.Connection) -> None:
    """Every kind of object goes, also where tables, functions, policies and partitions need each other."""
    await connection.execute(
        """
        CREATE EXTENSION pg_trgm;
        CREATE TABLE a (id serial PRIMARY KEY, b_id integer);
        CREATE TABLE b (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a_id integer REFERENCES a, name text);
        ALTER TABLE a ADD FOREIGN KEY (b_id) REFERENCES b;
        CREATE INDEX ON b USING gin (name gin_trgm_ops);
        CREATE FUNCTION rows_of_a() RETURNS SETOF a LANGUAGE sql BEGIN ATOMIC SELECT * FROM a; END;
        CREATE FUNCTION weight(a) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 1';
        ALTER TABLE b ADD COLUMN w integer DEFAULT 1, ADD CHECK (w > 0);
        CREATE FUNCTION next_weight() RETURNS integer LANGUAGE sql BEGIN ATOMIC SELECT count(*)::integer FROM b; END;
        ALTER TABLE b ALTER w SET DEFAULT next_weight();
        ALTER TABLE a ENABLE ROW LEVEL SECURITY;
        CREATE POLICY p ON a USING ((SELECT count(*) FROM rows_of_a()) > 0);
        CREATE FUNCTION notice() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION notice();
        CREATE TABLE parts (n integer PRIMARY KEY, b_id integer REFERENCES b) PARTITION BY RANGE (n);
        CREATE TABLE low PARTITION OF parts FOR VALUES FROM (0) TO (9);
        ALTER TABLE b ADD COLUMN n integer REFERENCES parts;
        CREATE TRIGGER t BEFORE INSERT ON parts FOR EACH ROW EXECUTE FUNCTION notice();
        CREATE CONSTRAINT TRIGGER late AFTER INSERT ON a DEFERRABLE FOR EACH ROW EXECUTE FUNCTION notice();
        CREATE CONSTRAINT TRIGGER late AFTER INSERT ON parts DEFERRABLE FOR EACH ROW EXECUTE FUNCTION notice();
        CREATE VIEW v AS SELECT * FROM a; CREATE VIEW vv AS SELECT * FROM v;
        CREATE MATERIALIZED VIEW m AS SELECT * FROM vv; CREATE INDEX ON m (id);
        CREATE RULE quiet AS ON INSERT TO b WHERE new.w > 9 DO INSTEAD NOTHING;
        CREATE TYPE mood AS ENUM ('good'); CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
        CREATE TYPE pair AS (one positive, two mood[]); CREATE TYPE spans AS RANGE (subtype = float8);
        CREATE TABLE c (mood mood[], n positive, p pair, s spans, sm spans_multirange); CREATE SEQUENCE s;
        CREATE STATISTICS st ON id, b_id FROM a;
        CREATE AGGREGATE total(integer) (SFUNC = int4pl, STYPE = integer);
        CREATE PROCEDURE nothing() LANGUAGE sql AS '';
        CREATE COLLATION other FROM "C";
        CREATE TEXT SEARCH CONFIGURATION words (COPY = simple);
        CREATE OPERATOR === (LEFTARG = integer, RIGHTARG = integer, FUNCTION = int4eq);
        CREATE PUBLICATION everything FOR TABLE a;
        """
    )

    report = await kimbledb.reset(database, confirm=name_of(database))

    assert len(await take_snapshot(database)) == 0
    left = await connection.fetch(
        "SELECT pg_describe_object(classid, objid, 0) FROM pg_depend AS d WHERE refclassid = 'pg_namespace'::regclass "
        "AND refobjid = 'public'::regnamespace AND NOT EXISTS (SELECT FROM pg_depend AS e WHERE e.classid = d.classid "
        "AND e.objid = d.objid AND e.deptype = 'e')"
    )
    assert {row[0] for row in left} == {
        "extension pg_trgm",
        "function migration_log_is_append_only()",
        "sequence migration_history_id_seq",
        "sequence migration_log_id_seq",
        "table migration_history",
        "table migration_log",
    }
    assert {each.kind for each in report.objects} >= {"table", "view", "function", "type", "constraint", "policy"}


async def test_neighbours_stay(database: str, folder: Folder) -> None:
    """A tenant's schema is reset by itself: the same objects in another schema stay."""
    folder.table(1, "a")
    for schema in ("one", 'Two "2"'):
        await kimbledb.migrate(database, catalog=folder.catalog, schema=schema)

    report = await kimbledb.reset(database, confirm=name_of(database), schema='Two "2"')

    assert [str(each) for each in report.objects] == ["table a"]
    assert not (await kimbledb.plan(database, catalog=folder.catalog, schema="one")).pending
    assert (await kimbledb.plan(database, catalog=folder.catalog, schema='Two "2"')).pending


async def test_what_goes_while_it_is_counted(database: str, folder: Folder, connection: asyncpg.Connection) -> None:
    """A table that somebody drops while its rows are counted is no failure: the schema is looked at anew."""
    for number, name in enumerate(("a", "b"), 1):
        folder.table(number, name)
    await kimbledb.migrate(database, catalog=folder.catalog)
    await connection.execute("BEGIN; DROP TABLE a")
    run = asyncio.create_task(kimbledb.reset(database, confirm=name_of(database)))
    observer = await asyncpg.connect(database)
    while not await observer.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    ):
        assert not run.done()
        await asyncio.sleep(0.02)
    await connection.execute("COMMIT")

    report = await run

    assert [str(each) for each in report.objects] == ["table b"]
    await observer.close()


async def test_among_replicas(database: str, folder: Folder, connection: asyncpg.Connection) -> None:
    """Resets and migrations at once come one after the other: what is recorded is there, what is not is not."""
    for number, name in enumerate(("a", "b", "c", "d"), 1):
        folder.table(number, name)
    catalog = folder.catalog
    calls: list[Awaitable[object]] = []
    for _ in range(4):
        calls += [
            kimbledb.migrate(database, catalog=catalog),
            kimbledb.reset(database, confirm=name_of(database)),
        ]

    await asyncio.gather(*calls)

    recorded = {row[0] for row in await connection.fetch("SELECT migration_name FROM migration_history")}
    there = {
        f"{row[0]}.sql"
        for row in await connection.fetch("SELECT relname FROM pg_class WHERE relname IN ('a', 'b', 'c', 'd')")
    }
    assert recorded == there


async def test_rows_of_views_and_positions_refuse(database: str, connection: asyncpg.Connection) -> None:
    """A materialised view may hold the only copy of rows, and a sequence that stands alone the only count: both are told, and nothing goes unasked."""
    await connection.execute(
        "CREATE MATERIALIZED VIEW mv AS SELECT generate_series(1, 5) AS id; CREATE MATERIALIZED VIEW bare AS SELECT 1 WITH NO DATA;"
        "CREATE SEQUENCE orders; SELECT setval('orders', 41); CREATE SEQUENCE unused; CREATE TABLE t (id serial)"
    )

    with pytest.raises(kimbledb.DataLossError) as caught:
        await kimbledb.reset(database, confirm=name_of(database))
    assert [str(loss) for loss in caught.value.losses] == [
        "materialized view mv: 5 rows",
        "sequence orders: 41 positions",
    ]
    assert await connection.fetchval("SELECT nextval('orders')") == 42

    report = await kimbledb.reset(database, confirm=name_of(database), allow_data_loss=True)
    assert len(report.losses) == 2
