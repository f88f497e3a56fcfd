from __future__ import annotations

import pytest

from kimbledb.catalog.catalog import Catalog
from kimbledb.errors import DependentsError, RollbackRefusedError
from kimbledb.model.declarations import DeclaredStatement
from kimbledb.model.evidence import AppliedMigration, Evidence
from kimbledb.model.migration import Migration
from kimbledb.model.plan import Plan
from kimbledb.planning.planner import Planner
from kimbledb.planning.rollback_selection import RollbackGoal, tangled
from tests.support import declared

CATALOG = Catalog(
    [
        Migration(name="a.sql", number=1, phase=1, checksum="a", rollback_sql="SELECT 1;"),
        Migration(name="b.sql", number=2, phase=1, checksum="b", rollback_sql="SELECT 1;", requires=("a.sql",)),
        Migration(name="c.sql", number=3, phase=2, checksum="c", rollback_sql="SELECT 1;", requires=("b.sql",)),
        Migration(name="d.sql", number=4, phase=2, checksum="d", rollback_sql="SELECT 1;"),
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


def test_the_last_ones_are_those_of_history() -> None:
    """`steps` counts by the time of history, not by the order of the plan; of one time, the later of the plan comes first."""
    times = {"a": "2026-05-01T09:30:00+00:00", "d": "2026-05-01T09:30:01.5+00:00", "b": "2026-05-02T09:30:00+00:00"}
    rows = [AppliedMigration(name=f"{name}.sql", checksum=name, applied_at=time) for name, time in times.items()]
    plan = Planner(CATALOG).standing(rows, Evidence())

    def last(steps: int, plan: Plan) -> list[str]:
        return [each.name for each in RollbackGoal(catalog=CATALOG, steps=steps).select(plan).migrations]

    assert last(1, plan) == ["b.sql"]
    assert last(2, plan) == ["d.sql", "b.sql"]
    assert last(1, applied("a", "b", "c")) == ["c.sql"]
    with pytest.raises(RollbackRefusedError, match="3 migrations can be rolled back, and 4 were asked for"):
        last(4, plan)


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


def test_a_migration_without_a_rollback_says_why() -> None:
    """Without a rollback.sql and declarations nothing is taken back, and the error says what to write or to record."""
    catalog = Catalog([Migration(name="a.sql", number=1, location="db/01_a")])
    plan = Planner(catalog).standing([AppliedMigration(name="a.sql")], Evidence())

    with pytest.raises(RollbackRefusedError) as caught:
        RollbackGoal(catalog=catalog, name="a.sql").select(plan)

    assert caught.value.text == (
        "a.sql cannot be rolled back: it has no rollback.sql, and its declarations were not recorded\n"
        "  hint: write db/01_a/rollback.sql, or record what it does: `kimbledb declare db`"
    )


def test_an_edited_migration_has_no_derived_rollback() -> None:
    """The declarations of an edited text say nothing about the text that was applied."""
    catalog = Catalog([declared.migration(1, declared.statement(creates={"table a": {}}), apply="CREATE TABLE a ()")])
    plan = Planner(catalog).standing([AppliedMigration(name="1.sql", checksum="another", version="1")], Evidence())

    with pytest.raises(RollbackRefusedError, match="it was edited after it was applied"):
        RollbackGoal(catalog=catalog, name="1.sql").select(plan)


@pytest.mark.parametrize(
    ("later", "shared"),
    [
        (declared.statement(creates={"index i": {"on": "a", "columns": ("x",)}}), ["index i"]),
        (declared.statement(changes={"column b.y": {"type": "text"}}), ["column b.y"]),
        (declared.statement(drops=["column a.x"]), ["column a.x"]),
        (declared.statement(renames={"table c": "d"}), ["table c"]),
        (declared.statement(creates={"view gone": {}}), ["view gone"]),
        (declared.statement(creates={"table e": {}, "column e.x": {}}, changes={"column b.z": {}}), []),
    ],
)
def test_what_a_later_migration_builds_on_stays(later: DeclaredStatement, shared: list[str]) -> None:
    """A derived rollback is refused where a later migration that stays changes, or adds to, what would go."""
    first = declared.migration(
        1,
        declared.statement(
            creates={"table a": {}, "column a.x": {"type": "text"}},
            changes={"column b.y": {"type": "integer"}},
            drops=["view gone"],
            renames={"table old": "c"},
        ),
    )

    assert tangled(first, declared.migration(2, later)) == shared


def test_a_tangled_rollback_names_both() -> None:
    """The error names the later migration and what it changes; taken back together, nothing refuses."""
    catalog = Catalog(
        [
            declared.migration(1, declared.statement(creates={"table a": {}})),
            declared.migration(2, declared.statement(creates={"column a.x": {"type": "text"}})),
        ]
    )
    plan = Planner(catalog).standing([AppliedMigration(name="1.sql"), AppliedMigration(name="2.sql")], Evidence())

    with pytest.raises(RollbackRefusedError, match=r"2\.sql changes what 1\.sql declares, .*: column a\.x"):
        RollbackGoal(catalog=catalog, name="1.sql").select(plan)

    assert len(RollbackGoal(catalog=catalog, to=0).select(plan).migrations) == 2
