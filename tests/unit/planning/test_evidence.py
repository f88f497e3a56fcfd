from __future__ import annotations

import pytest

from kimbledb.catalog.catalog import Catalog
from kimbledb.model.evidence import ObjectState
from kimbledb.model.migration import Migration
from kimbledb.model.objects import DatabaseObject, Declarations
from kimbledb.model.snapshot import Snapshot
from kimbledb.planning.evidence import weigh

FIRST = Declarations(
    creates=(
        DatabaseObject("table", "a", "table"),
        DatabaseObject("column", "a.id", "integer"),
        DatabaseObject("column", "a.old", "text"),
    )
)
SECOND = Declarations(
    changes=(DatabaseObject("column", "a.id", "bigint"),), drops=(DatabaseObject("view", "v", "SELECT 1"),)
)
REPAIR = Declarations(expects={"a.id": "bigint"})


def catalog(*declared: Declarations) -> Catalog:
    """Migrations 1, 2, ... with these declarations."""
    return Catalog(
        Migration(name=f"{number}.sql", number=number, declare=lambda each=each: each)  # type: ignore[misc]
        for number, each in enumerate(declared, 1)
    )


def states(found: dict[str, str], *declared: Declarations) -> list[str]:
    """What objects, given as "kind name" with their form, show of each migration."""
    objects = {tuple(key.split(" ")): form for key, form in found.items()}
    weighed = weigh(catalog(*declared), Snapshot(objects), hosted=False)  # type: ignore[arg-type]
    return [str(weighed.findings[f"{number}.sql"].state) for number in range(1, len(declared) + 1)]


TABLE = {"table a": "table", "column a.old": "text"}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({}, [ObjectState.MISSING, ObjectState.MISSING]),
        ({**TABLE, "column a.id": "bigint"}, [ObjectState.APPLIED, ObjectState.APPLIED]),
        ({**TABLE, "column a.id": "integer"}, [ObjectState.APPLIED, ObjectState.MISSING]),
        ({**TABLE, "column a.id": "uuid"}, [ObjectState.CONFLICTING, ObjectState.CONFLICTING]),
        ({**TABLE, "column a.id": "bigint not null"}, [ObjectState.PARTIAL, ObjectState.PARTIAL]),
        ({"table a": "table", "column a.id": "bigint"}, [ObjectState.PARTIAL, ObjectState.APPLIED]),
        ({**TABLE, "column a.id": "bigint", "view v": "SELECT 1"}, [ObjectState.APPLIED, ObjectState.PARTIAL]),
    ],
)
def test_what_is_there_shows_which_migrations_were_applied(found: dict[str, str], expected: list[str]) -> None:
    """An object counts in the form that its migration or a later one gives it, a type of its own is a conflict, and what should have gone is missed."""
    assert expected == states(found, FIRST, SECOND)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({}, ObjectState.MISSING),
        ({"table a": "table"}, ObjectState.MISSING),
        ({"table a": "table", "column a.id": "integer"}, ObjectState.MISSING),
        ({"table a": "table", "column a.id": "bigint not null"}, ObjectState.APPLIED),
    ],
)
def test_a_repair_is_done_where_there_is_something_that_is_right(found: dict[str, str], expected: str) -> None:
    """A repair of what is not there, or is still to be repaired, was done by nobody."""
    assert [expected] == states(found, REPAIR)


def test_a_repair_is_done_where_all_is_right() -> None:
    """A repair is to be done where a column of a table that is there is wrong or missing; tables to come count for nothing."""
    both = Declarations(expects={"a.id": "bigint", "b.id": "bigint"})
    right = {"table a": "table", "column a.id": "bigint"}

    assert states(right, both) == [ObjectState.APPLIED]
    assert states({**right, "table b": "table", "column b.id": "bigint"}, both) == [ObjectState.APPLIED]
    assert states({**right, "table b": "table", "column b.id": "integer"}, both) == [ObjectState.MISSING]
    assert states({**right, "table b": "table"}, both) == [ObjectState.MISSING]


def test_what_is_declared_by_name_alone_is_there_in_any_form() -> None:
    """An object without a definition proves its migration whatever it looks like."""
    by_name = Declarations(creates=(DatabaseObject("table", "a", None), DatabaseObject("column", "a.id", None)))

    assert states({"table a": "table", "column a.id": "uuid"}, by_name) == [ObjectState.APPLIED]


def test_what_another_migration_makes_again_need_not_be_gone() -> None:
    """Of an object that one migration drops and another makes nobody can see whether it was dropped."""
    drops = Declarations(creates=(DatabaseObject("table", "a", "table"),), drops=(DatabaseObject("view", "v", "1"),))
    makes = Declarations(creates=(DatabaseObject("view", "v", "2"),))

    assert states({"table a": "table", "view v": "2"}, drops, makes) == [ObjectState.APPLIED, ObjectState.APPLIED]


def test_what_a_repair_will_make_right_is_no_conflict() -> None:
    """A column of an older type stands in nobody's way where a repair of the catalog looks after it."""
    found = {**TABLE, "column a.id": "uuid"}

    assert states(
        found, Declarations(creates=(*FIRST.creates[:1], DatabaseObject("column", "a.id", "bigint"))), REPAIR
    ) == [ObjectState.PARTIAL, ObjectState.MISSING]


VIEW = DatabaseObject("view", "v", "SELECT 1")
LATER = Declarations(creates=(DatabaseObject("column", "a.new", "text"),), drops=(VIEW, FIRST.creates[2]))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({}, [ObjectState.MISSING, ObjectState.MISSING]),
        (
            {"table a": "table", "column a.id": "integer", "column a.new": "text"},
            [ObjectState.APPLIED, ObjectState.APPLIED],
        ),
        ({**TABLE, "column a.id": "integer", "view v": "SELECT 1"}, [ObjectState.APPLIED, ObjectState.MISSING]),
        (
            {**TABLE, "column a.id": "integer", "column a.new": "text", "view v": "SELECT 1"},
            [ObjectState.APPLIED, ObjectState.PARTIAL],
        ),
        ({"table a": "table", "column a.new": "text"}, [ObjectState.PARTIAL, ObjectState.APPLIED]),
    ],
)
def test_what_a_later_migration_takes_away_is_not_missed(found: dict[str, str], expected: list[str]) -> None:
    """An object that is gone as it should be speaks against nobody; one that should be gone and is there, does."""
    assert expected == states(found, Declarations(creates=(*FIRST.creates, VIEW)), LATER)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({"table a": "table", "view v": "SELECT 1"}, ObjectState.APPLIED),
        ({"table a": "table"}, ObjectState.PARTIAL),
    ],
)
def test_what_is_taken_away_and_made_again_must_be_there(found: dict[str, str], expected: str) -> None:
    """An object counts as gone only where no migration makes it again after that."""
    first = Declarations(creates=(FIRST.creates[0], VIEW))

    assert [expected, ObjectState.MISSING, expected] == states(
        found,
        first,
        Declarations(creates=(DatabaseObject("view", "w", "SELECT 1"),), drops=(VIEW,)),
        Declarations(creates=(VIEW, FIRST.creates[0])),
    )
