from __future__ import annotations

import pytest
from attrs import evolve

from kimbledb.model.declarations import DeclaredStatement
from kimbledb.model.migration import Migration
from kimbledb.model.objects import DatabaseObject, Key
from kimbledb.model.script import Script
from kimbledb.planning.derived_rollback import NotDerivableError, derive, objects_after
from kimbledb.planning.fold import fold
from kimbledb.planning.irrecoverable import holds
from kimbledb.planning.mentions import needs
from kimbledb.planning.sample_rows import sample_tables
from kimbledb.planning.script_effects import Around, takings
from tests.support import declared
from tests.support.declared import Objects, statement

TEXT = {"type": "text"}
TABLE: Objects = {"table t": {}, "column t.a": TEXT, "column t.b": TEXT}


def objects(named: Objects, sources: dict[str, str] | None = None) -> dict[Key, DatabaseObject]:
    """Objects by kind and name, some with the statement that makes them."""
    found = [DatabaseObject.of(text, facts) for text, facts in named.items()]
    return {each.key: evolve(each, source=(sources or {}).get(str(each))) for each in found}


def derived(
    *statements: DeclaredStatement,
    before: dict[Key, DatabaseObject] | None = None,
    staying: frozenset[Key] = frozenset(),
) -> list[str]:
    """The statements of the derived rollback of a migration, without the comment before them."""
    script = derive(declared.migration(1, *statements), before or {}, hosted=False, staying=staying).script
    _, _, text = script.text.partition("\n")
    return text.rstrip(";\n").split(";\n") if text else []


def taking(sql: str, before: Objects = TABLE, own: Objects | None = None) -> list[str]:
    """What a script does that no rollback gives back."""
    older, made = objects(before), objects(own or {})
    around = Around(before=older, after={**older, **made}, own=frozenset(made))
    return [
        f"{each.line} {each.words}{' ?' if each.doubtful else ''}" for each in takings(Script("a.sql", sql), around)
    ]


def test_what_goes_with_a_table_has_no_statement_of_its_own() -> None:
    """A table takes its columns, keys, indexes, policies, comments and privileges along; the last one made goes first."""
    found = derived(
        statement(1, creates={"function f()": {"returns": "trigger"}}),
        statement(
            2,
            creates={
                **TABLE,
                "constraint t.t_pkey": {"key": "PRIMARY KEY (a)"},
                "comment table t": {"text": "x"},
                "privilege table t to app": {"may": ("select",)},
            },
        ),
        statement(3, creates={"index t_b": {"on": "t", "columns": ("b",)}, "policy t.own": {"using": "true"}}),
        statement(4, creates={"trigger t.f": {"event": "BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()"}}),
    )

    assert found == ["DROP TABLE IF EXISTS t", "DROP FUNCTION IF EXISTS f()"]


def test_a_key_that_closes_a_circle_goes_first() -> None:
    """Of two tables that refer to each other, one key goes before both."""
    found = derived(
        statement(1, creates={"table a": {}, "column a.b": TEXT}),
        statement(2, creates={"table b": {}, "constraint b.to_a": {"key": "FOREIGN KEY (a) REFERENCES a(id)"}}),
        statement(3, creates={"constraint a.to_b": {"key": "FOREIGN KEY (b) REFERENCES b(id)"}}),
    )

    assert found == [
        "ALTER TABLE a DROP CONSTRAINT IF EXISTS to_b",
        "DROP TABLE IF EXISTS b",
        "DROP TABLE IF EXISTS a",
    ]


def test_a_default_goes_before_its_function() -> None:
    """What an older column calls is given up before the function goes, whatever statement came first."""
    before = objects({**TABLE, "function old()": {"returns": "text"}}, {"function old()": "CREATE FUNCTION old() ..."})
    found = derived(
        statement(1, creates={"function new()": {"returns": "text"}}),
        statement(2, changes={"column t.a": {"type": "text", "default": "new()"}}),
        statement(3, drops=["function old()"]),
        before={**before, ("column", "t.a"): DatabaseObject("column", "t.a", {"type": "text", "default": "old()"})},
    )

    assert found == [
        "SET LOCAL check_function_bodies = off",
        "CREATE FUNCTION old() ...",
        "ALTER TABLE t ALTER COLUMN a DROP DEFAULT, ALTER COLUMN a SET DEFAULT old()",
        "DROP FUNCTION IF EXISTS new()",
    ]


def test_what_stood_there_before_stays() -> None:
    """A table that was there stays, and what the migration added to it goes part by part."""
    found = derived(
        statement(1, creates={**TABLE, "index t_a": {"on": "t", "columns": ("a",)}}),
        staying=frozenset({("table", "t"), ("column", "t.a")}),
    )

    assert found == [
        "DROP INDEX IF EXISTS t_a",
        "ALTER TABLE t DROP COLUMN IF EXISTS b",
    ]


def test_names_are_given_back_before_what_says_them() -> None:
    """A new table leaves its name before the older one gets it back; a dropped view comes back after that."""
    before = objects({**TABLE, "view v": {"query": "1"}}, {"view v": "CREATE VIEW v AS SELECT a FROM t"})
    found = derived(
        statement(1, drops=["view v"]),
        statement(2, renames={"table t": "u"}),
        statement(3, creates={"table t": {}}),
        statement(4, creates={"column u.c": TEXT}),
        before=before,
    )

    assert found == [
        "ALTER TABLE u DROP COLUMN IF EXISTS c",
        "DROP TABLE IF EXISTS t",
        "ALTER TABLE u RENAME TO t",
        "CREATE VIEW v AS SELECT a FROM t",
    ]


def test_statements_of_the_other_platform_do_not_count() -> None:
    """What is granted on a hosted database alone is taken back there alone."""
    grant = statement(1, creates={"privilege table t to app": {"may": ("select",)}}, hosted=True)

    assert derived(grant, before=objects(TABLE)) == []


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (statement(7, drops=["table t"]), "apply.sql:7 drops table t, whose rows are gone"),
        (statement(7, drops=["column t.a"]), "apply.sql:7 drops column t.a, whose values are gone"),
        (statement(7, drops=["sequence s"]), "apply.sql:7 drops sequence s, whose position is gone"),
        (statement(7, drops=["view v"]), "the statement that makes view v is not known"),
        (statement(7, drops=["view w"]), "apply.sql:7 drops view w, which no migration declares"),
        (
            statement(7, changes={"index i": {}}),
            "apply.sql:7 changes index i, whose earlier form no migration declares",
        ),
        (
            statement(7, changes={"column t.a": {"type": "integer"}}),
            "apply.sql:7 changes the type of column t.a from text to integer, which may not hold every value",
        ),
        (
            statement(7, changes={"type e": {"labels": ("x", "y", "z")}}),
            "apply.sql:7 adds the value 'y' to enum type e, which cannot be taken back",
        ),
    ],
)
def test_what_is_gone_is_the_reason(part: DeclaredStatement, reason: str) -> None:
    """Without rows, values or positions there is no way back; the reason names the statement."""
    before = objects({**TABLE, "sequence s": {}, "view v": {"query": "1"}, "type e": {"labels": ("x", "z")}})

    with pytest.raises(NotDerivableError) as caught:
        derived(part, before=before)

    assert caught.value.reason == reason


def test_labels_get_their_names_back() -> None:
    """An enum whose labels have other names, and whose number of labels is the same, is relabelled."""
    found = derived(
        statement(1, changes={"type e": {"labels": ("a", "c")}}), before=objects({"type e": {"labels": ("a", "b")}})
    )

    assert found == ["ALTER TYPE e RENAME VALUE 'c' TO 'b'"]


def test_objects_after_are_those_of_the_fold() -> None:
    """After drops, renames and creations the objects are those that a fold of all migrations has."""
    first = declared.migration(1, statement(1, creates={**TABLE, "view v": {}, "comment table t": {"text": "x"}}))
    second = declared.migration(
        2,
        statement(1, drops=["view v"], renames={"table t": "u", "column t.a": "u.c"}),
        statement(2, creates={"table t": {}}, changes={"column u.b": {"type": "integer"}}),
    )
    known = objects_after(objects_after({}, first, hosted=True), second, hosted=True)

    assert known == {item.key: item.each for item in fold([first, second], hosted=True)}


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 1; -- DELETE FROM t\nCREATE INDEX i ON t (a);", []),
        ("\nDELETE FROM t", ["2 deletes rows of t"]),
        ('delete from only "t" where a is null', ["1 deletes rows of t"]),
        ("UPDATE t AS x SET b = a FROM u", ["1 updates rows of t"]),
        ("UPDATE t SET new = a, b = 1", ["1 updates rows of t"]),
        ("UPDATE t SET new = upper(a), newer = (SELECT 1, 2) WHERE new IS NULL", []),
        ("UPDATE t SET (new, newer) = (SELECT 1, 2)", ["1 updates rows of t"]),
        ("UPDATE own SET a = 1; INSERT INTO own VALUES (1) ON CONFLICT DO UPDATE SET a = 2; DELETE FROM own", []),
        ("WITH x AS (INSERT INTO t VALUES (1) RETURNING a) SELECT * FROM x", ["1 inserts rows into t"]),
        ("COPY t FROM '/x'; COPY t TO '/x'", ["1 copies rows into t"]),
        ("TRUNCATE TABLE t, u", ["1 deletes rows of t"]),
        ("GRANT SELECT, UPDATE, TRUNCATE ON t TO app", []),
        ("CREATE TRIGGER x BEFORE INSERT OR UPDATE OF a ON t FOR EACH ROW EXECUTE FUNCTION f()", []),
        ("ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u ON UPDATE CASCADE ON DELETE SET NULL", []),
        ("CREATE FUNCTION g() RETURNS void LANGUAGE sql AS $$ DELETE FROM t $$", []),
        ("CREATE FUNCTION g() RETURNS void BEGIN ATOMIC DELETE FROM t; END", []),
        ("SELECT write(); SELECT read(); SELECT pg_catalog.now()", ["1 calls write(), which may change rows"]),
        ("CREATE TABLE x AS SELECT write()", ["1 calls write(), which may change rows"]),
        (
            "ALTER TABLE t DROP a, DROP CONSTRAINT k, ALTER b DROP DEFAULT",
            ["1 drops column t.a, whose values are gone"],
        ),
        ("ALTER TABLE t DROP COLUMN IF EXISTS made CASCADE", []),
        ("DROP TABLE IF EXISTS t, own, other CASCADE", ["1 drops table t, whose rows are gone"]),
        ("ALTER TABLE t ALTER a TYPE varchar USING a::varchar", []),
        (
            "ALTER TABLE t ALTER COLUMN a SET DATA TYPE text USING upper(a)",
            ["1 converts column t.a by an expression of its own"],
        ),
        ("SELECT setval('own_id', 5), setval('s', 5)", ["1 moves sequence s"]),
        ("ALTER TABLE t ALTER a RESTART WITH 7", ["1 restarts the identity of table t"]),
        ("ALTER TABLE own OWNER TO app; ALTER VIEW v OWNER TO app", ["1 changes the owner of v"]),
        ("CREATE ROLE app", ["1 creates a role, which declarations do not hold"]),
        ("ALTER EVENT TRIGGER x DISABLE", ["1 alters an event trigger, which declarations do not hold"]),
        ("CREATE EXTENSION IF NOT EXISTS pg_trgm", []),
        ("DROP EXTENSION pg_trgm", ["1 drops an extension"]),
        (
            "GRANT app TO other; GRANT ALL ON DATABASE d TO app",
            ["1 grants or revokes a role", "1 changes privileges on what belongs to no schema"],
        ),
        ("CALL p()", ["1 calls a procedure"]),
        ("DO $$ BEGIN /* UPDATE t SET a = 1 */ PERFORM 1; END $$", []),
        ("DO $$ BEGIN UPDATE own SET a = 1; UPDATE t SET new = a; END $$", []),
        (
            "DO $$ BEGIN EXECUTE format('UPDATE %I SET a = 1', 't'); END $$",
            ["1 is a DO block that updates rows of tables"],
        ),
        ("DO $$ BEGIN EXECUTE 'DELETE FROM ' || 't'; END $$", ["1 is a DO block that deletes rows of tables"]),
        (
            "DO $$ BEGIN IF EXISTS (SELECT FROM pg_catalog.pg_class) THEN UPDATE t SET a = 1; END IF; END $$",
            ["1 is a DO block that updates rows of t ?"],
        ),
        ("DO 'BEGIN PERFORM write(); END'", ["1 is a DO block that calls write(), which may change rows"]),
    ],
)
def test_a_script_is_read_for_what_declarations_do_not_hold(sql: str, expected: list[str]) -> None:
    """Statements that may change older rows, positions, owners or what belongs to the server count; the others do not."""
    before: Objects = {
        **TABLE,
        "sequence s": {},
        "view v": {},
        "function write()": {"returns": "void"},
        "function read()": {"returns": "integer", "volatility": "stable"},
    }
    own: Objects = {
        "table own": {},
        "column own.a": TEXT,
        "sequence own_id": {},
        "column t.new": TEXT,
        "column t.newer": TEXT,
        "column t.made": TEXT,
    }

    assert taking(sql, before, own) == expected


def test_a_trigger_may_change_more_than_an_update_sets() -> None:
    """Values of the migration's own columns go with these, but not what an older trigger stamps."""
    stamped: Objects = {
        **TABLE,
        "trigger t.stamp": {"event": "BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f()"},
    }
    narrow: Objects = {
        **TABLE,
        "trigger t.stamp": {"event": "BEFORE UPDATE OF a ON t FOR EACH ROW EXECUTE FUNCTION f()"},
    }

    sql, own = "UPDATE t SET new = 1", {"column t.new": TEXT}

    assert taking(sql, stamped, own) == ["1 updates rows of t, where trigger stamp may change other columns"]
    assert taking(sql, narrow, own) == []


@pytest.mark.parametrize(
    ("wide", "narrow", "expected"),
    [
        ("bigint", "integer", True),
        ("integer", "bigint", False),
        ("text", "character varying(20)", True),
        ("character varying(20)", "character varying(10)", True),
        ("character varying(10)", "text", False),
        ("numeric(12,2)", "numeric(10,2)", True),
        ("numeric(12,4)", "numeric(10,2)", True),
        ("numeric(10,4)", "numeric(10,2)", False),
        ("numeric", "numeric(10,2)", True),
        ("numeric(10)", "integer", False),
        ("text", "uuid", True),
        ("uuid", "text", False),
        ("bigint[]", "integer[]", True),
        ("bigint[]", "integer", False),
        ("timestamp without time zone", "date", True),
        ("timestamp with time zone", "timestamp without time zone", False),
        ("json", "jsonb", True),
        ("jsonb", "json", False),
    ],
)
def test_a_type_holds_another(wide: str, narrow: str, *, expected: bool) -> None:
    """A conversion can be taken back if the new type holds each value of the old one, to the letter."""
    assert holds(wide, narrow) is expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (("view v", {"query": "1"}, "CREATE VIEW v AS SELECT a FROM T"), "table t", True),
        (("view v", {"query": "1"}, 'CREATE VIEW v AS SELECT a FROM "T"'), "table t", False),
        (("column t.a", {"default": "nextval('t_seq'::regclass)"}, None), "sequence t_seq", True),
        (("column t.a", {"type": "mood[]"}, None), "type mood", True),
        (("policy t.own", {"using": "owner = me()"}, None), "function me()", True),
        (("policy t.own", {"using": "a = 1"}, None), "column t.a", True),
        (("policy u.own", {"using": "a = 1"}, None), "column t.a", False),
        (("index i", {"on": "u", "columns": ("status",)}, None), "table status", False),
        (("constraint u.k", {"key": "FOREIGN KEY (t) REFERENCES t(id)"}, None), "table t", True),
        (("constraint u.k", {"key": "UNIQUE (t)"}, None), "table t", False),
        (("view v", {"query": "1"}, "CREATE VIEW v AS SELECT 1 === 2"), "operator ===(integer,integer)", True),
        (("function f(mood)", {"returns": "void"}, "... t ..."), "type mood", True),
        (("function f()", {"returns": "void", "body": "1"}, "... FROM t ..."), "table t", False),
        (("table t", {"clustered_on": "t_a"}, None), "index t_a", True),
        (("comment table t", {"text": "see u"}, None), "table u", False),
    ],
)
def test_names_show_what_needs_what(one: tuple[str, dict[str, str], str | None], other: str, *, expected: bool) -> None:
    """A name counts where an object of its kind can stand: in a definition, a statement that the server keeps, a type."""
    text, facts, source = one

    assert needs(evolve(DatabaseObject.of(text, facts), source=source), DatabaseObject.of(other, {})) is expected


def test_sample_rows_fit_checks_keys_and_types() -> None:
    """Values come from lists and bounds of checks, from labels, and from rows of the tables that are referred to."""
    tables = sample_tables(
        objects(
            {
                "type mood": {"labels": ("sad", "glad")},
                "table child": {},
                "column child.parent": {"type": "integer", "not_null": True},
                "column child.mood": {"type": "mood", "not_null": True},
                "column child.state": {"type": "text", "not_null": True},
                "column child.code": {"type": "integer", "not_null": True},
                "constraint child.fk": {"key": "FOREIGN KEY (parent) REFERENCES parent(id)"},
                "constraint child.state": {"check": "state = ANY (ARRAY['new'::text, 'old'::text])"},
                "constraint child.code": {"check": "code >= 100 AND code <= 599"},
                "table parent": {},
                "column parent.id": {"type": "integer", "not_null": True},
            }
        )
    )

    assert [table.name for table in tables] == ["parent", "child"]
    assert tables[1].inserts[0] == (
        "INSERT INTO child (parent, mood, state, code) VALUES "
        "((SELECT id FROM parent ORDER BY ctid OFFSET 0 LIMIT 1), 'glad'::mood, 'old', '101')"
    )


def test_a_derived_rollback_is_a_kind_of_its_own() -> None:
    """What a migration says of its way back: written, derived, or none and why."""
    made = declared.migration(1, statement(1, creates=TABLE))

    def kinds(**parts: object) -> tuple[str, str | None]:
        migration = Migration(**{**made.parts(), **parts})
        return migration.rollback_kind, migration.no_rollback

    assert kinds() == ("derived", None)
    assert kinds(rollback_sql="DROP TABLE t;") == ("written", None)
    assert kinds(rollback_sql=Script("rollback.sql", "")) == ("written", None)
    assert kinds(irreversible="it is gone") == ("none", "it is gone")
    assert kinds(declare=lambda: evolve(made.declarations, no_rollback="apply.sql:1 deletes rows")) == (
        "none",
        "apply.sql:1 deletes rows",
    )
    assert kinds(checksum="another", declare=lambda: evolve(made.declarations, checksum="one")) == (
        "none",
        "it has no rollback.sql, and its declarations were recorded from another text",
    )


def test_names_with_the_target_schema_are_those_without_it() -> None:
    """A script that writes ``public.`` before its names is read as one that does not."""
    assert taking("INSERT INTO public.own VALUES (1)", own={"table own": {}}) == []
    assert taking("ALTER TABLE public.t ALTER a TYPE integer USING a::integer * 2") == [
        "1 converts column t.a by an expression of its own"
    ]


def test_a_table_leaves_a_publication_with_its_migration() -> None:
    """To publish a table that the migration makes is taken back with the table; to publish an older one is not."""
    publishes = "ALTER PUBLICATION live ADD TABLE public.own, {}"
    assert taking(publishes.format("public.other;"), own={"table own": {}, "table other": {}}) == []
    assert taking(publishes.format("t"), own={"table own": {}}) == [
        "1 alters a publication, which declarations do not hold"
    ]


def test_a_schema_of_ones_own_is_declared() -> None:
    """A schema that declarations hold can be made again; any other cannot."""
    assert taking("CREATE SCHEMA IF NOT EXISTS private", own={"schema private": {}}) == []
    assert taking("DROP SCHEMA private", before={"schema private": {}}) == []
    assert taking("CREATE SCHEMA other", own={"schema private": {}}) == [
        "1 creates a schema, which declarations do not hold"
    ]
