"""The errors of a migration that was not applied: its script, its checks or its losses, and the part of the run that stays."""

from __future__ import annotations

from collections.abc import Sequence

from kimbledb.errors import DataLossError, HazardError, MigrationError, VerificationError
from kimbledb.execution.work import ChecksFailed, ScriptError
from kimbledb.inspection.data_loss import Lost
from kimbledb.model.hazard import Hazard
from kimbledb.model.loss import Loss
from kimbledb.model.migration import AppliedStep, Migration
from kimbledb.model.text import counted

#: The hazard that is refused by measured losses, too.
ROWS_DELETED = "rows_deleted"


def of_script(migration: Migration, failure: ScriptError, applied: Sequence[AppliedStep]) -> MigrationError:
    """Return the error for a script that failed.

    Args:
        migration: The migration.
        failure: The failure.
        applied: The migrations that the run applied before it.
    """
    found = failure.located
    how = "failed and was rolled back" if failure.standing is None else "failed"
    return MigrationError(
        f"{migration.name} {how}: {found}\n{standing_of(applied, failure.standing)}",
        applied=applied,
        failed=migration,
        **found.attributes,
    )


def of_checks(migration: Migration, failure: ChecksFailed, applied: Sequence[AppliedStep]) -> VerificationError:
    """Return the error for checks that did not pass. The arguments are those of ``of_script()``."""
    failing = failure.failing
    shown = "\n".join(f"  {check}" for check in failing)
    how = "its verification failed" + (", and it was rolled back" if failure.standing is None else "")
    return VerificationError(
        f"{migration.name} ran, {how}:\n{shown}\n{standing_of(applied, failure.standing)}",
        checks=failing,
        applied=applied,
        failed=migration,
        file=failing[0].file,
        line=failing[0].line,
    )


def of_losses(
    migration: Migration, refused: Lost, applied: Sequence[AppliedStep], *, refuses_hazard: bool
) -> DataLossError | HazardError:
    """Return the error for a script that would have lost data.

    Args:
        migration: The migration.
        refused: The losses.
        applied: The migrations that the run applied before it.
        refuses_hazard: Whether the options refuse the hazard ``rows_deleted``.
    """
    standing = "it was rolled back, and " if refused.standing is None else ""
    standing += standing_of(applied, refused.standing)
    if refuses_hazard:
        hazards = [(migration.name, _hazard(loss)) for loss in refused.losses]
        return HazardError(hazards, applied=applied, standing=standing)
    where = (
        '`-- kimbledb: deletes = "why"` at its head' if migration.is_flat else 'deletes = "why" in its migration.toml'
    )
    return DataLossError(
        refused.losses,
        applied=applied,
        failed=migration,
        standing=standing,
        hint=f"if the loss is intended, write {where}, or pass allow_data_loss=True; make a backup first",
    )


def standing_of(applied: Sequence[AppliedStep], outside: str | None = None) -> str:
    """Return the part of a run that stays, in words.

    Args:
        applied: The migrations that the run applied.
        outside: The effects of the failed step outside of transactions, in words, or None.
    """
    if not applied:
        return outside or "nothing was applied"
    before = f"{outside}\n" if outside else ""
    stay = "stays" if len(applied) == 1 else "stay"
    return f"{before}{counted(applied, 'migration')} applied before it {stay} applied; run again to continue"


def _hazard(loss: Loss) -> Hazard:
    return Hazard(
        ROWS_DELETED,
        loss.name,
        loss.count,
        0,
        f"measured while the script ran: {loss}",
        "make a backup first (backup=...)",
    )
