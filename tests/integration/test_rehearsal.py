"""rehearse(): a plan runs on a clone of the schema, and the report says what each statement does to what is there."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import asyncpg
import pytest

import kimbledb
from kimbledb.cli.main import main
from kimbledb.execution.rehearsing import dump, pace
from kimbledb.server.driver import ServerError
from kimbledb.server.targets import target_of
from tests.support.databases import as_role, fresh_database, sql, take_snapshot
from tests.support.folders import Folder

BASE = """
CREATE TABLE people@ (id integer PRIMARY KEY, name text, short varchar(10), amount numeric(10, 2), code text);
CREATE TABLE orders@ (id integer PRIMARY KEY, person integer, state text, note text);
CREATE TABLE counters@ (id integer PRIMARY KEY, number integer);
CREATE INDEX orders_state@ ON orders@ (state);
CREATE VIEW notes@ AS SELECT note FROM orders@;
CREATE DOMAIN positive@ AS integer;
CREATE TABLE stock@ (id integer PRIMARY KEY, number positive@);
CREATE FUNCTION count_up@() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE counters@ SET number = number + 1; RETURN NULL; END $$;
CREATE TRIGGER counted AFTER UPDATE ON stock@ EXECUTE FUNCTION count_up@();
"""
ROWS = """
INSERT INTO people@ SELECT i, CASE WHEN i > 3 THEN 'x' || i % 90 END, 'short', 1, i::text FROM generate_series(1, 100) AS i;
INSERT INTO orders@ SELECT i, i, 'open', 'a note' FROM generate_series(1, 200) AS i;
INSERT INTO counters@ VALUES (1, 0);
INSERT INTO stock@ SELECT i, i - 5 FROM generate_series(1, 10) AS i;
ANALYZE people@, orders@, counters@, stock@;
"""
READERS = "ACCESS EXCLUSIVE"
KEYS = "SHARE ROW EXCLUSIVE"
#: Statements, each with its locks, the tables that it writes anew, and those that it reads from end to end.
SEEN: list[tuple[str, Mapping[str, str], list[str], list[str]]] = [
    ("ALTER TABLE people@ ADD COLUMN added integer", {"people": READERS}, [], []),
    (
        "ALTER TABLE people@ ADD COLUMN random double precision DEFAULT random()",
        {"people": READERS},
        ["people"],
        ["people"],
    ),
    ("ALTER TABLE people@ ALTER COLUMN short TYPE varchar(20)", {"people": READERS}, [], []),
    ("ALTER TABLE people@ ALTER COLUMN short TYPE text", {"people": READERS}, [], []),
    ("ALTER TABLE people@ ALTER COLUMN amount TYPE numeric(12, 2)", {"people": READERS}, [], []),
    ("ALTER TABLE people@ ALTER COLUMN id TYPE bigint", {"people": READERS}, ["people"], ["people"]),
    ("ALTER TABLE orders@ RENAME COLUMN state TO status", {"orders": READERS}, [], []),
    ("DROP VIEW notes@", {"notes": READERS}, [], []),
    ("UPDATE orders@ SET note = 'another'", {"orders": "ROW EXCLUSIVE"}, [], ["orders"]),
    ("UPDATE orders@ SET note = 'another' WHERE id = 1", {"orders": "ROW EXCLUSIVE"}, [], []),
    ("REINDEX TABLE orders@", {"orders": READERS}, [], ["orders"]),
    ("REINDEX INDEX orders_state@", {"orders": READERS}, [], ["orders"]),
    ("CREATE INDEX ON orders@ (person)", {"orders": "SHARE"}, [], ["orders"]),
    ("DROP INDEX orders_state@", {"orders": READERS}, [], []),
    ("CREATE TRIGGER t AFTER INSERT ON orders@ EXECUTE FUNCTION count_up@()", {"orders": KEYS}, [], []),
    ("ALTER TABLE orders@ SET UNLOGGED", {"orders": READERS}, ["orders"], ["orders"]),
    ("CLUSTER people@ USING people@_pkey", {"people": READERS}, ["people"], ["people"]),
    (
        "ALTER TABLE orders@ ADD FOREIGN KEY (person) REFERENCES people@ (id)",
        {"orders": KEYS, "people": KEYS},
        [],
        ["orders"],
    ),
    (
        "ALTER TABLE orders@ ADD FOREIGN KEY (person) REFERENCES people@ NOT VALID",
        {"orders": KEYS, "people": KEYS},
        [],
        [],
    ),
    ("ALTER TABLE stock@ ADD COLUMN person integer REFERENCES people@", {"people": KEYS, "stock": READERS}, [], []),
    ("CREATE TABLE new@ (person integer REFERENCES people@)", {"people": KEYS}, [], []),
    ("LOCK TABLE counters@ IN SHARE MODE", {"counters": "SHARE"}, [], []),
    ("ALTER DOMAIN positive@ ADD CHECK (VALUE > -100)", {"stock": "SHARE"}, [], ["stock"]),
    ("ALTER TABLE orders@ ADD CHECK (id > 0)", {"orders": READERS}, [], ["orders"]),
    ("ALTER TABLE orders@ ADD CHECK (id > 0) NOT VALID", {"orders": READERS}, [], []),
    ("ALTER TABLE orders@ ALTER COLUMN note SET NOT NULL", {"orders": READERS}, [], ["orders"]),
    ("TRUNCATE orders@", {"orders": READERS}, [], []),
    ("DROP TABLE counters@", {"counters": READERS}, [], []),
    (
        "DO $$ BEGIN EXECUTE 'ALTER TABLE orders@ ALTER COLUMN id TYPE bigint'; TRUNCATE people@; END $$",
        {"orders": READERS, "people": READERS},
        ["orders"],
        ["orders"],
    ),
    # What a trigger of the statement does counts, too.
    (
        "UPDATE stock@ SET number = 1",
        {"counters": "ROW EXCLUSIVE", "stock": "ROW EXCLUSIVE"},
        [],
        ["counters", "stock"],
    ),
]
#: Statements that rows break, each with a part of the reason.
BROKEN = [
    ("ALTER TABLE people@ ADD COLUMN must integer NOT NULL", "100 rows of people@ "),
    ("ALTER TABLE people@ ALTER COLUMN name SET NOT NULL", "3 rows of people@ (name) with NULL"),
    ("ALTER TABLE people@ ADD CHECK (id > 10)", "10 rows of people@ (id) with values that it refuses"),
    ("CREATE UNIQUE INDEX ON people@ (name)", "rows of people@ (name) with the values of another row"),
    (
        "ALTER TABLE orders@ ADD FOREIGN KEY (person) REFERENCES people@ (id)",
        "100 rows of orders@ (person) without a row of people@ (id)",
    ),
    (
        "ALTER TABLE people@ ALTER COLUMN short TYPE varchar(3)",
        "100 rows of people@ (short) with a value that is too long",
    ),
    (
        "ALTER TABLE people@ ALTER COLUMN name TYPE integer USING name::integer",
        "people@.name from text to integer does not convert (SQLSTATE 22P02)",
    ),
    ("ALTER DOMAIN positive@ ADD CHECK (VALUE > 0)", "5 rows of stock@ (number) with values that it refuses"),
    (
        "ALTER TABLE people@ RENAME TO persons@; ALTER TABLE persons@ RENAME COLUMN id TO number; ALTER TABLE persons@ ADD CHECK (number > 10)",
        "10 rows of persons@ (number)",
    ),
]
#: Statements that rows do not break, as far as can be known.
KEPT = [
    "ALTER TABLE people@ ADD COLUMN may integer NOT NULL DEFAULT 1",
    "ALTER TABLE people@ ADD CHECK (id > 10) NOT VALID",
    "ALTER TABLE people@ ALTER COLUMN code TYPE integer USING code::integer",
    "CREATE UNIQUE INDEX ON people@ (code)",
]


def of_case(text: str, number: int) -> str:
    """Return a text with the names of the objects of a case."""
    return text.replace("@", str(number))


class Cases:
    """Statements, each with objects of its own, in one plan."""

    def __init__(self, database: str, folder: Folder, texts: list[str]) -> None:
        self._database = database
        self._folder = folder
        self._texts = texts

    async def rehearsed(self, server: str) -> list[kimbledb.RehearsedStatement]:
        """Return the last statement of each, as it was rehearsed, with the names of its objects without the number."""
        numbers = range(10, 10 + len(self._texts))
        self._folder.add(1, "base", "".join(of_case(BASE, number) for number in numbers))
        await kimbledb.migrate(self._database, catalog=self._folder.catalog, verify=False)
        await sql(self._database, "".join(of_case(ROWS, number) for number in numbers))
        for number, text in zip(numbers, self._texts, strict=True):
            self._folder.add(number, f"case{number}", f"{of_case(text, number)};")
        report = await kimbledb.rehearse(self._database, catalog=self._folder.catalog, server=server)
        last = {each.migration: each for each in report.statements}
        return [last[f"case{number}.sql"] for number in numbers]


def named(number: int, names: Any) -> list[str]:
    """Return names of a case without its number."""
    return [each.removesuffix(str(number)) for each in names]


async def test_what_each_statement_does_is_seen(database: str, server: str, folder: Folder) -> None:
    """Locks, rewrites and full scans of the statements that a parser gets wrong are those that the server makes."""
    found = await Cases(database, folder, [text for text, *_ in SEEN]).rehearsed(server)

    shown = [
        (
            text,
            dict(zip(named(number, each.locks), each.locks.values(), strict=True)),
            named(number, each.rewrites),
            named(number, each.scans),
        )
        for number, (text, *_), each in zip(range(10, 99), SEEN, found, strict=False)
    ]
    assert shown == SEEN
    assert {each.line for each in found} == {1}


async def test_what_rows_break_is_asked_of_the_target(database: str, server: str, folder: Folder) -> None:
    """A statement that rows of the target would stop says so with the count, under the names of that time; others do not."""
    found = await Cases(database, folder, [*(text for text, _ in BROKEN), *KEPT]).rehearsed(server)

    for number, (text, reason), each in zip(range(10, 99), BROKEN, found, strict=False):
        assert of_case(reason, number) in (each.will_fail or ""), text
    assert [each.will_fail for each in found[len(BROKEN) :]] == [None] * len(KEPT)
    assert [each.unknown for each in found] == [None] * len(found)


async def test_forecasts_of_seconds(database: str, server: str, folder: Folder) -> None:
    """Each statement that the clone knows has a range, by the pages of the target; that of a block which changes rows is open."""
    folder.add(1, "a", "CREATE TABLE a (id integer PRIMARY KEY, t text); CREATE TABLE b (id integer);")
    await kimbledb.migrate(database, catalog=folder.catalog, verify=False)
    await sql(
        database,
        "INSERT INTO a SELECT i, repeat('x', 1900) FROM generate_series(1, 4000) AS i; INSERT INTO b VALUES (1)",
    )
    statements = (
        "ALTER TABLE a ALTER COLUMN id TYPE bigint",
        "CREATE INDEX ON a (t)",
        "UPDATE a SET t = 'y' WHERE id = 7",
        "DO $$ BEGIN UPDATE a SET t = 'y'; END $$",
        "ALTER TABLE a ADD COLUMN n integer",
        "ALTER TABLE b ALTER COLUMN id TYPE bigint",
    )
    folder.add(2, "b", ";\n".join(statements) + ";")

    report = await kimbledb.rehearse(database, catalog=folder.catalog, server=server)

    found = [each.forecast for each in report.statements if each.forecast is not None]
    assert [each.high is None for each in found] == [False, False, False, True, False, False]
    # About 1,000 pages are written, whatever else.
    assert [each.is_moment for each in found[:3]] == [False] * 3
    assert report.forecast.high is None
    assert report.locked[0].forecast.low >= found[0].low
    async with target_of(database, "the database").session(kimbledb.Options()) as session:
        sizes = (await pace.measure(session, [("public", "a"), ("public", "b"), ("public", "gone")])).sizes
    assert {name for _, name in sizes} == {"a", "b"}
    assert sizes["public", "a"].rows == pytest.approx(4000, rel=0.02)
    assert sizes["public", "a"].page is not None
    assert (sizes["public", "b"].page, sizes["public", "b"].pages) == (None, 1)


async def test_a_measurement_has_bounds(database: str, connection: asyncpg.Connection) -> None:
    """Without time left a table is read for one chunk; a locked one is not waited for; the timeout holds."""
    await connection.execute(
        "CREATE TABLE a (t text); INSERT INTO a SELECT repeat('x', 1900) FROM generate_series(1, 4000);"
        "CREATE TABLE locked AS TABLE a; CREATE TABLE small (id integer)"
    )
    tables = [("public", name) for name in ("a", "locked", "small")]
    target = target_of(database, "the database")
    async with connection.transaction(), target.session(kimbledb.Options(statement_timeout=1e9)) as session:
        await connection.execute("LOCK TABLE locked")
        block = pace.question(tables, budget=0.0)
        rows = {row[1]: row[5:] for row in (await session.ask(block))["tables"]}
        assert rows["a"][:2] == [16, 64]
        assert rows["locked"][-1] == "it is locked"
        assert rows["small"] == [0, 0, 0, None]
    async with target.session(kimbledb.Options(statement_timeout=0.001)) as session:
        with pytest.raises(ServerError, match="statement timeout"):
            await pace.measure(session, tables)


async def test_the_log_holds_forecasts_beside_facts(
    database: str, server: str, folder: Folder, connection: asyncpg.Connection, tmp_path: Path
) -> None:
    """A run of the plan that was rehearsed, or of its JSON, notes each forecast in the log; status() counts those that held."""
    folder.table(1, "a")
    await kimbledb.migrate(database, catalog=folder.catalog, verify=False)
    await sql(database, "INSERT INTO a VALUES (1)")
    folder.add(2, "b", "ALTER TABLE a ADD COLUMN b integer;")
    folder.add(3, "c", "DO $$ BEGIN PERFORM 1; END $$;")
    report = await kimbledb.rehearse(database, catalog=folder.catalog, server=server)
    forecast = report.plan.step("b.sql").forecast
    assert forecast == report.statements[0].forecast
    assert forecast is not None
    assert report.plan.step("c.sql").forecast is None  # nothing is known of it
    assert report.plan.fingerprint == (await kimbledb.plan(database, catalog=folder.catalog)).fingerprint

    await kimbledb.migrate(database, plan=report.plan, verify=False)

    noted = "SELECT detail->>'forecast' FROM migration_log WHERE migration_name = $1 AND event = 'apply'"
    assert json.loads(await connection.fetchval(noted, "b.sql")) == [forecast.low, forecast.high]
    assert await connection.fetchval(noted, "c.sql") is None
    status = await kimbledb.status(database, catalog=folder.catalog)
    assert status.forecasts.count == 1
    assert "forecasts" in str(status)

    folder.add(4, "d", "ALTER TABLE a ADD COLUMN d integer;")
    report = await kimbledb.rehearse(database, catalog=folder.catalog, server=server)
    written = tmp_path / "rehearsal.json"
    written.write_text(json.dumps(report.as_dict()))
    call = ["migrate", "--dsn", database, "--catalog", str(folder.path), "--no-verify", "--plan", str(written)]
    assert await asyncio.to_thread(main, call) == 0
    assert await connection.fetchval(noted, "d.sql") is not None
    assert (await kimbledb.status(database, catalog=folder.catalog)).forecasts.count == 2


async def test_the_target_is_only_read_and_the_clone_is_gone(database: str, folder: Folder) -> None:
    """A read-only database is rehearsed on a server of its own; nothing of the target changes, and no folder is left."""
    folder.table(1, "a")
    await kimbledb.migrate(database, catalog=folder.catalog)
    await sql(database, "INSERT INTO a VALUES (1), (2)")
    folder.add(2, "b", "ALTER TABLE a ADD COLUMN b text;\nALTER TABLE a ALTER COLUMN id TYPE bigint;")
    await sql(database, f"ALTER DATABASE {database.rpartition('/')[2]} SET default_transaction_read_only = on")
    before = await take_snapshot(database)

    report = await kimbledb.rehearse(database, catalog=folder.catalog)

    assert report.ok
    assert report.tables["a"].rows is None
    [table] = report.locked
    assert (table.mode, table.is_rewritten, table.migrations) == (READERS, True, ("b.sql",))
    assert await take_snapshot(database) == before
    assert not (await kimbledb.plan(database, catalog=folder.catalog)).step("b.sql").is_applied
    assert (await kimbledb.rehearse(database, catalog=folder.catalog, to="a.sql")).statements == ()


async def test_nothing_is_left_on_a_given_server(
    database: str, server: str, folder: Folder, connection: asyncpg.Connection
) -> None:
    """The database of a clone is dropped from a server that goes on, also after a cancellation."""
    # The workers of a run share the server.
    options = kimbledb.Options(application_name=f"rehearsal of {database.rpartition('/')[2]}")
    clones = (
        "SELECT min(datname) FROM pg_stat_activity WHERE application_name = $1 AND datname LIKE 'kimbledb\\_rehearsal%'"
    )
    left = "SELECT count(*) FROM pg_database WHERE datname = $1"
    folder.table(1, "a")

    async def clone_of(rehearsal: asyncio.Task[kimbledb.Rehearsal]) -> str:
        while (name := await connection.fetchval(clones, options.application_name)) is None:
            assert not rehearsal.done()
            await asyncio.sleep(0)
        return str(name)

    def begin() -> asyncio.Task[kimbledb.Rehearsal]:
        call = kimbledb.rehearse(database, catalog=folder.catalog, server=server, options=options)
        return asyncio.create_task(call)

    rehearsal = begin()
    name = await clone_of(rehearsal)
    rehearsal.cancel()
    with pytest.raises(asyncio.CancelledError):
        await rehearsal
    assert await connection.fetchval(left, name) == 0

    rehearsal = begin()
    name = await clone_of(rehearsal)
    assert (await rehearsal).ok
    assert await connection.fetchval(left, name) == 0


async def test_what_a_clone_holds(database: str, server: str, folder: Folder, connection: asyncpg.Connection) -> None:
    """A clone has the schemas that the target schema uses and that use it, history, settings and statistics without values."""
    folder.add(1, "a", "CREATE TABLE a (id integer PRIMARY KEY, kind text, other integer);")
    await kimbledb.migrate(database, catalog=folder.catalog)
    await connection.execute(
        """
        INSERT INTO a SELECT i, CASE WHEN i > 50 THEN 'secret' END FROM generate_series(1, 100) AS i; ANALYZE a;
        CREATE SCHEMA used; CREATE TABLE used.u (id integer PRIMARY KEY);
        ALTER TABLE a ADD FOREIGN KEY (other) REFERENCES used.u (id);
        CREATE SCHEMA uses; CREATE VIEW uses.v AS SELECT id FROM a;
        CREATE SCHEMA mentioned; CREATE SCHEMA apart; CREATE TABLE apart.t (id integer);
        """
    )
    name = await connection.fetchval("SELECT current_database()")
    await connection.execute(f'ALTER DATABASE "{name}" SET DateStyle = "SQL, DMY"')
    await connection.execute(f"ALTER DATABASE \"{name}\" SET app.secret = 'hunter2'")
    schemas = "(SELECT string_agg(nspname, ' ' ORDER BY nspname) FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema')"
    statistics = "(SELECT jsonb_build_array(null_frac, n_distinct, most_common_vals, histogram_bounds) FROM pg_stats WHERE attname = 'kind' AND tablename = 'a')"
    facts = [
        f"{schemas} = 'mentioned public used uses'",
        "(SELECT string_agg(migration_name, ' ') FROM migration_history) = 'a.sql'",
        "(SELECT reltuples FROM pg_class WHERE relname = 'a') = 100",
        f"{statistics} = '[0.5, 1, null, null]'",
        "NOT EXISTS (SELECT FROM a)",
        "current_setting('app.secret') = '' AND current_setting('DateStyle') = 'ISO, MDY'",
        "(SELECT 'DateStyle=SQL, DMY' = ANY (setconfig) FROM pg_db_role_setting JOIN pg_database AS d ON d.oid = setdatabase WHERE datname = current_database())",
    ]
    folder.add(2, "b", "\n".join(f"DO $$ BEGIN ASSERT {each}; END $$; -- mentioned" for each in facts))

    report = await kimbledb.rehearse(database, catalog=folder.catalog, server=server)

    assert [(each.unknown, each.will_fail) for each in report.statements] == [(None, None)] * len(facts)


async def test_a_statement_that_fails_for_certain_ends_it(database: str, server: str, folder: Folder) -> None:
    """What fails whatever the rows are ends the rehearsal, as it would end the run; what wants rows is left out and told."""
    folder.add(
        1,
        "a",
        "CREATE TABLE a (id integer PRIMARY KEY);\nCREATE TABLE b (a integer REFERENCES a DEFERRABLE INITIALLY DEFERRED);",
    )
    await kimbledb.migrate(database, catalog=folder.catalog)
    folder.add(
        2, "rows", "INSERT INTO b VALUES (1);\nCREATE TABLE c (id integer);\nINSERT INTO c SELECT 1 / count(*) FROM a;"
    )
    folder.add(
        3, "certain", "CREATE VIEW v AS SELECT id FROM a;\nALTER TABLE a ALTER COLUMN id TYPE text;\nDROP VIEW v;"
    )
    folder.add(4, "never", "CREATE TABLE d (id integer);")

    report = await kimbledb.rehearse(database, catalog=folder.catalog, server=server)

    assert [(each.place, each.unknown is None) for each in report.statements] == [
        ("rows.sql, line 1", False),
        ("rows.sql, line 2", True),
        ("rows.sql, line 3", False),
        ("certain.sql, line 1", True),
        ("certain.sql, line 2", True),
    ]
    assert "23503" in str(report.statements[0].unknown)
    assert "22012" in str(report.statements[2].unknown)
    assert [each.place for each in report.failing] == ["certain.sql, line 2"]
    assert "not rehearsed, since a run stops before: never.sql" in report.notes
    assert "cannot alter type of a column used by a view" in str(report)


async def test_each_kind_of_step(database: str, server: str, folder: Folder) -> None:
    """Steps outside of transactions, online strategies and completions are rehearsed as they would run."""
    folder.add(1, "a", "CREATE TABLE a (id integer PRIMARY KEY, n integer, m integer);\nCREATE INDEX a_m ON a (m);")
    await kimbledb.migrate(database, catalog=folder.catalog)
    await sql(database, "INSERT INTO a SELECT i, i FROM generate_series(1, 10) AS i")
    folder.add(
        2,
        "outside",
        "CREATE INDEX CONCURRENTLY a_n ON a (n);\nVACUUM FULL a;\nDROP INDEX CONCURRENTLY a_m;\nLOCK TABLE a IN SHARE MODE;",
        facts="transactional = false",
    )
    online = folder.add(3, "online", "CREATE INDEX IF NOT EXISTS a_online ON a (m);")
    (online / "online.sql").write_text("CREATE INDEX CONCURRENTLY IF NOT EXISTS a_online ON a (m);\n")
    folder.add(
        4,
        "part",
        "CREATE TABLE p (id integer PRIMARY KEY);\nCREATE TABLE q (id integer);\nALTER TABLE a ADD COLUMN p integer REFERENCES p;",
    )
    await kimbledb.declare(folder.path)
    await sql(database, "CREATE TABLE p (id integer PRIMARY KEY)")

    report = await kimbledb.rehearse(database, catalog=folder.catalog, server=server)

    shown = [
        (each.migration, each.line, dict(each.locks), each.rewrites, each.transaction) for each in report.statements
    ]
    assert shown[:4] == [
        ("outside.sql", 1, {"a": "SHARE UPDATE EXCLUSIVE"}, (), None),
        ("outside.sql", 2, {"a": READERS}, ("a",), None),
        ("outside.sql", 3, {"a": "SHARE UPDATE EXCLUSIVE"}, (), None),
        ("outside.sql", 4, {"a": "SHARE"}, (), 1),
    ]
    assert [
        (each.file.rpartition("/")[2], each.transaction) for each in report.statements if each.migration == "online.sql"
    ] == [
        ("online.sql", None),
        ("apply.sql", 2),
    ]
    completing = [each for each in report.statements if each.migration == "part.sql"]
    assert {each.file.rpartition("/")[2] for each in completing} == {"apply.sql (completion)"}
    assert not any("CREATE TABLE p" in each.sql for each in completing)
    assert any("CREATE TABLE q" in each.sql for each in completing)
    assert report.ok


async def test_what_cannot_be_foreseen_is_told(database: str, server: str, folder: Folder) -> None:
    """Rows that a statement before changes, and values that a block converts, are said to be unknown, and nothing is guessed."""
    folder.add(1, "a", "CREATE TABLE a (id integer PRIMARY KEY, n integer, t text);")
    await kimbledb.migrate(database, catalog=folder.catalog)
    await sql(database, "INSERT INTO a VALUES (1, NULL, 'x')")
    folder.add(
        2,
        "b",
        "DO $$ BEGIN ALTER TABLE a ALTER COLUMN t TYPE date USING t::date; END $$;\nCREATE UNIQUE INDEX ON a (t);\n"
        "UPDATE a SET n = 0;\nALTER TABLE a ALTER COLUMN n SET NOT NULL;",
    )

    report = await kimbledb.rehearse(database, catalog=folder.catalog, server=server)

    assert [each.will_fail for each in report.statements] == [None] * 4
    assert [each.unknown is not None for each in report.statements] == [True, True, False, True]
    assert "whether each value of a.t becomes date" in str(report)


async def test_a_sample_of_rows(database: str, server: str, folder: Folder, connection: asyncpg.Connection) -> None:
    """A sample brings rows with all that they refer to, sequences behind them, and triggers of rows; none of it is shown."""
    folder.add(
        1,
        "a",
        "CREATE TABLE parts (a integer, b text, PRIMARY KEY (a, b), up_a integer, up_b text, FOREIGN KEY (up_a, up_b) REFERENCES parts);\n"
        "CREATE TABLE things (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a integer, b text, double integer GENERATED ALWAYS AS (a * 2) STORED,"
        " word text, FOREIGN KEY (a, b) REFERENCES parts);\n"
        "CREATE TABLE seen (n integer);\n"
        "CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE seen SET n = 1; RETURN NEW; END $$;\n"
        "CREATE TRIGGER t BEFORE UPDATE ON things FOR EACH ROW EXECUTE FUNCTION see();\n"
        "CREATE TABLE tree (id integer NOT NULL) PARTITION BY RANGE (id);\n"
        "CREATE TABLE tree_1 PARTITION OF tree DEFAULT;",
    )
    await kimbledb.migrate(database, catalog=folder.catalog)
    await connection.execute(
        """
        INSERT INTO parts SELECT i, 'b', nullif(i, 1) - 1, CASE WHEN i > 1 THEN 'b' END FROM generate_series(1, 50) AS i;
        INSERT INTO things (a, b, word) SELECT 51 - i, 'b', 'secret' || i FROM generate_series(1, 20) AS i;
        INSERT INTO tree SELECT generate_series(1, 9);
        """
    )
    folder.add(
        2,
        "b",
        "DO $$ BEGIN ASSERT (SELECT count(*) FROM things) = 3; END $$;\n"
        # 51 - 3, and all that these refer to, one by one.
        "DO $$ BEGIN ASSERT (SELECT count(*) FROM parts) = 50; END $$;\n"
        "DO $$ BEGIN ASSERT (SELECT count(*) FROM tree) = 3 AND (SELECT max(double) FROM things) = 100; END $$;\n"
        "INSERT INTO things (a, b) VALUES (1, 'b');\n"
        "UPDATE things SET a = a;\n"
        "INSERT INTO things (a, b) VALUES (99, 'no');\n"
        "UPDATE things SET a = word::integer;\n"
        "INSERT INTO parts VALUES (1, 'b');\n"
        # What changes tables is run without the rows that stop it.
        "ALTER TABLE things ALTER COLUMN word TYPE integer USING word::integer;\n"
        "ALTER TABLE parts ALTER COLUMN up_a SET NOT NULL;",
    )

    report = await kimbledb.rehearse(database, catalog=folder.catalog, server=server, sample=3)

    assert [each.unknown is None for each in report.statements] == [True] * 5 + [False, True, True, False, False]
    assert [each.will_fail is None for each in report.statements] == [True] * 6 + [False] * 4
    assert report.statements[4].locks == {"seen": "ROW EXCLUSIVE"}
    assert "22P02" in str(report.statements[6].will_fail)
    assert "23505" in str(report.statements[7].will_fail)
    assert report.statements[8].rewrites == ("things",)
    assert report.sampled == 56
    assert "secret" not in f"{report}{report.as_dict()}{report._repr_html_()}"
    with pytest.raises(kimbledb.ConfigurationError, match="sample is 0"):
        await kimbledb.rehearse(database, catalog=folder.catalog, sample=0)


async def test_queries_that_break(database: str, server: str, folder: Folder, tmp_path: Path) -> None:
    """The queries of the running application that a migration breaks are named with it: by name, by type, and by execution."""
    folder.add(
        1,
        "a",
        "CREATE TABLE a (id integer PRIMARY KEY, name text, n integer, kind text);\nCREATE VIEW v AS SELECT n FROM a;",
    )
    await kimbledb.migrate(database, catalog=folder.catalog)
    await sql(database, "INSERT INTO a VALUES (1, 'x', 1)")
    folder.add(2, "rename", "ALTER TABLE a RENAME COLUMN name TO title;")
    folder.add(3, "same", "CREATE TABLE b (id integer);")
    folder.add(4, "type", "DROP VIEW v;\nALTER TABLE a ALTER COLUMN n TYPE bigint;\nCREATE VIEW v AS SELECT n FROM a;")
    folder.add(
        5,
        "must",
        "ALTER TABLE a ADD COLUMN must integer NOT NULL DEFAULT 1;\nALTER TABLE a ALTER COLUMN must DROP DEFAULT;",
    )
    queries = {
        "SELECT name FROM a WHERE id = $1": ("rename.sql", 'column "name" does not exist'),
        "SELECT n FROM v WHERE n = :n::integer": ("type.sql", "column n changes from int4 to int8"),
        "INSERT INTO a (id, n) VALUES (%(id)s, %(n)s)": ("must.sql", 'null value in column "must"'),
        "SELECT * FROM a": ("rename.sql", "column name text is gone, column title text is new"),
        "UPDATE a SET kind = %s WHERE id = %s RETURNING id": None,
        "SELECT nothing FROM a": None,
        "SHOW search_path": None,
    }

    report = await kimbledb.rehearse(database, catalog=folder.catalog, server=server, queries=list(queries))

    assert not report.failing
    assert {each.query: each.migration for each in report.breaks} == {
        text: expected[0] for text, expected in queries.items() if expected is not None
    }
    for each in report.breaks:
        expected = queries[each.query]
        assert expected is not None
        assert expected[1] in each.reason
    assert not report.ok
    assert report.queries == len(queries)
    assert "1 of 7 queries do not work before the plan, such as SELECT nothing FROM a" in report.notes
    file = tmp_path / "queries.sql"
    file.write_text("SELECT name FROM a; SELECT title FROM a;")
    call = ["rehearse", "--dsn", database, "--catalog", str(folder.path), "--server", server]
    assert await asyncio.to_thread(main, [*call, "--to", "rename.sql", "--queries", str(file)]) == 1
    assert await asyncio.to_thread(main, [*call, "--queries", str(tmp_path / "none.sql")]) == 2


async def test_a_clone_that_cannot_be_made(database: str, server: str) -> None:
    """An extension that the clone's server lacks is named with the cure, where something needs it; event triggers are told."""
    async with fresh_database(server) as empty, target_of(empty).session(kimbledb.Options()) as session:
        text = 'CREATE EXTENSION IF NOT EXISTS "my-own" WITH SCHEMA public;\nCREATE EVENT TRIGGER e ON sql_drop EXECUTE FUNCTION nope();\n'
        told = await dump.restore(session, text, ["my-own"])
        assert [each.partition(" (")[0] for each in told] == [
            "CREATE EVENT TRIGGER e ON sql_drop EXECUTE FUNCTION nope()"
        ]
        with pytest.raises(
            kimbledb.RehearsalError, match=r"(?s)CREATE TABLE t .*server that has the extensions my-own"
        ):
            await dump.restore(session, f"{text}CREATE TABLE t (a own);", ["my-own"])
    pool = await asyncpg.create_pool(database, min_size=1, max_size=1)
    try:
        with pytest.raises(kimbledb.ConfigurationError, match="not named by a DSN"):
            await kimbledb.rehearse(database, server=pool)  # type: ignore[arg-type]
    finally:
        await pool.close()


async def test_the_command(
    database: str, server: str, folder: Folder, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """`kimbledb rehearse` exits with 1 where something will fail; --json and --markdown hold the same."""
    folder.add(1, "a", "CREATE TABLE a (id integer PRIMARY KEY, t text);")
    await kimbledb.migrate(database, catalog=folder.catalog)
    await sql(database, "INSERT INTO a VALUES (1)")
    folder.add(2, "b", "ALTER TABLE a ADD COLUMN n integer;")
    call = ["rehearse", "--dsn", database, "--catalog", str(folder.path), "--server", server]
    written = tmp_path / "rehearsal.md"

    assert await asyncio.to_thread(main, [*call, "--markdown", str(written)]) == 0
    assert "locks a against reads and writes (ACCESS EXCLUSIVE)" in capsys.readouterr().out
    assert "| a |" in written.read_text()
    folder.add(3, "c", "ALTER TABLE a ALTER COLUMN t SET NOT NULL;")
    assert await asyncio.to_thread(main, [*call, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert not found["ok"]
    assert [each["locks"] for each in found["statements"]] == [{"a": READERS}, {"a": READERS}]
    assert "1 row of a (t) with NULL" in found["statements"][1]["will_fail"]
    assert found["locked"][0]["table"]["name"] == "a"


async def test_it_runs_as_the_role_that_migrates(server: str, folder: Folder) -> None:
    """The owner of a schema, who is no superuser, rehearses on both kinds of server; what is made there is the owner's."""
    role = f"rehearsing_{secrets.token_hex(4)}"
    await sql(server, f"CREATE ROLE {role} LOGIN PASSWORD '{role}'; CREATE ROLE {role}_stranger")
    try:
        async with fresh_database(server, f"CREATE SCHEMA app AUTHORIZATION {role}") as dsn:
            target = as_role(dsn, role)
            folder.add(1, "a", "CREATE TABLE a (id integer PRIMARY KEY);\nALTER TABLE a ENABLE ROW LEVEL SECURITY;")
            await kimbledb.migrate(target, catalog=folder.catalog, schema="app")
            await sql(target, "INSERT INTO app.a VALUES (1)")
            # No row of a stranger's table is read, since that calls what hangs on it.
            await sql(dsn, f"CREATE SCHEMA strange AUTHORIZATION {role}_stranger")
            await sql(dsn, f"CREATE TABLE strange.s AS SELECT 1 AS id; ALTER TABLE strange.s OWNER TO {role}_stranger")
            await sql(dsn, "CREATE VIEW strange.v AS SELECT a.id FROM app.a")
            await sql(dsn, f"GRANT USAGE ON SCHEMA strange TO {role}; GRANT SELECT ON strange.s TO {role}")
            await sql(dsn, "CREATE SCHEMA hidden; CREATE VIEW hidden.v AS SELECT a.id FROM app.a")
            folder.add(
                2,
                "b",
                f"DO $$ BEGIN ASSERT current_user = '{role}' AND current_schema = 'app'; END $$;\n"
                "CREATE POLICY p ON a TO CURRENT_USER USING (true);\nALTER TABLE a ADD CHECK (id > 1);",
            )
            async with target_of(target, "the database").session(kimbledb.Options()) as session:
                sizes = (await pace.measure(session, [("app", "a"), ("strange", "s")])).sizes
            assert sizes["app", "a"].unread is None
            assert "a stranger owns it" in (sizes["strange", "s"].unread or "")
            for given in (server, None):
                report = await kimbledb.rehearse(target, catalog=folder.catalog, schema="app", server=given, sample=1)

                assert [each.unknown for each in report.statements] == [None] * 3
                assert [dict(each.locks) for each in report.statements] == [{}, {"a": READERS}, {}]
                assert [each.line for each in report.failing] == [3]
                assert report.sampled == 1
                assert "the clone lacks schemas that the role may not read: hidden" in report.notes
    finally:
        await sql(server, f"DROP ROLE {role}, {role}_stranger")


async def test_a_superuser_of_any_name_rehearses(server: str, folder: Folder) -> None:
    """A superuser who is not called postgres, such as that of a developer's own server, has a clone on a private server."""
    role = f"rehearsing_{secrets.token_hex(4)}"
    await sql(server, f"CREATE ROLE {role} LOGIN SUPERUSER PASSWORD '{role}'")
    try:
        async with fresh_database(server) as dsn:
            folder.table(1, "a")
            report = await kimbledb.rehearse(as_role(dsn, role), catalog=folder.catalog)

            assert report.ok, report
    finally:
        await sql(server, f"DROP ROLE {role}")
