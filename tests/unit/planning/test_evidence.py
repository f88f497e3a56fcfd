from __future__ import annotations

from collections.abc import Mapping

import pytest

from kimbledb.model.declarations import Declarations, DeclaredStatement
from kimbledb.model.evidence import Evidence, ObjectState
from kimbledb.model.forms import Forms, Origin, RecordedForms
from kimbledb.model.migration import Extension, Migration
from kimbledb.model.objects import DatabaseObject, Facts
from kimbledb.planning.evidence import weigh
from tests.support.declared import Objects, migration, snapshot, statement

HERE = Origin(server=180001, system=7, table=16400)

FIRST = statement(
    creates={"table a": {}, "column a.id": {"type": "integer"}, "column a.old": {"type": "text"}},
)
SECOND = statement(changes={"column a.id": {"type": "bigint"}}, drops=["view v"])
VIEW: Objects = {"view v": {"query": "1"}}


def repair(number: int, **expects: str) -> Migration:
    """A repair that gives columns types."""
    return Migration(name=f"{number}.sql", number=number, expects={f"{key}.id": kind for key, kind in expects.items()})


def weighed(
    found: Objects,
    *migrations: DeclaredStatement | Migration,
    forms: Mapping[str, str] | None = None,
    recorded: Mapping[str, RecordedForms] | None = None,
) -> Evidence:
    """The evidence of objects on migrations 1, 2, ..."""
    numbered = [
        migration(number, each) if isinstance(each, DeclaredStatement) else each
        for number, each in enumerate(migrations, 1)
    ]
    return weigh(numbered, snapshot(found, forms), hosted=False, forms=Forms(HERE, recorded or {}))


def states(found: Objects, *migrations: DeclaredStatement | Migration) -> list[str]:
    """The states of the objects of migrations 1, 2, ..."""
    findings = weighed(found, *migrations).findings
    return [str(findings[f"{number}.sql"].state) for number in range(1, len(migrations) + 1)]


def column(**facts: str | bool) -> Objects:
    """The column a.id."""
    return {"column a.id": facts}


TABLE: Objects = {"table a": {}, "column a.old": {"type": "text"}}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({}, [ObjectState.MISSING, ObjectState.MISSING]),
        ({**TABLE, **column(type="bigint")}, [ObjectState.APPLIED, ObjectState.APPLIED]),
        ({**TABLE, **column(type="integer")}, [ObjectState.APPLIED, ObjectState.MISSING]),
        ({**TABLE, **column(type="uuid")}, [ObjectState.PARTIAL, ObjectState.PARTIAL]),
        ({**TABLE, **column(type="bigint", not_null=True)}, [ObjectState.PARTIAL, ObjectState.PARTIAL]),
        ({"table a": {}, **column(type="bigint")}, [ObjectState.PARTIAL, ObjectState.APPLIED]),
        ({**TABLE, **column(type="bigint"), **VIEW}, [ObjectState.APPLIED, ObjectState.PARTIAL]),
    ],
)
def test_what_is_there_shows_which_migrations_were_applied(found: Objects, expected: list[str]) -> None:
    """An object counts in the form that its migration or a later one gives it; another type, and what should have gone, is missed."""
    assert expected == states(found, FIRST, SECOND)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({}, ObjectState.MISSING),
        ({"table a": {}}, ObjectState.MISSING),
        ({"table a": {}, **column(type="integer")}, ObjectState.MISSING),
        ({"table a": {}, **column(type="bigint", not_null=True)}, ObjectState.APPLIED),
    ],
)
def test_a_repair_is_done_where_there_is_something_that_is_right(found: Objects, expected: str) -> None:
    """A repair of what is not there, or is still to be repaired, was done by nobody."""
    assert [expected] == states(found, repair(1, a="bigint"))


def test_a_repair_is_done_where_all_is_right() -> None:
    """A repair is to be done where a column of a table that is there is wrong or missing; tables to come count for nothing."""
    both = repair(1, a="bigint", b="bigint")
    right: Objects = {"table a": {}, **column(type="bigint")}

    assert states(right, both) == [ObjectState.APPLIED]
    assert states({**right, "table b": {}, "column b.id": {"type": "bigint"}}, both) == [ObjectState.APPLIED]
    assert states({**right, "table b": {}, "column b.id": {"type": "integer"}}, both) == [ObjectState.MISSING]
    assert states({**right, "table b": {}}, both) == [ObjectState.MISSING]


def test_what_is_known_by_name_alone_proves_nothing() -> None:
    """A migration whose objects are known by name alone has no finding, and such an object does not complete another."""
    by_name = statement(creates={"table a": None, "column a.id": None})
    in_part = statement(creates={"table a": {}, "column a.id": None})

    assert weighed({"table a": {}, **column(type="uuid")}, by_name).findings == {}
    assert states({**column(type="uuid")}, in_part) == [ObjectState.MISSING]


def test_comments_and_privileges_are_missed_and_prove_nothing() -> None:
    """What an object lacks of its comments and privileges makes its migration one in part; they alone show nothing of it."""
    said: Objects = {
        "comment table a": {"text": "A."},
        "privilege table a to clerk": {"may": ("select",)},
        # The sequence of an identity column is no object by itself.
        "privilege sequence a_id_seq to clerk": {"may": ("usage",)},
    }
    makes = statement(creates={"table a": {}, "column a.id": {"type": "uuid"}, **said})
    there = {"table a": {}, **column(type="uuid")}

    assert states({**there, **said}, makes) == [ObjectState.APPLIED]
    for lacking in said:
        some = {each: facts for each, facts in said.items() if each != lacking}
        assert weighed({**there, **some}, makes).findings["1.sql"].missing == (lacking,)
    assert weighed({**column(type="uuid"), **said}, makes).findings["1.sql"].missing == ("table a",)
    assert states(said, makes) == [ObjectState.MISSING]


def test_a_migration_without_declarations_has_no_finding() -> None:
    """A catalog without declarations has no evidence."""
    assert weighed({"table a": {}}, migration(1)).findings == {}


def test_what_another_migration_makes_again_need_not_be_gone() -> None:
    """Of an object that one migration drops and another makes nobody can see whether it was dropped."""
    drops = statement(creates={"table a": {}}, drops=["view v"])
    makes = statement(creates={"view v": {"query": "2"}})

    assert states({"table a": {}, "view v": {"query": "2"}}, drops, makes) == [ObjectState.APPLIED, ObjectState.APPLIED]


def test_what_a_repair_will_make_right_is_no_conflict() -> None:
    """A column of an older type stands in nobody's way where a repair of the catalog looks after it."""
    first = statement(creates={"table a": {}, **column(type="bigint")})

    assert states({**TABLE, **column(type="uuid")}, first, repair(2, a="bigint")) == [
        ObjectState.PARTIAL,
        ObjectState.MISSING,
    ]


LATER = statement(creates={"column a.new": {"type": "text"}}, drops=["view v", "column a.old"])
NEW: Objects = {"column a.new": {"type": "text"}}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({}, [ObjectState.MISSING, ObjectState.MISSING]),
        ({"table a": {}, **column(type="integer"), **NEW}, [ObjectState.APPLIED, ObjectState.APPLIED]),
        ({**TABLE, **column(type="integer"), **VIEW}, [ObjectState.APPLIED, ObjectState.MISSING]),
        ({**TABLE, **column(type="integer"), **NEW, **VIEW}, [ObjectState.APPLIED, ObjectState.PARTIAL]),
        ({"table a": {}, **NEW}, [ObjectState.PARTIAL, ObjectState.APPLIED]),
    ],
)
def test_what_a_later_migration_takes_away_is_not_missed(found: Objects, expected: list[str]) -> None:
    """An object that is gone as it should be speaks against nobody; one that should be gone and is there, does."""
    first = statement(creates={**TABLE, **column(type="integer"), **VIEW})

    assert expected == states(found, first, LATER)


@pytest.mark.parametrize(
    ("found", "expected"),
    [({"table a": {}, **VIEW}, ObjectState.APPLIED), ({"table a": {}}, ObjectState.PARTIAL)],
)
def test_what_is_taken_away_and_made_again_must_be_there(found: Objects, expected: str) -> None:
    """An object counts as gone only where no migration makes it again after that."""
    first = statement(creates={"table a": {}, **VIEW})
    second = statement(creates={"view w": {"query": "1"}}, drops=["view v"])

    assert [expected, ObjectState.MISSING, expected] == states(found, first, second, first)


def test_what_goes_with_a_dropped_table_is_not_missed() -> None:
    """A migration of which that is left which nothing drops is there whole, though its table's parts are gone."""
    first = statement(
        creates={
            **TABLE,
            "index a_by_old": {"on": "a", "columns": ("old",)},
            "trigger a.t": {"event": "BEFORE INSERT ON a"},
            "table stays": {},
        }
    )
    second = statement(creates={"table u": {}}, drops=["table a"])

    assert states({"table stays": {}, "table u": {}}, first, second) == [ObjectState.APPLIED, ObjectState.APPLIED]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({}, [ObjectState.MISSING, ObjectState.MISSING]),
        ({**TABLE, **column(type="integer")}, [ObjectState.APPLIED, ObjectState.MISSING]),
        (
            {"table b": {}, "column b.id": {"type": "integer"}, "column b.old": {"type": "text"}},
            [ObjectState.APPLIED, ObjectState.APPLIED],
        ),
        ({"table b": {}, "column b.id": {"type": "integer"}}, [ObjectState.PARTIAL, ObjectState.APPLIED]),
    ],
)
def test_a_renamed_table_is_found_under_either_name(found: Objects, expected: list[str]) -> None:
    """What a later migration renames proves both, and under its old name the first alone."""
    assert expected == states(found, FIRST, statement(renames={"table a": "b"}))


RENAMED: Objects = {"table b": {}, "column b.old": {"type": "text"}, "column b.id": {"type": "integer"}}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({**TABLE, **column(type="integer")}, [ObjectState.APPLIED, ObjectState.MISSING]),
        (RENAMED, [ObjectState.APPLIED, ObjectState.PARTIAL]),
        ({**RENAMED, "table a": {}, **column(type="integer")}, [ObjectState.APPLIED, ObjectState.APPLIED]),
    ],
)
def test_a_table_in_place_of_another_is_found_only_after_the_rename(found: Objects, expected: list[str]) -> None:
    """As long as the older table has its name, nothing there is the new one of that name, however alike they are."""
    replaces = statement(renames={"table a": "b"}, creates={"table a": {}, **column(type="integer")})

    assert expected == states(found, FIRST, replaces)


CHECK: Facts = {"check": "v = ANY (ARRAY['a'::text])"}
OTHERWISE: Facts = {"check": "v = ANY ('{a}'::text[])"}
CHECKED = statement(creates={"table a": {}, "constraint a.c": CHECK})


def test_an_expression_that_cannot_be_compared_counts_as_present() -> None:
    """A check of another text, of which history has no form, proves its migration, and the finding says how far."""
    finding = weighed({"table a": {}, "constraint a.c": OTHERWISE}, CHECKED, forms={"constraint a.c": "x"}).findings[
        "1.sql"
    ]

    assert (finding.state, finding.present, finding.doubtful) == (
        ObjectState.APPLIED,
        ("table a", "constraint a.c"),
        ("constraint a.c",),
    )


@pytest.mark.parametrize(
    ("form", "state", "missing"),
    [
        ("x", ObjectState.APPLIED, ()),
        ("y", ObjectState.PARTIAL, ("the declared form of constraint a.c",)),
    ],
)
def test_an_expression_is_compared_with_its_recorded_form(
    form: str, state: ObjectState, missing: tuple[str, ...]
) -> None:
    """A check of another text is right in the form that this server gave it, and in no other."""
    record = RecordedForms(HERE, {("constraint", "a.c"): form})
    evidence = weighed(
        {"table a": {}, "constraint a.c": OTHERWISE},
        CHECKED,
        forms={"constraint a.c": "x"},
        recorded={"1.sql": record},
    )

    finding = evidence.findings["1.sql"]
    assert (finding.state, finding.missing, finding.doubtful) == (state, missing, ())
    assert set(evidence.kept) == ({("constraint", "a.c")} if missing else set())


def test_what_has_a_form_of_its_own_is_kept() -> None:
    """Columns and constraints that differ from every form of the catalog are kept with the migrations that declare them."""
    first = statement(creates={"table a": {}, **column(type="integer"), "constraint a.k": {"key": "UNIQUE (id)"}})
    found: Objects = {
        "table a": {"unlogged": True},
        "constraint a.k": {"key": "UNIQUE (id) DEFERRABLE"},
        **column(type="integer", not_null=True),
        "column a.more": {"type": "text"},
    }

    kept = weighed(found, first, SECOND).kept

    assert {str(DatabaseObject(*key)): (each.facts, each.migrations) for key, each in kept.items()} == {
        "column a.id": ({"type": "integer", "not_null": True}, ("1.sql", "2.sql")),
        "constraint a.k": ({"key": "UNIQUE (id) DEFERRABLE"}, ("1.sql",)),
    }


def test_what_is_made_for_the_other_platform_is_not_missed() -> None:
    """A statement for hosted databases says nothing of others."""
    both = migration(1, statement(creates={"table a": {}}), statement(2, creates=VIEW, hosted=True))

    assert states({"table a": {}}, both) == [ObjectState.APPLIED]


def test_what_a_pending_migration_will_change_shows_nothing_of_it() -> None:
    """An object in its form from before a migration is no part of that migration."""
    check = "constraint a.c"
    first = statement(
        creates={
            **TABLE,
            **column(type="integer"),
            **VIEW,
            check: {"check": "old > ''"},
            "constraint b.f": {"key": "(a)"},
        }
    )
    renames = statement(
        renames={"table a": "z", "column a.old": "z.new"},
        changes={"constraint z.c": {"check": "new > ''"}, "constraint b.f": {"key": "(z)"}, "view v": {"query": "2"}},
    )
    before: Objects = {
        **TABLE,
        **column(type="integer"),
        **VIEW,
        check: {"check": "old > ''"},
        "constraint b.f": {"key": "(a)"},
    }

    assert states(before, first, renames) == [ObjectState.APPLIED, ObjectState.MISSING]
    assert states({**before, "view v": {"query": "2"}}, first, renames) == [ObjectState.APPLIED, ObjectState.PARTIAL]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({"table a": {}, "view v": {"query": "3"}}, ["applied", "applied", "applied", "applied"]),
        ({"table a": {}}, ["applied", "applied", "applied", "missing"]),
        ({}, ["missing", "missing", None, "missing"]),
        ({"table a": {}, "function f()": {"body": "1"}}, ["applied", "applied", "missing", "missing"]),
    ],
)
def test_what_later_migrations_took_is_shown_by_them(found: Objects, expected: list[str | None]) -> None:
    """Of a migration nothing is left to look for: what dropped its objects, or made those that it dropped, shows it."""
    first = statement(creates={"table a": {}, "table b": {}})
    makes = statement(creates={"function f()": {"body": "1"}})
    drops = statement(drops=["table b", "function f()"])
    last = statement(creates={"view v": {"query": "3"}})

    findings = weighed(found, first, makes, drops, last).findings

    states_of = [findings.get(f"{number}.sql") for number in range(1, 5)]
    assert [None if each is None else str(each.state) for each in states_of] == expected


GRANTING = statement(creates={"default privilege tables of current_user to app": {"may": ("select",)}})


def test_what_is_around_the_schema_proves_something_beside_objects_alone() -> None:
    """Default privileges and extensions are on every new database of a platform: they count where objects are there, too."""
    granted: Objects = {"default privilege tables of current_user to app": {"may": ("select",)}}
    extensions = Migration(
        name="3.sql", number=3, extensions=(Extension("vector"),), apply_sql=" ;", declare=lambda: Declarations(())
    )
    everything = [migration(1, FIRST), migration(2, GRANTING), extensions]

    def found(there: Objects, *installed: str) -> list[str]:
        shown = weigh(everything, snapshot(there), hosted=False, forms=Forms(HERE, {}), extensions=installed)
        return [name for name, finding in shown.findings.items() if finding.state is ObjectState.APPLIED]

    table: Objects = {**TABLE, **column(type="integer")}
    assert found({**table, **granted}, "vector") == ["1.sql", "2.sql", "3.sql"]
    assert found(table) == ["1.sql"]
    assert found(granted, "vector") == []
