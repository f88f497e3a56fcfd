"""Snapshots: each property of each kind of object, named objects alone, identities, sources, and the query as a text."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import asyncpg
import pytest

import kimbledb
from kimbledb.inspection import snapshot
from kimbledb.model.names import quote_literal
from kimbledb.model.objects import OBJECT_KINDS, Key, has_expressions
from kimbledb.model.snapshot import Snapshot
from kimbledb.server import queries
from kimbledb.server.dsn import with_database
from kimbledb.server.search_path import path_of
from kimbledb.server.session import Session
from kimbledb.server.targets import target_of
from tests.support.databases import Clone, MakeTemplate, fresh_database, sql, take_snapshot
from tests.support.every_object import Change, changes, make_every_object
from tests.support.folders import Folder


@pytest.fixture(scope="module")
def every_object(make_template: MakeTemplate) -> str:
    """The name of a database whose schema "every" has every kind of object."""

    async def fill(dsn: str) -> None:
        connection = await asyncpg.connect(dsn)
        await make_every_object(connection, "every")
        await connection.close()

    return make_template(fill)


@pytest.fixture
async def shared(server: str, every_object: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to that database. A test takes back what it changes."""
    connection = await asyncpg.connect(with_database(server, every_object))
    await connection.execute("SET search_path = every")
    yield connection
    await connection.close()


@pytest.fixture
async def session(server: str, every_object: str) -> AsyncIterator[Session]:
    """A session that takes snapshots of that database."""
    async with target_of(with_database(server, every_object)).session(kimbledb.Options()) as opened:
        yield opened


async def take(session: Session, only: list[Key] | None = None) -> Snapshot:
    """Take a snapshot of the schema, or of objects of it."""
    if only is None:
        return await snapshot.take(session, "every", ("every", "public"))
    query = snapshot.query("every", *snapshot.scope_of("every", only))
    path = quote_literal(path_of(("every", "public")))
    return snapshot.snapshot_of(await session.ask(queries.anonymous(queries.printed(query, path))))


async def test_every_kind_is_in_it(session: Session) -> None:
    """A snapshot holds objects of every kind."""
    assert {each.kind for each in await take(session)} == set(OBJECT_KINDS) - {"schema", "default privilege"}


@pytest.mark.parametrize("change", changes(), ids=str)
async def test_a_change_is_seen_and_so_is_its_undoing(
    shared: asyncpg.Connection, session: Session, change: Change
) -> None:
    """A changed property gives another snapshot, and the property taken back gives the first one again."""
    if shared.get_server_version().major < change.since:
        pytest.skip(f"since version {change.since}")
    if change.icu and await shared.fetchval("SELECT count(*) < 9 FROM pg_collation WHERE collprovider = 'i'"):
        pytest.skip("the server was built without ICU")
    before = await take(session)

    await shared.execute(change.do.replace("{schema}", "every"))
    changed = await take(session)
    await shared.execute(change.undo.replace("{schema}", "every"))

    assert changed.since(before)
    assert str((await take(session)).since(before)) == "no difference"


async def test_the_name_of_the_schema_is_not_in_it(shared: asyncpg.Connection, session: Session) -> None:
    """The same statements in a schema of another name, which has to be quoted, give the same snapshot."""
    await make_every_object(shared, "Another schema")

    other = await snapshot.take(session, "Another schema", ("Another schema", "public"))
    await shared.execute('SET client_min_messages = error; DROP SCHEMA "Another schema" CASCADE')

    assert str(other.since(await take(session))) == "no difference"
    assert other.forms == (await take(session)).forms


SETTINGS = {
    "quote_all_identifiers": "on",
    "DateStyle": "'SQL, DMY'",
    "IntervalStyle": "iso_8601",
    "search_path": "every",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "standard_conforming_strings": "off",
    "TimeZone": "'Asia/Tokyo'",
    "lc_messages": "'C'",
    "enable_nestloop": "off",
    "plan_cache_mode": "force_generic_plan",
    "transform_null_equals": "on",
}


@pytest.mark.parametrize("name", SETTINGS)
async def test_settings_change_nothing(clone: Clone, every_object: str, name: str) -> None:
    """A setting of the database by which the server prints otherwise gives the same snapshot and forms."""
    dsn = await clone(every_object)
    before = await take_snapshot(dsn, "every")

    await sql(dsn, f'ALTER DATABASE "{dsn.rpartition("/")[2]}" SET {name} = {SETTINGS[name]}')
    after = await take_snapshot(dsn, "every")

    assert str(after.since(before)) == "no difference"
    assert after.forms == before.forms


async def test_only_its_own_objects_are_in_it(database: str, folder: Folder) -> None:
    """Members of extensions, kimbledb's tables and objects of other schemas are left out."""
    await sql(database, "CREATE EXTENSION hstore; CREATE SCHEMA other; CREATE TABLE other.t (id serial PRIMARY KEY)")
    folder.add(1, "one", "CREATE TABLE one ();")
    await kimbledb.migrate(database, catalog=folder.catalog)

    assert [str(each) for each in await take_snapshot(database)] == ["table one"]


SCOPES: dict[Key, set[Key]] = {
    ("table", "scratch"): {("table", "scratch"), ("column", "scratch.a"), ("privilege", "table scratch to owner")},
    ("column", "scratch.a"): {("table", "scratch"), ("column", "scratch.b")},
    ("index", "people_name"): {("table", "people"), ("index", "people_hash"), ("column", "people.name")},
    ("statistics", "people_links"): {("table", "people"), ("comment", "statistics people_links")},
    ("constraint", '"Orders".checked_later'): {("table", '"Orders"'), ("index", '"Orders_x"')}
    - {("index", '"Orders_x"')},
    ("policy", "people.own"): {("policy", "people.own"), ("sequence", "people_serial_seq")},
    ("comment", "column people.name"): {("comment", "column people.name"), ("column", "people.name")},
    ("privilege", 'column people.name to "Snapshot Reader"'): {
        ("privilege", 'column people.name to "Snapshot Reader"')
    },
    ("sequence", "counter"): {("sequence", "counter"), ("comment", "sequence counter")},
    ("view", "adults"): {("view", "adults"), ("column", "adults.name"), ("privilege", "view adults to public")},
    ("function", "twice(integer)"): {
        ("function", "twice(integer)"),
        ("privilege", "function twice(integer) to public"),
    },
    ("type", "price"): {("type", "price"), ("comment", "constraint price.positive")},
    ("operator", "===(integer,integer)"): {("operator", "===(integer,integer)")},
    ("operator class", "odd_order using btree"): {("operator class", "odd_order using btree")},
    ("text search configuration", "words"): {("text search configuration", "words")},
    ("collation", "plain"): {("collation", "plain"), ("comment", "collation plain")},
}


@pytest.mark.parametrize("key", SCOPES, ids=" ".join)
async def test_named_objects_alone(session: Session, key: Key) -> None:
    """A snapshot of one object has the facts of the whole one, and no object of another table."""
    whole = await take(session)

    part = await take(session, [key])

    assert key in part.objects
    assert part.objects.keys() >= SCOPES[key]
    assert part.objects.items() <= whole.objects.items()
    assert dict(part.forms).items() <= dict(whole.forms).items()
    assert ("table", "base") not in part.objects
    assert ("comment", "schema") not in part.objects


async def test_the_parts_make_the_whole(session: Session) -> None:
    """The snapshot of all objects, each asked for by its name, is the whole one."""
    whole = await take(session)

    assert (await take(session, [*whole.objects])) == whole


async def test_what_other_schemas_hold_is_named_with_the_schema(database: str) -> None:
    """Objects of other schemas that a migration reaches are in the snapshot with their schema's name."""
    await sql(
        database,
        """
        CREATE SCHEMA auth; CREATE SCHEMA audit;
        CREATE TABLE auth.users (id integer PRIMARY KEY);
        CREATE TABLE auth.secrets (id integer);
        CREATE TABLE audit.log (id integer REFERENCES auth.users);
        CREATE FUNCTION audit.note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TRIGGER noted BEFORE INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION audit.note();
        CREATE TABLE own (id integer REFERENCES auth.users);
        """,
    )

    seen = await take_snapshot(database, reached=["auth.users", "audit"])

    assert {each.name for each in seen if each.kind in ("table", "trigger", "function")} == {
        *("own", "auth.users", "audit.log", "auth.users.noted", "audit.note()")
    }
    assert seen.objects["trigger", "auth.users.noted"]["event"] == (
        "BEFORE INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION audit.note()"
    )
    assert seen.objects["constraint", "own.own_id_fkey"]["key"] == "FOREIGN KEY (id) REFERENCES auth.users(id)"


RENAMES = {
    "ALTER TABLE people RENAME TO persons": {("table", "people"): "persons", ("column", "people.id"): "persons.id"},
    "ALTER TABLE people RENAME name TO title": {("column", "people.name"): "people.title"},
    "ALTER FUNCTION announce RENAME TO proclaim": {("function", "announce()"): "proclaim()"},
    "ALTER INDEX people_name RENAME TO by_name": {("index", "people_name"): "by_name"},
    "ALTER TABLE base RENAME CONSTRAINT base_a_check TO positive": {
        ("constraint", "base.base_a_check"): "base.positive"
    },
    "ALTER TYPE mood RENAME TO feeling": {("type", "mood"): "feeling", ("comment", "type mood"): "type feeling"},
    "ALTER POLICY own ON people RENAME TO mine": {("policy", "people.own"): "people.mine"},
    "ALTER VIEW adults RENAME TO grown": {("view", "adults"): "grown", ("column", "adults.id"): "grown.id"},
}


@pytest.mark.parametrize("statement", RENAMES)
async def test_a_rename_keeps_the_identity(clone: Clone, every_object: str, statement: str) -> None:
    """An object has the identity that it had under its old name, and no two objects have the same."""
    dsn = await clone(every_object)
    before = await take_snapshot(dsn, "every", identities=True)

    await sql(dsn, f"SET search_path = every; {statement}")
    after = await take_snapshot(dsn, "every", identities=True)

    assert {old: after.identities[old[0], new] for old, new in RENAMES[statement].items()} == {
        old: before.identities[old] for old in RENAMES[statement]
    }
    alone = [identity for key, identity in after.identities.items() if "privilege" not in key[0]]
    assert len(alone) == len(set(alone))


async def test_sources_make_the_objects_again(clone: Clone, every_object: str) -> None:
    """The statement of each function, view and rule makes the object with the same facts, in a schema of any name."""
    dsn = await clone(every_object)
    before = await take_snapshot(dsn, "every", sources=True)
    await sql(dsn, "ALTER SCHEMA every RENAME TO renamed")

    for number, ((kind, name), source) in enumerate(before.sources.items()):
        table, _, part = name.rpartition(".")
        away = {
            "function": f"ALTER ROUTINE {name} RENAME TO gone_{number}",
            "view": f"ALTER TABLE {name} RENAME TO gone_{number}",
            "rule": f"DROP RULE {part} ON {table}",
        }
        await sql(dsn, f"SET search_path = renamed, public; {away[kind]}")
        await sql(dsn, f"SET search_path = renamed, public; {source}")
        made = await take_snapshot(dsn, "renamed")
        assert made.objects[kind, name] == before.objects[kind, name]

    assert {kind for kind, _ in before.sources} == {"function", "view", "rule"}
    assert all("every" not in source for source in before.sources.values())


async def test_the_query_as_a_text(shared: asyncpg.Connection, session: Session) -> None:
    """The text of the query for some kinds gives their rows, with the forms that a snapshot has, and with the owners."""
    whole = await take(session)
    await shared.execute("SET search_path = every, public")

    rows = json.loads(
        await shared.fetchval(
            snapshot.query("every", ("constraint", "index"), {"every": ["people"]}, forms=True, owners=True)
        )
    )["objects"]

    wanted = {
        key
        for key, facts in whole.objects.items()
        if key[0] in ("constraint", "index") and (key[1].startswith("people.") or facts.get("on") == "people")
    }
    assert {(kind, name) for kind, name, *_ in rows} == wanted
    assert {(kind, name): form for kind, name, _, _, form, *_ in rows if form} == {
        key: form for key, form in whole.forms.items() if key in wanted
    }
    assert {row[-1] for row in rows} == {await shared.fetchval("SELECT current_user")}


NEEDS: dict[Key, set[Key]] = {
    ("column", "people.doubled"): {("function", "twice(integer)")},
    ("column", "people.serial"): {("sequence", "people_serial_seq")},
    ("column", "people.feeling"): {("type", "mood")},
    ("view", "numbers_of"): {("column", "adults.id"), ("column", '"Orders".person'), ("function", "twice(integer)")},
    ("function", "count_people(integer)"): {("column", "people.id")},
    ("policy", "people.narrow"): {("table", "people"), ("column", '"Orders".person')},
    ("trigger", "people.touched"): {("table", "people"), ("column", "people.name"), ("function", "touch()")},
    ("constraint", '"Orders"."Orders_person_fkey"'): {("constraint", "people.people_pkey"), ("column", "people.id")},
    ("statistics", "people_expressions"): {("column", "people.id"), ("column", "people.name")},
    ("index", "people_name"): {("column", "people.name"), ("column", "people.born"), ("collation", "plain")},
    ("table", "child"): {("table", "base")},
    ("table", "measured_2024"): {("table", "measured")},
    ("table", "of_point"): {("type", "point_of")},
    ("sequence", "owned"): {("column", "owner_table.id")},
    ("operator class", "odd_order using btree"): {("operator family", "numbers using btree")},
}


async def test_what_each_object_needs(session: Session) -> None:
    """An object needs what the server records, through rules, defaults, types of rows and indexes of constraints."""
    found = (await snapshot.take(session, "every", ("every", "public"), needs=True)).needs

    assert {key: NEEDS[key] - set(found.get(key, ())) for key in NEEDS} == {key: set() for key in NEEDS}


async def test_privileges_alone_are_all_privileges(shared: asyncpg.Connection, session: Session) -> None:
    """The query for privileges alone gives those of all objects."""
    await shared.execute("SET search_path = every, public")

    answer = json.loads(await shared.fetchval(snapshot.query("every", ("privilege",))))

    assert snapshot.snapshot_of(answer).objects == {
        key: facts for key, facts in (await take(session)).objects.items() if key[0] == "privilege"
    }


async def test_forms_are_of_the_objects_with_expressions(session: Session) -> None:
    """An object has a form if one of its facts is an expression, and its form is that of its text."""
    whole = await take(session)

    assert set(whole.forms) == {key for key, facts in whole.objects.items() if has_expressions(facts)}


INDEXES = {
    "(a)": (("a",), ()),
    "(a DESC, b NULLS FIRST)": (("a DESC", "b NULLS FIRST"), ()),
    '(a) INCLUDE (b, "a,b")': (("a",), ("b", '"a,b"')),
    "(lower(b))": (("(lower(b))",), ()),
    "(lower(b) text_pattern_ops DESC)": (("(lower(b)) text_pattern_ops DESC",), ()),
    "((a + 1), coalesce(b, 'x), (''')) INCLUDE (a)": (("(a + 1)", "(COALESCE(b, 'x), ('''::text))"), ("a",)),
    "((b || '(') COLLATE \"C\")": (("(b || '('::text) COLLATE \"C\"",), ()),
    "(\"a,b\", \"say \"\"(\") WHERE b <> ' INCLUDE ('": (('"a,b"', '"say ""("'), ()),
    "(every_fn(a), public.every_fn(a))": (("(every_fn(a))", "(public.every_fn(a))"), ()),
    "USING gin (t gin_trgm_ops)": (("t gin_trgm_ops",), ()),
    "USING gist (t gist_trgm_ops (siglen = 32))": (("t gist_trgm_ops (siglen='32')",), ()),
    "USING gin (to_tsvector('simple', b), t gin_trgm_ops)": (("(to_tsvector('simple'::regconfig, b))", "t gin_trgm_ops"), ()),
    "(extract(year FROM d))": (("(EXTRACT(year FROM d))",), ()),
    "((d AT TIME ZONE 'UTC'))": (("(d AT TIME ZONE 'UTC'::text)",), ()),
}  # fmt: skip


@pytest.mark.parametrize("definition", INDEXES)
async def test_columns_of_indexes(server: str, definition: str) -> None:
    """Each column of an index stands by itself, expressions in parentheses, with what the server would not choose by itself."""
    async with fresh_database(server, "CREATE EXTENSION pg_trgm; CREATE SCHEMA every") as dsn:
        await sql(
            dsn,
            """
            SET search_path = every, public;
            CREATE TABLE t (a integer, b text, "a,b" text, "say ""(" text, t text, d timestamp);
            CREATE FUNCTION every_fn(integer) RETURNS integer LANGUAGE sql IMMUTABLE RETURN $1;
            CREATE FUNCTION public.every_fn(integer) RETURNS integer LANGUAGE sql IMMUTABLE RETURN $1;
            """,
        )
        await sql(dsn, f"SET search_path = every, public; CREATE INDEX i ON t {definition}")
        facts = (await take_snapshot(dsn, "every")).objects["index", "i"]

    assert (facts["columns"], facts.get("include", ())) == INDEXES[definition]
