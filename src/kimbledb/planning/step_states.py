"""The state of a migration in a plan, with the reason: by its row of history, or by the evidence of its objects. Pure."""

from __future__ import annotations

from kimbledb.model.evidence import AppliedMigration, Evidence, Finding, ObjectState
from kimbledb.model.migration import Migration
from kimbledb.model.step import StepState
from kimbledb.model.text import few, moment


def of_applied(migration: Migration, row: AppliedMigration) -> tuple[StepState, str]:
    """Return the state of a migration that history holds as applied, and the reason.

    Args:
        migration: The migration.
        row: Its row of history.
    """
    if row.checksum not in (None, migration.checksum, *migration.supersedes):
        if migration.repeatable:
            return StepState.PENDING, f"it is applied again: its text has changed since it was applied{when(row)}"
        return (
            StepState.CHANGED,
            f"edited after it was applied: the sha256 was {str(row.checksum)[:12]} and is {migration.checksum[:12]}",
        )
    verb = "adopted" if row.adopted else "applied"
    return StepState.APPLIED, f"{verb}{when(row)}"


def of_legacy(migration: Migration, row: AppliedMigration, evidence: Evidence) -> tuple[StepState, str]:
    """Return the state of a migration that was recorded outside of kimbledb, and the reason: its objects decide, not the record.

    Args:
        migration: The migration.
        row: Its row of history.
        evidence: The evidence from the schema.
    """
    said = f"recorded outside of kimbledb{when(row)}"
    finding = evidence.findings.get(migration.name)
    if finding is None:
        if evidence.gathered:
            return StepState.APPLIED, f"{said}; it declares no objects to look for"
        return StepState.PENDING, f"{said}; the schema has not been inspected yet"
    if finding.state is ObjectState.APPLIED:
        if row.checksum == migration.checksum:
            return StepState.APPLIED, said
        return StepState.APPLIED, f"{said}; {_all_there(finding)}; `kimbledb adopt` records the checksum"
    if finding.state is ObjectState.CONFLICTING:
        return StepState.CONFLICTING, f"{said}, but {few(finding.conflicts)}"
    if not finding.present:
        what = few(finding.missing) if migration.is_repair else "none of its objects exists"
        return StepState.PENDING, f"{said}, but {what}"
    return StepState.PARTIAL, f"{said}, but {few(finding.missing)} missing"


def of_failed(row: AppliedMigration) -> tuple[StepState, str]:
    """Return the state of a migration whose last attempt failed, and the reason.

    Args:
        row: Its row of history.
    """
    first = (row.error or "").partition("\n")[0]
    return StepState.FAILED, f"its last attempt failed: {first or 'no error recorded'}"


def of_unapplied(migration: Migration, evidence: Evidence, *, made_elsewhere: bool) -> tuple[StepState, str]:
    """Return the state of a migration that history does not hold as applied, and the reason.

    Args:
        migration: The migration.
        evidence: The evidence from the schema.
        made_elsewhere: Whether history holds nothing that kimbledb applied.
    """
    finding = evidence.findings.get(migration.name)
    # The declarations last: they are in a file that a run without evidence need not read.
    if finding is None and made_elsewhere and _are_there(evidence) and migration.is_declared:
        return StepState.PENDING, "not applied yet, or it makes nothing that the schema can show"
    if finding is None or finding.state is ObjectState.MISSING:
        return StepState.PENDING, "not applied yet"
    if finding.state is ObjectState.APPLIED:
        return StepState.ADOPTABLE, f"not in history; {_all_there(finding)}"
    if finding.state is ObjectState.PARTIAL:
        return StepState.PARTIAL, f"not in history; {few(finding.present)} present, {few(finding.missing)} missing"
    return StepState.CONFLICTING, f"not in history; {few(finding.conflicts)}"


def _are_there(evidence: Evidence) -> bool:
    """Return whether the schema shows any migration to be there."""
    return any(finding.state is ObjectState.APPLIED for finding in evidence.findings.values())


def _all_there(finding: Finding) -> str:
    count = len(finding.present)
    if finding.is_superseded:
        return (
            "later migrations replaced or dropped its objects, or it dropped those of earlier ones, and these are there"
        )
    if not count:
        return "nothing left to repair"
    shown = f"all {count} objects exist"
    if finding.doubtful:
        shown += (
            f"; the expressions of {few(finding.doubtful)} are compared only when `kimbledb adopt` or `migrate` runs"
        )
    return shown


def when(row: AppliedMigration) -> str:
    """Return the time of a row with a space in front, or nothing where it has none."""
    return f" {moment(row.applied_at)}" if row.applied_at else ""
