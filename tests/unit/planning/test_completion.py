"""Completions without a server: what is written for a migration that is there in part, and what is a conflict."""

from __future__ import annotations

from attrs import evolve

from kimbledb.model.completion import Completion
from kimbledb.model.declarations import DeclaredStatement
from kimbledb.model.forms import Forms, Origin
from kimbledb.model.objects import Facts
from kimbledb.model.snapshot import Snapshot
from kimbledb.planning.completion import Rows, Scope, Unfinished
from tests.support.declared import Objects, migration, snapshot, statement

FIRST = statement(creates={"table a": {}, "column a.id": {"type": "integer"}})


def completion(found: Objects | Snapshot, *applied: DeclaredStatement) -> Completion:
    """The completion of the last of migrations 1, 2, ..., which is there in part."""
    migrations = [migration(number, each) for number, each in enumerate(applied, 1)]
    forms = Forms(Origin(server=180001, system=7, table=16400), {})
    there = found if isinstance(found, Snapshot) else snapshot(found)
    scope = Scope(migration=migrations[-1], migrations=migrations, found=there, forms=forms, hosted=False)
    return Unfinished(scope).complete(Rows())


def test_a_table_in_place_of_another_is_not_guessed() -> None:
    """Where a migration renames a table and makes another of its name, nobody can tell which of them is there."""
    replaces = statement(
        renames={"table a": "b"}, creates={"table a": {}, "column a.id": {"type": "integer"}, "table c": {}}
    )
    older: Objects = {"table a": {}, "column a.id": {"type": "integer"}, "table c": {}}

    [conflict] = completion(older, FIRST, replaces).conflicts

    assert conflict.startswith("table a becomes b and gives its name to another only where nothing of the migration is")


def test_a_column_keeps_the_type_that_a_key_gives_it() -> None:
    """A column that another hand's key ties to one of another declared type is no reason to convert that one."""
    first = statement(creates={"table a": {}, "column a.id": {"type": "text"}})
    second = statement(creates={"table b": {}, "column b.a": {"type": "uuid"}})
    tied: Objects = {
        "table a": {},
        "column a.id": {"type": "text"},
        "constraint a.a_pkey": {"key": "PRIMARY KEY (id)"},
        "table b": {},
        "column b.a": {"type": "text"},
        "constraint b.b_a_fkey": {"key": "FOREIGN KEY (a) REFERENCES a(id)"},
    }

    found = completion(tied, first, second)

    assert (found.conflicts, found.converted, found.statements) == ((), (), ())
    assert found.left == {("column", "b.a"): "it is text, as what a foreign key ties it to"}
    assert found.left_forms == {("column", "b.a"): {"type": "text"}}


def test_a_key_that_leads_out_of_the_schema_stops_a_conversion() -> None:
    """A column that refers to a table elsewhere, whose column stays as it is, cannot be converted while the key is there."""
    found = completion(
        {
            "table a": {},
            "column a.id": {"type": "uuid"},
            "constraint a.a_id_fkey": {"key": "FOREIGN KEY (id) REFERENCES auth.users(id)"},
        },
        statement(creates={"table a": {}, "column a.id": {"type": "text"}}),
    )

    assert found.conflicts == (
        "column a.id is uuid instead of text, and a foreign key ties it to auth.users.id: drop that key first (1.sql/apply.sql:1)",
    )


def test_a_key_that_foreign_keys_need_is_not_left_out() -> None:
    """A table with another primary key is in conflict where a declared foreign key needs the declared one, and only there."""
    table = statement(
        creates={
            "table a": {},
            "column a.id": {"type": "integer"},
            "constraint a.a_pkey": {"key": "PRIMARY KEY (id)"},
        }
    )
    refers = statement(2, creates={"table b": {}, "constraint b.b_a": {"key": "FOREIGN KEY (a) REFERENCES a(id)"}})
    there: Objects = {
        "table a": {},
        "column a.id": {"type": "integer"},
        "column a.other": {"type": "integer"},
        "constraint a.a_pkey": {"key": "PRIMARY KEY (other)"},
    }

    alone = completion(there, table)
    needed = completion(there, evolve(table, creates=(*table.creates, *refers.creates)))
    served = completion(
        {**there, "index a_id": {"on": "a", "columns": ("id",), "unique": True}},
        evolve(table, creates=(*table.creates, *refers.creates)),
    )

    assert (alone.conflicts, served.conflicts) == ((), ())
    assert alone.left == {("constraint", "a.a_pkey"): "it is PRIMARY KEY (other)"}
    [conflict] = needed.conflicts
    assert conflict.startswith(
        "foreign keys need constraint a.a_pkey, and it is PRIMARY KEY (other): give the table a unique key (id)"
    )
    assert needed.could_set_aside == ("a",)


def test_constants_follow_the_column_with_which_they_are_compared() -> None:
    """An index and a view that compare an enum with a constant compare a text with it once the column is one."""
    found = completion(
        Snapshot(
            {
                ("table", "a"): {},
                ("type", '"State"'): {"labels": ("new", "old")},
                ("column", "a.state"): {"type": '"State"'},
                ("index", "a_new"): {"on": "a", "columns": ("state",), "where": """state = 'new'::"State\""""},
                ("view", "v"): {"query": "hash"},
            },
            sources={("view", "v"): """CREATE VIEW v AS SELECT a.state FROM a WHERE a.state = 'new'::"State\""""},
            needs={("index", "a_new"): [("column", "a.state")], ("view", "v"): [("column", "a.state")]},
        ),
        statement(creates={"table a": {}, "column a.state": {"type": "text"}}),
    )

    assert found.conflicts == ()
    text = "\n".join(found.statements)
    assert text.index("DROP INDEX a_new") < text.index("ALTER COLUMN state TYPE text")
    assert "CREATE INDEX a_new ON a (state) WHERE (state = 'new'::text)" in text
    assert "CREATE VIEW v AS SELECT a.state FROM a WHERE a.state = 'new'::text" in text


def test_what_gives_a_column_its_values_gives_way_to_an_insert() -> None:
    """A computed column that is declared as a plain one keeps its values, and takes those of an INSERT."""
    found = completion(
        {"table a": {}, "column a.n": {"type": "integer", "generated": "length(t)"}},
        statement(creates={"table a": {}, "column a.n": {"type": "integer", "default": "0"}}),
    )

    assert found.statements == (
        "ALTER TABLE a ALTER COLUMN n DROP EXPRESSION",
        "ALTER TABLE a ALTER COLUMN n SET DEFAULT 0",
    )


def test_an_identity_goes_with_the_numbers() -> None:
    """A column that counts and becomes text counts no more: a text has no identity."""
    found = completion(
        {"table a": {}, "column a.id": {"type": "bigint", "not_null": True, "identity": "always"}},
        statement(creates={"table a": {}, "column a.id": {"type": "text", "not_null": True}}),
    )

    text = "\n".join(found.statements)
    assert text.index("ALTER COLUMN id DROP IDENTITY") < text.index("ALTER COLUMN id TYPE text USING id::text")


def test_what_an_operator_chose_for_a_table_stays() -> None:
    """The replica identity and the settings of a table stay as they are, and history holds them."""
    chosen: Facts = {"replica_identity": "full", "options": ("fillfactor=70",)}
    found = completion({"table a": chosen}, statement(creates={"table a": {"row_security": True}}))

    assert found.statements == ("ALTER TABLE a ENABLE ROW LEVEL SECURITY",)
    assert found.left_forms == {("table", "a"): {**chosen, "row_security": True}}


def test_a_table_below_follows_where_a_column_must_not_be_null() -> None:
    """NOT NULL of a column holds for the tables that have it from above: no statement takes it from them again."""
    found = completion(
        {
            "table a": {},
            "column a.n": {"type": "integer"},
            "table b": {"inherits": ("a",)},
            "column b.n": {"type": "integer", "inherited": True},
        },
        statement(creates={"table a": {}, "column a.n": {"type": "integer", "not_null": True}}),
    )

    assert found.conflicts == ()
    assert not [each for each in found.statements if "TABLE b" in each]
