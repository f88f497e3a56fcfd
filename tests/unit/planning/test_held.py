from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimbledb.catalog.catalog import Catalog
from kimbledb.catalog.checksums import Checksums
from kimbledb.errors import PlanningError
from kimbledb.inspection.glance import Glance
from kimbledb.model.evidence import Evidence
from kimbledb.model.migration import Migration
from kimbledb.planning.held import holds_all
from kimbledb.planning.planner import Planner

#: As history has them: name, success, checksum, time, version, adopted, error.
ROWS = st.tuples(
    st.sampled_from(["a.sql", "b.sql", "c.sql", "a", "strange.sql"]),
    st.sampled_from([True, True, True, False, None]),
    st.sampled_from(["1", "1", "1", "2", None]),
    st.none(),
    st.sampled_from(["1.0", "1.0", None]),
    st.booleans(),
    st.none(),
)
THINGS = st.lists(st.sampled_from(["x", "y"]), max_size=2, unique=True).map(tuple)


def row(name: str, *, success: bool = True, checksum: str | None = "1", version: str | None = "1.0") -> list[Any]:
    """A row of history."""
    return [name, success, checksum, None, version, False, None]


@given(rows=st.lists(ROWS, max_size=4), things=st.lists(THINGS, min_size=1, max_size=3), default=st.booleans())
def test_a_plan_says_the_same(rows: list[tuple[Any, ...]], things: list[tuple[str, ...]], *, default: bool) -> None:
    """Where names and checksums say that there is nothing to do, the planner finds nothing to apply and to refuse."""
    catalog = Catalog(
        Migration(name=f"{name}.sql", number=place, checksum="1", provides=each, default=default and place == 0)
        for place, (name, each) in enumerate(zip("abc", things, strict=False))
    )

    if holds_all(rows, catalog.checksums):
        plan = Planner(catalog).plan(Glance(hosted=False, rows=rows, history_owner=None).history, Evidence())

        assert not plan.pending
        assert not plan.refused


CHECKSUMS = Checksums({"a.sql": "1", "b.sql": "1"}, {})
ALTERNATIVES = Checksums({"a.sql": "1", "b.sql": "1"}, {"x": frozenset({"a.sql", "b.sql"})})
#: Both, and whether history holds the catalog.
CASES: dict[str, tuple[list[list[Any]], Checksums, bool]] = {
    "all of them": ([row("a.sql"), row("b.sql")], CHECKSUMS, True),
    "one more": ([row("a.sql"), row("b.sql"), row("newer.sql")], CHECKSUMS, True),
    "one too few": ([row("a.sql")], CHECKSUMS, False),
    "another text": ([row("a.sql"), row("b.sql", checksum="2")], CHECKSUMS, False),
    "a failure": ([row("a.sql"), row("b.sql", success=False)], CHECKSUMS, False),
    "a row of another program": ([row("a.sql"), row("b.sql"), row("c.sql", version=None)], CHECKSUMS, False),
    "no checksum": ([row("a.sql"), row("b.sql", checksum=None)], CHECKSUMS, False),
    "an alternative": ([row("a.sql")], ALTERNATIVES, True),
    "both alternatives": ([row("a.sql"), row("b.sql")], ALTERNATIVES, False),
    "no alternative": ([], ALTERNATIVES, False),
    "an alternative with another text": ([row("a.sql"), row("b.sql", checksum="2")], ALTERNATIVES, False),
    "an alternative by its short name": ([row("a.sql"), row("b")], ALTERNATIVES, False),
}


@pytest.mark.parametrize(("rows", "checksums", "expected"), CASES.values(), ids=CASES)
def test_history_holds_a_catalog(rows: list[list[Any]], checksums: Checksums, *, expected: bool) -> None:
    """History holds each migration as it is, or an alternative of it, and no two alternatives."""
    assert holds_all(rows, checksums) is expected


def test_an_alternative_for_one_thing_replaces_none_that_provides_another() -> None:
    """Whoever needs the other thing would go without."""
    checksums = Checksums({"a.sql": "1", "b.sql": "1"}, {"x": frozenset({"a.sql", "b.sql"}), "y": frozenset({"b.sql"})})

    assert not holds_all([row("a.sql")], checksums)


def test_the_errors_of_a_plan_are_left_to_it() -> None:
    """Two alternatives that are both applied are an error, and no start with nothing to do."""
    catalog = Catalog(
        Migration(name=f"{name}.sql", number=1 + place, checksum="1", provides=("x",))
        for place, name in enumerate("ab")
    )
    rows = [row("a.sql"), row("b.sql")]

    assert not holds_all(rows, catalog.checksums)
    with pytest.raises(PlanningError):
        Planner(catalog).plan(Glance(hosted=False, rows=rows, history_owner=None).history)


def test_a_migration_without_a_checksum_is_not_held() -> None:
    """History shows nothing of it, whether or not it holds a row of its name."""
    checksums = Catalog([Migration(name="a.sql", number=1, checksum="1"), Migration(name="b.sql", number=2)]).checksums

    assert not holds_all([row("a.sql")], checksums)
    assert not holds_all([row("a.sql"), row("b.sql", checksum="")], checksums)
