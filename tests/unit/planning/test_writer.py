"""The writer: statements from objects, in the order of their dependence."""

from __future__ import annotations

import os
import subprocess
import sys

from kimbledb.model.objects import DatabaseObject, Facts, Key
from kimbledb.model.snapshot import Snapshot
from kimbledb.planning import writer


def of(text: str, source: str | None = None, /, **facts: str | int | bool | tuple[str, ...]) -> DatabaseObject:
    """Return an object of a text such as ``column users.id``, with facts."""
    named = DatabaseObject.of(text)
    return DatabaseObject(named.kind, named.name, facts, source)


def beside(*objects: DatabaseObject) -> dict[Key, Facts]:
    """Return objects as the writer takes those that exist."""
    return {each.key: each.facts or {} for each in objects}


def test_a_table_holds_its_columns_and_its_keys() -> None:
    """CREATE TABLE holds the columns in their order with NOT NULL, defaults, identity and generated values, the keys and the checks."""
    assert writer.create(
        [
            of("table orders", options=("fillfactor=70",)),
            of("column orders.id", type="bigint", not_null=True, identity="always", sequence="start 100"),
            of("column orders.total", type="numeric(10,2)", default="0"),
            of("column orders.net", type="numeric", generated="total / 1.19"),
            of("constraint orders.orders_pkey", key="PRIMARY KEY (id)"),
            of("constraint orders.orders_total_check", check="total >= 0::numeric"),
        ]
    ) == [
        (
            "CREATE TABLE orders (\n"
            "    id bigint GENERATED ALWAYS AS IDENTITY (start 100) NOT NULL,\n"
            "    total numeric(10,2) DEFAULT 0,\n"
            "    net numeric GENERATED ALWAYS AS (total / 1.19) STORED,\n"
            "    CONSTRAINT orders_pkey PRIMARY KEY (id),\n"
            "    CONSTRAINT orders_total_check CHECK (total >= 0::numeric)\n"
            ") WITH (fillfactor = 70)"
        )
    ]


def test_keys_in_a_circle_come_after_the_tables() -> None:
    """Foreign keys are added after all tables, and a check that is not valid stays so."""
    assert writer.create(
        [
            of("table a"),
            of("column a.id", type="integer", not_null=True),
            of("constraint a.a_pkey", key="PRIMARY KEY (id)"),
            of("constraint a.a_b", key="FOREIGN KEY (id) REFERENCES b(id) DEFERRABLE", not_valid=True),
            of("constraint a.a_check", check="id > 0", not_valid=True),
            of("table b"),
            of("column b.id", type="integer", not_null=True),
            of("constraint b.b_pkey", key="PRIMARY KEY (id)"),
            of("constraint b.b_a", key="FOREIGN KEY (id) REFERENCES a(id)"),
        ]
    )[2:] == [
        "ALTER TABLE a ADD CONSTRAINT a_check CHECK (id > 0) NOT VALID",
        "ALTER TABLE a ADD CONSTRAINT a_b FOREIGN KEY (id) REFERENCES b(id) DEFERRABLE NOT VALID",
        "ALTER TABLE b ADD CONSTRAINT b_a FOREIGN KEY (id) REFERENCES a(id)",
    ]


def test_a_default_that_calls_a_function_is_set_after_it() -> None:
    """A function over a table whose default calls it is made between the table and the default."""
    objects = [
        of("table t"),
        of("column t.n", type="integer", default="following()"),
        of("function following()", "CREATE OR REPLACE FUNCTION following() RETURNS integer ..."),
    ]
    needs: dict[Key, set[Key]] = {
        ("column", "t.n"): {("function", "following()")},
        ("function", "following()"): {("column", "t.n")},
    }

    assert writer.create(objects, needs) == [
        "CREATE TABLE t (\n    n integer\n)",
        "CREATE OR REPLACE FUNCTION following() RETURNS integer ...",
        "ALTER TABLE t ALTER COLUMN n SET DEFAULT following()",
    ]


def test_a_circle_of_a_view_and_a_function_begins_with_a_stand_in() -> None:
    """A view that calls a function whose rows are the view's is made twice: first without the function."""
    objects = [
        of("view v", "CREATE VIEW v AS\n SELECT f.a FROM f() f(a)"),
        of("column v.a", type="integer"),
        of("function f()", "CREATE OR REPLACE FUNCTION f() RETURNS SETOF v ..."),
    ]
    needs: dict[Key, set[Key]] = {("view", "v"): {("function", "f()")}, ("function", "f()"): {("view", "v")}}

    assert writer.create(objects, needs) == [
        "CREATE VIEW v AS SELECT NULL::integer AS a",
        "CREATE OR REPLACE FUNCTION f() RETURNS SETOF v ...",
        "CREATE OR REPLACE VIEW v AS\n SELECT f.a FROM f() f(a)",
    ]


def test_indexes_of_partitions_come_first() -> None:
    """A partition is made whole and attached; the index of its parent takes up that of the partition."""
    objects = [
        of("table events", partition_by="RANGE (day)"),
        of("column events.id", type="integer"),
        of("column events.day", type="date"),
        of("index events_day", on="events", columns=("day DESC",)),
        of("table events_1", partition_of="events", bound="DEFAULT"),
        of("column events_1.day", type="date", inherited=True),
        of("column events_1.id", type="integer", inherited=True),
        of("index first_day", on="events_1", columns=("day DESC",), partition_of="events_day"),
    ]

    assert writer.create(objects)[1:] == [
        "CREATE TABLE events_1 (\n    day date,\n    id integer\n)",
        "CREATE INDEX first_day ON events_1 (day DESC)",
        "CREATE INDEX events_day ON events (day DESC)",
        "ALTER TABLE events ATTACH PARTITION events_1 DEFAULT",
    ]


def test_privileges_are_taken_back_before_any_is_granted() -> None:
    """What an owner or everybody lacks is revoked before the grants on the object and on its columns."""
    objects = [
        of("table t"),
        of("column t.a", type="integer"),
        of("privilege column t.a to app", may=("select", "update with grant option")),
        of("privilege table t to owner", lacks=("delete",)),
        of("privilege table t to public", may=("insert",)),
        of("comment column t.a", text="a's"),
    ]

    assert writer.create(objects)[1:] == [
        "COMMENT ON COLUMN t.a IS 'a''s'",
        "REVOKE DELETE ON TABLE t FROM CURRENT_USER",
        "GRANT SELECT (a) ON TABLE t TO app",
        "GRANT UPDATE (a) ON TABLE t TO app WITH GRANT OPTION",
        "GRANT INSERT ON TABLE t TO PUBLIC",
    ]


def test_names_are_quoted_where_they_must_be() -> None:
    """Keywords and names in mixed case are quoted, other names are not."""
    objects = [of('table "Order"'), of('column "Order".user', type="text"), of('trigger "Order".t', event="BEFORE ...")]

    assert writer.create(objects) == [
        'CREATE TABLE "Order" (\n    "user" text\n)',
        "CREATE TRIGGER t BEFORE ...",
    ]
    assert writer.drop(objects[2]) == 'DROP TRIGGER t ON "Order"'
    assert writer.rename(objects[1], "to") == 'ALTER TABLE "Order" RENAME COLUMN "user" TO "to"'


def test_a_column_alone_is_added() -> None:
    """The column of a table that exists is added with its default."""
    table = beside(of("table t"))

    assert writer.create([of("column t.b", type="text", not_null=True, default="''::text")], beside=table) == [
        "ALTER TABLE t ADD COLUMN b text DEFAULT ''::text NOT NULL"
    ]


def test_a_column_changes_its_type() -> None:
    """The default goes before the type, and comes again after it."""
    before = of("column t.a", type="text", default="'1'::text")
    after = of("column t.a", type="integer", default="1", not_null=True)

    assert writer.alter(before, after) == [
        (
            "ALTER TABLE t ALTER COLUMN a DROP DEFAULT, ALTER COLUMN a TYPE integer USING a::integer, "
            "ALTER COLUMN a SET NOT NULL, ALTER COLUMN a SET DEFAULT 1"
        )
    ]


def test_what_cannot_be_altered_is_made_again() -> None:
    """A function with another result, an enum without a label and a check with another expression have no ALTER."""
    assert (
        writer.alter(of("function f()", "...", returns="text"), of("function f()", "...", returns="integer"))
        or writer.alter(of("type mood", labels=("a", "b")), of("type mood", labels=("a",)))
        or writer.alter(of("constraint t.c", check="a > 0"), of("constraint t.c", check="a > 1"))
    ) is None


def test_a_label_is_added_at_its_place() -> None:
    """A label of an enum comes after the one before it."""
    assert writer.alter(of("type mood", labels=("a", "c")), of("type mood", labels=("a", "b", "c"))) == [
        "ALTER TYPE mood ADD VALUE 'b' AFTER 'a'"
    ]


def test_labels_are_renamed_and_added_at_once() -> None:
    """Between labels that stay, one that goes is renamed to one that comes; where more go than come, the type is made again."""
    steps = writer.alter(
        of("type mood", labels=("bad", "fair", "good")), of("type mood", labels=("worse", "fair", "new", "good"))
    )

    assert steps == ["ALTER TYPE mood RENAME VALUE 'bad' TO 'worse'", "ALTER TYPE mood ADD VALUE 'new' AFTER 'fair'"]
    assert writer.alter(of("type mood", labels=("a", "b", "c")), of("type mood", labels=("a", "x"))) is None


def schema(*objects: DatabaseObject, needs: dict[Key, set[Key]] | None = None) -> Snapshot:
    """Return a snapshot of objects; without needs, where none are known."""
    sources = {each.key: each.source for each in objects if each.source is not None}
    return Snapshot(beside(*objects), sources=sources, needs=needs or {})


TABLE = (of("table t"), of("column t.a", type="integer", default="1"), of("column t.b", type="bigint"))


def test_columns_change_their_types_in_one_statement() -> None:
    """The columns of a table change together, each by its expression or a cast, and publications let go of it meanwhile."""
    after = (of("table t"), of("column t.a", type="text", default="'1'::text"), of("column t.b", type="numeric"))

    statements = writer.difference(schema(*TABLE), schema(*after), using={("column", "t.a"): "a + 1"})

    assert statements[1:-1] == [
        (
            "ALTER TABLE t ALTER COLUMN a DROP DEFAULT, ALTER COLUMN a TYPE text USING a + 1, "
            "ALTER COLUMN b TYPE numeric USING b::numeric"
        ),
        "ALTER TABLE t ALTER COLUMN a SET DEFAULT '1'::text",
    ]
    assert all("pg_publication" in each or "kimbledb.publications" in each for each in (statements[0], statements[-1]))


def test_needs_that_are_not_known_are_guessed_by_names() -> None:
    """A function that a new default calls is made before it, though nothing says that the column needs the function."""
    called = of("function next()", "CREATE FUNCTION next() RETURNS integer ...", returns="integer", body="0")
    added = of("column t.c", type="integer", default="next()", not_null=True)

    assert writer.difference(schema(*TABLE), schema(*TABLE, added, called)) == [
        "CREATE FUNCTION next() RETURNS integer ...",
        "ALTER TABLE t ADD COLUMN c integer DEFAULT next() NOT NULL",
    ]


def test_a_type_is_made_anew_where_its_new_label_is_used_at_once() -> None:
    """The transaction that adds a label to an enum cannot use it: its columns are texts until the type is there again."""
    before = (of("type mood", labels=("a",)), of("table t"), of("column t.m", type="mood"))
    after = (of("type mood", labels=("a", "b")), of("table t"), of("column t.m", type="mood", default="'b'::mood"))
    needs = {("column", "t.m"): {("type", "mood")}}

    assert writer.difference(schema(*before, needs=needs), schema(*after))[1:-1] == [
        "ALTER TABLE t ALTER COLUMN m TYPE text USING m::text",
        "DROP TYPE mood",
        "CREATE TYPE mood AS ENUM ('a', 'b')",
        "ALTER TABLE t ALTER COLUMN m TYPE mood USING m::mood",
        "ALTER TABLE t ALTER COLUMN m SET DEFAULT 'b'::mood",
    ]


def test_what_holds_data_and_goes_is_told() -> None:
    """A table that is divided otherwise, and a column that is gone, lose what they hold; a generated column loses nothing."""
    generated = of("column t.g", type="integer", generated="a * 2")
    parted = (of("table p", partition_by="LIST (id)"), of("column p.id", type="integer"))
    later = (of("table p", partition_by="HASH (id)"), of("column p.id", type="integer"))

    assert writer.lost(schema(*TABLE, generated, *parted), schema(*TABLE[:2], *later)) == [
        ("column", "t.b"),
        ("table", "p"),
    ]


def test_default_privileges_stay_where_they_may() -> None:
    """A new table keeps what default privileges give beyond its own, if the caller says so."""
    given = of("default privilege tables of current_user to app", may=("insert", "select"))
    table = (given, of("table t"), of("column t.a", type="integer"))

    assert writer.difference(schema(given), schema(*table))[1:] == ["REVOKE INSERT, SELECT ON TABLE t FROM app"]
    assert writer.difference(schema(given), schema(*table), defaults_stay=True)[1:] == []


def test_an_index_of_another_schema_is_made_by_its_own_name() -> None:
    """An index is made where its table is: its name in the statement has no schema."""
    index = DatabaseObject.of("index audit.log_at", {"on": "audit.log", "columns": ("at",)})

    assert writer.create([index]) == ["CREATE INDEX log_at ON audit.log (at)"]
    assert writer.drop(index) == "DROP INDEX audit.log_at"


def test_a_schema_comes_before_what_is_in_it() -> None:
    """A schema beside the target is made first, and what roles may do in it is granted last."""
    assert writer.create(
        [
            of("privilege schema private to app", may=("usage",)),
            of("table private.notes"),
            of("column private.notes.id", type="integer"),
            of("schema private"),
        ]
    ) == [
        "CREATE SCHEMA private",
        "CREATE TABLE private.notes (\n    id integer\n)",
        "GRANT USAGE ON SCHEMA private TO app",
    ]
    assert writer.drop(of("schema private")) == "DROP SCHEMA private"


def test_a_subquery_has_parentheses_of_its_own() -> None:
    """The condition of a policy that is one subquery gets a second pair of parentheses."""
    assert writer.create([of("policy t.own", using="( SELECT is_mine(t.id) AS is_mine)")]) == [
        "CREATE POLICY own ON t USING (( SELECT is_mine(t.id) AS is_mine))"
    ]


_DROPPING = """
from kimbledb.model.snapshot import Snapshot
from kimbledb.planning import writer
gone = {("table", f"t{number}"): {} for number in range(8)}
gone |= {("index", f"i{number}"): {"on": "kept", "columns": ["a"]} for number in range(8)}
kept = {("table", "kept"): {}, ("column", "kept.a"): {"type": "text"}}
print(writer.difference(Snapshot(gone | kept), Snapshot(kept)))
"""


def test_the_order_is_the_same_in_each_process() -> None:
    """What is dropped is a set, and stands in one order whatever the seed of hashes: a plan is read before it runs."""
    said = {
        subprocess.run(
            [sys.executable, "-c", _DROPPING],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }

    assert len(said) == 1
    assert "DROP TABLE t7" in said.pop()
