"""What the reports of many schemas have in common, kept once: it is most of the memory of thousands of reports."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar, cast

from attrs import evolve

from kimbledb.model.check import Check
from kimbledb.model.evidence import Evidence
from kimbledb.model.many_report import Each
from kimbledb.model.plan import Plan
from kimbledb.model.reports import VerificationReport
from kimbledb.model.step import Step
from kimbledb.operations.migrate import PlanByHistory
from kimbledb.planning.planner import Goal

_T = TypeVar("_T")


class Shared:
    """The values that several reports of one call hold."""

    def __init__(self) -> None:
        """Begin with none."""
        self._values: dict[Hashable, Any] = {}
        #: The goal of the first schema that had nothing to do. Those of the others differ by the schema.
        self._goal: Goal | None = None

    def report(self, report: Each) -> Each:
        """Return a report of the same content, which shares its parts with those before.

        Args:
            report: A report of this call.
        """
        if isinstance(report, Plan):
            return cast("Each", self._plan(report))
        if isinstance(report, VerificationReport):
            return cast("Each", self._verification(report))
        made = report._plan  # noqa: SLF001 - `plan` would make it
        plan = self._plan_by_history(made) if isinstance(made, PlanByHistory) else made
        plan = self._plan(plan) if isinstance(plan, Plan) else plan
        return evolve(report, plan=plan, verification=self._verification(report.verification))

    def _one(self, value: _T) -> _T:
        """Return the first value that is equal to this one."""
        try:
            found: _T = self._values.setdefault(value, value)
        except TypeError:  # it holds a mapping
            return value
        return found

    def _verification(self, report: VerificationReport) -> VerificationReport:
        return evolve(report, checks=self._one(tuple(self._one(_without_inventory(each)) for each in report.checks)))

    def _plan(self, plan: Plan) -> Plan:
        steps = tuple(map(self._step, plan.steps))
        if all(map(_can_be_shared, steps)):
            steps = self._values.setdefault(("steps", *map(id, steps)), steps)
        evidence = plan.evidence
        return evolve(plan, steps=steps, evidence=evidence if evidence is None else self._evidence(evidence))

    def _step(self, step: Step) -> Step:
        if not _can_be_shared(step):
            return step
        shared: Step = self._values.setdefault(
            ("step", step.name, step.state, step.reason, step.needs, step.selected, step.online), step
        )
        return shared

    def _evidence(self, evidence: Evidence) -> Evidence:
        findings = {name: self._one(finding) for name, finding in evidence.findings.items()}
        key = ("findings", *((name, id(finding)) for name, finding in findings.items()))
        return evolve(evidence, findings=self._values.setdefault(key, findings))

    def _plan_by_history(self, made: PlanByHistory) -> PlanByHistory:
        self._goal = self._goal or made.goal()
        goal: Callable[[], Goal] = partial(evolve, self._goal, schema=made.schema)
        rows = _Rows(made.rows)
        rows.others = self._one(rows.others)
        return PlanByHistory(goal, made.schema, made.label, rows, hosted=made.hosted)


def _without_inventory(check: Check) -> Check:
    """Return a check without the list of all tables, indexes or keys of a database: of 34 migrations it takes 200 kB."""
    is_inventory = check.passed and check.migration is None and check.severity is None and check.rows
    return evolve(check, rows=()) if is_inventory else check


def _can_be_shared(step: Step) -> bool:
    """Whether a step says nothing of its schema alone."""
    return step.recorded is None and not step.hazards and step.completion is None and step.forecast is None


class _Rows:
    """Rows of history: their times, which each schema has of its own, and apart from these the others of their fields."""

    __slots__ = ("_times", "others")

    def __init__(self, rows: Iterable[Sequence[Any]]) -> None:
        self.others = tuple((*row[:3], *row[4:]) for row in rows)
        self._times = "\n".join(row[3] or "" for row in rows)

    def __iter__(self) -> Iterator[Sequence[Any]]:
        for other, time in zip(self.others, self._times.split("\n"), strict=False):
            yield (*other[:3], time or None, *other[3:])
