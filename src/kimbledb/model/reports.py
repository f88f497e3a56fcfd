"""What migrate() and verify() return. The reports that a start needs nothing of are in operator_reports."""

from __future__ import annotations

from attrs import frozen

from kimbledb.model.migration import AppliedStep, Check, Loss
from kimbledb.model.plan import Plan, Step
from kimbledb.model.presentation import Json, Report, plain
from kimbledb.model.tables import Table, listed, rows_of
from kimbledb.model.text import counted, few, one_line


@frozen(eq=False)
class VerificationReport(Report):
    """The results of a verification."""

    checks: tuple[Check, ...]

    @property
    def failures(self) -> tuple[Check, ...]:
        """The checks that did not pass; informative ones never count."""
        return tuple(check for check in self.checks if not check.passed and not check.informative)

    @property
    def ok(self) -> bool:
        """Whether every check passed."""
        return not self.failures

    @property
    def summary(self) -> str:
        """How many checks were made, and how many failed."""
        migrations = {check.migration for check in self.checks if check.migration is not None}
        verdict = "all passed" if self.ok else f"{len(self.failures)} FAILED"
        return f"{counted(self.checks, 'check')} of {counted(migrations, 'migration')} and the database: {verdict}"

    def as_tables(self) -> tuple[Table, ...]:
        """Return the failures; in detail also the counts of each migration, and what informs."""
        by_migration: dict[str, list[bool]] = {}
        for check in self.checks:
            by_migration.setdefault(check.migration or "the database", []).append(check.passed or check.informative)
        counts = tuple(
            (name, f"{sum(passed)} of {len(passed)}", "passed" if all(passed) else "FAILED")
            for name, passed in by_migration.items()
        )
        known = tuple(
            (check.migration or "", check.name, _found(check), "" if check.passed else check.hint or "")
            for check in self.checks
            if _informs(check)
        )
        return (
            Table(self.summary, rows_of(self.failures)),
            *([Table("checks", counts, ("migration", "passed", "result"), detail=True)] if counts else []),
            *([Table("to know", known, ("migration", "check", "found", "hint"), detail=True)] if known else []),
        )

    def as_dict(self) -> dict[str, Json]:
        """Return ``ok`` and ``checks``, each with the attributes of a :class:`Check`."""
        return {"ok": self.ok, "checks": [plain(check) for check in self.checks]}


def _informs(check: Check) -> bool:
    """Whether a check that is no failure says something: of the database, or of what is not as declared."""
    if not check.passed:
        return check.informative
    return check.migration is None and (check.severity is None or bool(check.rows))


def _found(check: Check) -> str:
    """Return what a check found: of one of security that passed, the objects alone."""
    if check.passed and check.severity is not None:
        return few([str(row["object"]) for row in check.rows])
    return check.found or ""


@frozen(eq=False)
class MigrationReport(Report):
    """What a call of migrate() did."""

    #: In order; empty where there was nothing to do.
    applied: tuple[AppliedStep, ...]
    #: As it was before the first step.
    plan: Plan
    #: Seconds for the whole call.
    seconds: float
    #: The checks made in the migrations' transactions; none where verify was False.
    verification: VerificationReport
    #: The write-ahead log's position after the last COMMIT, for a standby to
    #: wait for (manual, 9.28.4 "Recovery Control Functions"), or None.
    lsn: str | None = None
    #: What of the data that was there went with the migrations, by their own word or ``allow_data_loss``.
    losses: tuple[Loss, ...] = ()
    #: The rows that they updated in tables that were there, which is no loss.
    updates: tuple[Loss, ...] = ()
    #: The role that owns history, where the role of the call could not write it: that there
    #: is nothing to do is then the word of that role. Else None.
    history_owner: str | None = None

    @property
    def newer(self) -> tuple[Step, ...]:
        """What another version of kimbledb applied and this catalog does not hold."""
        return tuple(step for step in self.plan.steps if step.is_newer)

    @property
    def summary(self) -> str:
        """How many migrations were applied, in how many seconds."""
        if self.applied:
            return f"applied {counted(self.applied, 'migration')} in {self.seconds:.3f} s"
        says = "" if self.history_owner is None else f", says the history of the role {self.history_owner}"
        return f"nothing to do{says} ({self.seconds:.3f} s)"

    def as_tables(self) -> tuple[Table, ...]:
        """Return the applied migrations, then what is not in the catalog, what data went, and the checks."""
        checks = self.verification.checks
        passed = f"{sum(check.passed for check in checks)} of {len(checks)} checks passed"
        return (
            steps_table(self.summary, self.applied),
            *listed(
                "applied by another version of kimbledb, and not in this catalog",
                (f"{one_line(step.name)}: {step.reason}" for step in self.newer),
            ),
            *listed("data that went with them", self.losses),
            *listed("rows that they updated", self.updates),
            *([Table(passed)] if checks else []),
        )

    def as_dict(self) -> dict[str, Json]:
        """Return the report as values.

        ``applied``: for each migration ``migration``, ``seconds``, ``held``. ``seconds``, ``lsn``, ``history_owner``:
        as the attributes. ``losses``, ``updates``: each with the attributes of a :class:`Loss`. ``newer``: names.
        ``verification``: as of :class:`VerificationReport`.
        """
        return {
            "applied": [
                {"migration": step.migration.name, "seconds": step.seconds, "held": step.held} for step in self.applied
            ],
            "seconds": self.seconds,
            "lsn": self.lsn,
            "losses": plain(self.losses),
            "updates": plain(self.updates),
            "newer": [step.name for step in self.newer],
            "history_owner": self.history_owner,
            "verification": self.verification.as_dict(),
        }


def steps_table(caption: str, steps: tuple[AppliedStep, ...], why: tuple[str, ...] = ()) -> Table:
    """Return a table of migrations that were applied or taken back, with their times where they have any.

    Args:
        caption: The caption.
        steps: The migrations.
        why: For each what is to be said of it, or nothing at all.
    """
    rows = tuple(
        (
            step.migration.name,
            f"{step.seconds:.3f}" if step.seconds else "",
            "" if step.held is None else f"{step.held:.3f}",
            reason,
            step.migration.title,
        )
        for step, reason in zip(steps, why or ("",) * len(steps), strict=True)
    )
    return Table(caption, rows, ("migration", "seconds", "locks held at most", "why", "title"), page_only=("title",))
