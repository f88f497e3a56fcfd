from __future__ import annotations

import pytest

from kimbledb.catalog.catalog import Catalog
from kimbledb.errors import DependentsError, RollbackRefusedError
from kimbledb.model.evidence import AppliedMigration, Evidence
from kimbledb.model.migration import Migration
from kimbledb.model.plan import Plan
from kimbledb.planning.planner import Planner
from kimbledb.planning.rollback_selection import RollbackGoal

CATALOG = Catalog(
    [
        Migration(name="a.sql", number=1, phase=1, checksum="a"),
        Migration(name="b.sql", number=2, phase=1, checksum="b", requires=("a.sql",)),
        Migration(name="c.sql", number=3, phase=2, checksum="c", requires=("b.sql",)),
        Migration(name="d.sql", number=4, phase=2, checksum="d"),
    ]
)


def applied(*names: str, adopted: bool = False) -> Plan:
    """The plan of a database in which these migrations are applied."""
    rows = [AppliedMigration(name=f"{name}.sql", checksum=name, adopted=adopted) for name in names]
    return Planner(CATALOG).standing(rows, Evidence())


def test_the_newest_comes_first() -> None:
    """A phase, and all after a migration, are taken back in reverse order; what is not applied is left out."""
    plan = applied("a", "b", "d")

    def selected(goal: RollbackGoal) -> list[str]:
        return [migration.name for migration in goal.select(plan).migrations]

    assert selected(RollbackGoal(catalog=CATALOG, phase=1)) == ["b.sql", "a.sql"]
    assert selected(RollbackGoal(catalog=CATALOG, to="a.sql")) == ["d.sql", "b.sql"]
    assert selected(RollbackGoal(catalog=CATALOG, to=0)) == ["d.sql", "b.sql", "a.sql"]


def test_dependents_refuse_unless_they_may_follow() -> None:
    """Applied migrations that need the named one refuse its rollback; with `cascade` they are taken back before it."""
    plan = applied("a", "b", "c")

    with pytest.raises(DependentsError) as caught:
        RollbackGoal(catalog=CATALOG, name="a.sql").select(plan)
    selection = RollbackGoal(catalog=CATALOG, name="a.sql", cascade=True).select(plan)

    assert "c.sql" in str(caught.value)
    assert [migration.name for migration in selection.migrations] == ["c.sql", "b.sql", "a.sql"]
    assert selection.dependents == ("c.sql", "b.sql")


def test_a_migration_that_is_not_applied_refuses() -> None:
    """A migration that is not applied cannot be taken back, and the error says so."""
    with pytest.raises(RollbackRefusedError, match=r"d\.sql is not applied"):
        RollbackGoal(catalog=CATALOG, name="d.sql").select(applied("a"))


def test_an_adopted_migration_refuses_unless_included() -> None:
    """An adopted migration is taken back only with `include_adopted`."""
    plan = applied("d", adopted=True)

    with pytest.raises(RollbackRefusedError, match="include_adopted=True"):
        RollbackGoal(catalog=CATALOG, name="d.sql").select(plan)

    assert RollbackGoal(catalog=CATALOG, name="d.sql", include_adopted=True).select(plan).migrations
