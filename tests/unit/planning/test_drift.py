"""Drift: what the applied migrations declare together, beside what is there."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from attrs import evolve

from kimbledb.model.check import Check
from kimbledb.model.declarations import DeclaredStatement
from kimbledb.model.forms import Forms, Origin, RecordedForms
from kimbledb.model.migration import Migration
from kimbledb.model.objects import DatabaseObject, Facts, Key
from kimbledb.planning import drift
from tests.support.declared import Objects, migration, snapshot, statement

HERE = Origin(server=180001, system=7, table=16400)

TABLE: Objects = {
    "table t": {},
    "column t.id": {"type": "integer", "not_null": True, "default": "nextval('t_id_seq'::regclass)"},
    "column t.i": {"type": "integer"},
    "column t.j": {"type": "integer"},
    "constraint t.t_pkey": {"key": "PRIMARY KEY (id)"},
    "constraint t.t_i_check": {"check": "i > 0"},
    "trigger t.touch": {"event": "BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION touch()"},
    "policy t.owner": {"for": "all", "to": ("public",), "using": "true"},
    "index t_by_i": {"on": "t", "unique": True, "method": "btree", "columns": ("i",)},
    "index t_by_j": {"on": "t", "method": "btree", "columns": ("j",)},
    "sequence t_id_seq": {"owned_by": "t.id"},
    "comment table t": {"text": "said"},
    "privilege table t to anon": {"may": ("select",)},
    "privilege column t.i to anon": {"may": ("update",)},
}
FIRST = statement(3, creates=TABLE)


def checks(
    found: Objects,
    *applied: DeclaredStatement,
    pending: tuple[DeclaredStatement, ...] = (),
    forms: Mapping[str, str] | None = None,
    recorded: Mapping[str, RecordedForms] | None = None,
) -> list[Check]:
    """The checks of migrations 1, 2, ... beside what is found."""
    made = [migration(number, each) for number, each in enumerate((*applied, *pending), 1)]
    return drift.checks(
        made[: len(applied)],
        made[len(applied) :],
        snapshot(found, forms),
        forms=Forms(HERE, recorded or {}),
        hosted=False,
    )


def drifted(found: Objects, *applied: DeclaredStatement, pending: tuple[DeclaredStatement, ...] = ()) -> list[str]:
    """The objects that drifted."""
    return [check.name for check in checks(found, *applied, pending=pending) if not check.passed]


def without(*names: str) -> Objects:
    """The table without some of its objects."""
    return {name: facts for name, facts in TABLE.items() if name not in names}


def test_what_is_as_declared_is_counted() -> None:
    """Where nothing drifted, one check counts the objects."""
    assert [(each.name, each.passed, each.found) for each in checks(TABLE, FIRST)] == [
        ("drift", True, f"{len(TABLE)} objects in their declared form")
    ]


def test_the_facts_that_differ_are_named_with_the_statement() -> None:
    """A check names the facts that differ, the migration and the place of the statement that makes the object."""
    found: Objects = {
        **TABLE,
        "column t.i": {"type": "bigint", "not_null": True},
        "index t_by_i": {"on": "t", "unique": True, "method": "hash", "columns": ("i",)},
    }

    column, index = checks(found, statement(), FIRST)

    assert (column.migration, column.name, column.expected, column.found) == (
        "2.sql",
        "column t.i",
        "integer nullable",
        "bigint not null",
    )
    assert (column.file, column.line) == ("2.sql/apply.sql", 3)
    assert (index.expected, index.found) == ("using btree", "using hash")


def test_a_cure_leaves_what_does_not_differ() -> None:
    """A cure changes the facts that differ, and neither an expression of another text nor where the owner puts things."""
    first = statement(
        creates={"table t": {}, "column t.i": {"type": "integer", "default": "(0)", "not_null_name": "n"}}
    )
    found: Objects = {
        "table t": {"tablespace": "fast"},
        "column t.i": {"type": "integer", "not_null": True, "default": "0"},
    }

    [check] = checks(found, first)

    assert check.hint == "ALTER TABLE t ALTER COLUMN i DROP NOT NULL"


def test_a_cure_loses_no_rows() -> None:
    """Where only dropping and making anew would do, the cure of a table says so, and that of a view does it."""
    first = statement(creates={"table t": {"partition_by": "RANGE (i)"}})
    [check] = checks({"table t": {}}, first)
    assert (check.hint or "").startswith("no ALTER does this")

    second = statement(creates={"index i": {"on": "t", "method": "btree", "columns": ("a",)}})
    [check] = checks({"index i": {"on": "t", "method": "hash", "columns": ("a",)}}, second)
    assert check.hint == "DROP INDEX i; CREATE INDEX i ON t USING btree (a)"


def test_what_is_missing_is_told_with_its_form() -> None:
    """A missing object is expected in its declared form, and its cure makes it."""
    [check] = checks(without("index t_by_i"), FIRST)

    assert (check.expected, check.found) == ("unique on t using btree (i)", "missing")
    assert (check.hint or "").startswith("CREATE ")


def test_a_missing_table_is_told_once() -> None:
    """One check stands for a table and all that belongs to it, and its cure makes them all."""
    [check] = checks({}, FIRST)

    assert check.name == "table t"
    words = (
        "CREATE TABLE t",
        "t_pkey",
        "t_by_i",
        "t_id_seq",
        "TRIGGER touch",
        "POLICY owner",
        "COMMENT",
        "GRANT SELECT",
    )
    assert [word for word in words if word not in (check.hint or "")] == []


def test_a_missing_partition_goes_with_its_table() -> None:
    """A missing partitioned table is told once, and a missing partition of a table that is there is told by itself."""
    parted = statement(
        creates={
            "table p": {"partition_by": "RANGE (at)"},
            "column p.at": {"type": "date"},
            "table p_1": {"partition_of": "p", "bound": "DEFAULT"},
            "column p_1.at": {"type": "date"},
        }
    )

    assert drifted({}, parted) == ["table p"]
    assert drifted({"table p": {"partition_by": "RANGE (at)"}, "column p.at": {"type": "date"}}, parted) == [
        "table p_1"
    ]


def test_a_missing_column_is_told_beside_what_holds_it() -> None:
    """A key or an index that went with a column is told by itself, with a cure of its own."""
    assert drifted(without("column t.i", "index t_by_i", "privilege column t.i to anon"), FIRST) == [
        "column t.i",
        "index t_by_i",
    ]


def test_a_comment_and_privileges_come_with_their_object() -> None:
    """The cure of a missing object gives it its comment and its privileges, and these are not told beside it."""
    own: Objects = {
        "function f()": {"language": "sql", "returns": "integer", "body": "md5"},
        "comment function f()": {"text": "one"},
        "privilege function f() to app": {"may": ("execute",)},
    }
    first = statement(creates=own)
    [function] = [each for each in first.creates if each.kind == "function"]
    made = evolve(first, creates=(evolve(function, source="CREATE FUNCTION f() ..."), *first.creates[1:]))

    [check] = checks({}, made)

    assert check.name == "function f()"
    assert check.hint == (
        "CREATE FUNCTION f() ...; COMMENT ON FUNCTION f() IS 'one'; GRANT EXECUTE ON FUNCTION f() TO app"
    )
    assert drifted({"function f()": own["function f()"]}, made) == ["privilege function f() to app"]


def test_what_is_known_by_name_alone_must_exist() -> None:
    """Of an object without facts only the absence is drift, and the cure names its statement."""
    by_name = statement(7, creates={"table a": None, "view v": None})

    [check] = checks({"table a": {"unlogged": True}}, by_name)

    assert (check.name, check.expected, check.hint) == (
        "view v",
        "exists",
        "run its statement again: 1.sql/apply.sql:7",
    )


def test_what_belongs_to_a_dropped_table_goes_with_it() -> None:
    """Parts, indexes, grants and sequences of a dropped table are not missed, whether a migration names them or not."""
    assert drifted({}, FIRST, statement(drops=["table t"])) == []
    assert drifted({}, FIRST, statement(drops=[name for name in TABLE if not name.startswith("comment")])) == []


def test_a_dropped_table_that_is_there_is_told_once() -> None:
    """Of a table that must be gone the parts are not told one by one."""
    drops = statement(9, drops=["column t.i", "index t_by_i", "sequence t_id_seq", "table t"])

    [check] = checks(TABLE, FIRST, drops)

    assert (check.migration, check.name, check.expected, check.hint, check.line) == (
        "2.sql",
        "table t",
        "gone",
        "DROP TABLE t",
        9,
    )


def test_a_dropped_column_that_is_there_is_drift() -> None:
    """What hands made again under the name of what is gone is found with its facts."""
    [check] = checks(TABLE, FIRST, statement(drops=["column t.j", "index t_by_j"]))

    assert (check.name, check.expected, check.found) == ("column t.j", "gone", "integer")


def test_grants_may_be_given_again() -> None:
    """A privilege that a migration took is the application's if somebody grants it again."""
    assert drifted(TABLE, FIRST, statement(drops=["privilege table t to anon", "comment table t"])) == []


def test_a_renamed_table_is_wanted_under_its_new_name() -> None:
    """After a rename the parts are wanted under the new name, and nothing under the old one."""
    second = statement(renames={"table t": "u"})
    there: Objects = {
        "table u": {},
        "column u.i": {"type": "integer"},
        "index u_by_i": {"on": "u", "method": "btree", "columns": ("i",)},
    }
    first = statement(
        creates={
            "table t": {},
            "column t.i": {"type": "integer"},
            "index u_by_i": {**(there["index u_by_i"] or {}), "on": "t"},
        }
    )

    assert drifted(there, first, second) == []
    assert drifted({"table u": {}, "index u_by_i": there["index u_by_i"]}, first, second) == ["column u.i"]
    assert drifted({**there, "table t": {}, "column t.i": {"type": "integer"}}, first, second) == ["table t"]
    assert drifted({}, first, second) == ["table u"]


def test_a_table_that_is_made_again_is_wanted_whole() -> None:
    """What a later migration declares once more is missed where it is missing."""
    third = statement(creates={"table t": {}, "column t.id": {"type": "bigint"}})

    assert drifted({"table t": {}}, FIRST, statement(drops=["table t"]), third) == ["column t.id"]


def test_the_work_of_a_pending_migration_is_no_drift() -> None:
    """Somebody may have been ahead: dropped, renamed or changed what a pending migration drops, renames or changes."""
    first = statement(creates={"table t": {}, "column t.i": {"type": "integer"}})
    renamed: Objects = {"table u": {}, "column u.i": {"type": "integer"}}

    assert drifted({}, FIRST, pending=(statement(drops=["table t"]),)) == []
    assert drifted(renamed, first, pending=(statement(renames={"table t": "u"}),)) == []
    changes = statement(changes={"column t.i": {"type": "bigint"}})
    assert drifted({"table t": {}, "column t.i": {"type": "bigint"}}, first, pending=(changes,)) == []
    assert drifted({"table t": {}, "column t.i": {"type": "numeric"}}, first, pending=(changes,)) == ["column t.i"]
    makes_again = (statement(creates={"column t.i": {"type": "text"}}),)
    assert (
        drifted(
            {"table t": {}, "column t.i": {"type": "text"}}, first, statement(drops=["column t.i"]), pending=makes_again
        )
        == []
    )


def test_an_earlier_name_is_no_later_one() -> None:
    """A table under the first of its three names is not taken for the one that is missing."""
    first = statement(creates={"table t": {}})
    renames = (statement(renames={"table t": "u"}), statement(renames={"table u": "v"}))

    assert drifted({"table t": {}}, first, *renames) == ["table v", "table t"]


def test_a_primary_key_stands_in_for_a_unique_one() -> None:
    """A unique constraint is not missed where a primary key has the same columns."""
    first = statement(creates={"table t": {}, "constraint t.t_i_key": {"key": "UNIQUE (i)"}})
    there: Objects = {"table t": {}, "constraint t.other": {"key": "PRIMARY KEY (i)"}}

    assert drifted(there, first) == []
    assert drifted({"table t": {}, "constraint u.other": {"key": "PRIMARY KEY (i)"}}, first) == ["constraint t.t_i_key"]


def test_the_columns_of_a_view_are_covered_by_its_query() -> None:
    """Of a view that is missing or changed the columns are not told."""
    first = statement(creates={"view v": {"query": "1"}, "column v.a": {"type": "text"}})

    assert drifted({}, first) == ["view v"]
    assert drifted({"view v": {"materialized": True, "query": "1"}}, first) == ["view v"]


CHECK: Facts = {"check": "t.v > 0"}
OTHERWISE: Facts = {"check": "v > 0"}
CHECKED = statement(creates={"table t": {}, "constraint t.c": CHECK})


@pytest.mark.parametrize(
    ("form", "origin", "expected"),
    [
        ("now", HERE, []),
        ("then", HERE, ["constraint t.c"]),
        ("then", Origin(180001, 7, 999), []),
        ("then", Origin(150001, 7, 16400), []),
        (None, HERE, []),
    ],
)
def test_an_expression_drifted_only_against_a_record_of_this_place(
    form: str | None, origin: Origin, expected: list[str]
) -> None:
    """An expression of another text is drift where this server recorded another form, and nowhere else."""
    records = {} if form is None else {"1.sql": RecordedForms(origin, {("constraint", "t.c"): form})}

    found = checks(
        {"table t": {}, "constraint t.c": OTHERWISE}, CHECKED, forms={"constraint t.c": "now"}, recorded=records
    )

    assert [check.name for check in found if not check.passed] == expected


def test_what_cannot_be_compared_is_told_once() -> None:
    """One check that only informs counts the objects that cannot be compared, with reasons and cure."""
    first = statement(creates={"table t": {}, "constraint t.c": CHECK, "view v": {"query": "1"}})
    record = RecordedForms(Origin(150001, 7, 16400), {("view", "v"): "then"})

    passed, unknown = checks(
        {"table t": {}, "constraint t.c": OTHERWISE, "view v": {"query": "2"}},
        first,
        forms={"constraint t.c": "now", "view v": "now"},
        recorded={"1.sql": record},
    )

    assert passed.found == "1 objects in their declared form"
    assert (unknown.name, unknown.passed, unknown.informative) == ("cannot be compared here", True, True)
    assert unknown.found == (
        "2 objects: history records no form of it (constraint t.c); "
        "history records it as PostgreSQL 15 printed it (view v)"
    )
    assert [row["object"] for row in unknown.rows] == ["constraint t.c", "view v"]
    assert "`kimbledb adopt`" in (unknown.hint or "")


def test_a_form_follows_a_renamed_table() -> None:
    """A record that names an object as its migration did is found after a rename."""
    record = {"1.sql": RecordedForms(HERE, {("constraint", "t.c"): "now"})}

    assert [
        check.passed
        for check in checks(
            {"table u": {}, "constraint u.c": OTHERWISE},
            CHECKED,
            statement(renames={"table t": "u"}),
            forms={"constraint u.c": "now"},
            recorded=record,
        )
    ] == [True]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({}, []),
        ({"column t.i": {"type": "integer", "default": "1"}}, []),
        ({"column t.i": {"type": "bigint"}}, ["column t.i"]),
        ({"constraint t.k": {"key": "UNIQUE (i)"}}, ["constraint t.k"]),
    ],
)
def test_what_was_there_before_is_kept(found: Objects, expected: list[str]) -> None:
    """A column keeps its default and NOT NULL from before kimbledb, and a constraint its wording; another change is drift."""
    first = statement(
        creates={"table t": {}, "column t.i": {"type": "integer"}, "constraint t.k": {"key": "UNIQUE (i, j)"}}
    )
    before: Objects = {
        "column t.i": {"type": "integer", "not_null": True, "default": "0"},
        "constraint t.k": {"key": "UNIQUE (j, i)"},
    }
    kept = {DatabaseObject.of(name).key: facts or {} for name, facts in before.items()}

    there = checks(
        {"table t": {}, **before, **found},
        first,
        forms={"column t.i": "now"},
        recorded={"1.sql": RecordedForms(HERE, {("column", "t.i"): "now"}, kept)},
    )

    assert [check.name for check in there if not check.passed] == expected


def test_what_a_newer_version_may_have_done_only_informs() -> None:
    """Drift informs where a newer version of the catalog is at work."""
    [check] = drift.checks([migration(1, FIRST)], [], snapshot({}), forms=Forms(HERE), hosted=False, informative=True)

    assert (check.passed, check.informative) == (False, True)


def test_what_a_migration_without_declarations_may_have_done_only_informs() -> None:
    """What differs is drift only if no migration without declarations was applied after the one that declares it."""
    undeclared = Migration(name="2.sql", number=2, location="migrations/02_2")
    later = migration(3, statement(creates={"table u": {}}))

    passed, unknown = drift.checks(
        [migration(1, FIRST), undeclared, later],
        [],
        snapshot({**without("index t_by_i", "constraint t.t_i_check"), "table u": {}}),
        forms=Forms(HERE),
        hosted=False,
    )

    assert (
        passed.found
        == f"{len(TABLE) - 1} objects in their declared form; the declarations of 1 applied migration are missing or outdated"
    )
    assert (unknown.name, unknown.passed, unknown.informative) == ("cannot be compared here", True, True)
    assert unknown.found == (
        "2 objects (constraint t.t_i_check, index t_by_i): perhaps changed by 2.sql, whose declarations are missing or "
        "outdated"
    )
    assert unknown.hint == "`kimbledb declare migrations` records them"
    assert [row["found"] for row in unknown.rows] == ["missing", "missing"]
    assert [
        check.name
        for check in drift.checks(
            [migration(1, FIRST), undeclared, later], [], snapshot(TABLE), forms=Forms(HERE), hosted=False
        )
        if not check.passed
    ] == ["table u"]


def test_nothing_is_compared_where_names_read_otherwise() -> None:
    """A role without USAGE on a schema of the path sees other names, and is told so."""
    forms = Forms(HERE, unseen=("extensions",))

    [check] = drift.checks([migration(1, FIRST)], [], snapshot({}), forms=forms, hosted=False)

    assert (check.name, check.passed, check.informative) == ("cannot be compared here", True, True)
    assert check.hint == 'GRANT USAGE ON SCHEMA "extensions" TO this role'


def test_an_owner_needs_no_grant() -> None:
    """A privilege of the role that owns the object is not missed, and those of other roles are."""
    first = statement(
        creates={
            "table t": {},
            "privilege table t to app": {"may": ("select",)},
            'privilege column t.i to "App"': {"may": ("select",)},
        }
    )

    def missed(owners: Mapping[Key, str]) -> list[str]:
        there = evolve(snapshot({"table t": {}}), owners=owners)
        told = drift.checks([migration(1, first)], [], there, forms=Forms(HERE), hosted=False)
        return [check.name for check in told if not check.passed]

    assert missed({("table", "t"): "app", ("column", "t.i"): "App"}) == []
    assert missed({("table", "t"): "other", ("column", "t.i"): "App"}) == ["privilege table t to app"]


PARTED: Objects = {
    "table p": {"partition_by": "RANGE (d)"},
    "column p.d": {"type": "date"},
    "constraint p.p_pkey": {"key": "PRIMARY KEY (d)"},
    "constraint p.c": {"check": "d > '2000-01-01'"},
    "index p_d": {"on": "p", "columns": ("d",)},
    "table q": {"partition_of": "p", "bound": "DEFAULT"},
    "column q.d": {"type": "date", "inherited": True},
    "constraint q.q_pkey": {"key": "PRIMARY KEY (d)", "inherited": True},
    "constraint q.c": {"check": "d > '2000-01-01'", "inherited": True},
    "index q_d_idx": {"on": "q", "columns": ("d",), "partition_of": "p_d"},
}


@pytest.mark.parametrize(
    ("gone", "expected"),
    [
        (["constraint p.p_pkey", "constraint q.q_pkey"], "constraint p.p_pkey"),
        (["constraint p.c", "constraint q.c"], "constraint p.c"),
        (["index p_d", "index q_d_idx"], "index p_d"),
        (["index q_d_idx"], "index q_d_idx"),
    ],
)
def test_what_a_partition_has_from_its_table_is_told_with_it(gone: list[str], expected: str) -> None:
    """The cure of a part of a partitioned table makes that of each partition, which is not told by itself."""
    left = {name: facts for name, facts in PARTED.items() if name not in gone}

    assert drifted(left, statement(creates=PARTED)) == [expected]


def test_a_detached_partition_is_told_once() -> None:
    """What a partition's parts lose with it comes back with it; another change of them is told by itself."""
    alone: Objects = {
        name: {
            fact: value for fact, value in (facts or {}).items() if fact not in ("inherited", "partition_of", "bound")
        }
        for name, facts in PARTED.items()
    }

    assert drifted(alone, statement(creates=PARTED)) == ["table q"]
    assert drifted({**alone, "column q.d": {"type": "text"}}, statement(creates=PARTED)) == ["table q", "column q.d"]
