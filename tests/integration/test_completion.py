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


async def test_expressions_of_another_hand_get_their_declared_form(
    database: str, connection: asyncpg.Connection, server: str, folder: Folder
) -> None:
    """A check, a policy, a partial index and a view of the declared names and other expressions become the declared ones."""
    folder.add(
        1,
        "things",
        "CREATE TABLE things (id integer PRIMARY KEY, kind varchar(9), CONSTRAINT kinds CHECK (kind IN ('a', 'b', 'c')));"
        "ALTER TABLE things ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY own ON things USING (id = 1);"
        "CREATE INDEX some_things ON things (kind) WHERE kind = 'c';"
        "CREATE VIEW few AS SELECT id FROM things WHERE id < 3;",
    )
    catalog = await folder.declared(server)
    await connection.execute(
        "CREATE TABLE things (id integer PRIMARY KEY, kind varchar(9), CONSTRAINT kinds CHECK (kind IN ('a', 'b')));"
        "ALTER TABLE things ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY own ON things USING (true);"
        "CREATE INDEX some_things ON things (kind) WHERE kind = 'a';"
        "CREATE VIEW few AS SELECT id FROM things;"
    )
    await kimbledb.adopt(database, catalog=catalog)

    await kimbledb.migrate(database, catalog=catalog)

    await connection.execute("INSERT INTO things VALUES (1, 'c'), (5, 'a')")
    assert (
        await connection.fetchval("SELECT pg_get_expr(polqual, polrelid) FROM pg_policy WHERE polname = 'own'")
        == "(id = 1)"
    )
    assert "'c'" in await connection.fetchval("SELECT pg_get_indexdef('some_things'::regclass)")
    assert await connection.fetchval("SELECT count(*) FROM few") == 1
    assert not [str(check) for check in (await kimbledb.verify(database, catalog=catalog)).failures]


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


async def test_a_function_of_a_new_table_waits_for_it(
    database: str, connection: asyncpg.Connection, server: str, folder: Folder
) -> None:
    """Where rows are filled, a function that takes rows of a new table is made after that table, and one that fills before."""
    folder.add(
        1,
        "orders",
        "CREATE TABLE orders (id integer, paid boolean);"
        " CREATE FUNCTION unpaid() RETURNS boolean LANGUAGE sql AS 'SELECT false';"
        " CREATE TABLE items (id integer);"
        " CREATE FUNCTION one_of(item items) RETURNS integer LANGUAGE sql AS 'SELECT item.id';",
        facts='[fills]\n"orders.paid" = "coalesce(paid, unpaid())"',
    )
    catalog = await folder.declared(server)
    await connection.execute("CREATE TABLE orders (id integer); INSERT INTO orders VALUES (1)")
    await kimbledb.adopt(database, catalog=catalog)

    await kimbledb.migrate(database, catalog=catalog)

    assert await connection.fetchval("SELECT paid FROM orders") is False
    assert await connection.fetchval("SELECT one_of(ROW(7)::items)") == 7


FORMERLY = """
[formerly]
"table bills" = "invoices"
"column bills.who" = "invoices.owner"
"""


@pytest.mark.parametrize(
    "part", ["", "ALTER TABLE items ADD invoice integer REFERENCES bills; UPDATE items SET invoice = 1"]
)
async def test_a_table_of_a_former_name_is_taken_over(
    database: str, connection: asyncpg.Connection, server: str, folder: Folder, part: str
) -> None:
    """A table that another hand made under its former name is renamed, with its columns and rows, and keys go on to hold it."""
    folder.add(1, "items", "CREATE TABLE items (id integer PRIMARY KEY);")
    folder.add(
        2,
        "invoices",
        "CREATE TABLE invoices (id integer PRIMARY KEY, owner text, paid boolean, kind text DEFAULT 'bill');"
        " ALTER TABLE items ADD invoice integer REFERENCES invoices;",
        facts='requires = ["items.sql"]' + FORMERLY,
    )
    catalog = await folder.declared(server)
    await kimbledb.migrate(database, catalog=catalog, to=1)
    await connection.execute(
        f"CREATE TABLE bills (id integer PRIMARY KEY, who text, kind text DEFAULT 'other'); INSERT INTO bills VALUES (1, 'ann'); INSERT INTO items VALUES (7); {part}"
    )

    await kimbledb.adopt(database, catalog=catalog)
    plan = await kimbledb.plan(database, catalog=catalog)
    await kimbledb.migrate(database, catalog=catalog)

    renamed = "renames column bills.who to invoices.owner, table bills to invoices, constraint bills.bills_pkey to invoices.invoices_pkey"
    notes = plan.step("invoices.sql").notes
    assert [note for note in notes if note.startswith(renamed)]
    assert [note for note in notes if note.startswith("leaves")] == []
    assert tuple(await connection.fetchrow("SELECT * FROM invoices") or ()) == (1, "ann", "other", None)
    assert await connection.fetchval("SELECT to_regclass('bills')") is None
    assert await connection.fetchval("SELECT invoice FROM items") == (1 if part else None)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await connection.execute("UPDATE items SET invoice = 2")
    checks = (await kimbledb.verify(database, catalog=catalog)).checks
    assert [each.name for each in checks if each.migration == "invoices.sql" and not each.passed] == []
    assert (await kimbledb.plan(database, catalog=catalog)).pending == ()


async def test_a_rollback_keeps_a_key_that_was_there_under_another_name(
    database: str, connection: asyncpg.Connection, server: str, folder: Folder
) -> None:
    """A key of a table that was taken over is no migration's, though the conversion of its column made it anew."""
    folder.add(
        1,
        "invoices",
        "CREATE TABLE invoices (id text PRIMARY KEY, above text REFERENCES invoices);",
        rollback=None,
        facts=FORMERLY,
    )
    catalog = await folder.declared(server)
    await connection.execute("CREATE TABLE bills (id uuid PRIMARY KEY)")
    await kimbledb.adopt(database, catalog=catalog)
    await kimbledb.migrate(database, catalog=catalog)

    await kimbledb.rollback(database, "invoices.sql", catalog=catalog)

    keys = "SELECT conname FROM pg_constraint WHERE conrelid = 'invoices'::regclass AND contype IN ('p', 'f')"
    assert [row[0] for row in await connection.fetch(keys)] == ["invoices_pkey"]


async def test_a_former_name_beside_the_later_one(
    database: str, connection: asyncpg.Connection, server: str, folder: Folder
) -> None:
    """Where a table has the later name, one of the former name is left as it is, with its columns."""
    folder.add(1, "invoices", "CREATE TABLE invoices (id integer PRIMARY KEY, owner text);", facts=FORMERLY)
    catalog = await folder.declared(server)
    await connection.execute("CREATE TABLE bills (who text); CREATE TABLE invoices (id integer PRIMARY KEY)")
    await kimbledb.adopt(database, catalog=catalog)

    await kimbledb.migrate(database, catalog=catalog)

    columns = "SELECT attrelid::regclass::text, attname FROM pg_attribute WHERE attnum > 0 AND attrelid IN ('bills'::regclass, 'invoices'::regclass) ORDER BY 1, 2"
    rows = [tuple(row) for row in await connection.fetch(columns)]
    assert rows == [("bills", "who"), ("invoices", "id"), ("invoices", "owner")]


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


async def test_what_a_later_migration_takes_back_is_nobody_elses(
    server: str, database: str, folder: Folder, connection: asyncpg.Connection
) -> None:
    """A column that must not be NULL, and that a later migration renames or drops, stays so where its own is completed."""
    folder.add(1, "a", "CREATE TABLE a (n integer NOT NULL, m integer NOT NULL);\nCREATE INDEX idx_a_n ON a (n);")
    folder.add(2, "b", "ALTER TABLE a RENAME n TO k;\nALTER TABLE a DROP m;", facts='requires = ["a.sql"]')
    catalog = await folder.declared(server)
    await connection.execute("CREATE TABLE a (n integer NOT NULL, m integer NOT NULL)")

    await kimbledb.adopt(database, catalog=catalog)
    await kimbledb.migrate(database, catalog=catalog, to="a.sql")

    assert await connection.fetchval(
        "SELECT bool_and(attnotnull) FROM pg_attribute WHERE attrelid = 'a'::regclass AND attnum > 0"
    )


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
    "zone_to_none": ("timestamptz", "'2025-01-02 03:04+02'", "timestamp without time zone", "2025-01-02 01:04:00"),
    "date_to_zone": ("date", "'2025-01-02'", "timestamp with time zone", "2025-01-02 00:00:00+00"),
    "zone_to_seconds": ("timestamptz", "'2025-01-01 00:00+00'", "bigint", "1735689600"),
    "none_to_seconds": ("timestamp", "'1969-12-31 23:59:59'", "integer", "-1"),
    "seconds_to_zone": ("bigint", "1735689600", "timestamp with time zone", "2025-01-01 00:00:00+00"),
    "millis_to_zone": ("bigint", "1735689600123", "timestamp with time zone", "2025-01-01 00:00:00.123+00"),
    "zone_to_text": ("timestamptz", "'2025-01-01 00:00:00.5+02'", "text", "2024-12-31T22:00:00.500000Z"),
    "text_to_zone": ("text", "'2025-01-01 10:00'", "timestamp with time zone", "2025-01-01 10:00:00+00"),
    "text_with_zone": ("text", "'2025-01-01T10:00:00-05'", "timestamp with time zone", "2025-01-01 15:00:00+00"),
    "text_to_uuid": (
        "text",
        "'6BA7B810-9DAD-11D1-80B4-00C04FD430C8'",
        "uuid",
        "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
    ),
    "text_to_integer": ("text", "' 12 '", "integer", "12"),
    "text_to_numeric": ("varchar(9)", "'12.5'", "numeric(6,2)", "12.50"),
    "text_to_boolean": ("text", "'Yes'", "boolean", "true"),
    "big_to_int": ("bigint", "2147483647", "integer", "2147483647"),
    "int_to_boolean": ("integer", "0", "boolean", "false"),
    "boolean_to_int": ("boolean", "true", "smallint", "1"),
    "boolean_to_text": ("boolean", "true", "text", "true"),
    "double_to_numeric": ("double precision", "0.1", "numeric", "0.1"),
    "texts_to_jsonb": ("text[]", "'{a,\"b c\"}'", "jsonb", '["a", "b c"]'),
    "jsonb_to_texts": ("jsonb", """'["a", "b c"]'""", "text[]", '{a,"b c"}'),
    "jsonb_to_text": ("jsonb", "'{\"a\": 1}'", "text", '{"a": 1}'),
    "string_to_text": ("jsonb", "'\"a\"'", "text", "a"),
    "jsonb_to_json": ("jsonb", "'{\"a\": 1}'", "json", '{"a": 1}'),
    "ints_to_bigs": ("integer[]", "'{1,2}'", "bigint[]", "{1,2}"),
    "text_to_shorter": ("text", "'abc'", "character varying(3)", "abc"),
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


#: For each column: its type before, a value that has no place in its declared type, and that type.
MISFITS = {
    "uuid": ("text", "x", "uuid"),
    "number": ("text", "12a", "integer"),
    "empty": ("text", "", "bigint"),
    "large": ("bigint", "2147483648", "integer"),
    "low": ("integer", "-32769", "smallint"),
    "digits": ("numeric", "1000.004", "numeric(5,2)"),
    "nan": ("double precision", "NaN", "numeric"),
    "ever": ("timestamptz", "infinity", "bigint"),
    "flag": ("integer", "2", "boolean"),
    "word": ("text", "perhaps", "boolean"),
    "month": ("text", "2025-13-01", "timestamptz"),
    "long": ("text", "abcd", "varchar(3)"),
    "object": ("jsonb", "{}", "text[]"),
    "mixed": ("jsonb", """["a", 1]""", "text[]"),
    "label": ("text", "sad", "mood"),
    "no_json": ("text", "{a: 1}", "jsonb"),
}


@pytest.mark.parametrize("name", MISFITS)
async def test_a_value_that_no_rule_can_convert_stops_the_plan(
    database: str, connection: asyncpg.Connection, server: str, folder: Folder, name: str
) -> None:
    """A value without a place in the declared type stops the plan, with a query that lists it, and is in no message."""
    before, value, later = MISFITS[name]
    folder.add(
        1, "things", f"CREATE TYPE mood AS ENUM ('ok');\nCREATE TABLE things (id integer PRIMARY KEY, it {later});"
    )
    catalog = await folder.declared(server)
    await connection.execute(f"CREATE TABLE things (id integer PRIMARY KEY, it {before})")
    await connection.execute(f"INSERT INTO things VALUES (1, NULL), (2, '{value}'), (3, NULL)")

    step = (await kimbledb.plan(database, catalog=catalog)).step("things.sql")

    assert step.state is StepState.CONFLICTING
    assert step.completion is not None
    [conflict] = step.completion.conflicts
    assert conflict.startswith("1 row of things (it) with a value that cannot become")
    assert "things/apply.sql:2" in conflict
    listing = conflict.partition("listed by: ")[2]
    assert [row["id"] for row in await connection.fetch(listing)] == [2]
    assert len(value) < 2 or value not in conflict.partition("listed by: ")[0].replace("things/apply.sql:2", "")


#: For each column: its type before, a value of which something is cut, its declared type, and what is left.
CUTS = {
    "expires": ("timestamptz", "2025-01-01 00:00:00.25+00", "bigint", "1735689600"),
    "price": ("numeric", "1.239", "numeric(6,2)", "1.24"),
    "share": ("double precision", "0.75", "integer", "0"),
    "day": ("timestamptz", "2025-01-01 10:00+00", "date", "2025-01-01"),
    "text_day": ("text", "2025-01-01 10:00", "date", "2025-01-01"),
    "moment": ("timestamptz", "2025-01-01 00:00:00.4+00", "timestamp(0) with time zone", "2025-01-01 00:00:00+00"),
    "few": ("double precision", "0.1", "real", "0.1"),
}


async def test_what_a_conversion_cuts_is_counted_and_kept(
    database: str, connection: asyncpg.Connection, server: str, folder: Folder
) -> None:
    """Where a conversion cuts something off a value, the whole one is kept in a column of its own, and is counted."""
    columns = ", ".join(f"{name} {later}" for name, (_, _, later, _) in CUTS.items())
    folder.add(1, "things", f"CREATE TABLE things (id integer PRIMARY KEY, {columns}, updated_at timestamptz);")
    catalog = await folder.declared(server)
    before = ", ".join(f"{name} {kind}" for name, (kind, _, _, _) in CUTS.items())
    values = ", ".join(f"'{value}'" for _, value, _, _ in CUTS.values())
    await connection.execute(
        f"CREATE TABLE things (id integer PRIMARY KEY, {before}, updated_at timestamptz, expires_before text);"
        f"INSERT INTO things (id, {', '.join(CUTS)}) VALUES (1, {values}); INSERT INTO things VALUES (2);"
        f"INSERT INTO things (id, expires, price) VALUES (3, '2025-01-01+00', 1.5);"
        "CREATE FUNCTION stamp() RETURNS trigger SET search_path = public LANGUAGE plpgsql AS $$BEGIN NEW.updated_at = now(); RETURN NEW; END$$;"
        "CREATE TRIGGER stamp BEFORE UPDATE ON things FOR EACH ROW EXECUTE FUNCTION stamp()"
    )
    await connection.execute("SET timezone = 'UTC'")
    names = {name: f"{name}_before" for name in CUTS} | {"expires": "expires_before_2"}
    was = await connection.fetchrow(f"SELECT {', '.join(f'{name}::text' for name in CUTS)} FROM things WHERE id = 1")

    await kimbledb.adopt(database, catalog=catalog)
    plan = await kimbledb.plan(database, catalog=catalog)
    await kimbledb.migrate(database, catalog=catalog)

    row = await connection.fetchrow("SELECT to_jsonb(things) FROM things WHERE id = 1")
    completion = plan.step("things.sql").completion
    assert completion is not None
    assert {column: (keeps, count) for column, keeps, count in completion.kept} == {
        f"things.{name}": (f"things.{keeps}", 1) for name, keeps in names.items()
    }
    kept = await connection.fetchrow(
        f"SELECT {', '.join(f'{keeps}::text AS {name}' for name, keeps in names.items())} FROM things WHERE id = 1"
    )
    left = await connection.fetchrow(f"SELECT {', '.join(f'{name}::text' for name in CUTS)} FROM things WHERE id = 1")
    assert row is not None
    assert kept == was
    assert dict(left or {}) == {name: after for name, (_, _, _, after) in CUTS.items()}
    others = " IS NULL AND ".join(names.values())
    assert await connection.fetchval(f"SELECT count(*) FROM things WHERE id > 1 AND {others} IS NULL") == 2
    assert await connection.fetchval("SELECT count(updated_at) FROM things") == 0
    verification = await kimbledb.verify(database, catalog=catalog)
    assert not [str(each) for each in verification.checks if not each.passed]


async def test_ids_become_uuids_with_all_that_refers_to_them(
    database: str, connection: asyncpg.Connection, server: str, folder: Folder
) -> None:
    """Serial and text ids become uuids one to one, with the columns of each key there or declared, and the old ones are kept."""
    folder.add(
        1,
        "shop",
        "CREATE TABLE people (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), boss uuid REFERENCES people (id));"
        "CREATE TABLE tags (id uuid PRIMARY KEY DEFAULT gen_random_uuid());"
        "CREATE TABLE orders (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), buyer uuid NOT NULL REFERENCES people (id),"
        " tag uuid REFERENCES tags (id));"
        "CREATE INDEX ON people (boss); CREATE INDEX ON orders (buyer); CREATE INDEX ON orders (tag);"
        "CREATE TABLE visits (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, made bigserial);",
    )
    catalog = await folder.declared(server)
    uuid = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
    await connection.execute(
        "CREATE TABLE people (id serial PRIMARY KEY, boss integer REFERENCES people (id));"
        "CREATE TABLE tags (id text PRIMARY KEY);"
        "CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
        " buyer integer NOT NULL REFERENCES people (id), tag text);"
        "GRANT USAGE ON SEQUENCE people_id_seq TO PUBLIC;"
        "CREATE SEQUENCE numbers;"
        "CREATE TABLE visits (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, made bigint DEFAULT nextval('numbers'));"
        "INSERT INTO visits SELECT n, n FROM generate_series(1, 3) AS n;"
        "INSERT INTO people (boss) VALUES (NULL), (1), (1);"
        f"INSERT INTO tags VALUES ('red'), ('{uuid.upper()}');"
        f"INSERT INTO orders (buyer, tag) VALUES (2, 'red'), (3, '{uuid.upper()}'), (3, NULL)"
    )

    await kimbledb.adopt(database, catalog=catalog)
    report = await kimbledb.migrate(database, catalog=catalog)

    assert len(report.applied) == 1
    old = "(SELECT old_id FROM migration_ids WHERE new_id = {} AND column_name = '{}')"
    orders = await connection.fetch(
        f"SELECT {old.format('o.id', 'orders.id')} AS id, {old.format('o.buyer', 'people.id')} AS buyer,"
        f" coalesce({old.format('o.tag', 'tags.id')}, o.tag::text) AS tag, {old.format('p.boss', 'people.id')} AS boss"
        " FROM orders o JOIN people p ON p.id = o.buyer ORDER BY 1"
    )
    assert [tuple(row) for row in orders] == [
        ("1", "2", "red", "1"),
        ("2", "3", uuid.upper(), "1"),
        ("3", "3", None, "1"),
    ]
    assert await connection.fetchval(f"SELECT count(*) FROM tags WHERE id = '{uuid}'") == 1
    assert await connection.fetchval("SELECT count(*) FROM migration_ids") == 8
    assert (
        await connection.fetchval("SELECT count(*) FROM pg_class WHERE relkind = 'S' AND relname ~ 'people|orders'")
        == 0
    )
    await connection.execute("INSERT INTO people (boss) SELECT min(id::text)::uuid FROM people")
    # Numbers that were given by hand are not given again.
    assert tuple(await connection.fetchrow("INSERT INTO visits DEFAULT VALUES RETURNING *") or ()) == (4, 4)
    assert (await kimbledb.verify(database, catalog=catalog)).ok


async def test_texts_that_would_become_one_id_stop_the_plan(
    database: str, connection: asyncpg.Connection, server: str, folder: Folder
) -> None:
    """Two spellings of one uuid in a key of texts stop the plan, since two rows would have one id."""
    folder.add(1, "tags", "CREATE TABLE tags (id uuid PRIMARY KEY);")
    catalog = await folder.declared(server)
    uuid = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
    await connection.execute(
        f"CREATE TABLE tags (id text PRIMARY KEY); INSERT INTO tags VALUES ('{uuid}'), ('{uuid.upper()}')"
    )

    step = (await kimbledb.plan(database, catalog=catalog)).step("tags.sql")

    assert step.state is StepState.CONFLICTING
    assert step.completion is not None
    assert step.completion.conflicts[0].startswith(
        "2 rows of tags (id) with a value that becomes the same uuid as another"
    )


async def test_times_that_get_a_zone_are_not_written_anew(
    database: str, connection: asyncpg.Connection, server: str, folder: Folder
) -> None:
    """A time without a zone becomes one in UTC without a new file of the table, in a database of any zone."""
    folder.add(1, "things", "CREATE TABLE things (id integer PRIMARY KEY, at timestamptz);")
    catalog = await folder.declared(server)
    await connection.execute(
        "CREATE TABLE things (id integer PRIMARY KEY, at timestamp); INSERT INTO things VALUES (1, '2025-07-01 12:00')"
    )
    name = await connection.fetchval("SELECT current_database()")
    await connection.execute(f"ALTER DATABASE \"{name}\" SET timezone = 'America/New_York'")
    file = "SELECT pg_relation_filenode('things')"
    was = await connection.fetchval(file)

    await kimbledb.adopt(database, catalog=catalog)
    await kimbledb.migrate(database, catalog=catalog)

    assert await connection.fetchval(file) == was
    assert await connection.fetchval("SELECT at = '2025-07-01 12:00+00' FROM things")


@pytest.mark.parametrize(
    "kinds",
    [("bytea", "integer"), ("integer", "uuid"), ("point", "text"), ("jsonb", "boolean"), ("text[]", "integer[]")],
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
        "CREATE TABLE things (id integer PRIMARY KEY, kind text NOT NULL DEFAULT 'a' CHECK (kind IN ('a', 'b')), note text NOT NULL,"
        " more integer, same text DEFAULT 'c', sent timestamptz DEFAULT now());"
        "CREATE INDEX things_kind ON things (kind, id);",
    )
    catalog = await folder.declared(server)
    await connection.execute(
        "CREATE TABLE things (id integer, kind text DEFAULT 'b' CONSTRAINT things_kind_check CHECK (kind = 'a' OR kind = 'b'),"
        " note text, more integer DEFAULT 7, same text DEFAULT 'c', sent timestamptz, CONSTRAINT things_pkey PRIMARY KEY (id, kind));"
        "CREATE INDEX things_kind ON things (kind); INSERT INTO things VALUES (1, 'b', NULL)"
    )
    await kimbledb.adopt(database, catalog=catalog)

    [step] = (await kimbledb.plan(database, catalog=catalog)).steps
    await kimbledb.migrate(database, catalog=catalog)

    assert step.completion is not None
    assert set(step.completion.left) == {("constraint", "things.things_pkey"), ("column", "things.note")}
    assert "keeps the default of column things.kind, column things.more" in step.notes
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
    folder.add(
        1, "things", "CREATE TABLE things (id integer, body text); CREATE INDEX things_body_idx ON things (body);"
    )
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
