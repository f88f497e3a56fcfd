"""Completion: what is there in part is brought to the whole schema by the writer, and nothing of a script is replayed."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

import asyncpg
import pytest
from hypothesis import settings

import kimbledb
from kimbledb import StepState
from kimbledb.model.objects import DatabaseObject, parts_of
from kimbledb.planning.comparison import compare
from kimbledb.testing.background import Background
from tests.support.databases import Clone, MakeTemplate, as_role, take_snapshot
from tests.support.folders import Folder

CATALOGS = Path(__file__).parent.parent / "data" / "catalogs"
#: What a person does to objects, by kind.
DAMAGE = {
    "table": "DROP TABLE {name} CASCADE",
    "column": "ALTER TABLE {table} DROP COLUMN {own} CASCADE",
    "constraint": "ALTER TABLE {table} DROP CONSTRAINT {own} CASCADE",
    "index": "DROP INDEX {name}",
    "function": "DROP FUNCTION {name} CASCADE",
    "view": "DROP VIEW {name} CASCADE",
    "trigger": "DROP TRIGGER {own} ON {table}",
    "policy": "DROP POLICY {own} ON {table}",
    "statistics": "DROP STATISTICS {name}",
    "rule": "DROP RULE {own} ON {table}",
    "sequence": "DROP SEQUENCE {name} CASCADE",
}


async def forget(connection: asyncpg.Connection) -> None:
    """Take the history away, as in a database that was filled by hand."""
    await connection.execute("DROP TABLE migration_history, migration_log")


@pytest.fixture(scope="module", params=["shop", "camel", "rooms"])
def foreign(
    request: pytest.FixtureRequest,
    server: str,
    tmp_path_factory: pytest.TempPathFactory,
    _kimbledb_background: Background,
) -> kimbledb.Catalog:
    """A catalog that the engine was not written for."""
    folder = tmp_path_factory.mktemp("catalogs") / request.param
    shutil.copytree(CATALOGS / request.param, folder)
    _kimbledb_background.run(kimbledb.declare(folder, server=server))
    return kimbledb.Catalog.from_directory(folder)


@pytest.fixture(scope="module")
def foreign_template(foreign: kimbledb.Catalog, make_template: MakeTemplate) -> str:
    """The name of a database with its schema."""

    async def fill(dsn: str) -> None:
        await kimbledb.migrate(dsn, catalog=foreign)

    return make_template(fill)


def damage_of(each: DatabaseObject, views: set[str]) -> str | None:
    """Return the statement that takes an object away, or None for one that goes with others."""
    facts = each.facts or {}
    if each.kind not in DAMAGE or "partition_of" in facts or "inherited" in facts or "owned_by" in facts:
        return None
    table, own = ".".join(f'"{part}"' for part in parts_of(each.name)[:-1]), f'"{parts_of(each.name)[-1]}"'
    if each.kind == "column" and table.strip('"') in views:
        return None
    statement = DAMAGE[each.kind]
    if "materialized" in facts:
        statement = statement.replace("VIEW", "MATERIALIZED VIEW")
    return statement.format(name=each.name, table=table, own=own)


@pytest.mark.hypothesis  # so that `nox -s explore` runs it
async def test_whatever_is_missing_of_a_foreign_catalog_comes_back(
    foreign: kimbledb.Catalog, foreign_template: str, clone: Clone
) -> None:
    """Each object of three catalogs in other styles, taken away with what hangs on it, is there again, and so is the rest."""
    dsn = await clone(foreign_template)
    whole = await take_snapshot(dsn)
    views = {parts_of(name)[-1] for kind, name in whole.objects if kind == "view"}
    made = [each for migration in foreign for each in migration.creates]
    damages = {str(each): text for each in made if (text := damage_of(each, views)) is not None}
    assert len(damages) >= 15
    # Every second one shows every kind; `nox -s explore` takes all.
    chosen = damages if settings().max_examples > 100 else dict(list(damages.items())[::2])

    otherwise = {}
    for name, text in chosen.items():
        dsn = await clone(foreign_template)
        connection = await asyncpg.connect(dsn)
        await forget(connection)
        try:
            await connection.execute(text)
        except asyncpg.InvalidTableDefinitionError:
            continue  # a column by which a table is partitioned
        finally:
            await connection.close()
        await kimbledb.adopt(dsn, catalog=foreign)
        await kimbledb.migrate(dsn, catalog=foreign)
        found = (await take_snapshot(dsn)).since(whole)
        # A check on a varchar reads otherwise once it was written again.
        changed = [each for each in found.changed if not compare(whole.objects[each.key], each.facts or {}).is_right]
        if found.created or found.dropped or changed:
            otherwise[name] = str(found)
        report = await kimbledb.verify(dsn, catalog=foreign)
        assert [check for check in report.checks if check.migration and not check.passed] == [], name

    assert otherwise == {}


async def test_the_plan_says_what_will_be_written(
    foreign_template: str, foreign: kimbledb.Catalog, clone: Clone
) -> None:
    """A step that is there in part says what is made, and that its script does not run; it needs no second run."""
    dsn = await clone(foreign_template)
    connection = await asyncpg.connect(dsn)
    await forget(connection)
    last = foreign[2]
    table = next(each for each in last.creates if each.kind == "table")
    index = next(each for each in last.creates if each.kind == "index" and "partition_of" not in (each.facts or {}))
    await connection.execute(f"DROP INDEX {index.name}")
    await kimbledb.adopt(dsn, catalog=foreign)

    plan = await kimbledb.plan(dsn, catalog=foreign)

    step = plan.step(last.name)
    assert step.state is StepState.PARTIAL
    assert step.completion is not None
    assert str(index) in {str(each) for each in step.completion.made}
    assert any(note.startswith("makes ") for note in step.notes)
    assert table.name in {each.name for each in last.creates}
    assert (await kimbledb.migrate(dsn, catalog=foreign)).applied != ()
    assert (await kimbledb.plan(dsn, catalog=foreign)).pending == ()
    await connection.close()


async def test_rows_are_asked_under_the_names_that_they_have(
    database: str, connection: asyncpg.Connection, server: str, folder: Folder
) -> None:
    """Where a completion renames a table, the columns that it would make NOT NULL are looked at under the old name."""
    folder.add(1, "old", "CREATE TABLE old (id integer PRIMARY KEY, it text);")
    folder.add(
        2,
        "new",
        "ALTER TABLE old RENAME TO things; ALTER TABLE things ALTER it SET NOT NULL, ADD more text NOT NULL;"
        " CREATE TABLE beside (id integer);",
        facts='requires = ["old.sql"]',
    )
    catalog = await folder.declared(server)
    await kimbledb.migrate(database, catalog=catalog, to=1)
    await connection.execute("INSERT INTO old VALUES (1, NULL); CREATE TABLE beside (id integer)")

    await kimbledb.migrate(database, catalog=catalog)

    assert await connection.fetchval("SELECT count(*) FROM things WHERE it IS NULL AND more IS NULL") == 1


async def test_an_enum_gets_the_labels_that_it_lacks(
    database: str, connection: asyncpg.Connection, server: str, folder: Folder
) -> None:
    """Labels are added at their places; one of somebody's own stays, and no column is written anew."""
    folder.add(1, "moods", "CREATE TYPE mood AS ENUM ('a', 'b', 'c'); CREATE TABLE days (m mood, n integer);")
    catalog = await folder.declared(server)
    await connection.execute(
        "CREATE TYPE mood AS ENUM ('a', 'x', 'c'); CREATE TABLE days (m mood); INSERT INTO days VALUES ('x')"
    )
    await kimbledb.adopt(database, catalog=catalog)
    file = await connection.fetchval("SELECT relfilenode FROM pg_class WHERE relname = 'days'")

    await kimbledb.migrate(database, catalog=catalog)

    labels = await connection.fetchval("SELECT enum_range(NULL::mood)::text")
    assert labels == "{a,b,x,c}"
    assert await connection.fetchval("SELECT relfilenode FROM pg_class WHERE relname = 'days'") == file


async def test_a_plan_calls_nothing_of_a_stranger(
    database: str, connection: asyncpg.Connection, server: str, folder: Folder
) -> None:
    """A plan reads no table that a stranger owns: to plan the query would call what hangs on it. It says so."""
    folder.add(1, "things", "CREATE TABLE things (id integer PRIMARY KEY, it text NOT NULL, more text NOT NULL);")
    catalog = await folder.declared(server)
    role = f"stranger_{uuid.uuid4().hex[:8]}"
    await connection.execute(
        f"CREATE ROLE {role}; CREATE SEQUENCE called;"
        "CREATE TABLE things (id integer PRIMARY KEY, it text); INSERT INTO things VALUES (1, NULL);"
        "CREATE FUNCTION calling(n integer) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS"
        " 'BEGIN PERFORM nextval(''public.called''); RETURN true; END';"
        "ALTER TABLE things ADD CHECK (calling(id)); CREATE STATISTICS s ON (calling(id)), id FROM things;"
        "CREATE INDEX i ON things (id) WHERE calling(1);"
        f"ALTER TABLE things OWNER TO {role}; ALTER FUNCTION calling OWNER TO {role}"
    )
    calls = await connection.fetchval("SELECT last_value FROM called")
    try:
        [step] = (await kimbledb.plan(database, catalog=catalog)).steps
        assert await connection.fetchval("SELECT last_value FROM called") == calls
        assert any("strangers own objects" in note for note in step.notes)
    finally:
        await connection.execute(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")


async def test_a_role_that_may_not_read_sees_the_plan(
    database: str, connection: asyncpg.Connection, server: str, folder: Folder
) -> None:
    """A role without SELECT on a table sees what will be written; what rows decide is left open in its plan."""
    folder.add(1, "things", "CREATE TABLE things (id integer PRIMARY KEY, it text NOT NULL, more text);")
    catalog = await folder.declared(server)
    await connection.execute("CREATE TABLE things (id integer PRIMARY KEY, it text)")
    role = f"reader_{uuid.uuid4().hex[:8]}"
    await connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{role}'; GRANT {role} TO current_user")
    try:
        [step] = (await kimbledb.plan(as_role(database, role), catalog=catalog)).steps
        assert step.completion is not None
        assert {str(each) for each in step.completion.made} == {"column things.more"}
        assert any("decided when it runs" in note for note in step.notes)
    finally:
        await connection.execute(f"DROP ROLE {role}")


#: For each column: its type before, some values, its declared type, and the values afterwards.
CONVERSIONS = {
    "uuid_to_text": ("uuid", "'6ba7b810-9dad-11d1-80b4-00c04fd430c8'", "text", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
    "varchar_to_text": ("varchar(20)", "'a b '", "text", "a b "),
    "varchar_to_longer": ("varchar(5)", "'abcde'", "character varying(9)", "abcde"),
    "char_to_text": ("char(4)", "'ab'", "text", "ab"),
    "small_to_big": ("smallint", "7", "bigint", "7"),
    "int_to_numeric": ("integer", "7", "numeric", "7"),
    "int_to_double": ("integer", "7", "double precision", "7"),
    "numeric_to_wider": ("numeric(4, 1)", "12.5", "numeric(8,2)", "12.50"),
    "json_to_jsonb": ("json", "'{\"a\":1}'", "jsonb", '{"a": 1}'),
    "text_to_jsonb": ("text", "'[1,2]'", "jsonb", "[1, 2]"),
    "without_zone": ("timestamp", "'2025-01-02 03:04:05'", "timestamp with time zone", "2025-01-02 03:04:05+00"),
}


async def test_each_rule_of_conversion_keeps_the_values(
    database: str, connection: asyncpg.Connection, server: str, folder: Folder
) -> None:
    """A column of another type gets the declared one by a rule, and its values stay what they were."""
    columns = ", ".join(f"{name} {later}" for name, (_, _, later, _) in CONVERSIONS.items())
    folder.add(1, "things", f"CREATE TABLE things (id integer PRIMARY KEY, {columns});")
    catalog = await folder.declared(server)
    before = ", ".join(f"{name} {kind}" for name, (kind, _, _, _) in CONVERSIONS.items())
    values = ", ".join(value for _, value, _, _ in CONVERSIONS.values())
    await connection.execute(
        f"CREATE TABLE things (id integer PRIMARY KEY, {before}); INSERT INTO things VALUES (1, {values})"
    )
    await kimbledb.adopt(database, catalog=catalog)

    report = await kimbledb.migrate(database, catalog=catalog)

    assert len(report.applied) == 1
    listed = ", ".join(f"{name}::text" for name in CONVERSIONS)
    await connection.execute("SET timezone = 'UTC'")
    row = await connection.fetchrow(f"SELECT {listed} FROM things")
    assert row is not None
    assert dict(row) == {name: after for name, (_, _, _, after) in CONVERSIONS.items()}
    assert (await kimbledb.verify(database, catalog=catalog)).ok


@pytest.mark.parametrize(
    "kinds", [("text", "integer"), ("bigint", "integer"), ("numeric(8,2)", "numeric(4,2)"), ("integer", "uuid")]
)
async def test_what_no_rule_converts_stops_the_plan(
    database: str, connection: asyncpg.Connection, server: str, folder: Folder, kinds: tuple[str, str]
) -> None:
    """A column that no rule converts is in conflict, with the line that declares it, and nothing is touched."""
    before, later = kinds
    folder.add(
        1,
        "things",
        f"CREATE TABLE things (\n    id integer PRIMARY KEY,\n    it {later}\n);\nCREATE INDEX ON things (it);",
    )
    catalog = await folder.declared(server)
    await connection.execute(f"CREATE TABLE things (id integer PRIMARY KEY, it {before})")
    await kimbledb.adopt(database, catalog=catalog)
    was = await take_snapshot(database)

    plan = await kimbledb.plan(database, catalog=catalog)
    with pytest.raises(kimbledb.ConflictingObjectsError, match=r"column things\.it is .*apply\.sql:1"):
        await kimbledb.migrate(database, catalog=catalog)

    assert plan.step("things.sql").state is StepState.CONFLICTING
    assert str((await take_snapshot(database)).since(was)) == "no difference"


async def test_what_a_database_had_before_stays(
    database: str, connection: asyncpg.Connection, server: str, folder: Folder
) -> None:
    """A default, a key and NULL that were there stay, and the plan says which; an index and a check are made as declared."""
    folder.add(
        1,
        "things",
        "CREATE TABLE things (id integer PRIMARY KEY, kind text NOT NULL DEFAULT 'a' CHECK (kind IN ('a', 'b')), note text NOT NULL);"
        "CREATE INDEX things_kind ON things (kind, id);",
    )
    catalog = await folder.declared(server)
    await connection.execute(
        "CREATE TABLE things (id integer, kind text DEFAULT 'b' CONSTRAINT things_kind_check CHECK (kind = 'a' OR kind = 'b'),"
        " note text, CONSTRAINT things_pkey PRIMARY KEY (id, kind));"
        "CREATE INDEX things_kind ON things (kind); INSERT INTO things VALUES (1, 'b', NULL)"
    )
    await kimbledb.adopt(database, catalog=catalog)

    [step] = (await kimbledb.plan(database, catalog=catalog)).steps
    await kimbledb.migrate(database, catalog=catalog)

    assert step.completion is not None
    assert set(step.completion.left) == {("constraint", "things.things_pkey"), ("column", "things.note")}
    found = (await take_snapshot(database)).objects
    assert found["index", "things_kind"]["columns"] == ("kind", "id")
    assert found["column", "things.kind"]["default"] == "'b'::text"
    assert "not_null" not in found["column", "things.note"]
    assert await connection.fetchval("SELECT note IS NULL FROM things")
    assert (await kimbledb.verify(database, catalog=catalog)).ok


async def test_rows_from_before_are_filled(
    database: str, connection: asyncpg.Connection, server: str, folder: Folder
) -> None:
    """An expression of migration.toml gives rows from before a value; no trigger fires, and none that was off is on."""
    folder.add(
        1,
        "orders",
        "CREATE TABLE orders (id integer PRIMARY KEY, settled boolean, paid boolean NOT NULL, stamped integer DEFAULT 0);",
        facts='[fills]\n"orders.paid" = "coalesce(settled, false)"\n',
    )
    catalog = await folder.declared(server)
    await connection.execute(
        "CREATE TABLE orders (id integer PRIMARY KEY, settled boolean, stamped integer DEFAULT 0);"
        "INSERT INTO orders VALUES (1, true), (2, NULL);"
        "CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.stamped := 1; RETURN NEW; END';"
        "CREATE TRIGGER one BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION stamp();"
        "CREATE TRIGGER two BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION stamp();"
        "ALTER TABLE orders DISABLE TRIGGER two"
    )
    await kimbledb.adopt(database, catalog=catalog)

    report = await kimbledb.migrate(database, catalog=catalog)

    assert [tuple(row) for row in await connection.fetch("SELECT id, paid, stamped FROM orders ORDER BY id")] == [
        (1, True, 0),
        (2, False, 0),
    ]
    enabled = await connection.fetch(
        "SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'orders'::regclass ORDER BY 1"
    )
    assert [tuple(row) for row in enabled] == [("one", b"O"), ("two", b"D")]
    assert report.losses == ()


async def test_no_statement_on_rows_is_run_and_no_drop(
    database: str, connection: asyncpg.Connection, server: str, folder: Folder
) -> None:
    """INSERT and DO of a script do not run where a part is there, and the plan says so; what it drops is in conflict."""
    folder.add(1, "old", "CREATE TABLE old (id integer); CREATE TABLE things (id integer);")
    folder.add(
        2,
        "new",
        "CREATE TABLE more (id integer, name text);\nINSERT INTO more VALUES (1, 'x');\nDROP TABLE old;",
        facts='requires = ["old.sql"]',
    )
    catalog = await folder.declared(server)
    await kimbledb.migrate(database, catalog=catalog, to=1)
    await connection.execute("CREATE TABLE more (id integer)")

    plan = await kimbledb.plan(database, catalog=catalog)
    with pytest.raises(kimbledb.ConflictingObjectsError, match=r"table old is still there.*apply\.sql:3"):
        await kimbledb.migrate(database, catalog=catalog)
    await connection.execute("DROP TABLE old")
    await kimbledb.migrate(database, catalog=catalog)

    completion = plan.step("new.sql").completion
    assert completion is not None
    assert [text.rpartition("/")[2] for text in completion.not_run] == ["apply.sql:2 INSERT"]
    assert await connection.fetchval("SELECT count(*) FROM more") == 0


async def test_what_failed_in_a_completion_leaves_nothing(
    database: str, connection: asyncpg.Connection, server: str, folder: Folder
) -> None:
    """A value that no index holds stops a completion with the statement and the reason, and the schema is as it was."""
    folder.add(1, "things", "CREATE TABLE things (id integer, body text); CREATE INDEX things_body_idx ON things (body);")
    catalog = await folder.declared(server)
    await connection.execute(
        "CREATE TABLE things (id integer, body text);"
        " INSERT INTO things SELECT 1, string_agg(md5(n::text), '') FROM generate_series(1, 400) AS n"
    )
    await kimbledb.adopt(database, catalog=catalog)
    was = await take_snapshot(database)

    with pytest.raises(kimbledb.MigrationError, match="CREATE INDEX things_body_idx ON things") as caught:
        await kimbledb.migrate(database, catalog=catalog)

    assert caught.value.sqlstate == "54000"
    assert str((await take_snapshot(database)).since(was)) == "no difference"
    failed = await connection.fetchval("SELECT count(*) FROM migration_log WHERE event = 'failure'")
    assert failed == 1
