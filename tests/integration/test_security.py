"""What verify() says of security: every check has a database that fails it and one that passes."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

import kimbledb
from kimbledb.inspection import security
from kimbledb.server.targets import target_of

#: A small schema in which all is as it should be.
SOUND = """
    ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON TABLES FROM anon, authenticated, service_role;
    ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON SEQUENCES FROM anon, authenticated, service_role;
    ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON FUNCTIONS FROM anon, authenticated, service_role;
    CREATE FUNCTION auth.uid() RETURNS text LANGUAGE sql STABLE AS $$SELECT current_setting('request.jwt.claim.sub', true)$$;
    CREATE TABLE people (id text PRIMARY KEY, name text);
    CREATE TABLE notes (id serial PRIMARY KEY, person text CONSTRAINT notes_person REFERENCES people, body text);
    CREATE INDEX ON notes (person) WHERE person IS NOT NULL;
    CREATE TABLE inside (id integer);
    ALTER TABLE people ENABLE ROW LEVEL SECURITY;
    ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON people USING (id = (SELECT auth.uid())) WITH CHECK (id = (SELECT auth.uid()));
    CREATE POLICY own ON notes USING (person = (SELECT auth.uid())) WITH CHECK (person = (SELECT auth.uid()));
    CREATE POLICY service ON notes TO service_role USING (true) WITH CHECK (true);
    CREATE FUNCTION count_notes() RETURNS bigint LANGUAGE sql SET search_path FROM CURRENT AS 'SELECT count(*) FROM notes';
    CREATE FUNCTION bound() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM notes; END;
    CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS 'BEGIN RETURN NEW; END';
    CREATE FUNCTION everything() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS 'SELECT 1';
    REVOKE ALL ON FUNCTION count_notes(), bound(), stamp(), everything() FROM PUBLIC;
    GRANT EXECUTE ON FUNCTION count_notes() TO authenticated;
    CREATE TRIGGER stamp BEFORE UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION stamp();
    CREATE VIEW latest WITH (security_invoker = true) AS SELECT * FROM notes;
    CREATE MATERIALIZED VIEW counts AS SELECT 1 AS one;
    GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO authenticated;
    GRANT SELECT, UPDATE (name) ON people TO authenticated;
    GRANT USAGE ON SEQUENCE notes_id_seq TO authenticated;
    GRANT SELECT ON latest TO authenticated;
    CREATE TABLE migration_history (id integer);
    ALTER TABLE migration_history ENABLE ROW LEVEL SECURITY;
    CREATE EXTENSION pg_trgm SCHEMA extensions;
"""

#: For each check what breaks it, and the object that it must name.
BROKEN = [
    ("tables without row level security", "GRANT SELECT ON inside TO anon", "public.inside"),
    ("tables without row level security", "GRANT UPDATE (id) ON inside TO PUBLIC", "public.inside"),
    (
        "tables without row level security",
        """CREATE TABLE parts (n integer) PARTITION BY LIST (n); CREATE TABLE part PARTITION OF parts FOR VALUES IN (1);
        ALTER TABLE parts ENABLE ROW LEVEL SECURITY; GRANT SELECT ON part TO authenticated""",
        "public.part",
    ),
    (
        "tables without row level security",
        "CREATE ROLE clerks; GRANT clerks TO authenticated; GRANT SELECT ON inside TO clerks",
        "public.inside",
    ),
    ("policies that are off", "CREATE POLICY own ON inside USING (id = 1)", "own on public.inside"),
    ("tables without a policy", "ALTER TABLE inside ENABLE ROW LEVEL SECURITY", "public.inside"),
    ("policies that are always true", "CREATE POLICY p ON people FOR SELECT USING (true)", "p on public.people"),
    ("policies that are always true", "CREATE POLICY p ON people FOR SELECT USING (1 = 1)", "p on public.people"),
    ("policies that are always true", "CREATE POLICY p ON people FOR SELECT USING (id = id)", "p on public.people"),
    (
        "policies that are always true",
        "CREATE POLICY p ON people FOR SELECT USING (id = (SELECT auth.uid()) OR true)",
        "p on public.people",
    ),
    (
        "policies that are always true",
        "CREATE POLICY p ON people FOR SELECT TO anon USING (name = 'x' OR 'a' = 'a')",
        "p on public.people",
    ),
    ("policies that are always true", "CREATE POLICY p ON people FOR INSERT WITH CHECK (true)", "p on public.people"),
    (
        "write policies without a check",
        "CREATE POLICY p ON people FOR UPDATE USING (id = (SELECT auth.uid()))",
        "p on public.people",
    ),
    (
        "policies that trust what people can edit",
        """CREATE POLICY p ON people FOR SELECT USING (
            (SELECT current_setting('request.jwt.claims', true)::jsonb -> 'user_metadata' ->> 'role') = 'admin')""",
        "p on public.people",
    ),
    (
        "identity computed for each row",
        "CREATE POLICY p ON people FOR SELECT USING (id = auth.uid())",
        "p on public.people",
    ),
    (
        "identity computed for each row",
        "CREATE POLICY p ON people FOR SELECT USING (EXISTS (SELECT FROM notes WHERE person = auth.uid()))",
        "p on public.people",
    ),
    (
        "views with their owner's rights",
        "CREATE VIEW v AS SELECT * FROM notes; GRANT SELECT ON v TO authenticated",
        "public.v",
    ),
    ("copies without row level security", "GRANT SELECT ON counts TO authenticated", "public.counts"),
    (
        "functions without a search_path",
        "CREATE FUNCTION f() RETURNS integer LANGUAGE sql AS 'SELECT 1'; REVOKE ALL ON FUNCTION f() FROM PUBLIC",
        "public.f()",
    ),
    (
        "functions with their owner's rights",
        "GRANT EXECUTE ON FUNCTION everything() TO authenticated",
        "public.everything()",
    ),
    (
        "functions that PUBLIC may call",
        "CREATE FUNCTION f() RETURNS integer LANGUAGE sql SET search_path = '' AS 'SELECT 1'",
        "public.f()",
    ),
    ("privileges past row level security", "GRANT TRUNCATE ON notes TO authenticated", "public.notes"),
    ("privileges past row level security", "GRANT TRIGGER, REFERENCES ON people TO anon", "public.people"),
    ("grants that nobody looks at", "GRANT SELECT (id) ON inside TO authenticated", "public.inside.id"),
    ("grants that nobody looks at", "GRANT UPDATE ON SEQUENCE notes_id_seq TO authenticated", "public.notes_id_seq"),
    ("grants that nobody looks at", "GRANT USAGE ON SEQUENCE notes_id_seq TO anon", "public.notes_id_seq"),
    ("history is open", "GRANT SELECT ON migration_history TO authenticated", "public.migration_history"),
    ("history is open", "ALTER TABLE migration_history DISABLE ROW LEVEL SECURITY", "public.migration_history"),
    (
        "invalid indexes",
        "CREATE INDEX unfinished ON notes (body); UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'unfinished'::regclass",
        "public.unfinished",
    ),
    (
        "constraints not validated",
        "ALTER TABLE notes ADD CONSTRAINT short CHECK (length(body) < 99) NOT VALID",
        "short on public.notes",
    ),
    ("disabled triggers", "ALTER TABLE notes DISABLE TRIGGER stamp", "stamp on public.notes"),
    ("disabled triggers", "ALTER TABLE notes DISABLE TRIGGER ALL", "notes_person on public.notes"),
    (
        "disabled triggers",
        "ALTER TABLE notes ENABLE REPLICA TRIGGER stamp",
        "stamp on public.notes",
    ),
    ("foreign keys without an index", "DROP INDEX notes_person_idx", "notes_person on public.notes"),
    (
        "foreign keys without an index",
        "DROP INDEX notes_person_idx; CREATE INDEX ON notes (person) WHERE person <> 'ann'",
        "notes_person on public.notes",
    ),
    (
        "foreign keys without an index",
        "DROP INDEX notes_person_idx; CREATE INDEX ON notes (person) WHERE body IS NOT NULL",
        "notes_person on public.notes",
    ),
    (
        "foreign keys without an index",
        "DROP INDEX notes_person_idx; CREATE INDEX ON notes (body, person)",
        "notes_person on public.notes",
    ),
    (
        "default privileges",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO anon",
        "tables that postgres makes",
    ),
    ("CREATE on the schema", "GRANT CREATE ON SCHEMA public TO PUBLIC", "public"),
    ("extensions in public", "ALTER EXTENSION pg_trgm SET SCHEMA public", "pg_trgm"),
    (
        "outdated extensions",
        "DROP EXTENSION pg_trgm; CREATE EXTENSION pg_trgm SCHEMA extensions VERSION '1.4'",
        "pg_trgm",
    ),
]


async def results(dsn: str) -> dict[str, kimbledb.Check]:
    """Ask all the questions of security."""
    async with target_of(dsn).session(kimbledb.Options()) as session:
        return {check.name: check for check in await security.check(session, "public")}


@pytest.fixture
async def sound(hosted_database: str) -> str:
    """The DSN of a database in which all is as it should be."""
    connection = await asyncpg.connect(hosted_database)
    await connection.execute(SOUND)
    await connection.close()
    return hosted_database


async def test_a_sound_schema_passes(sound: str) -> None:
    """A schema that is as it should be passes every check, and those that only inform find nothing, but tables of the service."""
    found = await results(sound)

    assert list(found) == [check.name for check in security.CHECKS]
    assert {name: check.rows for name, check in found.items() if check.rows} == {}
    assert all(check.passed for check in found.values())


def test_every_check_is_broken_by_something() -> None:
    """No check stands without a database that fails it."""
    assert {name for name, _, _ in BROKEN} == {check.name for check in security.CHECKS}


@pytest.mark.parametrize(("name", "sql", "culprit"), BROKEN)
async def test_what_is_wrong_fails_its_check_and_the_cure_mends_it(
    sound: str, name: str, sql: str, culprit: str
) -> None:
    """What is wrong fails its check with the object, the reason and the statement that cures it, which does; what informs tells of it."""
    connection = await asyncpg.connect(sound)
    # Roles belong to the whole server, on which other tests run.
    clerks = f"clerks_of_{sound.rpartition('/')[2]}"
    await connection.execute(sql.replace("clerks", clerks))

    check = (await results(sound))[name]

    informs = check.severity == "information"
    assert check.passed is informs
    assert check.informative is informs
    row: Any = next(row for row in check.rows if row["object"] == culprit)
    assert row["reason"]
    assert culprit in (check.found or "")
    assert row["cure"] in (check.hint or "")
    if "..." not in row["cure"] and not row["cure"].startswith(("write ", "CREATE SCHEMA", "ALTER EXTENSION")):
        for each in check.rows:
            await connection.execute(str(each["cure"]))
        assert not (await results(sound))[name].rows
    if "clerks" in sql:
        await connection.execute(f"DROP OWNED BY {clerks}; DROP ROLE {clerks}")
    await connection.close()


async def test_the_built_in_schema_passes(migrated_on_each: str) -> None:
    """The built-in schema passes every check of the catalog, on a bare server and with the hosted roles, without an exception."""
    report = await kimbledb.verify(migrated_on_each)

    security_checks = [check for check in report.checks if check.severity is not None]
    assert len(security_checks) == len(security.CHECKS)
    assert [str(check) for check in security_checks if not check.passed] == []
    assert [check.name for check in security_checks if check.rows and check.severity != "information"] == []


async def test_without_the_roles(database: str, connection: asyncpg.Connection) -> None:
    """On a server without the hosted roles what concerns people is not applicable; the rest counts all the same."""
    await connection.execute(
        "CREATE TABLE open (id integer); CREATE FUNCTION f() RETURNS integer LANGUAGE sql AS 'SELECT 1'"
    )

    found = await results(database)

    assert "not applicable" in (found["tables without row level security"].found or "")
    assert found["functions that PUBLIC may call"].passed
    assert not found["functions without a search_path"].passed


async def test_habits_of_functions_and_keys_beside_the_declared_ones_inform(hosted_migrated_database: str) -> None:
    """A function without a search_path, one that PUBLIC may call, and a key without an index fail where they are declared."""
    connection = await asyncpg.connect(hosted_migrated_database)
    await connection.execute(
        "CREATE FUNCTION of_mine() RETURNS integer LANGUAGE sql AS 'SELECT 1';"
        "CREATE TABLE of_mine (one text CONSTRAINT of_mine_one REFERENCES users); REVOKE ALL ON of_mine FROM anon, authenticated"
    )
    names = ["functions without a search_path", "functions that PUBLIC may call", "foreign keys without an index"]

    found = {each.name: each for each in (await kimbledb.verify(hosted_migrated_database)).checks if each.name in names}
    assert [(found[name].passed, found[name].informative, len(found[name].rows)) for name in names] == [
        (True, True, 1)
    ] * 3

    await connection.execute(
        "ALTER FUNCTION requesting_user_id() RESET search_path; GRANT EXECUTE ON FUNCTION requesting_user_id() TO PUBLIC;"
        "DROP INDEX idx_projects_parent_project_id; ALTER TABLE projects ADD COLUMN mine text CONSTRAINT mine REFERENCES users"
    )
    found = {each.name: each for each in (await kimbledb.verify(hosted_migrated_database)).failures}
    assert [len(found[name].rows) for name in names] == [2, 2, 3]
    await connection.close()


async def test_only_some_leaves_it_out(migrated_database: str) -> None:
    """The checks of named migrations are those alone."""
    report = await kimbledb.verify(migrated_database, only=19)

    assert [check for check in report.checks if check.severity is not None] == []


def test_what_is_in_no_closed_catalog_warns() -> None:
    """Beside a closed catalog a check that warns of somebody's own table fails for one of the closed catalog."""
    question = "policies that are always true"

    def found(*objects: str) -> tuple[bool, bool]:
        findings = [(question, f"p on public.{each}", "always true", "ALTER POLICY ...") for each in objects]
        checks = security.weigh(findings, has_api_roles=True, failing={("closed",)})
        check = next(each for each in checks if each.name == question)
        return check.passed, check.informative

    assert found() == (True, False)
    assert found("mine") == (False, True)
    assert found("mine", "closed") == (False, False)
