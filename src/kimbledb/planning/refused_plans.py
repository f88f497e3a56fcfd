"""Plans that migrate() refuses to carry out, each with its reason. Pure."""

from __future__ import annotations

from collections.abc import Collection

from kimbledb.errors import (
    ChangedMigrationError,
    ConflictingObjectsError,
    HazardError,
    HistoryError,
    RenamedMigrationError,
    UnrecordedObjectsError,
)
from kimbledb.model.evidence import Evidence, ObjectState
from kimbledb.model.plan import Plan
from kimbledb.model.step import StepState
from kimbledb.model.text import few


def refuse_another_application(schema: str, plan: Plan) -> None:
    """Stop where history holds migrations of a kimbledb, and none of them is of this catalog.

    Another build of the same application shares the migrations from before both builds. Names
    alone prove nothing: two applications may both begin with an ``init.sql``.

    Args:
        schema: The target schema.
        plan: The plan by history.

    Raises:
        HistoryError: The history is another application's.
    """
    applied = [step for step in plan.steps if step.recorded and step.recorded.is_applied and not step.recorded.legacy]
    others = [step.name for step in applied if step.state is StepState.UNKNOWN]
    if others and all(step.state in (StepState.UNKNOWN, StepState.CHANGED) for step in applied):
        raise HistoryError(
            f'the history in the schema "{schema}" is another application\'s: it holds {few(others)} and nothing of this '
            "catalog; nothing was run",
            hint="give this catalog a schema of its own (schema=...), or join it with the other one (one + "
            "other); if it is the same application, and its migrations were renamed or merged, let "
            "adopt() record the objects that exist",
        )


def refuse_unrecorded(schema: str, plan: Plan, evidence: Evidence, *, adopt_has_looked: bool) -> None:
    """Stop where the schema holds objects of the catalog, and no history records them.

    Args:
        schema: The target schema.
        plan: The plan by evidence.
        evidence: What the schema holds.
        adopt_has_looked: Whether adopt() has examined the schema since the last rollback.

    Raises:
        UnrecordedObjectsError: With those objects, and the migrations that adopt() would record.
    """
    if adopt_has_looked or any(step.is_recorded for step in plan.steps):
        return
    findings = evidence.findings.values()
    objects = [each for finding in findings for each in (*finding.present, *finding.conflicts)]
    if objects and any(finding.state is not ObjectState.MISSING for finding in findings):
        adoptable = [step.name for step in plan.steps if step.state is StepState.ADOPTABLE]
        raise UnrecordedObjectsError(schema, list(dict.fromkeys(objects)), adoptable)


def refuse_conflicts(plan: Plan) -> None:
    """Stop where objects of a pending migration exist in another form.

    Args:
        plan: The plan by evidence.

    Raises:
        ConflictingObjectsError: With all of them.
    """
    conflicting = [step for step in plan.pending if step.state is StepState.CONFLICTING]
    if conflicting:
        raise ConflictingObjectsError([(step.name, step.reason) for step in conflicting])


def refuse_changed(plan: Plan) -> None:
    """Stop where the script of an applied migration was edited, or an applied migration was renamed.

    Args:
        plan: The plan by history.

    Raises:
        RenamedMigrationError: A checksum of history stands under another name.
        ChangedMigrationError: Checksums differ; it carries both.
    """
    renamed = [step for step in plan.steps if step.state is StepState.RENAMED and step.selected]
    if renamed:
        raise RenamedMigrationError(
            [(step.recorded.name, step.name) for step in renamed if step.recorded], plan.schema or "public"
        )
    changed = [step for step in plan.steps if step.state is StepState.CHANGED and step.selected]
    if changed:
        recorded = [step for step in plan.steps if step.recorded and step.recorded.is_applied]
        raise ChangedMigrationError(
            [
                (step.name, (step.recorded and step.recorded.checksum) or "none", step.migration.checksum)
                for step in changed
            ],
            alone=all(step.state is StepState.CHANGED for step in recorded),
        )


def refuse_hazards(plan: Plan, names: Collection[str]) -> None:
    """Stop where a pending step has a hazard that the caller refuses.

    Args:
        plan: The plan with hazards.
        names: The names of the refused hazards.

    Raises:
        HazardError: With all of them.
    """
    refused = [(step.name, hazard) for step in plan.pending for hazard in step.hazards if hazard.name in names]
    if refused:
        raise HazardError(refused)
