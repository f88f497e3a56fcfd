from __future__ import annotations

import pytest
from attrs import evolve

from kimbledb.planning.rebuilding import LeftOut, Piece, Surroundings, pieces
from tests.support import declared

#: A database of a hosted platform: the target is ``public``, extensions live in ``extensions``.
BESIDE = Surroundings(
    schemas=frozenset({"public", "auth", "extensions", "Other", "pg_catalog"}),
    homes=frozenset({"extensions"}),
    hosted=True,
)
TABLE: declared.Objects = {"table t": {}}


def rebuilt(script: str, *, makes: int | None = 1) -> list[Piece | LeftOut]:
    """What is run and what is left out of a script whose statement on a line makes a table, as declared."""
    statements = [] if makes is None else [declared.statement(makes, creates=TABLE)]
    return list(pieces(declared.migration(1, *statements, apply=script), BESIDE))


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE t (id integer)",
        'CREATE UNLOGGED TABLE "T" ()',
        "CREATE UNIQUE INDEX i ON t (id)",
        "CREATE OR REPLACE VIEW v AS SELECT t.id FROM t",
        "CREATE MATERIALIZED VIEW v AS SELECT 1",
        "CREATE OR REPLACE FUNCTION f() RETURNS integer LANGUAGE sql AS 'SELECT auth.uid()'",
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$ BEGIN DELETE FROM auth.users; END $$",
        "ALTER FUNCTION f() SET search_path = public",
        "ALTER TABLE t ADD COLUMN v extensions.vector",
        "CREATE POLICY p ON t USING (auth.uid() = id)",
        "CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION auth.stamp()",
        "CREATE CONSTRAINT TRIGGER x AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION stamp()",
        "CREATE TABLE t (id integer DEFAULT auth.number())",
        "CREATE TEXT SEARCH CONFIGURATION c (COPY = simple)",
        "CREATE STATISTICS s ON (id + 1) FROM t",
        "DO $$ BEGIN EXECUTE 'CREATE TABLE t ()'; END $$",
        "SELECT make_table('t')",
        "DROP TABLE IF EXISTS t",
    ],
)
def test_what_makes_objects_runs(statement: str) -> None:
    """A statement runs if it makes or changes objects of the target schema."""
    assert rebuilt(f"-- Here.\n{statement};\n", makes=2) == [Piece(statement, 2)]


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("CREATE TABLE t (id integer REFERENCES auth.users (id))", "it names the schema auth"),
        ('CREATE TABLE t (id integer REFERENCES "Other".users (id))', 'it names the schema "Other"'),
        ("CREATE VIEW t AS SELECT id FROM auth.users", "it names the schema auth"),
        ("CREATE TABLE public.t (id integer)", "it names the schema public"),
        ("CREATE TRIGGER x BEFORE INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION f()", "it names the schema auth"),
        ("CREATE TABLE t (id integer DEFAULT nextval('public.s'))", "it names the schema public"),
        ("ALTER TABLE t SET SCHEMA auth", "it changes schemas"),
        ("CREATE INDEX CONCURRENTLY t ON t (id)", "it cannot run in a transaction"),
        ("DO $$ BEGIN PERFORM auth.make(); END $$", "it names the schema auth"),
        (
            "DO $$ BEGIN FOR t IN SELECT 1 FROM pg_tables WHERE schemaname = 'public' LOOP END LOOP; END $$",
            'it names the schema "public"',
        ),
        ("DO $$ BEGIN PERFORM set_config('search_path', 'public', true); END $$", "it changes schemas"),
        ("SELECT dblink_exec('CREATE TABLE t ()')", "it may reach beyond its transaction"),
        ("DO $$ BEGIN PERFORM pg_advisory_lock(1); END $$", "it may reach beyond its transaction"),
        ("CREATE EXTENSION postgis", "it makes more than objects of a schema"),
        ("ALTER SYSTEM SET work_mem = '1MB'", "it cannot run in a transaction"),
    ],
)
def test_what_reaches_further_is_left_out(statement: str, reason: str) -> None:
    """A statement that could touch the live schema, another one or the server is left out, with its line and the reason."""
    [left] = rebuilt(f"\n\n{statement};\n", makes=3)

    assert isinstance(left, LeftOut)
    assert (left.line, left.reason) == (3, reason)
    assert str(left).endswith(f":3: {reason}")


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO t VALUES (1)",
        "UPDATE t SET id = 2",
        "GRANT SELECT ON t TO anon",
        "COMMENT ON TABLE t IS 'x'",
        "SET search_path = public",
        "DROP TABLE IF EXISTS older CASCADE",
        "DO $$ BEGIN END $$",
        "SELECT setval('s', 1)",
        "NOTIFY reload",
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO anon",
        "CREATE TEMPORARY TABLE rows (id integer)",
    ],
)
def test_what_makes_nothing_does_not_run(statement: str) -> None:
    """Rows, grants, comments and settings are passed over, and so are drops and blocks without a declared effect."""
    assert rebuilt(f"{statement};\n", makes=None) == []


def test_a_statement_is_known_by_its_place_in_the_line() -> None:
    """Of several statements in one line that one runs which has the declared effect."""
    script = "SELECT 1; SELECT make_table();\n"
    statement = evolve(declared.statement(1, creates=TABLE), column=11)

    [piece] = pieces(declared.migration(1, statement, apply=script), BESIDE)

    assert piece == Piece("SELECT make_table()", 1)


def test_a_script_that_cannot_be_split_is_left_out() -> None:
    """A text that is never closed is left out as a whole."""
    [left] = rebuilt("SELECT 'never closed;\n")

    assert isinstance(left, LeftOut)


def test_statements_of_hosted_sql_run_on_a_hosted_database() -> None:
    """What hosted.sql makes runs after apply.sql where it was applied, and what is left out of it has its file and line."""
    at = declared.statement(2, part="hosted", creates={"index i": {}})
    made = declared.migration(
        1,
        declared.statement(1, creates=TABLE),
        at,
        apply="CREATE TABLE t (id uuid)",
        hosted="-- Here.\nCREATE INDEX i ON auth.t (id);",
    )

    there = list(pieces(made, BESIDE))

    assert there[0] == Piece("CREATE TABLE t (id uuid)", 1)
    assert isinstance(there[1], LeftOut)
    assert (there[1].file.rpartition("/")[2], there[1].line) == ("hosted.sql", 2)
    assert list(pieces(made, evolve(BESIDE, hosted=False))) == there[:1]
