"""The fold: what migrations together declare."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from kimbledb.model.declarations import DeclaredStatement
from kimbledb.model.objects import DatabaseObject, Key
from kimbledb.planning.fold import Fold, fold, granted, owners_of, split, under_new_names
from tests.support.declared import Objects, migration, statement


def folded(*migrations: DeclaredStatement | list[DeclaredStatement], hosted: bool = False) -> Fold:
    """The fold of migrations 1, 2, ... with these statements."""
    made = (
        migration(number, *(each if isinstance(each, list) else [each])) for number, each in enumerate(migrations, 1)
    )
    return fold(made, hosted=hosted)


def named(keys: Mapping[Key, object]) -> set[str]:
    """The objects as texts."""
    return {f"{kind} {name}" for kind, name in keys}


TABLE: Objects = {
    "table a": {},
    "column a.id": {"type": "integer", "default": "nextval('a_id_seq'::regclass)"},
    "column a.x": {"type": "text"},
    "constraint a.a_pkey": {"key": "PRIMARY KEY (id)"},
    "constraint a.a_x_key": {"key": 'UNIQUE (x, "Y") INCLUDE (z)'},
    "index a_by_id": {"on": "a", "method": "btree", "columns": ("id",)},
    "index a_by_x": {"on": "a", "method": "btree", "columns": ("lower_x", "x DESC")},
    "sequence a_id_seq": {"owned_by": "a.id"},
    "statistics s": {"on": "a", "columns": ("id", "x")},
    "trigger a.touch": {"event": "BEFORE UPDATE ON a FOR EACH ROW EXECUTE FUNCTION touch()"},
    "policy a.own": {"for": "all", "using": "true"},
    "rule a.r": {"rule": "md5"},
    "comment table a": {"text": "said"},
    "comment column a.x": {"text": "said"},
    "comment index a_by_x": {"text": "said"},
    "privilege table a to app": {"may": ("select",)},
    "privilege column a.x to app": {"may": ("update",)},
    "privilege sequence a_id_seq to app": {"may": ("usage",)},
}
OTHER: Objects = {
    "table ab": {},
    "column ab.x": {"type": "text"},
    "index ab_by_x": {"on": "ab", "columns": ("x",)},
    "privilege table ab to a": {"may": ("select",)},
    "comment schema": {"text": "said"},
    "privilege schema to app": {"may": ("usage",)},
    "default privilege tables of owner to app": {"may": ("select",)},
}
FIRST = statement(1, creates={**TABLE, **OTHER})


def test_a_dropped_table_takes_all_that_belongs_to_it() -> None:
    """Parts, indexes, owned sequences, statistics, comments and privileges of a dropped table go with it, and no others."""
    found = folded(FIRST, statement(2, drops=("table a",)))

    assert named(found.objects) == set(OTHER)
    assert named(found.gone) == set(TABLE)
    assert {key for key, each in found.gone.items() if each.along is None} == {("table", "a")}
    assert {each.along for each in found.gone.values()} == {None, ("table", "a")}
    assert found.gone["column", "a.x"].each.facts == {"type": "text"}


def test_a_dropped_column_takes_what_holds_it_by_name() -> None:
    """Keys, indexes and statistics with a dropped column go with it, as do its sequence, comment and privileges."""
    assert named(folded(FIRST, statement(2, drops=("column a.x",))).gone) == {
        "column a.x",
        "constraint a.a_x_key",
        "index a_by_x",
        "comment index a_by_x",
        "statistics s",
        "comment column a.x",
        "privilege column a.x to app",
    }
    assert {"sequence a_id_seq", "privilege sequence a_id_seq to app"} < named(
        folded(FIRST, statement(2, drops=("column a.id",))).gone
    )


@pytest.mark.parametrize("column", ['"Y"', "z"])
def test_every_column_of_a_key_counts(column: str) -> None:
    """A key goes with a quoted column, and with one that it includes."""
    first = statement(creates={f"column a.{column}": {"type": "text"}, **TABLE})

    assert ("constraint", "a.a_x_key") in folded(first, statement(2, drops=(f"column a.{column}",))).gone


def test_partitions_go_with_their_table() -> None:
    """A dropped table takes its partitions, their columns, and the indexes that are attached to its own."""
    first = statement(
        creates={
            "table p": {"partition_by": "RANGE (at)"},
            "index p_by_at": {"on": "p", "columns": ("at",)},
            "table p_1": {"partition_of": "p", "bound": "DEFAULT"},
            "column p_1.at": {"type": "date"},
            "index p_1_by_at": {"on": "p_1", "partition_of": "p_by_at", "columns": ("at",)},
        }
    )

    assert not folded(first, statement(2, drops=("table p",))).objects
    assert named(folded(first, statement(2, drops=("index p_by_at",))).gone) == {
        "index p_by_at",
        "index p_1_by_at",
    }


def test_parts_of_a_renamed_table_follow() -> None:
    """A renamed table keeps its parts, indexes, sequences, comments and privileges under its new name."""
    found = folded(FIRST, statement(2, renames={"table a": "b"}))

    assert named(found.objects) == {
        *OTHER,
        *(
            text.replace(" a.", " b.").replace("table a", "table b") if "table a" in text or " a." in text else text
            for text in TABLE
        ),
    }
    assert (found.objects["index", "a_by_x"].each.facts or {})["on"] == "b"
    assert (found.objects["sequence", "a_id_seq"].each.facts or {})["owned_by"] == "b.id"
    assert {key: each.along for key, each in found.gone.items() if key[1] in ("a", "a.x")} == {
        ("table", "a"): None,
        ("column", "a.x"): ("table", "a"),
    }
    renamed = found.objects["column", "b.x"]
    assert (renamed.migration.name, renamed.declared_as) == ("1.sql", ("column", "a.x"))


def test_a_renamed_column_takes_its_privileges_along() -> None:
    """Of a renamed column the comment, the privileges and the sequence follow, also where its table is renamed, too."""
    found = folded(FIRST, statement(2, renames={"table a": "b", "column a.id": "b.key", "column a.x": "b.y"}))

    assert {"column b.key", "comment column b.y", "privilege column b.y to app"} < named(found.objects)
    assert (found.objects["sequence", "a_id_seq"].each.facts or {})["owned_by"] == "b.key"
    assert ("column", "b.x") not in found.objects


def test_two_tables_change_names() -> None:
    """All renames of a migration happen at once, in whatever statements they stand."""
    first = statement(creates={"table a": {}, "column a.x": {"type": "text"}, "table b": {}})

    found = folded(first, [statement(2, renames={"table a": "b"}), statement(3, renames={"table b": "a"})])

    assert named(found.objects) == {"table a", "table b", "column b.x"}
    assert named(found.gone) == {"column a.x"}


def test_a_name_is_taken_by_another_table() -> None:
    """A table that is dropped, and whose name another one gets, leaves nothing of its own behind."""
    first = statement(creates={"table a": {}, "column a.x": {"type": "text"}, "table b": {}, "column b.y": {}})

    found = folded(first, [statement(2, drops=("table a",)), statement(3, renames={"table b": "a"})])

    assert named(found.objects) == {"table a", "column a.y"}
    assert named(found.gone) == {"column a.x", "table b", "column b.y"}


def test_the_last_form_counts_with_its_statement() -> None:
    """An object has the facts, the migration and the statement that changed it last."""
    found = folded(
        FIRST,
        [statement(5, changes={"column a.x": {"type": "varchar"}}), statement(6, creates={"table c": {}})],
    )

    item = found.objects["column", "a.x"]
    assert (item.each.facts, item.migration.name, item.statement.line) == ({"type": "varchar"}, "2.sql", 5)


def test_what_is_made_again_is_not_gone() -> None:
    """A later migration may make what another dropped."""
    found = folded(FIRST, statement(2, drops=("table a",)), statement(3, creates={"table a": {"unlogged": True}}))

    assert found.objects["table", "a"].each.facts == {"unlogged": True}
    assert ("table", "a") not in found.gone
    assert ("column", "a.x") in found.gone


@pytest.mark.parametrize(("hosted", "may"), [(False, "select"), (True, "insert")])
def test_statements_of_the_other_platform_do_not_count(hosted: bool, may: str) -> None:
    """Each platform has its own effects beside those of both."""
    both = statement(creates={"table a": {}})
    bare = statement(2, creates={"privilege table a to app": {"may": ("select",)}}, hosted=False)
    there = statement(2, creates={"privilege table a to app": {"may": ("insert",)}}, hosted=True)

    found = folded([both, bare, there], hosted=hosted)

    assert len(found) == 2
    assert found.objects["privilege", "table a to app"].each.facts == {"may": (may,)}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("users.email", ("users", "email")),
        ('auth."Users"."e.mail"', ('auth."Users"', '"e.mail"')),
        ("users", ("", "users")),
    ],
)
def test_a_part_has_a_relation(name: str, expected: tuple[str, str]) -> None:
    """The last identifier is the part's own name, whatever stands in quotes."""
    assert expected == split(name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("table a to app", ("table a", "app")),
        ('table "a to b" to "x to y"', ('table "a to b"', '"x to y"')),
        ("function f(character varying) to public", ("function f(character varying)", "public")),
    ],
)
def test_a_privilege_has_an_object_and_a_role(name: str, expected: tuple[str, str]) -> None:
    """Both may hold any character in quotes."""
    assert expected == granted(name)


def test_nothing_belongs_to_the_schema_of_another_table() -> None:
    """A part of a table in another schema belongs to that table, not to one of the schema's name."""
    assert owners_of(("trigger", "auth.users.t"), None) == [("table", "auth.users"), ("view", "auth.users")]


@pytest.mark.parametrize(
    ("kind", "name", "new", "source", "expected"),
    [
        ("function", "f(integer)", "g(integer)", "CREATE FUNCTION f(n integer) AS 'f'", "CREATE FUNCTION g(n integer) AS 'f'"),
        ("function", "f()", "Order()", 'create or replace procedure "f"()', 'create or replace procedure "Order"()'),
        ("view", "v", "w", "CREATE MATERIALIZED VIEW IF NOT EXISTS s.v AS SELECT 1", "CREATE MATERIALIZED VIEW IF NOT EXISTS w AS SELECT 1"),
        ("view", "v", "w", "CREATE RECURSIVE VIEW v (n) AS SELECT n FROM v", None),
        ("view", "v", "w", "-- Why.\nCREATE VIEW v AS SELECT 1", None),
    ],
)  # fmt: skip
def test_the_statement_of_a_renamed_object_has_its_new_name(
    kind: str, name: str, new: str, source: str, expected: str | None
) -> None:
    """A function or a view is made again under the name that it has now; where that is not sure, no statement is known."""
    renamed = under_new_names(DatabaseObject(kind, name, {}, source), {(kind, name): new.replace("Order", '"Order"')})

    assert (renamed.name, renamed.source) == (new.replace("Order", '"Order"'), expected)
