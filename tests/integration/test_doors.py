"""What another hand left open on what a closed catalog declares is closed by name; what only closes stays."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import NamedTuple

import asyncpg
import pytest

import kimbledb
from kimbledb import StepState
from kimbledb.testing.background import Background
from tests.support.databases import sql, take_snapshot
from tests.support.folders import Folder

NOTES = """\
CREATE TABLE people (id text PRIMARY KEY, name text);
CREATE TABLE notes (
    id integer PRIMARY KEY, person text REFERENCES people, body text, mood text, stars integer CHECK (stars >= 0)
);
CREATE INDEX ON notes (person);
ALTER TABLE people ENABLE ROW LEVEL SECURITY;
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY notes_own ON notes USING (person = (SELECT current_setting('app.person', true))) WITH CHECK (person = (SELECT current_setting('app.person', true)));
CREATE POLICY people_own ON people FOR SELECT USING (id = (SELECT current_setting('app.person', true)));
CREATE FUNCTION find(q text, most integer DEFAULT 5) RETURNS SETOF notes LANGUAGE sql SET search_path FROM CURRENT AS
    'SELECT * FROM notes WHERE body LIKE q LIMIT most';
"""
HOSTED = """\
GRANT SELECT, INSERT ON notes TO authenticated, service_role;
GRANT SELECT ON people TO authenticated;
GRANT EXECUTE ON FUNCTION find(text, integer) TO authenticated, service_role;
"""
#: The same tables as another hand made them, with rows of two persons.
BEFORE = """\
CREATE TABLE people (id text PRIMARY KEY, name text NOT NULL);
CREATE TABLE notes (id integer PRIMARY KEY, person text REFERENCES people, body text);
INSERT INTO people VALUES ('ann', 'Ann'), ('bob', 'Bob');
INSERT INTO notes VALUES (1, 'ann', 'of ann'), (2, 'bob', 'of bob');
ALTER TABLE people ENABLE ROW LEVEL SECURITY;
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
"""


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory, _kimbledb_background: Background) -> kimbledb.Catalog:
    """A closed catalog of two tables and a function, recorded on both platforms."""
    folder = Folder(tmp_path_factory.mktemp("doors") / "migrations")
    folder.add(1, "notes", NOTES, hosted=HOSTED)
    folder.close()
    _kimbledb_background.run(kimbledb.declare(folder.path))
    return folder.catalog


@pytest.fixture
async def there(hosted_database: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a hosted database with the tables of another hand."""
    connection = await asyncpg.connect(hosted_database)
    await connection.execute(BEFORE)
    yield connection
    await connection.close()


@pytest.fixture
async def groups(hosted_server: str) -> AsyncIterator[None]:
    """A role whose rights people have as members of it."""
    await sql(hosted_server, "CREATE ROLE readers; GRANT readers TO authenticated")
    yield
    await sql(hosted_server, "DROP ROLE readers")


async def brought(dsn: str, catalog: kimbledb.Catalog) -> kimbledb.MigrationReport:
    """Adopt, migrate, and see that nothing is left to do."""
    await kimbledb.adopt(dsn, catalog=catalog)
    report = await kimbledb.migrate(dsn, catalog=catalog)
    verified = await kimbledb.verify(dsn, catalog=catalog)
    assert [str(each) for each in verified.failures if each.migration is not None] == []
    return report


async def seen(
    connection: asyncpg.Connection, query: str, *, role: str = "authenticated", person: str = "ann"
) -> object:
    """What a role reads as a person: the values of the first column, or the name of the error."""
    try:
        async with connection.transaction():
            await connection.execute(f"SET LOCAL ROLE {role}")
            await connection.execute("SELECT set_config('app.person', $1, true)", person)
            return [row[0] for row in await connection.fetch(query)]
    except asyncpg.PostgresError as error:
        return type(error).__name__


class Door(NamedTuple):
    """A thing of another hand through which a person sees all rows of ``notes``."""

    made_by: str
    #: The query that goes through it.
    query: str
    #: The name by which the plan says what goes.
    name: str


DOORS = {
    "policy": ("CREATE POLICY open ON notes USING (true)", "SELECT id FROM notes", "policy notes.open"),
    "quoted": Door(
        'CREATE POLICY "All of; them" ON notes FOR SELECT TO authenticated USING (true)',
        "SELECT id FROM notes",
        'policy notes."All of; them"',
    ),
    "for one command": Door(
        "CREATE POLICY open ON notes FOR SELECT TO anon, authenticated USING (body IS NOT NULL)",
        "SELECT id FROM notes",
        "policy notes.open",
    ),
    "by a group": Door(
        "CREATE POLICY open ON notes FOR SELECT TO readers USING (true)",
        "SELECT id FROM notes",
        "policy notes.open",
    ),
    "view": Door(
        "CREATE VIEW all_notes AS SELECT * FROM notes",
        "SELECT id FROM all_notes",
        "privilege view all_notes to authenticated",
    ),
    "view of a view": Door(
        "CREATE VIEW inside AS SELECT * FROM notes; REVOKE ALL ON inside FROM anon, authenticated;"
        "CREATE VIEW beyond AS SELECT id FROM inside",
        "SELECT id FROM beyond",
        "privilege view beyond to authenticated",
    ),
    "column of a view": Door(
        "CREATE VIEW part AS SELECT * FROM notes; REVOKE ALL ON part FROM authenticated; GRANT SELECT (id) ON part TO authenticated",
        "SELECT id FROM part",
        "privilege column part.id to authenticated",
    ),
    "copy": Door(
        "CREATE MATERIALIZED VIEW copied AS SELECT * FROM notes",
        "SELECT id FROM copied",
        "privilege view copied to authenticated",
    ),
    "function": Door(
        "CREATE FUNCTION peek() RETURNS SETOF integer LANGUAGE sql SECURITY DEFINER AS 'SELECT id FROM notes'",
        "SELECT peek()",
        "privilege function peek() to public",
    ),
    "variadic function": Door(
        "CREATE FUNCTION peek(a integer DEFAULT 1, VARIADIC b text[] DEFAULT '{}') RETURNS SETOF integer LANGUAGE sql"
        " SECURITY DEFINER AS 'SELECT id FROM notes'",
        "SELECT peek()",
        "privilege function peek(integer,text[]) to public",
    ),
    "function of a trigger": Door(
        "CREATE FUNCTION peek() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS"
        " 'BEGIN NEW.n := (SELECT count(*) FROM notes); RETURN NEW; END'",
        "SELECT n FROM generate_series(1, 2) AS n WHERE has_function_privilege('peek()', 'EXECUTE')",
        "privilege function peek() to public",
    ),
    "aggregate": Door(
        "CREATE FUNCTION step(state integer[], one integer) RETURNS integer[] LANGUAGE sql SECURITY DEFINER AS"
        " 'SELECT array_agg(id ORDER BY id) FROM public.notes';"
        "CREATE AGGREGATE peek(integer) (SFUNC = step, STYPE = integer[], INITCOND = '{}')",
        "SELECT unnest(peek(1))",
        "privilege function peek(integer) to public",
    ),
}


@pytest.mark.usefixtures("groups")
@pytest.mark.parametrize("door", DOORS)
async def test_a_door_of_another_hand_is_closed(
    hosted_database: str, there: asyncpg.Connection, catalog: kimbledb.Catalog, door: str
) -> None:
    """A person sees all rows through it before, her own or none afterwards, and the plan says by name what goes."""
    statement, query, name = DOORS[door]
    await there.execute(statement)
    assert await seen(there, query) == [1, 2]

    plan = await kimbledb.plan(hosted_database, catalog=catalog)
    await brought(hosted_database, catalog)

    assert name in "\n".join(plan.step("notes.sql").notes)
    failures = (await kimbledb.verify(hosted_database, catalog=catalog)).failures
    assert [str(each) for each in failures] == []
    assert await seen(there, query) in ([1], [], "InsufficientPrivilegeError")
    assert await seen(there, query, person="bob") in ([2], [], "InsufficientPrivilegeError")
    assert await seen(there, query, role="anon") in ([], "InsufficientPrivilegeError")
    assert await there.fetchval("SELECT count(*) FROM notes") == 2


class Thing(NamedTuple):
    """A thing of another hand that lets nobody see more."""

    made_by: str
    #: A query that is true while it is there.
    query: str


HARMLESS = {
    "restrictive policy": Thing(
        "CREATE POLICY less ON notes AS RESTRICTIVE USING (id < 2)",
        "SELECT count(*) FROM pg_policy WHERE polname = 'less'",
    ),
    "policy of another role": Thing(
        "CREATE ROLE clerks_of_notes; CREATE POLICY clerks ON notes TO clerks_of_notes USING (true)",
        "SELECT count(*) FROM pg_policy WHERE polname = 'clerks'",
    ),
    "view of its reader": Thing(
        "CREATE VIEW mine WITH (security_invoker = on) AS SELECT * FROM notes",
        "SELECT has_table_privilege('authenticated', 'mine', 'SELECT')::integer",
    ),
    "function of its caller": Thing(
        "CREATE FUNCTION peek() RETURNS SETOF integer LANGUAGE sql AS 'SELECT id FROM notes'",
        "SELECT has_function_privilege('authenticated', 'peek()', 'EXECUTE')::integer",
    ),
    "trigger": Thing(
        "CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN NEW; END';"
        "CREATE TRIGGER stamp BEFORE UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION stamp()",
        "SELECT count(*) FROM pg_trigger WHERE tgname = 'stamp' AND tgenabled = 'O'",
    ),
    "rule": Thing(
        "CREATE RULE told AS ON UPDATE TO notes DO ALSO NOTIFY notes",
        "SELECT count(*) FROM pg_rewrite WHERE rulename = 'told'",
    ),
    "table of its own": Thing(
        "CREATE TABLE apart (id integer, person text); ALTER TABLE apart ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY own ON apart USING (person = current_user)",
        "SELECT has_table_privilege('anon', 'apart', 'SELECT')::integer",
    ),
    "unique key": Thing(
        "ALTER TABLE notes ADD CONSTRAINT once UNIQUE (body)",
        "SELECT count(*) FROM pg_constraint WHERE conname = 'once'",
    ),
}


@pytest.mark.parametrize("thing", HARMLESS)
async def test_what_opens_nothing_stays(
    hosted_database: str, there: asyncpg.Connection, catalog: kimbledb.Catalog, thing: str
) -> None:
    """A thing of another hand that lets nobody see more, or that nobody can call, is there afterwards as before."""
    statement, query = HARMLESS[thing]
    await there.execute(statement)
    try:
        await brought(hosted_database, catalog)

        assert await there.fetchval(query)
    finally:
        if "ROLE" in statement:
            await there.execute("DROP POLICY clerks ON notes; DROP ROLE clerks_of_notes")


async def test_what_goes_is_in_the_plan_the_report_and_the_log(
    hosted_database: str, there: asyncpg.Connection, catalog: kimbledb.Catalog
) -> None:
    """Every object that goes, and every column made nullable, stands by name in all three."""
    await there.execute(
        "CREATE POLICY one ON notes USING (true); CREATE POLICY two ON notes FOR DELETE USING (true);"
        "CREATE POLICY three ON people USING (true); CREATE POLICY four ON people FOR SELECT TO anon USING (true)"
    )
    names = ["policy notes.one", "policy notes.two", "policy people.four", "policy people.three"]

    plan = await kimbledb.plan(hosted_database, catalog=catalog)
    report = await brought(hosted_database, catalog)

    shown = str(plan)
    logged = json.loads(
        await there.fetchval("SELECT detail->'completion' FROM migration_log WHERE event = 'apply' ORDER BY id")
    )
    assert sorted(logged["takes away, as another hand's,"]) == names
    assert logged["makes nullable"] == ["column people.name"]
    assert "privilege table people to anon" in logged["takes back"]
    for text in (shown, str(report)):
        assert all(
            name in text for name in [*names, "makes nullable column people.name", "privilege table people to anon"]
        )


async def test_what_has_to_go_keeps_a_whole_migration_from_being_adopted(
    hosted_database: str, catalog: kimbledb.Catalog
) -> None:
    """Where all objects are there as declared, and a policy beside them, the migration is completed and not adopted."""
    await kimbledb.migrate(hosted_database, catalog=catalog)
    await sql(hosted_database, "DROP TABLE migration_history, migration_log; CREATE POLICY open ON notes USING (true)")

    adopted = await kimbledb.adopt(hosted_database, catalog=catalog)
    [step] = (await kimbledb.plan(hosted_database, catalog=catalog)).steps
    await kimbledb.migrate(hosted_database, catalog=catalog)

    assert adopted.adopted == ()
    assert step.state is StepState.PARTIAL
    assert "the removal of policy notes.open" in step.reason
    assert await sql(hosted_database, "SELECT count(*) FROM pg_policy WHERE polname = 'open'") == 0
    assert (await kimbledb.plan(hosted_database, catalog=catalog)).pending == ()


async def test_a_policy_for_people_and_others_is_left_to_the_others(
    hosted_database: str, there: asyncpg.Connection, catalog: kimbledb.Catalog
) -> None:
    """A policy that names a role of its own beside people's goes on for that role alone."""
    await there.execute(
        "CREATE ROLE keepers_of_notes; CREATE POLICY shared ON notes TO authenticated, keepers_of_notes USING (true)"
    )
    try:
        await brought(hosted_database, catalog)

        roles = await there.fetchval("SELECT polroles::regrole[]::text FROM pg_policy WHERE polname = 'shared'")
        assert roles == "{keepers_of_notes}"
    finally:
        await there.execute("DROP POLICY shared ON notes; DROP ROLE keepers_of_notes")


async def test_an_old_function_of_the_same_name_goes(
    hosted_database: str, there: asyncpg.Connection, catalog: kimbledb.Catalog
) -> None:
    """Overloads of a declared function, of any kind, make way, so that a call by named arguments finds the declared one."""
    await there.execute(
        "CREATE FUNCTION find(q text, most integer DEFAULT 10, person text DEFAULT NULL) RETURNS SETOF text LANGUAGE sql AS 'SELECT q';"
        "CREATE PROCEDURE find(n numeric) LANGUAGE sql AS 'SELECT 1';"
        "COMMENT ON FUNCTION find(text, integer, text) IS 'old'"
    )
    await brought(hosted_database, catalog)

    assert await there.fetchval("SELECT array_agg(oid::regprocedure::text) FROM pg_proc WHERE proname = 'find'") == [
        "find(text,integer)"
    ]
    assert await there.fetchval("SELECT count(*) FROM find(q => '%of%')") == 2


async def test_an_old_function_makes_way_before_a_script_runs(
    hosted_database: str, folder: Folder, hosted_server: str
) -> None:
    """Where nothing of a migration is there but an overload of its function, that goes and the script runs whole."""
    folder.add(
        1,
        "finding",
        "CREATE TABLE asked (q text); INSERT INTO asked VALUES ('first');"
        "CREATE FUNCTION find(q text) RETURNS text LANGUAGE sql AS 'SELECT q';",
    )
    folder.close()
    catalog = await folder.declared(hosted_server)
    await sql(
        hosted_database,
        "CREATE TABLE apart (id integer);"
        "CREATE FUNCTION find(q text, most integer DEFAULT 1) RETURNS text LANGUAGE sql AS 'SELECT q'",
    )

    [step] = (await kimbledb.plan(hosted_database, catalog=catalog)).steps
    await brought(hosted_database, catalog)

    assert step.state is StepState.PENDING
    assert any("takes away" in note and "function find(text,integer)" in note for note in step.notes)
    assert await sql(hosted_database, "SELECT find('a')") == "a"
    assert await sql(hosted_database, "SELECT q FROM asked") == "first"


async def test_an_old_function_that_something_needs_stops_the_plan(
    hosted_database: str, there: asyncpg.Connection, catalog: kimbledb.Catalog
) -> None:
    """An overload that a view reads is a conflict that names both, and nothing is touched."""
    await there.execute(
        "CREATE FUNCTION find(n integer) RETURNS integer LANGUAGE sql AS 'SELECT n'; CREATE VIEW found AS SELECT find(1) AS n"
    )
    await kimbledb.adopt(hosted_database, catalog=catalog)
    was = await take_snapshot(hosted_database)

    with pytest.raises(kimbledb.ConflictingObjectsError, match=r"function find\(integer\) .* view found needs it"):
        await kimbledb.migrate(hosted_database, catalog=catalog)

    assert str((await take_snapshot(hosted_database)).since(was)) == "no difference"


async def test_old_checks_and_not_null_refuse_no_more(
    hosted_database: str, there: asyncpg.Connection, catalog: kimbledb.Catalog
) -> None:
    """Rows that the declaration accepts can be inserted; keys and what has a default stay NOT NULL, other checks stay."""
    await there.execute(
        "ALTER TABLE notes ADD mood text NOT NULL DEFAULT 'calm' CHECK (mood IN ('calm', 'body')), ADD stars integer,"
        " ADD \"Old\" text NOT NULL DEFAULT 'x', ADD kind text, ADD CONSTRAINT few CHECK (stars < 3 AND stars <> 0),"
        " ADD CONSTRAINT kinds CHECK (kind <> 'stars'), ADD CONSTRAINT mixed CHECK (kind <> mood), ADD CONSTRAINT related CHECK (stars <> id);"
        "UPDATE notes SET kind = 'k'; ALTER TABLE notes ALTER kind SET NOT NULL, ALTER \"Old\" DROP DEFAULT, ALTER body SET NOT NULL"
    )
    await brought(hosted_database, catalog)

    await there.execute("INSERT INTO notes (id, mood, stars) VALUES (3, 'wild', 5)")
    columns = await there.fetch(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'notes'::regclass AND attnum > 0 AND attnotnull ORDER BY 1"
    )
    assert [name for (name,) in columns] == ["id", "mood"]
    checks = await there.fetch(
        "SELECT conname FROM pg_constraint WHERE conrelid = 'notes'::regclass AND contype = 'c' ORDER BY 1"
    )
    assert [name for (name,) in checks] == ["kinds", "mixed", "notes_stars_check", "related"]


async def test_not_null_goes_in_partitions_and_heirs(database: str, folder: Folder, server: str) -> None:
    """A NOT NULL of another hand goes in a table and in the tables below it, also in a catalog that is not closed."""
    folder.add(
        1,
        "logs",
        "CREATE TABLE logs (id integer, at integer, body text) PARTITION BY LIST (at); CREATE TABLE base (id integer, body text);",
    )
    catalog = await folder.declared(server)
    await sql(
        database,
        "CREATE TABLE logs (id integer NOT NULL, at integer, body text NOT NULL, more text NOT NULL) PARTITION BY LIST (at);"
        "CREATE TABLE logs_1 PARTITION OF logs FOR VALUES IN (1); CREATE TABLE base (id integer, body text NOT NULL);"
        "CREATE TABLE heir () INHERITS (base);"
        "CREATE TABLE logs_2 (id integer NOT NULL, at integer, body text NOT NULL, more text NOT NULL);"
        "ALTER TABLE logs ATTACH PARTITION logs_2 FOR VALUES IN (2)",
    )
    await kimbledb.adopt(database, catalog=catalog)

    await kimbledb.migrate(database, catalog=catalog)

    await sql(database, "INSERT INTO logs (at) VALUES (1), (2); INSERT INTO heir VALUES (NULL, NULL)")
    assert (await kimbledb.verify(database, catalog=catalog)).ok


async def test_what_roles_granted_on_goes_too(
    hosted_database: str, there: asyncpg.Connection, catalog: kimbledb.Catalog
) -> None:
    """A privilege that a role passed on is taken back with its grant option, and a role of its own keeps what it had."""
    await there.execute(
        "CREATE ROLE passers; CREATE ROLE getters; GRANT passers, getters TO CURRENT_USER;"
        "GRANT SELECT, DELETE ON notes TO passers WITH GRANT OPTION; GRANT SELECT ON people TO authenticated WITH GRANT OPTION;"
        "SET ROLE passers; GRANT DELETE ON notes TO anon, getters; RESET ROLE; SET ROLE authenticated;"
        "GRANT SELECT ON people TO getters; RESET ROLE; REVOKE ALL ON notes FROM anon"
    )
    try:
        assert await there.fetchval("SELECT has_table_privilege('anon', 'notes', 'DELETE')")

        await brought(hosted_database, catalog)

        assert not await there.fetchval("SELECT has_table_privilege('anon', 'notes', 'DELETE')")
        kept = await there.fetchrow(
            "SELECT has_table_privilege('passers', 'notes', 'DELETE WITH GRANT OPTION'),"
            " has_table_privilege('getters', 'notes', 'DELETE'), has_table_privilege('getters', 'people', 'SELECT'),"
            " has_table_privilege('authenticated', 'people', 'SELECT WITH GRANT OPTION')"
        )
        assert tuple(kept or ()) == (True, True, True, False)
    finally:
        await there.execute("DROP OWNED BY passers, getters; DROP ROLE passers, getters")


async def test_default_privileges_of_all_schemas_open_nothing_new(
    hosted_database: str, there: asyncpg.Connection, catalog: kimbledb.Catalog
) -> None:
    """What a completion makes is closed, whatever default privileges give in every schema."""
    await there.execute(
        "DROP TABLE notes; ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO anon, PUBLIC;"
        "ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO anon"
    )
    await brought(hosted_database, catalog)

    granted = await there.fetchval(
        "SELECT array_agg(grantee::regrole || ' ' || privilege_type) FROM pg_class, aclexplode(relacl)"
        " WHERE relname = 'notes' AND grantee <> relowner"
    )
    roles = ("authenticated", "service_role")
    assert sorted(granted) == [f"{role} {may}" for role in roles for may in ("INSERT", "SELECT")]
    assert not await there.fetchval("SELECT has_function_privilege('anon', 'find(text, integer)', 'EXECUTE')")


async def test_tables_of_another_hand_that_are_open_to_all_are_closed_to_people(
    hosted_database: str, there: asyncpg.Connection, catalog: kimbledb.Catalog
) -> None:
    """A table that nobody declares, with a policy for all or none, is for the service alone; its rows and policies stay."""
    await there.execute(
        "CREATE TABLE copies (id integer, note integer REFERENCES notes); CREATE TABLE open (id integer);"
        "ALTER TABLE copies ENABLE ROW LEVEL SECURITY; CREATE POLICY every ON copies USING (true);"
        "INSERT INTO copies VALUES (1, 1); GRANT SELECT (id) ON copies TO anon"
    )
    await brought(hosted_database, catalog)

    for table in ("copies", "open"):
        assert await seen(there, f"SELECT id FROM {table}", role="anon") == "InsufficientPrivilegeError"
        assert await seen(there, f"SELECT id FROM {table}") == "InsufficientPrivilegeError"
    assert await seen(there, "SELECT id FROM copies", role="service_role") == [1]
    failing = [each.name for each in (await kimbledb.verify(hosted_database, catalog=catalog)).failures]
    assert "policies that are always true" not in failing
    assert "tables without row level security" not in failing


async def test_in_another_catalog_nothing_is_closed(
    hosted_database: str, there: asyncpg.Connection, folder: Folder, hosted_server: str
) -> None:
    """Where a catalog is not closed, policies, functions, checks and grants of another hand stay."""
    folder.add(1, "notes", NOTES)
    catalog = await folder.declared(hosted_server)
    await there.execute(
        "CREATE POLICY open ON notes USING (true); CREATE FUNCTION find(n integer) RETURNS integer LANGUAGE sql AS 'SELECT n';"
        "ALTER TABLE notes ADD CONSTRAINT short CHECK (length(body) < 100)"
    )
    await kimbledb.adopt(hosted_database, catalog=catalog)
    await kimbledb.migrate(hosted_database, catalog=catalog)

    left = await there.fetchrow(
        "SELECT (SELECT count(*) FROM pg_policy WHERE polname = 'open'), (SELECT count(*) FROM pg_proc WHERE proname = 'find'),"
        " (SELECT count(*) FROM pg_constraint WHERE conname = 'short'), has_table_privilege('anon', 'notes', 'DELETE')::integer"
    )
    assert tuple(left or ()) == (1, 2, 1, 1)


async def test_what_another_catalog_made_stays(
    hosted_database: str, there: asyncpg.Connection, folder: Folder, hosted_server: str
) -> None:
    """Objects that history records for another catalog's migrations stay, those without an expression, too."""
    other = Folder(folder.path.parent / "other")
    other.add(1, "old", BEFORE.partition("INSERT")[0])
    other.add(
        2,
        "more",
        "CREATE POLICY theirs ON notes FOR SELECT USING (id > 0);"
        "CREATE FUNCTION find(n integer) RETURNS integer LANGUAGE sql AS 'SELECT n';"
        "CREATE FUNCTION find(n numeric, m integer DEFAULT 1) RETURNS integer LANGUAGE sql AS 'SELECT m';",
    )
    theirs = await other.declared(hosted_server)
    await kimbledb.adopt(hosted_database, catalog=theirs)
    await kimbledb.migrate(hosted_database, catalog=theirs)
    folder.add(1, "first", "CREATE TABLE first (id integer);")
    folder.add(2, "notes", NOTES)
    folder.close()
    catalog = await folder.declared(hosted_server)
    await there.execute(
        "CREATE TABLE first (id integer); REVOKE ALL ON first FROM anon, authenticated, service_role;"
        "CREATE POLICY open ON notes FOR SELECT USING (id > 0)"
    )

    await kimbledb.adopt(hosted_database, catalog=catalog)
    await kimbledb.migrate(hosted_database, catalog=catalog)

    policies = await there.fetch("SELECT polname FROM pg_policy WHERE polrelid = 'notes'::regclass ORDER BY 1")
    assert [name for (name,) in policies] == ["notes_own", "theirs"]
    assert await there.fetchval("SELECT count(*) FROM pg_proc WHERE proname = 'find'") == 3


async def test_the_service_goes_on_to_use_what_the_application_made(
    hosted_database: str, there: asyncpg.Connection, catalog: kimbledb.Catalog
) -> None:
    """Views and functions of the application are closed to people, and the role of a service may read and call them as before."""
    await there.execute(
        "CREATE VIEW every AS SELECT * FROM notes;"
        "CREATE FUNCTION peek() RETURNS SETOF integer LANGUAGE sql SECURITY DEFINER AS 'SELECT id FROM notes';"
        "REVOKE ALL ON FUNCTION peek() FROM service_role"
    )
    await brought(hosted_database, catalog)

    assert await seen(there, "SELECT id FROM every", role="service_role") == [1, 2]
    assert await seen(there, "SELECT peek()", role="service_role") == [1, 2]
    assert await seen(there, "SELECT peek()", role="authenticated") == "InsufficientPrivilegeError"


async def test_no_privilege_past_policies_stays_on_tables_beside_the_declared_ones(
    hosted_database: str, there: asyncpg.Connection, catalog: kimbledb.Catalog
) -> None:
    """People may not empty a table whose policies tell rows apart, and read it as before."""
    await there.execute(
        "CREATE TABLE apart (id integer, person text); ALTER TABLE apart ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY own ON apart USING (person = (SELECT current_setting('app.person', true)));"
        "INSERT INTO apart VALUES (1, 'ann'), (2, 'bob')"
    )
    await brought(hosted_database, catalog)

    assert await seen(there, "SELECT id FROM apart", person="bob") == [2]
    assert await seen(there, "TRUNCATE apart") == "InsufficientPrivilegeError"


async def test_later_steps_know_the_groups_and_defaults_of_the_first(
    hosted_database: str, there: asyncpg.Connection, folder: Folder, hosted_server: str
) -> None:
    """The plan of a second step, after one that renames, names what is open by a group as its run does."""
    folder.add(1, "old", "CREATE TABLE old (id integer);")
    folder.add(2, "first", "ALTER TABLE old RENAME TO things; CREATE TABLE beside (id integer);")
    folder.add(3, "second", "CREATE TABLE notes (id integer PRIMARY KEY); CREATE TABLE more (id integer);")
    folder.close()
    catalog = await folder.declared(hosted_server)
    await there.execute("DROP TABLE notes, people")
    await kimbledb.migrate(hosted_database, catalog=catalog, to="old.sql")
    await there.execute(
        "CREATE TABLE beside (id integer); CREATE TABLE notes (id integer PRIMARY KEY);"
        "CREATE ROLE groups_of_notes; GRANT groups_of_notes TO anon; CREATE POLICY open ON notes TO groups_of_notes USING (true);"
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO groups_of_notes"
    )
    try:
        plan = await kimbledb.plan(hosted_database, catalog=catalog)
        await kimbledb.migrate(hosted_database, catalog=catalog)

        assert "policy notes.open" in "\n".join(plan.step("second.sql").notes)
        completion = plan.step("second.sql").completion
        assert completion is not None
        assert "REVOKE SELECT ON TABLE more FROM groups_of_notes" in completion.statements
        assert not await there.fetchval("SELECT has_table_privilege('anon', 'more', 'SELECT')")
    finally:
        await there.execute("DROP OWNED BY groups_of_notes; DROP ROLE groups_of_notes")


async def test_who_may_insert_may_use_the_sequence(
    hosted_database: str, there: asyncpg.Connection, catalog: kimbledb.Catalog
) -> None:
    """Of a sequence that a declared table takes its ids from, those keep USAGE who may insert, and nobody keeps more."""
    await there.execute(
        "CREATE SEQUENCE counting START 3; ALTER TABLE notes ALTER id SET DEFAULT nextval('counting');"
        "CREATE SEQUENCE owned OWNED BY notes.body"
    )
    await brought(hosted_database, catalog)

    granted = (
        "SELECT array_agg(grantee::regrole || ' ' || privilege_type) FROM pg_class, aclexplode(relacl)"
        " WHERE relname IN ('counting', 'owned') AND grantee <> relowner AND grantee::regrole::text <> 'service_role'"
    )
    assert await there.fetchval(granted) == ["authenticated USAGE"]
    written = "INSERT INTO notes (person, body) VALUES ('ann', 'more') RETURNING id"
    assert await seen(there, written) == [3]
    assert await seen(there, written, role="service_role") == [4]


async def test_a_sequence_that_an_identity_would_have_is_not_granted(hosted_database: str, folder: Folder) -> None:
    """Where a column keeps a default of its own in place of the declared identity, nothing is granted on a sequence."""
    folder.add(
        1,
        "things",
        "CREATE TABLE things (id integer GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, more text);"
        "ALTER TABLE things ENABLE ROW LEVEL SECURITY;",
        hosted="GRANT INSERT ON things TO authenticated; GRANT USAGE ON SEQUENCE things_id_seq TO authenticated;",
    )
    folder.close()
    await kimbledb.declare(folder.path)
    await sql(hosted_database, "CREATE TABLE things (id integer PRIMARY KEY DEFAULT 7)")
    await kimbledb.adopt(hosted_database, catalog=folder.catalog)

    report = await kimbledb.migrate(hosted_database, catalog=folder.catalog)

    assert any("column things.id has no sequence of its own" in note for note in report.applied[0].notes)
    assert (await kimbledb.verify(hosted_database, catalog=folder.catalog)).ok
    assert await sql(hosted_database, "SELECT has_table_privilege('authenticated', 'things', 'INSERT')")
