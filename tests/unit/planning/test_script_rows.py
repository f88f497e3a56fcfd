"""Scripts that are not begun: of which tables the rows are known when a script has run."""

from __future__ import annotations

import pytest

from kimbledb.model.declarations import DeclaredStatement
from kimbledb.model.migration import Migration
from kimbledb.model.objects import DatabaseObject, Facts
from kimbledb.planning.breaking_rows import breaking_of
from kimbledb.planning.later_rows import LaterRows
from kimbledb.planning.script_rows import ScriptRows
from tests.support.declared import Objects, migration, snapshot, statement

FOUND: Objects = {
    "table a": {},
    "column a.id": {"type": "integer"},
    "constraint a.a_pkey": {"key": "PRIMARY KEY (id)"},
    "table b": {},
    "column b.id": {"type": "integer"},
    "constraint b.b_id_fkey": {"key": "FOREIGN KEY (id) REFERENCES a(id) ON UPDATE CASCADE"},
    "table c": {},
    "column c.id": {"type": "integer"},
    "table d": {},
    "column d.id": {"type": "integer"},
    "trigger d.t": {"event": "BEFORE UPDATE OF id ON d FOR EACH ROW EXECUTE FUNCTION f()"},
}


def known(script: str) -> str:
    """The tables whose rows are known when the script has run."""
    last = migration(1, statement(creates={"table e": {}, "column e.id": {"type": "integer"}}), apply=script)
    found = snapshot(FOUND)
    rows = ScriptRows(last, [last], found, LaterRows.of(found), hosted=False).rows_after
    return "".join(table for table in "abcd" if rows.of_table(table).is_known)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("CREATE TABLE e (id integer GENERATED ALWAYS AS (1 + 1) STORED); COMMENT ON TABLE a IS 'UPDATE a';", "abcd"),
        ("ALTER TABLE a ADD CHECK (id > 0), DROP CONSTRAINT x, ALTER id DROP NOT NULL; DROP INDEX i;", "abcd"),
        ("SELECT pg_catalog.set_config('search_path', '', false); SELECT setval('s', 3);", "abcd"),
        ("DO $$ BEGIN ALTER TABLE a ADD CHECK (id > 0); EXCEPTION WHEN duplicate_object THEN NULL; END $$;", "abcd"),
        ("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN DELETE FROM a; RETURN NEW; END';", "abcd"),
        ("INSERT INTO a VALUES (1);", "bcd"),
        ('insert into public."a" select 1;', "bcd"),
        ("INSERT INTO d VALUES (1);", "abc"),
        ("UPDATE ONLY a SET id = id + 1;", "cd"),
        ("DELETE FROM c;", "abd"),
        ("TRUNCATE TABLE c, b;", "ad"),
        ("DROP TABLE IF EXISTS c; CREATE TABLE c (id integer);", "abd"),
        ("CREATE TABLE e AS SELECT 1 AS id;", "abcd"),
        ("ALTER TABLE c ALTER COLUMN id TYPE integer USING abs(id);", "abd"),
        ("ALTER TABLE c DROP COLUMN id; ALTER TABLE c ADD COLUMN id integer;", "abd"),
        ("ALTER TABLE c ATTACH PARTITION b DEFAULT;", "abd"),
        ("INSERT INTO d VALUES (1) ON CONFLICT (id) DO UPDATE SET id = 2;", ""),
        ("UPDATE d SET id = 1;", ""),
        ("WITH gone AS (DELETE FROM a RETURNING id) INSERT INTO c SELECT id FROM gone;", ""),
        ("INSERT INTO c WITH gone AS (DELETE FROM a RETURNING id) SELECT id FROM gone;", ""),
        ("SELECT set_config('x', '1', false) FROM mend();", ""),
        ("SELECT mend();", ""),
        ("CALL mend();", ""),
        ("DO $$ BEGIN PERFORM mend(); END $$;", ""),
        ("DROP SCHEMA other CASCADE;", ""),
        ("SELECT 1 INTO c;", ""),
        ("SELECT 'never closed;", ""),
    ],
)
def test_rows_are_known_where_no_statement_may_change_them(script: str, expected: str) -> None:
    """A statement makes unknown the rows of the table that it names, with those that keys and triggers change along."""
    assert known(script) == expected


def test_rows_after_a_migration_without_declarations_are_unknown() -> None:
    """Nobody knows what a script does that nobody recorded."""
    found = snapshot(FOUND)
    nobody = Migration(name="1.sql", number=1)

    rows = ScriptRows(nobody, [nobody], found, LaterRows.of(found), hosted=False).rows_after

    assert not rows.of_table("a").is_known
    assert not rows.of_table("elsewhere").is_known


def test_a_default_that_the_script_takes_back_is_not_taken_for_the_value_of_rows() -> None:
    """A column's declared default is that of the end of a script; where the script changes it, the rows are not foreseen."""
    column = DatabaseObject.of("column c.n", {"type": "integer", "not_null": True})
    last = migration(
        1,
        statement(creates={"column c.n": column.facts}),
        apply="ALTER TABLE c ADD COLUMN n integer DEFAULT 1 NOT NULL; ALTER TABLE c ALTER COLUMN n DROP DEFAULT;",
    )
    plain = migration(
        1, statement(creates={"column c.n": column.facts}), apply="ALTER TABLE c ADD COLUMN n integer NOT NULL;"
    )
    found = snapshot(FOUND)

    taken_back, without = (
        ScriptRows(each, [each], found, LaterRows.of(found), hosted=False).rows_after for each in (last, plain)
    )

    assert breaking_of(column.key, column.facts or {}, taken_back) is None
    assert breaking_of(column.key, column.facts or {}, without) is not None


@pytest.mark.parametrize("is_new", [True, False])
def test_a_check_that_calls_what_the_script_changes_is_not_asked(is_new: bool) -> None:
    """A function that the script makes or replaces may say otherwise before."""
    function: Objects = {"function fits(integer)": {"body": "later"}}
    check: Objects = {"constraint c.c_check": {"check": "fits(id)"}, "constraint c.c_id_check": {"check": "id > 0"}}
    last = migration(
        1, statement(creates=function) if is_new else statement(changes=function), statement(2, creates=check)
    )
    found = snapshot(FOUND)

    rules = ScriptRows(last, [last], found, LaterRows.of(found), hosted=False).breaking_asked

    assert list(rules) == ["constraint c.c_id_check"]


def asked(script: str, *statements: DeclaredStatement, earlier: Objects | None = None) -> list[str]:
    """What the rows are asked for before a script with these statements, after a migration that makes these objects."""
    first = migration(1, statement(creates={**FOUND, **(earlier or {})}))
    last = migration(2, *statements, apply=script)
    found = snapshot(FOUND)
    return list(ScriptRows(last, [first, last], found, LaterRows.of(found), hosted=False).breaking_asked)


def test_what_changes_rows_after_a_rule_changes_nothing_for_the_rule() -> None:
    """Statements up to the rule count, in the order of the script; one that is not valid is proven by a later one."""
    check: Objects = {"constraint c.c_check": {"check": "id > 0"}}
    rule, update = "ALTER TABLE c ADD CHECK (id > 0)", "UPDATE c SET id = abs(id)"

    assert asked(f"{rule};\n{update};", statement(1, creates=check)) == ["constraint c.c_check"]
    assert asked(f"  {rule}; {update};", statement(1, creates=check)) == ["constraint c.c_check"]
    assert asked(f"{update};\n{rule};", statement(2, creates=check)) == []
    assert (
        asked(f"{rule} NOT VALID;\n{update};\nALTER TABLE c VALIDATE CONSTRAINT c_check;", statement(1, creates=check))
        == []
    )
    assert asked(f"{rule};\nALTER TABLE c ALTER id TYPE integer USING abs(id);", statement(1, creates=check)) == []


def test_a_change_of_something_else_does_not_ask_for_what_was_left() -> None:
    """A column that stayed nullable, though declared NOT NULL, is not asked for again where a script changes its default."""
    before: Facts = {"type": "integer", "not_null": True}
    after: Facts = {**before, "default": "1"}
    script = "ALTER TABLE c ALTER id SET DEFAULT 1;"

    assert asked(script, statement(changes={"column c.id": after}), earlier={"column c.id": before}) == []
    assert asked(script, statement(changes={"column c.id": after}), earlier={"column c.id": {"type": "integer"}}) == [
        "column c.id"
    ]


def test_a_validation_asks_for_the_rows() -> None:
    """A constraint that becomes valid is asked for, and one that only gets another option is not."""
    key: Facts = {"key": "FOREIGN KEY (id) REFERENCES a(id)"}
    check: Facts = {"check": "id > 0"}
    script = "ALTER TABLE c VALIDATE CONSTRAINT k;"

    assert asked(
        script,
        statement(changes={"constraint c.k": key, "constraint c.c_check": check}),
        earlier={"constraint c.k": {**key, "not_valid": True}, "constraint c.c_check": check},
    ) == ["constraint c.k"]


def test_a_renamed_table_is_changed_under_either_name() -> None:
    """An UPDATE names the table as it is called then, and nothing is asked of its rows."""
    check: Objects = {"constraint z.c_check": {"check": "id > 0"}}
    rename = statement(2, renames={"table c": "z"})

    assert (
        asked(
            "UPDATE c SET id = 1;\nALTER TABLE c RENAME TO z;\nALTER TABLE z ADD CONSTRAINT c_check CHECK (id > 0);",
            rename,
            statement(3, creates=check),
        )
        == []
    )
    assert (
        asked(
            "ALTER TABLE c RENAME TO z;\n\nUPDATE z SET id = 1;\nALTER TABLE z ADD CONSTRAINT c_check CHECK (id > 0);",
            statement(1, renames={"table c": "z"}),
            statement(4, creates=check),
        )
        == []
    )
    assert asked(
        "\nALTER TABLE c RENAME TO z;\nALTER TABLE z ADD CONSTRAINT c_check CHECK (id > 0);",
        rename,
        statement(3, creates=check),
    ) == ["constraint z.c_check"]
