"""Taking migrations back, on a catalog of one's own."""

from __future__ import annotations

import asyncio
import json

import asyncpg
import pytest

import kimbledb
from kimbledb.events import RolledBack, RollingBack
from tests.support.databases import Meanwhile, psql
from tests.support.folders import Folder


@pytest.fixture
async def chain(database: str, folder: Folder) -> kimbledb.Catalog:
    """Three migrations, of which the second needs the first and the third stands alone, applied."""
    folder.table(1, "a", facts="phase = 1")
    folder.table(2, "b", facts='phase = 2\nrequires = ["a.sql"]')
    folder.table(3, "c", facts="phase = 2")
    catalog: kimbledb.Catalog = folder.catalog
    await kimbledb.migrate(database, catalog=catalog)
    return catalog


def _names(report: kimbledb.RollbackReport) -> list[str]:
    return [step.migration.name for step in report.rolled_back]


async def test_one_migration_is_taken_back_by_its_name(
    database: str, chain: kimbledb.Catalog, connection: asyncpg.Connection
) -> None:
    """A migration that nobody needs is taken back by name: its objects and its row go, the log keeps both events."""
    report = await kimbledb.rollback(database, "b.sql", catalog=chain)

    assert _names(report) == ["b.sql"]
    assert await connection.fetchval("SELECT to_regclass('b')") is None
    assert [row[0] for row in await connection.fetch("SELECT migration_name FROM migration_history ORDER BY 1")] == [
        "a.sql",
        "c.sql",
    ]
    last = await connection.fetchrow("SELECT event, migration_name FROM migration_log ORDER BY id DESC LIMIT 1")
    assert last is not None
    assert tuple(last) == ("rollback", "b.sql")


async def test_dependents_refuse(database: str, chain: kimbledb.Catalog) -> None:
    """One that others need is refused with their names; with cascade they go too, newest first."""
    with pytest.raises(kimbledb.DependentsError) as caught:
        await kimbledb.rollback(database, 1, catalog=chain)
    assert caught.value.dependents == ("b.sql",)

    report = await kimbledb.rollback(database, 1, catalog=chain, cascade=True)

    assert _names(report) == ["b.sql", "a.sql"]


async def test_dependents_of_dependents_go_too(database: str, folder: Folder) -> None:
    """What needs the migration by way of another is named, and goes with it."""
    folder.table(1, "a")
    folder.table(2, "b", facts='requires = ["a.sql"]')
    folder.table(3, "c", facts='requires = ["b.sql"]')
    await kimbledb.migrate(database, catalog=folder.catalog)
    with pytest.raises(kimbledb.DependentsError) as caught:
        await kimbledb.rollback(database, 1, catalog=folder.catalog)
    assert caught.value.dependents == ("c.sql", "b.sql")

    report = await kimbledb.rollback(database, 1, catalog=folder.catalog, cascade=True)

    assert _names(report) == ["c.sql", "b.sql", "a.sql"]


async def test_a_deferred_constraint_stops_the_try_run(database: str, folder: Folder) -> None:
    """What only a COMMIT would refuse is found before anything is touched, in a dry run, too."""
    folder.add(
        1,
        "a",
        "CREATE TABLE IF NOT EXISTS a (id integer PRIMARY KEY, up integer REFERENCES a DEFERRABLE INITIALLY DEFERRED);",
        rollback="INSERT INTO a VALUES (1, 2);",
    )
    await kimbledb.migrate(database, catalog=folder.catalog)

    with pytest.raises(kimbledb.RollbackError) as caught:
        await kimbledb.rollback(database, 1, catalog=folder.catalog, dry_run=True)

    assert caught.value.sqlstate == "23503"


async def test_phase_and_point(database: str, chain: kimbledb.Catalog) -> None:
    """A phase goes as a whole; `to` names the last one that stays; 0 takes everything."""
    assert _names(await kimbledb.rollback(database, phase=2, catalog=chain)) == ["c.sql", "b.sql"]
    await kimbledb.migrate(database, catalog=chain)
    assert _names(await kimbledb.rollback(database, to="b.sql", catalog=chain)) == ["c.sql"]
    assert _names(await kimbledb.rollback(database, to=0, catalog=chain)) == ["b.sql", "a.sql"]
    assert _names(await kimbledb.rollback(database, to=0, catalog=chain)) == []


async def test_rows_refuse(database: str, chain: kimbledb.Catalog, connection: asyncpg.Connection) -> None:
    """Rows at stake are a refusal with exact counts; allowed, they go, and the report says so."""
    await connection.execute("INSERT INTO b SELECT generate_series(1, 7)")

    with pytest.raises(kimbledb.DataLossError) as caught:
        await kimbledb.rollback(database, "b.sql", catalog=chain)

    assert [str(loss) for loss in caught.value.losses] == ["table b: 7 rows"]
    assert await connection.fetchval("SELECT count(*) FROM b") == 7
    report = await kimbledb.rollback(database, "b.sql", catalog=chain, allow_data_loss=True)
    assert [loss.count for loss in report.losses] == [7]


async def test_values_of_a_column_refuse(database: str, folder: Folder, connection: asyncpg.Connection) -> None:
    """A column that goes from a table that stays is data, too: its values that are not null are counted."""
    folder.table(1, "a")
    folder.add(
        2,
        "b",
        "ALTER TABLE a ADD COLUMN IF NOT EXISTS note text;",
        rollback="ALTER TABLE a DROP COLUMN IF EXISTS note;",
    )
    await kimbledb.migrate(database, catalog=folder.catalog)
    await connection.execute("INSERT INTO a VALUES (1, 'kept'), (2, NULL)")

    with pytest.raises(kimbledb.DataLossError) as caught:
        await kimbledb.rollback(database, "b.sql", catalog=folder.catalog)

    assert [str(loss) for loss in caught.value.losses] == ["column a.note: 1 value"]
    await connection.execute("UPDATE a SET note = NULL")
    assert len((await kimbledb.rollback(database, "b.sql", catalog=folder.catalog)).rolled_back) == 1


async def test_rows_that_come_in_between_refuse(
    database: str, chain: kimbledb.Catalog, connection: asyncpg.Connection
) -> None:
    """Rows that arrive after the count and before the lock are seen under the lock, and stay."""
    arrived = False

    async def insert() -> None:
        await connection.execute("INSERT INTO c VALUES (1)")

    loop = asyncio.get_running_loop()
    tasks: list[asyncio.Task[None]] = []

    def watch(event: object) -> None:
        nonlocal arrived
        if isinstance(event, RollingBack) and not arrived:
            arrived = True
            tasks.append(loop.create_task(insert()))

    # The insert runs while the rollback's message is on its way, so either it
    # comes first and is seen, or it finds no table.
    try:
        await kimbledb.rollback(database, "c.sql", catalog=chain, progress=watch)
    except kimbledb.DataLossError as error:
        assert [str(loss) for loss in error.losses] == ["table c: 1 row"]
        await tasks[0]
        assert await connection.fetchval("SELECT count(*) FROM c") == 1
    else:
        with pytest.raises(asyncpg.UndefinedTableError):
            await tasks[0]
    assert arrived


async def test_dry_run_touches_nothing(database: str, chain: kimbledb.Catalog, connection: asyncpg.Connection) -> None:
    """A dry run says what would go and what it would cost, and does nothing."""
    await connection.execute("INSERT INTO a VALUES (1)")

    report = await kimbledb.rollback(database, to=0, catalog=chain, dry_run=True)

    assert _names(report) == ["c.sql", "b.sql", "a.sql"]
    assert [str(loss) for loss in report.losses] == ["table a: 1 row"]
    assert report.dry_run
    assert await connection.fetchval("SELECT count(*) FROM migration_history") == 3
    assert await connection.fetchval("SELECT count(*) FROM a") == 1


async def test_all_that_would_go_is_shown(database: str, folder: Folder, connection: asyncpg.Connection) -> None:
    """Before anything is touched: tables with rows and without, views, functions, types, and the migrations that go with it; refused, the same is told."""
    folder.add(
        1,
        "a",
        """
        CREATE TABLE IF NOT EXISTS a (id serial PRIMARY KEY, note text);
        CREATE TABLE IF NOT EXISTS empty (id integer);
        CREATE OR REPLACE VIEW latest AS SELECT id FROM a;
        CREATE OR REPLACE FUNCTION count_a(since integer) RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM a';
        """,
        rollback="DROP FUNCTION IF EXISTS count_a; DROP VIEW IF EXISTS latest; DROP TABLE IF EXISTS a, empty;",
    )
    folder.add(
        2,
        "b",
        "ALTER TABLE a ADD COLUMN IF NOT EXISTS mood text;",
        facts='requires = ["a.sql"]',
        rollback="ALTER TABLE a DROP COLUMN IF EXISTS mood;",
    )
    catalog = folder.catalog
    await kimbledb.migrate(database, catalog=catalog)
    await connection.execute("INSERT INTO a (note, mood) VALUES ('x', 'good'), ('y', NULL)")

    report = await kimbledb.rollback(database, 1, catalog=catalog, cascade=True, dry_run=True)
    assert [str(each) for each in report.objects] == [
        "function count_a(integer)",
        "table a",
        "table empty",
        "view latest",
    ]
    assert report.dependents == ("b.sql",)
    assert [str(loss) for loss in report.losses] == ["table a: 2 rows"]
    assert "table: a, empty" in str(report)
    assert "b.sql      needs a migration that is rolled back" in str(report)
    with pytest.raises(kimbledb.DataLossError, match="view latest") as caught:
        await kimbledb.rollback(database, 1, catalog=catalog, cascade=True)
    assert caught.value.objects == report.objects
    report = await kimbledb.rollback(database, 2, catalog=catalog, dry_run=True)
    assert report.objects == ()
    assert [str(loss) for loss in report.losses] == ["column a.mood: 1 value"]


async def test_what_was_made_on_top_stops_it_by_name(
    database: str, chain: kimbledb.Catalog, connection: asyncpg.Connection
) -> None:
    """A view that somebody made on a table stops the rollback by its name, and nothing is lost."""
    await connection.execute("CREATE VIEW report_of_a AS SELECT * FROM a")

    with pytest.raises(kimbledb.RollbackError, match="report_of_a") as caught:
        await kimbledb.rollback(database, to=0, catalog=chain)

    assert caught.value.failed is not None
    assert caught.value.failed.name == "a.sql"
    assert caught.value.line == 1
    assert "CASCADE" not in (caught.value.hint or "")
    assert await connection.fetchval("SELECT count(*) FROM migration_history") == 3


async def test_not_applied_and_unknown(database: str, chain: kimbledb.Catalog) -> None:
    """What is not applied is refused, what is not there is answered with near names."""
    await kimbledb.rollback(database, "c.sql", catalog=chain)
    with pytest.raises(kimbledb.RollbackRefusedError, match="not applied"):
        await kimbledb.rollback(database, "c.sql", catalog=chain)
    with pytest.raises(kimbledb.UnknownMigrationError, match=r"did you mean c\.sql"):
        await kimbledb.rollback(database, "C", catalog=chain)
    with pytest.raises(kimbledb.ConfigurationError, match="exactly one"):
        await kimbledb.rollback(database, catalog=chain)


async def test_a_newer_history_is_not_rolled_back(
    database: str, chain: kimbledb.Catalog, connection: asyncpg.Connection
) -> None:
    """A migration that a newer version recorded stops the rollback; a legacy row without a version does not."""
    await connection.execute("INSERT INTO migration_history (migration_name) VALUES ('00_extensions')")
    assert len((await kimbledb.rollback(database, "c.sql", catalog=chain)).rolled_back) == 1
    await connection.execute("INSERT INTO migration_history (migration_name, kimbledb_version) VALUES ('z.sql', '9.0')")

    with pytest.raises(kimbledb.RollbackRefusedError, match=r"z\.sql"):
        await kimbledb.rollback(database, "b.sql", catalog=chain)


async def test_irreversible_says_why(database: str, folder: Folder) -> None:
    """A migration without a way back says why."""
    (folder.add(1, "a", "SELECT 1;", facts='irreversible = "the old prices are gone"') / "rollback.sql").unlink()
    await kimbledb.migrate(database, catalog=folder.catalog)

    with pytest.raises(kimbledb.RollbackRefusedError, match="the old prices are gone"):
        await kimbledb.rollback(database, 1, catalog=folder.catalog)


async def test_the_log_keeps_what_was_lost(
    database: str, chain: kimbledb.Catalog, connection: asyncpg.Connection
) -> None:
    """What an allowed rollback took with it stands in the log, beside the event."""
    await connection.execute("INSERT INTO c VALUES (1), (2)")

    await kimbledb.rollback(database, "c.sql", catalog=chain, allow_data_loss=True)

    detail = await connection.fetchval("SELECT detail FROM migration_log WHERE event = 'rollback'")
    assert json.loads(detail)["losses"] == ["table c: 2 rows"]


async def test_the_log_keeps_a_rollback_that_failed(
    database: str, folder: Folder, connection: asyncpg.Connection, meanwhile: Meanwhile
) -> None:
    """A rollback that passes its try run and fails when it is done leaves an entry with the error, and history as it was."""
    await connection.execute("CREATE TABLE trap (sprung boolean)")
    folder.add(
        1,
        "a",
        "CREATE TABLE IF NOT EXISTS a (id integer);",
        rollback="DROP TABLE IF EXISTS a;\n"
        "DO $$ BEGIN IF EXISTS (SELECT FROM trap) THEN RAISE division_by_zero; END IF; END $$;",
    )
    await kimbledb.migrate(database, catalog=folder.catalog)

    def watch(event: object) -> None:
        if isinstance(event, RollingBack):
            meanwhile("INSERT INTO trap VALUES (true)")

    with pytest.raises(kimbledb.RollbackError) as caught:
        await kimbledb.rollback(database, 1, catalog=folder.catalog, progress=watch)

    assert caught.value.sqlstate == "22012"
    entry = await connection.fetchrow(
        "SELECT migration_name, error_message, detail FROM migration_log ORDER BY id DESC LIMIT 1"
    )
    assert entry is not None
    assert (entry["migration_name"], json.loads(entry["detail"])) == ("a.sql", {"during": "rollback"})
    assert "22012" in entry["error_message"]
    assert await connection.fetchval("SELECT success FROM migration_history")


@pytest.mark.usefixtures("chain")
async def test_an_edited_migration_can_be_taken_back(
    database: str, folder: Folder, connection: asyncpg.Connection
) -> None:
    """A file that was edited after it was applied keeps nobody from rolling its migration back."""
    (folder.path / "03_c" / "apply.sql").write_text("CREATE TABLE IF NOT EXISTS c (id bigint);\n", encoding="utf-8")

    report = await kimbledb.rollback(database, "c.sql", catalog=folder.catalog)

    assert _names(report) == ["c.sql"]
    assert await connection.fetchval("SELECT to_regclass('c')") is None


async def test_a_refusal_half_way_says_what_was_taken_back(
    database: str, chain: kimbledb.Catalog, connection: asyncpg.Connection
) -> None:
    """Where rows arrive after the first migration was taken back, the error tells of both, and what was touched."""

    def watch(event: object) -> None:
        if isinstance(event, RolledBack):
            assert psql(database, "INSERT INTO b VALUES (1), (2)").returncode == 0

    with pytest.raises(kimbledb.DataLossError, match="1 migration was taken back before it") as caught:
        await kimbledb.rollback(database, to=0, catalog=chain, progress=watch)

    assert [str(loss) for loss in caught.value.losses] == ["table b: 2 rows"]
    assert [step.migration.name for step in caught.value.applied] == ["c.sql"]
    assert "nothing was touched" not in str(caught.value)
    assert await connection.fetchval("SELECT count(*) FROM b") == 2


NOTHING_BUT_COMMENTS = "-- nothing to take back\n/* the tables stay */\n"


async def test_scripts_of_comments_alone(database: str, folder: Folder) -> None:
    """Scripts that hold nothing but comments are applied and taken back."""
    folder.add(1, "a", "CREATE TABLE a (n integer);", rollback="DROP TABLE a;")
    folder.add(2, "b", NOTHING_BUT_COMMENTS, rollback=NOTHING_BUT_COMMENTS)
    folder.add(3, "c", NOTHING_BUT_COMMENTS, facts="transactional = false", rollback=NOTHING_BUT_COMMENTS)
    (folder.path / "02_b" / "online.sql").write_text(NOTHING_BUT_COMMENTS)

    assert len((await kimbledb.migrate(database, catalog=folder.catalog)).applied) == 3
    assert len((await kimbledb.rollback(database, to=0, catalog=folder.catalog)).rolled_back) == 3


async def test_a_failure_beside_scripts_of_comments(
    database: str, folder: Folder, connection: asyncpg.Connection
) -> None:
    """A rollback that fails after one of comments alone is told with its line."""
    folder.add(1, "a", "CREATE TABLE a (n integer PRIMARY KEY);", rollback="-- first\nDROP TABLE a;")
    folder.add(2, "b", "SELECT 1;", rollback=NOTHING_BUT_COMMENTS)
    await kimbledb.migrate(database, catalog=folder.catalog)
    await connection.execute("CREATE SCHEMA other; CREATE TABLE other.of_somebody (n integer REFERENCES public.a)")

    with pytest.raises(kimbledb.RollbackError, match="of_somebody") as caught:
        await kimbledb.rollback(database, to=0, catalog=folder.catalog)

    assert (caught.value.line, caught.value.sqlstate) == (2, "2BP01")


async def test_types_by_whatever_name(database: str, folder: Folder, connection: asyncpg.Connection) -> None:
    """A function stays that has arguments of types of the target schema, of an extension or of another schema."""
    await connection.execute(
        "CREATE SCHEMA other; CREATE TYPE other.pair AS (a integer, b integer); CREATE TYPE public.kind AS ENUM ('a'); "
        "CREATE EXTENSION vector SCHEMA public; "
        "CREATE FUNCTION public.stays(other.pair, public.kind, vector[]) RETURNS integer LANGUAGE sql RETURN 1"
    )
    folder.add(
        1, "a", "CREATE FUNCTION goes(kind) RETURNS integer LANGUAGE sql RETURN 1;", rollback="DROP FUNCTION goes;"
    )
    await kimbledb.migrate(database, catalog=folder.catalog)

    report = await kimbledb.rollback(database, "a.sql", catalog=folder.catalog, dry_run=True)

    assert [str(each) for each in report.objects] == ["function goes(kind)"]


_BY_HAND = """
ALTER TABLE a ADD CONSTRAINT by_hand_check CHECK (note <> '');
CREATE INDEX by_hand_index ON a (note, id);
ALTER TABLE a ADD CONSTRAINT by_hand_key UNIQUE (note);
CREATE STATISTICS by_hand_statistics ON id, note FROM a;
"""


async def test_what_was_made_by_hand_on_a_column_stops_it(
    database: str, folder: Folder, connection: asyncpg.Connection
) -> None:
    """Keys, checks, indexes and statistics that DROP COLUMN would take along are told by a dry run and stop the rollback, unless a migration made them."""
    folder.table(1, "a")
    folder.add(
        2,
        "b",
        "ALTER TABLE a ADD COLUMN note text UNIQUE CHECK (note <> 'x'); CREATE INDEX made ON a (note);",
        facts='requires = ["a.sql"]',
        rollback="ALTER TABLE a DROP COLUMN note;",
    )
    await kimbledb.migrate(database, catalog=folder.catalog)
    await connection.execute(_BY_HAND)

    report = await kimbledb.rollback(database, 2, catalog=folder.catalog, dry_run=True)
    shown = [
        "constraint a.by_hand_check",
        "constraint a.by_hand_key",
        "index by_hand_index",
        "statistics by_hand_statistics",
    ]
    assert [str(each) for each in report.handmade] == shown
    with pytest.raises(kimbledb.RollbackRefusedError, match="by_hand_statistics"):
        await kimbledb.rollback(database, 2, catalog=folder.catalog, allow_data_loss=True)
    assert await connection.fetchval("SELECT to_regclass('by_hand_index')") is not None

    await connection.execute(
        "ALTER TABLE a DROP CONSTRAINT by_hand_check, DROP CONSTRAINT by_hand_key; DROP INDEX by_hand_index; DROP STATISTICS by_hand_statistics"
    )
    assert len((await kimbledb.rollback(database, 2, catalog=folder.catalog)).rolled_back) == 1


#: What somebody makes by hand on a column ``note``, by the object that a report names. Each goes with the column.
HANDMADE = {
    "constraint a.h_check": "ALTER TABLE a ADD CONSTRAINT h_check CHECK (note <> id::text) NOT VALID",
    "constraint a.h_exclude": "ALTER TABLE a ADD CONSTRAINT h_exclude EXCLUDE (note WITH =)",
    "constraint a.h_foreign": "ALTER TABLE a ADD CONSTRAINT h_foreign FOREIGN KEY (note) REFERENCES other (note)",
    "constraint a.h_primary": "ALTER TABLE a ADD CONSTRAINT h_primary PRIMARY KEY (note)",
    "constraint a.h_unique": "ALTER TABLE a ADD CONSTRAINT h_unique UNIQUE (note)",
    "index h_expression": "CREATE INDEX h_expression ON a (lower(note))",
    "index h_included": "CREATE INDEX h_included ON a (id) INCLUDE (note)",
    "index h_inherited": "CREATE TABLE child () INHERITS (a); CREATE INDEX h_inherited ON child (note)",
    "index h_partial": "CREATE INDEX h_partial ON a (id) WHERE note <> ''",
    "statistics elsewhere.h_statistics": "CREATE STATISTICS elsewhere.h_statistics ON id, note FROM a",
    "statistics h_expressions": "CREATE STATISTICS h_expressions ON (lower(note)) FROM a",
}


@pytest.mark.parametrize("road", ["a written rollback", "a derived one", "the rendered file"])
async def test_all_that_was_made_by_hand_on_a_column_is_named(
    database: str, server: str, folder: Folder, connection: asyncpg.Connection, road: str
) -> None:
    """By each road whatever goes with a column and no migration made is named by a dry run, and stops the rollback."""
    folder.add(1, "a", "CREATE TABLE a (id integer NOT NULL);", rollback="DROP TABLE a;")
    folder.add(
        2,
        "b",
        "ALTER TABLE a ADD COLUMN note text CONSTRAINT made CHECK (note <> 'x');\nCREATE INDEX made_too ON a (note);",
        facts='requires = ["a.sql"]',
        rollback=None if road == "a derived one" else "ALTER TABLE a DROP COLUMN note;",
    )
    catalog = await folder.declared(server) if road == "a derived one" else folder.catalog
    if road == "the rendered file":
        assert psql(database, kimbledb.render(catalog)).stderr == ""
    else:
        await kimbledb.migrate(database, catalog=catalog)
    await connection.execute("CREATE SCHEMA elsewhere; CREATE TABLE other (note text PRIMARY KEY)")
    await connection.execute(";".join(HANDMADE.values()))

    report = await kimbledb.rollback(database, "b.sql", catalog=catalog, dry_run=True)

    assert [str(each) for each in report.handmade] == list(HANDMADE)
    with pytest.raises(kimbledb.RollbackRefusedError) as refused:
        await kimbledb.rollback(database, "b.sql", catalog=catalog, allow_data_loss=True)
    assert [line.strip() for line in str(refused.value).splitlines()[1:12]] == list(HANDMADE)
    assert await connection.fetchval("SELECT count(note) = 0 FROM a")


async def test_the_report_names_functions_as_the_schema_calls_them(database: str, folder: Folder) -> None:
    """An argument of a type of the schema stands without the schema's name, also in an array."""
    script = "CREATE TABLE t (id integer); CREATE FUNCTION f(t, t[], uuid) RETURNS integer LANGUAGE sql AS 'SELECT 1';"
    folder.add(1, "a", script, rollback="DROP FUNCTION f; DROP TABLE t;")
    await kimbledb.migrate(database, catalog=folder.catalog, schema='odd "name.')

    report = await kimbledb.rollback(database, "a.sql", catalog=folder.catalog, schema='odd "name.')

    assert sorted(map(str, report.objects)) == ["function f(t,t[],uuid)", "table t"]
