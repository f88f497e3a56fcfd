"""What counts as a loss of data and what does not, going forward and back: each line of docs/data-loss.md."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from attrs import frozen

import kimbledb
from tests.support.databases import MakeTemplate
from tests.support.folders import Folder

#: What the schema holds before the script runs, and another one, whose name is that with "_other".
BASE = """
CREATE TABLE p (id integer PRIMARY KEY, v text, n integer, big bigint, at timestamp, tags text[], num numeric(10, 4));
CREATE TABLE c (id serial PRIMARY KEY, p_id integer REFERENCES p ON DELETE CASCADE, note text);
CREATE TABLE {other}.d (p_id integer REFERENCES p ON DELETE CASCADE);
CREATE TABLE empty (id integer, v text);
CREATE SEQUENCE alone;
CREATE MATERIALIZED VIEW mv AS SELECT id FROM p;
CREATE TABLE parts (id integer, region text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE parts_eu PARTITION OF parts FOR VALUES IN ('eu');
CREATE TABLE parts_us PARTITION OF parts FOR VALUES IN ('us');
CREATE FUNCTION clear_p() RETURNS void LANGUAGE sql SET search_path FROM CURRENT AS 'DELETE FROM p';
CREATE FUNCTION empty_c() RETURNS void LANGUAGE sql SET search_path FROM CURRENT AS 'TRUNCATE c';
CREATE FUNCTION drop_c() RETURNS void LANGUAGE sql SET search_path FROM CURRENT AS 'DROP TABLE c';
CREATE FUNCTION cut_v() RETURNS void LANGUAGE sql SET search_path FROM CURRENT AS 'ALTER TABLE p DROP COLUMN v';
CREATE FUNCTION begin_anew() RETURNS void LANGUAGE sql SET search_path FROM CURRENT AS 'ALTER SEQUENCE alone RESTART';
INSERT INTO p SELECT i, 'value ' || i, i, i, '2026-01-01', ARRAY['a'], i + 0.5 FROM generate_series(1, 10) AS i;
INSERT INTO c (p_id, note) SELECT 1 + i % 10, 'x' FROM generate_series(1, 100) AS i;
INSERT INTO {other}.d SELECT 1 FROM generate_series(1, 5);
INSERT INTO parts SELECT i, 'eu' FROM generate_series(1, 4) AS i;
SELECT setval('alone', 42);
REFRESH MATERIALIZED VIEW mv;
"""

#: Script, and what it loses going forward.
FORWARD = [
    ("DELETE FROM p WHERE id <= 2", ["deleted rows of c: 20", "deleted rows of {other}.d: 5", "deleted rows of p: 2"]),
    ("WITH gone AS (DELETE FROM c WHERE id <= 3 RETURNING id) SELECT count(*) FROM gone", ["deleted rows of c: 3"]),
    ("MERGE INTO c USING (VALUES (1)) AS s (id) ON c.id = s.id WHEN MATCHED THEN DELETE", ["deleted rows of c: 1"]),
    ("DO $$ BEGIN DELETE FROM c; END $$", ["deleted rows of c: 100"]),
    ("SELECT clear_p()", ["deleted rows of c: 100", "deleted rows of {other}.d: 5", "deleted rows of p: 10"]),
    ("SELECT empty_c()", ["deleted rows of c: 100"]),
    ("SELECT drop_c()", ["table c: 100 rows"]),
    ("SELECT cut_v()", ["column p.v: 10 values"]),
    ("SELECT begin_anew()", ["sequence alone: 42 positions"]),
    ("TRUNCATE c", ["deleted rows of c: 100"]),
    ("DELETE FROM c WHERE id < 50; TRUNCATE c", ["deleted rows of c: 100"]),
    ("TRUNCATE c; INSERT INTO c (id) VALUES (1001)", ["deleted rows of c: 100"]),
    ("DROP TABLE c", ["table c: 100 rows"]),
    ("DROP TABLE empty, c", ["table c: 100 rows"]),
    ("DROP TABLE c; CREATE TABLE c (id integer)", ["table c: 100 rows"]),
    ("ALTER TABLE p DROP COLUMN v", ["column p.v: 10 values"]),
    ("ALTER TABLE p DROP COLUMN v; ALTER TABLE p ADD COLUMN v text", ["column p.v: 10 values"]),
    ("ALTER TABLE p ALTER COLUMN v TYPE varchar(3) USING left(v, 3)", ["column p.v: 10 values"]),
    ("ALTER TABLE p ALTER COLUMN v TYPE text USING NULL", ["column p.v: 10 values"]),
    ("ALTER TABLE p ALTER COLUMN num TYPE numeric(10, 0)", ["column p.num: 10 values"]),
    ("DROP MATERIALIZED VIEW mv", ["materialized view mv: 10 rows"]),
    ("SELECT setval('alone', 2)", ["sequence alone: 40 positions"]),
    ("ALTER SEQUENCE alone RESTART", ["sequence alone: 42 positions"]),
    ("DROP SEQUENCE alone", ["sequence alone: 42 positions"]),
    ("ALTER SEQUENCE alone RESTART WITH 60; SELECT setval('alone', 30, false)", ["sequence alone: 13 positions"]),
    ("ALTER TABLE c ALTER id DROP DEFAULT; DROP SEQUENCE c_id_seq", ["sequence c_id_seq: 100 positions"]),
    ("DROP TABLE parts_eu", ["table parts_eu: 4 rows"]),
    ("DELETE FROM parts WHERE id = 1", ["deleted rows of parts_eu: 1"]),
    ("INSERT INTO c (id) VALUES (1001); DELETE FROM c WHERE id IN (1, 1001)", ["deleted rows of c: 1"]),
]

#: Script, that loses nothing going forward.
HARMLESS = [
    "UPDATE p SET v = 'other'",
    "INSERT INTO p (id) VALUES (11) ON CONFLICT (id) DO UPDATE SET v = 'x'",
    "ALTER TABLE p ADD COLUMN extra text",
    "ALTER TABLE p ADD COLUMN extra uuid DEFAULT gen_random_uuid()",
    "ALTER TABLE c SET UNLOGGED",
    "CLUSTER p USING p_pkey",
    "REINDEX TABLE p",
    "ALTER TABLE parts DETACH PARTITION parts_eu",
    "CREATE TABLE parts_de PARTITION OF parts FOR VALUES IN ('de')",
    """CREATE TABLE parts_de (id integer NOT NULL, region text NOT NULL); INSERT INTO parts_de VALUES (1, 'de');
       ALTER TABLE parts ATTACH PARTITION parts_de FOR VALUES IN ('de')""",
    "UPDATE parts SET region = 'us' WHERE id = 1",
    "ALTER TABLE p ALTER COLUMN big TYPE timestamptz USING to_timestamp(big)",
    "ALTER TABLE p ALTER COLUMN n TYPE text",
    "SELECT setval('alone', 50)",
    "SELECT nextval('alone')",
    "SELECT setval('alone', 43, false)",
    """ALTER TABLE c ALTER id DROP DEFAULT; DROP SEQUENCE c_id_seq;
       ALTER TABLE c ALTER id ADD GENERATED BY DEFAULT AS IDENTITY (START WITH 101)""",
    "DROP SEQUENCE alone; CREATE SEQUENCE alone START 50",
    "ALTER SEQUENCE alone RESTART WITH 60",
    "ALTER TABLE p ALTER COLUMN n TYPE bigint",
    "ALTER TABLE p ALTER COLUMN big TYPE integer",
    "ALTER TABLE p ALTER COLUMN v TYPE varchar(100)",
    "ALTER TABLE p ALTER COLUMN num TYPE numeric(12, 6)",
    "ALTER TABLE p ALTER COLUMN at TYPE timestamptz USING at AT TIME ZONE 'UTC'",
    "ALTER TABLE p ALTER COLUMN tags TYPE jsonb USING to_jsonb(tags)",
    "DROP TABLE empty",
    "TRUNCATE empty",
    "CREATE TABLE fresh (id integer); INSERT INTO fresh VALUES (1); DELETE FROM fresh; DROP TABLE fresh",
    "INSERT INTO c (id) VALUES (1001), (1002); DELETE FROM c WHERE id > 1000",
    "CREATE TEMPORARY TABLE t (id integer); INSERT INTO t VALUES (1); DELETE FROM t; DROP TABLE t",
    """ALTER TABLE c RENAME TO c_old; CREATE TABLE c (LIKE c_old INCLUDING ALL); INSERT INTO c SELECT * FROM c_old;
       ALTER SEQUENCE c_id_seq OWNED BY c.id; DROP TABLE c_old""",
    "ALTER TABLE p ADD COLUMN v_new text; UPDATE p SET v_new = v; ALTER TABLE p DROP COLUMN v; ALTER TABLE p RENAME v_new TO v",
    "CREATE TEMPORARY TABLE kept AS SELECT * FROM c; TRUNCATE c; INSERT INTO c SELECT * FROM kept; DROP TABLE kept",
    "DROP MATERIALIZED VIEW mv; CREATE MATERIALIZED VIEW mv AS SELECT id, v FROM p",
    "REFRESH MATERIALIZED VIEW mv",
    "DO $$ BEGIN BEGIN DELETE FROM c; RAISE EXCEPTION 'no'; EXCEPTION WHEN raise_exception THEN NULL; END; UPDATE c SET note = 'y'; END $$",
]


@frozen
class Held:
    """A schema that holds something."""

    dsn: str
    schema: str
    connection: asyncpg.Connection

    async def migrate(self, catalog: kimbledb.Catalog, **arguments: Any) -> kimbledb.MigrationReport:
        """Migrate it."""
        return await kimbledb.migrate(self.dsn, catalog=catalog, schema=self.schema, **arguments)

    async def rollback(self, catalog: kimbledb.Catalog, **arguments: Any) -> kimbledb.RollbackReport:
        """Take its first migration back."""
        return await kimbledb.rollback(self.dsn, 1, catalog=catalog, schema=self.schema, **arguments)

    def told(self, losses: list[str]) -> list[str]:
        """Return how losses are told of this schema, in order."""
        return sorted(
            (loss.format(other=f"{self.schema}_other") for loss in losses),
            key=lambda loss: loss.partition(":")[0].split()[-1],
        )


_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def shared(server: str, make_template: MakeTemplate) -> str:
    """The DSN of a database in which each test has a schema of its own."""

    async def fill(_dsn: str) -> None:
        pass

    return f"{server.rpartition('/')[0]}/{make_template(fill)}"


@pytest.fixture
async def held(shared: str) -> AsyncIterator[Held]:
    """A schema with what BASE puts into it."""
    schema = f"s{next(_numbers)}"
    connection = await asyncpg.connect(shared)
    await connection.execute(f"CREATE SCHEMA {schema}; CREATE SCHEMA {schema}_other; SET search_path = {schema}")
    await connection.execute(BASE.format(other=f"{schema}_other"))
    yield Held(shared, schema, connection)
    await connection.close()


@pytest.mark.parametrize(("script", "losses"), FORWARD, ids=lambda value: value if isinstance(value, str) else "")
async def test_going_forward_a_loss_is_refused_with_its_count(
    held: Held, folder: Folder, script: str, losses: list[str]
) -> None:
    """A migration that would take rows or values is refused with what and how many, and nothing of it is left."""
    folder.add(1, "a", script + ";")

    with pytest.raises(kimbledb.DataLossError) as caught:
        await held.migrate(folder.catalog)

    assert [str(loss) for loss in caught.value.losses] == held.told(losses)
    assert await held.connection.fetchval("SELECT count(*) FROM c") == 100
    assert await held.connection.fetchval("SELECT last_value FROM alone") == 42
    assert await held.connection.fetchval("SELECT count(*) FROM migration_history") == 0

    report = await held.migrate(folder.catalog, allow_data_loss=True)
    assert {loss.name for loss in report.losses} == {loss.name for loss in caught.value.losses}


@pytest.mark.parametrize("script", HARMLESS)
async def test_going_forward_what_loses_nothing_goes_on(held: Held, folder: Folder, script: str) -> None:
    """A migration after which all that was there still is goes on without a word."""
    folder.add(1, "a", script + ";")

    report = await held.migrate(folder.catalog)

    assert report.losses == ()
    assert len(report.applied) == 1


#: Script of a rollback, and what it takes of a table that stays, of what is there by whoever made it.
BACK = [
    ("DELETE FROM p WHERE id = 1", ["deleted rows of c: 10", "deleted rows of {other}.d: 5", "deleted rows of p: 1"]),
    ("TRUNCATE c", ["deleted rows of c: 100"]),
    ("UPDATE p SET v = NULL WHERE id < 3", ["updated rows of p: 2"]),
    (
        "MERGE INTO p USING (VALUES (1)) AS s (id) ON p.id = s.id WHEN MATCHED THEN UPDATE SET v = 'x'",
        ["updated rows of p: 1"],
    ),
    ("SELECT clear_p()", ["deleted rows of c: 100", "deleted rows of {other}.d: 5", "deleted rows of p: 10"]),
    ("ALTER TABLE p ALTER COLUMN v TYPE varchar(3) USING left(v, 3)", ["column p.v: 10 values"]),
    ("DROP TABLE c; ALTER TABLE p DROP COLUMN v", ["table c: 100 rows", "column p.v: 10 values"]),
    ("DROP MATERIALIZED VIEW mv", ["materialized view mv: 10 rows"]),
    ("SELECT setval('alone', 1, false)", ["sequence alone: 42 positions"]),
    ("DROP SEQUENCE alone", ["sequence alone: 42 positions"]),
]


@pytest.mark.parametrize(("script", "losses"), BACK, ids=lambda value: value if isinstance(value, str) else "")
async def test_going_back_a_loss_is_told_and_refused(
    held: Held, folder: Folder, script: str, losses: list[str]
) -> None:
    """A dry run tells what rows and values a rollback takes; the real one is refused, and nothing was touched by either."""
    folder.add(1, "a", "SELECT 1;", rollback=script + ";")
    await held.migrate(folder.catalog)

    report = await held.rollback(folder.catalog, dry_run=True)
    assert [str(loss) for loss in report.losses] == held.told(losses)
    with pytest.raises(kimbledb.DataLossError, match="nothing was touched") as caught:
        await held.rollback(folder.catalog)
    assert [str(loss) for loss in caught.value.losses] == held.told(losses)
    assert await held.connection.fetchval("SELECT count(*) FROM c") == 100
    assert await held.connection.fetchval("SELECT nextval('alone')") == 43

    report = await held.rollback(folder.catalog, allow_data_loss=True)
    assert len(report.rolled_back) == 1


@pytest.mark.parametrize("script", [script for script in HARMLESS if "UPDATE" not in script and "DELETE" not in script])
async def test_going_back_what_loses_nothing_goes_on(held: Held, folder: Folder, script: str) -> None:
    """A rollback after which all that was there still is goes on without a word."""
    folder.add(1, "a", "SELECT 1;", rollback=script + ";")
    await held.migrate(folder.catalog)

    report = await held.rollback(folder.catalog)

    assert report.losses == ()
    assert len(report.rolled_back) == 1


async def test_a_sequence_goes_on_after_a_dry_run(
    database: str, folder: Folder, connection: asyncpg.Connection
) -> None:
    """What a rollback's script does to sequences is undone with its try run: the next values are those that were due."""
    await connection.execute(
        "CREATE TABLE t (id serial PRIMARY KEY, g integer GENERATED ALWAYS AS IDENTITY); CREATE SEQUENCE unused START 5;"
        "INSERT INTO t DEFAULT VALUES; INSERT INTO t DEFAULT VALUES"
    )
    folder.add(
        1,
        "a",
        "SELECT 1;",
        rollback="SELECT setval('t_id_seq', 1, false), setval('unused', 100), nextval('t_g_seq'), setval('t_g_seq', 77);",
    )
    await kimbledb.migrate(database, catalog=folder.catalog)

    await kimbledb.rollback(database, 1, catalog=folder.catalog, dry_run=True)

    row = await connection.fetchrow("INSERT INTO t DEFAULT VALUES RETURNING id, g, nextval('unused')")
    assert row is not None
    assert tuple(row) == (3, 3, 5)


async def test_a_migration_that_says_why_deletes(database: str, folder: Folder, connection: asyncpg.Connection) -> None:
    """With `deletes` in migration.toml the migration goes on, and the report and the log count what went."""
    await connection.execute(
        "CREATE TABLE t AS SELECT generate_series(1, 1000) AS id; CREATE TABLE u AS SELECT 1 AS id"
    )
    folder.add(1, "a", "DELETE FROM t WHERE id <= 10; DROP TABLE u;", facts='deletes = "they were copies"')

    report = await kimbledb.migrate(database, catalog=folder.catalog)

    assert [str(loss) for loss in report.losses] == ["deleted rows of t: 10", "table u: 1 row"]
    assert "deleted rows of t: 10" in str(report)
    detail = await connection.fetchval("SELECT detail->>'losses' FROM migration_log WHERE event = 'apply'")
    assert "deleted rows of t: 10" in detail


async def test_a_comment_at_the_head_says_why(database: str, tmp_path: Path, connection: asyncpg.Connection) -> None:
    """In a flat folder a comment at the head of the file says it."""
    await connection.execute("CREATE TABLE t AS SELECT 1 AS id")
    (tmp_path / "001_A.sql").write_text('-- Clears t.\n-- kimbledb: deletes = "it was a copy"\nTRUNCATE t;\n')

    report = await kimbledb.migrate(database, catalog=kimbledb.Catalog.from_directory(tmp_path))

    assert [str(loss) for loss in report.losses] == ["deleted rows of t: 1"]


async def test_what_was_applied_before_a_refusal_stays_and_is_told(
    database: str, folder: Folder, connection: asyncpg.Connection
) -> None:
    """A refusal says truly what stays: the migrations before it, and it carries them."""
    await connection.execute("CREATE TABLE t AS SELECT generate_series(1, 1000) AS id")
    folder.table(1, "a")
    folder.add(2, "b", "CREATE TABLE b (id integer); DROP TABLE t;")

    with pytest.raises(kimbledb.DataLossError, match="1 migration applied before it stays applied") as caught:
        await kimbledb.migrate(database, catalog=folder.catalog)

    assert [step.migration.name for step in caught.value.applied] == ["a.sql"]
    assert caught.value.failed is not None
    assert "nothing was touched" not in str(caught.value)
    assert await connection.fetchval("SELECT count(*) FROM t") == 1000
    assert await connection.fetchval("SELECT to_regclass('b')") is None


@pytest.mark.parametrize(
    "script",
    [
        "WITH gone AS (DELETE FROM t RETURNING id) SELECT count(*) FROM gone",
        "MERGE INTO t USING (VALUES (1)) AS s (id) ON t.id = s.id WHEN MATCHED THEN DELETE",
        "DO $$ BEGIN EXECUTE 'DROP TABLE t'; END $$",
        "DROP OWNED BY CURRENT_USER",
    ],
)
async def test_refused_hazards_are_measured(
    database: str, folder: Folder, connection: asyncpg.Connection, script: str
) -> None:
    """`refuse_hazards=("rows_deleted",)` holds for what no reading of the SQL shows, whatever else allows it."""
    await connection.execute("CREATE TABLE t AS SELECT generate_series(1, 1000) AS id")
    folder.add(1, "a", script + ";", facts='deletes = "on purpose"')

    with pytest.raises(kimbledb.HazardError, match="rows_deleted on t"):
        await kimbledb.migrate(
            database,
            catalog=folder.catalog,
            allow_data_loss=True,
            options=kimbledb.Options(refuse_hazards=("rows_deleted",)),
        )

    assert await connection.fetchval("SELECT count(*) FROM t") == 1000


@pytest.mark.parametrize(
    "script",
    [
        "INSERT INTO t VALUES (1001); DELETE FROM t WHERE id > 990",
        "DO $$ BEGIN BEGIN DELETE FROM t; RAISE division_by_zero; EXCEPTION WHEN division_by_zero THEN DELETE FROM t WHERE id > 990; END; END $$",
    ],
)
async def test_a_count_that_may_be_too_high_says_so(
    database: str, folder: Folder, connection: asyncpg.Connection, script: str
) -> None:
    """Where the server's counter holds rows of the script itself, or what it took back, the report says "at most"; a refusal counts."""
    await connection.execute("CREATE TABLE t AS SELECT generate_series(1, 1000) AS id")
    folder.add(1, "a", script + ";")

    with pytest.raises(kimbledb.DataLossError) as caught:
        await kimbledb.migrate(database, catalog=folder.catalog)
    assert [str(loss) for loss in caught.value.losses] == ["deleted rows of t: 10"]

    [loss] = (await kimbledb.migrate(database, catalog=folder.catalog, allow_data_loss=True)).losses
    assert (loss.at_most, str(loss).startswith("deleted rows of t: at most")) == (True, True)


async def test_the_plan_says_what_deletes(database: str, folder: Folder) -> None:
    """The plan shows why a migration deletes."""
    folder.add(1, "a", "SELECT 1;", facts='deletes = "they were copies"')

    assert "deletes data on purpose: they were copies" in str(await kimbledb.plan(database, catalog=folder.catalog))


async def test_the_report_counts_updates(database: str, folder: Folder, connection: asyncpg.Connection) -> None:
    """An UPDATE going forward is no loss, and the report counts its rows."""
    await connection.execute("CREATE TABLE t AS SELECT generate_series(1, 5) AS id")
    folder.add(1, "a", "UPDATE t SET id = id + 1 WHERE id < 4;")

    report = await kimbledb.migrate(database, catalog=folder.catalog)

    assert report.losses == ()
    assert [str(update) for update in report.updates] == ["updated rows of t: 3"]


_BATCHES = """
CREATE TABLE t AS SELECT generate_series(1, 5) AS id;
CREATE PROCEDURE clear_t() LANGUAGE plpgsql AS $$ BEGIN DELETE FROM public.t WHERE id < 3; COMMIT; DELETE FROM public.t; END $$;
"""


@pytest.mark.parametrize(
    ("script", "losses"),
    [
        ("CREATE TABLE u (id integer);\nDELETE FROM t WHERE id = 1;", ["deleted rows of t: 1"]),
        ("DROP TABLE t;", ["table t: 5 rows"]),
        ("CALL clear_t();", ["statement CALL clear_t(): cannot be counted"]),
    ],
)
async def test_outside_of_a_transaction_a_loss_is_refused(
    database: str, folder: Folder, connection: asyncpg.Connection, script: str, losses: list[str]
) -> None:
    """A statement of a script that is not transactional is measured by itself; one that commits by itself cannot be, and is refused."""
    await connection.execute(_BATCHES)
    folder.add(1, "a", script, facts="transactional = false")

    with pytest.raises(kimbledb.DataLossError) as caught:
        await kimbledb.migrate(database, catalog=folder.catalog)
    assert [str(loss) for loss in caught.value.losses] == losses
    assert await connection.fetchval("SELECT count(*) FROM t") == 5

    report = await kimbledb.migrate(database, catalog=folder.catalog, allow_data_loss=True)
    assert [str(loss) for loss in report.losses] == [loss for loss in losses if "statement" not in loss]
    logged = await connection.fetchval(
        "SELECT detail->>'losses' FROM migration_log WHERE event = 'apply' AND detail ? 'run'"
    )
    assert (logged is None) == (not report.losses)


async def test_a_road_for_tables_with_rows_is_measured(
    database: str, folder: Folder, connection: asyncpg.Connection
) -> None:
    """What online.sql deletes is refused as well, and so is what apply.sql deletes after it."""
    await connection.execute("CREATE TABLE t AS SELECT generate_series(1, 1000) AS id; ANALYZE t")
    path = folder.add(1, "a", "CREATE INDEX IF NOT EXISTS i ON t (id);\nDELETE FROM t WHERE id = 2;")
    (path / "online.sql").write_text(
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t (id);\nDELETE FROM t WHERE id = 1;\n"
    )

    with pytest.raises(kimbledb.DataLossError) as caught:
        await kimbledb.migrate(database, catalog=folder.catalog)
    assert [str(loss) for loss in caught.value.losses] == ["deleted rows of t: 1"]
    assert await connection.fetchval("SELECT count(*) FROM t") == 1000

    report = await kimbledb.migrate(database, catalog=folder.catalog, allow_data_loss=True)
    assert [str(loss) for loss in report.losses] == ["deleted rows of t: 1", "deleted rows of t: 1"]


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
async def test_what_the_session_deleted_before_does_not_count(
    folder: Folder, connection: asyncpg.Connection, end: str
) -> None:
    """The server's counters still hold the transaction before, through a pooler a neighbour's: only the difference counts."""
    await connection.execute("CREATE TABLE t AS SELECT generate_series(1, 1000) AS id")
    # What alters a table is looked at closely.
    alters = "INSERT INTO t VALUES (0); ALTER TABLE t ADD COLUMN note text;"
    folder.add(1, "a", alters, rollback="INSERT INTO t VALUES (1); ALTER TABLE t DROP COLUMN note;")
    await kimbledb.plan(connection, catalog=folder.catalog)
    # The server hands its counters over at most once a second, and does so now.
    await connection.execute("SELECT pg_stat_force_next_flush()")
    await connection.execute(f"BEGIN; DELETE FROM t WHERE id < 10; UPDATE t SET id = id; {end}")

    report = await kimbledb.migrate(connection, catalog=folder.catalog, allow_data_loss=True)

    assert (report.losses, report.updates) == ((), ())
    await connection.execute(f"BEGIN; DELETE FROM t WHERE id < 20; UPDATE t SET id = id; {end}")
    assert (await kimbledb.rollback(connection, 1, catalog=folder.catalog)).losses == ()


async def test_what_a_migration_reaches_is_measured(
    database: str, folder: Folder, connection: asyncpg.Connection
) -> None:
    """In a schema that the migration says it reaches, tables and sequences count as in its own."""
    await connection.execute(
        "CREATE SCHEMA other; CREATE TABLE other.t AS SELECT generate_series(1, 5) AS id, 'x' AS v;"
        "CREATE TABLE other.u AS SELECT 1 AS id; CREATE SEQUENCE other.s; SELECT setval('other.s', 9)"
    )
    script = "ALTER TABLE other.t DROP COLUMN v; TRUNCATE other.u; SELECT setval('other.s', 1);"
    folder.add(1, "a", script, facts='reaches = ["other.*"]')

    with pytest.raises(kimbledb.DataLossError) as caught:
        await kimbledb.migrate(database, catalog=folder.catalog)

    assert [str(loss) for loss in caught.value.losses] == [
        "sequence other.s: 8 positions",
        "column other.t.v: 5 values",
        "deleted rows of other.u: 1",
    ]
    assert await connection.fetchval("SELECT nextval('other.s')") == 10


async def test_a_schema_that_is_dropped_takes_its_tables(
    database: str, folder: Folder, connection: asyncpg.Connection
) -> None:
    """DROP SCHEMA of a schema that the migration reaches loses the rows of its tables."""
    await connection.execute(
        "CREATE SCHEMA other; CREATE TABLE other.t AS SELECT generate_series(1, 5) AS id; CREATE TABLE other.empty ()"
    )
    folder.add(1, "a", "DROP SCHEMA other CASCADE", facts='reaches = ["other", "other.*"]')

    with pytest.raises(kimbledb.DataLossError) as caught:
        await kimbledb.migrate(database, catalog=folder.catalog)

    assert [str(loss) for loss in caught.value.losses] == ["table other.t: 5 rows"]


async def test_vacuum_full_is_no_loss(database: str, folder: Folder, connection: asyncpg.Connection) -> None:
    """VACUUM FULL, outside of a transaction, writes a table anew and loses nothing."""
    await connection.execute("CREATE TABLE t AS SELECT generate_series(1, 5) AS id")
    folder.add(1, "a", "VACUUM FULL t;", facts='transactional = false\nirreversible = "nothing to take back"')

    report = await kimbledb.migrate(database, catalog=folder.catalog)

    assert report.losses == ()
    assert await connection.fetchval("SELECT count(*) FROM t") == 5


@pytest.mark.parametrize(
    ("script", "losses"),
    [
        ("DROP TYPE mood CASCADE", ["column t.m: 3 values"]),
        ("REFRESH MATERIALIZED VIEW mv WITH NO DATA", ["materialized view mv: 3 rows"]),
        ("INSERT INTO t VALUES (4, 'sad'); DROP TRIGGER tr ON t", ["deleted rows of u: 1"]),
        (
            "SELECT lo_unlink(oid) FROM pg_largeobject_metadata",
            ["deleted rows of pg_catalog.pg_largeobject_metadata: 1"],
        ),
        ("DELETE FROM late WHERE id = 1", ["deleted rows of late: 1", "deleted rows of u: 1"]),
        ("DROP TABLE t; CREATE VIEW t AS SELECT 1 AS id", ["table t: 3 rows"]),
        (
            "CREATE TABLE new_t AS SELECT * FROM t WHERE id < 3; DROP TABLE t CASCADE; ALTER TABLE new_t RENAME TO t",
            ["materialized view mv: 3 rows", "deleted rows of t: 1"],
        ),
        ("ALTER TABLE t RENAME COLUMN id TO key; DELETE FROM t WHERE key = 1", ["deleted rows of t: 1"]),
        (
            "DELETE FROM t; INSERT INTO t VALUES (1, 'ok'), (7, 'sad')",
            ["deleted rows of t: 2", "deleted rows of u: 1"],
        ),
    ],
)
async def test_roundabout_losses(
    database: str, folder: Folder, connection: asyncpg.Connection, script: str, losses: list[str]
) -> None:
    """A cascade of a type, a trigger, a deferred trigger, a large object, a table that comes back as less: all are seen."""
    await connection.execute(
        """
        CREATE TYPE mood AS ENUM ('sad', 'ok');
        CREATE TABLE t (id integer, m mood);
        INSERT INTO t VALUES (1, 'ok'), (2, 'ok'), (3, 'sad');
        CREATE TABLE u (id integer); INSERT INTO u VALUES (4), (5);
        CREATE TABLE late (id integer); INSERT INTO late VALUES (1), (2);
        CREATE FUNCTION take() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM public.u WHERE id = 4; RETURN NULL; END $$;
        CREATE TRIGGER tr AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION take();
        CREATE CONSTRAINT TRIGGER tr AFTER DELETE ON late DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION take();
        CREATE MATERIALIZED VIEW mv AS SELECT id FROM t;
        SELECT lo_create(0);
        """
    )
    if "DROP TABLE t;" in script or "ALTER TABLE t RENAME" in script:
        await connection.execute("DROP MATERIALIZED VIEW mv")
    folder.add(1, "a", script + ";")

    with pytest.raises(kimbledb.DataLossError) as caught:
        await kimbledb.migrate(database, catalog=folder.catalog)

    assert [str(loss) for loss in caught.value.losses] == losses


@pytest.mark.parametrize(
    ("script", "losses"),
    [
        ("DELETE FROM t WHERE id = 1", ["deleted rows of t: 1"]),
        (
            "SET LOCAL track_counts = off; DELETE FROM t",
            ["deleted rows of public (track_counts is off): cannot be counted"],
        ),
    ],
)
async def test_what_is_not_counted_is_a_loss(
    database: str, folder: Folder, connection: asyncpg.Connection, script: str, losses: list[str]
) -> None:
    """Where the server does not count, it is told to for the transaction; where the script keeps it from counting, that counts as a loss."""
    await connection.execute(
        "CREATE TABLE t AS SELECT 1 AS id;"
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET track_counts = off', current_database()); END $$"
    )
    folder.add(1, "a", script + ";")

    with pytest.raises(kimbledb.DataLossError) as caught:
        await kimbledb.migrate(database, catalog=folder.catalog)

    assert [str(loss) for loss in caught.value.losses] == losses


async def test_nobody_counts_foreign_rows(database: str, folder: Folder, connection: asyncpg.Connection) -> None:
    """Rows that a script writes to a foreign table cannot be measured, and count as lost."""
    if not await connection.fetchval("SELECT count(*) FROM pg_available_extensions WHERE name = 'postgres_fdw'"):
        pytest.skip("the server has no extension postgres_fdw")
    at = urlsplit(database)
    await connection.execute(
        f"""
        CREATE EXTENSION postgres_fdw;
        CREATE SERVER itself FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '{at.hostname}', port '{at.port}', dbname '{at.path[1:]}');
        CREATE USER MAPPING FOR CURRENT_USER SERVER itself OPTIONS (user '{at.username}', password '{at.password or ""}');
        CREATE TABLE t AS SELECT 1 AS id;
        CREATE FOREIGN TABLE far (id integer) SERVER itself OPTIONS (table_name 't');
        """
    )
    folder.add(1, "a", "DELETE FROM far;")

    with pytest.raises(kimbledb.DataLossError, match="could lose data") as caught:
        await kimbledb.migrate(database, catalog=folder.catalog)

    assert [str(loss) for loss in caught.value.losses] == ["deleted rows of far: cannot be counted"]
    assert await connection.fetchval("SELECT count(*) FROM t") == 1


async def test_sequences_are_not_locked(database: str, folder: Folder, connection: asyncpg.Connection) -> None:
    """Reading where sequences are leaves no lock on them, and waits for nobody who has one."""
    await connection.execute("CREATE SEQUENCE s; SELECT nextval('s'); CREATE SEQUENCE held; SELECT nextval('held')")
    locks = "SELECT count(*) FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation WHERE l.pid = pg_backend_pid() AND c.relname = 's'"
    folder.add(1, "a", f"CREATE TABLE seen AS {locks};")
    other = await asyncpg.connect(database)
    await other.execute("BEGIN; ALTER SEQUENCE held RESTART")

    await kimbledb.migrate(database, catalog=folder.catalog)

    await other.close()
    assert await connection.fetchval("SELECT count FROM seen") == 0


@pytest.mark.parametrize(
    "script",
    ["SELECT anew();", "CREATE TABLE t (id integer REFERENCES other.t); UPDATE t SET id = 1; SELECT anew();"],
    ids=["alone", "beside what takes a closer look"],
)
@pytest.mark.parametrize(
    "body",
    ["AS $$ SELECT setval('public.s', 1) $$", "RETURN setval('public.s', 1)", "RETURN setval('public.s', 1, true)"],
    ids=["text", "parsed", "parsed, three arguments"],
)
async def test_a_function_sets_a_sequence_back(
    database: str, folder: Folder, connection: asyncpg.Connection, script: str, body: str
) -> None:
    """A sequence that a function of the database sets back is seen, and given back, though the script does not name setval()."""
    await connection.execute(
        "CREATE SCHEMA other; CREATE TABLE other.t (id integer PRIMARY KEY); CREATE SEQUENCE s; SELECT setval('s', 9);"
        f"CREATE FUNCTION anew() RETURNS bigint LANGUAGE sql {body}"
    )
    folder.add(1, "a", script)

    with pytest.raises(kimbledb.DataLossError) as caught:
        await kimbledb.migrate(database, catalog=folder.catalog)

    assert [str(loss) for loss in caught.value.losses] == ["sequence s: 8 positions"]
    assert await connection.fetchval("SELECT nextval('s')") == 10


@pytest.mark.parametrize(
    "expression",
    [
        "ALTER TABLE calls ALTER id SET DEFAULT setval('s', 1)",
        "ALTER TABLE calls ADD CHECK (setval('s', 1) > 0)",
        "CREATE RULE calling AS ON INSERT TO calls DO ALSO SELECT setval('s', 1)",
        "CREATE RULE calling AS ON INSERT TO calls WHERE setval('s', 1) > 0 DO ALSO SELECT 1",
        "CREATE TRIGGER calling BEFORE INSERT ON calls FOR EACH ROW WHEN (setval('s', 1) > 0) EXECUTE FUNCTION passing()",
    ],
    ids=["default", "check", "rule", "a rule's condition", "a trigger's condition"],
)
async def test_an_expression_sets_a_sequence_back(
    database: str, folder: Folder, connection: asyncpg.Connection, expression: str
) -> None:
    """A sequence that a default, a check, a rule or a trigger's condition sets back is seen, as one of a function."""
    await connection.execute(
        "CREATE FUNCTION passing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        f"CREATE SEQUENCE s; SELECT setval('s', 9); CREATE TABLE calls (id bigint, v integer); {expression}"
    )
    folder.add(1, "a", "INSERT INTO calls (v) VALUES (1);")

    with pytest.raises(kimbledb.DataLossError) as caught:
        await kimbledb.migrate(database, catalog=folder.catalog)

    assert [str(loss) for loss in caught.value.losses] == ["sequence s: 8 positions"]


async def test_a_function_that_a_migration_made_sets_a_sequence_back(
    database: str, folder: Folder, connection: asyncpg.Connection
) -> None:
    """A run searches the functions of a database once, and then those that are newer: one of its own is found."""
    await connection.execute("CREATE SEQUENCE s; SELECT setval('s', 9);")
    folder.table(1, "before")
    folder.add(2, "making", "CREATE FUNCTION anew() RETURNS bigint LANGUAGE sql AS $$ SELECT setval('s', 1) $$;")
    folder.add(3, "calling", "SELECT anew();")

    with pytest.raises(kimbledb.DataLossError) as caught:
        await kimbledb.migrate(database, catalog=folder.catalog)

    assert [step.migration.name for step in caught.value.applied] == ["before.sql", "making.sql"]
    assert [str(loss) for loss in caught.value.losses] == ["sequence s: 8 positions"]


async def test_a_function_drops_a_table_where_nothing_was_read(
    database: str, folder: Folder, connection: asyncpg.Connection
) -> None:
    """A table that a function drops is missed, though nothing of it was noted before a script that seems to lose nothing."""
    await connection.execute(
        "CREATE TABLE t AS SELECT 1 AS id; CREATE FUNCTION gone() RETURNS void LANGUAGE sql AS 'DROP TABLE public.t'"
    )
    folder.add(1, "a", "SELECT gone();")

    with pytest.raises(kimbledb.DataLossError) as caught:
        await kimbledb.migrate(database, catalog=folder.catalog)

    assert [str(loss) for loss in caught.value.losses] == ["table t: 1 row"]


async def test_a_text_that_is_executed_sets_a_sequence_back(
    database: str, folder: Folder, connection: asyncpg.Connection
) -> None:
    """A call of setval() that a script puts together when it runs is seen, and the sequence is given back."""
    await connection.execute("CREATE SEQUENCE s; SELECT setval('s', 9);")
    folder.add(1, "a", "DO $$ BEGIN EXECUTE 'SELECT set' || 'val(''s'', 1)'; END $$;")

    with pytest.raises(kimbledb.DataLossError) as caught:
        await kimbledb.migrate(database, catalog=folder.catalog)

    assert [str(loss) for loss in caught.value.losses] == ["sequence s: 8 positions"]
    assert await connection.fetchval("SELECT nextval('s')") == 10
