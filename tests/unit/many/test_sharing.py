from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve

import kimbledb
from kimbledb.many.sharing import Shared
from kimbledb.model.evidence import Evidence
from kimbledb.model.reports import MigrationReport, VerificationReport
from kimbledb.operations.migrate import PlanByHistory
from kimbledb.planning.planner import Goal

CATALOG = kimbledb.Catalog(
    [kimbledb.Migration(name=f"{name}.sql", number=number) for number, name in enumerate("abc", 1)]
)
PLANNER = kimbledb.Planner(CATALOG)


def current(schema: str, day: int) -> MigrationReport:
    """Return the report of a schema that is current, with rows of history that each call makes anew."""
    rows = [[f"{name}.sql", True, None, f"2026-01-0{day}T00:00:00", "1.0", False, None] for name in "abc"]
    rows.append(["newer.sql", True, None, None, "2.0", False, None])
    made = PlanByHistory(lambda: Goal(planner=PLANNER, schema=schema), schema, f"host/{schema}", rows, hosted=True)
    return MigrationReport((), made, 0.1, VerificationReport(()))


def applied(found: Mapping[str, Any], day: int | None) -> MigrationReport:
    """Return the report of a schema to which all was applied."""
    finding = kimbledb.Finding(kimbledb.ObjectState.MISSING, missing=("table a",))
    history = [] if day is None else [kimbledb.AppliedMigration("a.sql", applied_at=f"2026-01-0{day}")]
    plan = PLANNER.plan(history, Evidence(findings={"b.sql": finding}, gathered=True))
    checks = (
        kimbledb.Check("a.sql", "passed", passed=True),
        kimbledb.Check(None, "tables", passed=True, found="1 table", rows=({"table": "a"},)),
        kimbledb.Check(None, "roles", passed=True, severity="low", rows=(found,)),
    )
    return MigrationReport((), plan, 0.1, VerificationReport(checks))


def test_a_plan_by_history_is_as_before() -> None:
    """The plan of a schema that was current is made from what is kept, with its own times and its own schema."""
    shared = Shared()
    for schema, day in (("one", 1), ("two", 2)):
        before, after = current(schema, day), shared.report(current(schema, day))

        assert after.plan.fingerprint == before.plan.fingerprint
        assert after.as_dict() == before.as_dict()
        assert str(after.plan) == str(before.plan)
        assert after.plan.schema == schema
        assert [step.name for step in after.newer] == ["newer.sql"]
        assert f"2026-01-0{day}" in after.plan.steps[0].reason


def test_equal_parts_are_kept_once() -> None:
    """Checks, steps and evidence of a second schema are those of the first one, if they are equal, and else its own."""
    shared = Shared()
    one, two, other = (
        shared.report(applied({"object": name}, day)) for name, day in (("x", None), ("x", None), ("y", 3))
    )

    assert one.plan.steps is two.plan.steps
    assert one.plan.evidence is not None
    assert two.plan.evidence is not None
    assert one.plan.evidence.findings is two.plan.evidence.findings
    assert one.verification.checks[0] is two.verification.checks[0]
    assert other.plan.steps[0].recorded is not None
    assert other.plan.steps[2] is one.plan.steps[2]
    assert other.verification.checks[2].rows == ({"object": "y"},)
    assert one.plan.fingerprint == applied({}, None).plan.fingerprint


def test_the_list_of_all_objects_is_not_kept() -> None:
    """Of a check that lists all tables only the count stays."""
    before = applied({"object": "x"}, None).verification
    after = Shared().report(before)

    assert after.checks[1] == evolve(before.checks[1], rows=())
    assert after.checks[2] == before.checks[2]
