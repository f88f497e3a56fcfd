"""The reports of migrate() and verify(). Those that a start does not need are in operator_reports."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from attrs import field, fields, frozen

from kimbledb.model.presentation import Json, Report, plain
from kimbledb.model.text import counted, few, one_line

if TYPE_CHECKING:
    from kimbledb.model.check import Check
    from kimbledb.model.loss import Loss
    from kimbledb.model.migration import AppliedStep
    from kimbledb.model.plan import Plan
    from kimbledb.model.set_aside import SetAside
    from kimbledb.model.step import Step
    from kimbledb.model.tables import Table

# Tables are imported by the first report that is shown: a start shows none.


@frozen(eq=False)
class VerificationReport(Report):
    """The result of verify(): every check."""

    #: The checks, in the order in which they ran.
    checks: tuple[Check, ...]

    @property
    def failures(self) -> tuple[Check, ...]:
        """The checks that failed, without the informative ones."""
        return tuple(check for check in self.checks if not check.passed and not check.informative)

    @property
    def warnings(self) -> tuple[Check, ...]:
        """The checks that did not pass and make no verification fail: ``verify(strict=True)`` fails for those of security."""
        return tuple(check for check in self.checks if not check.passed and check.informative)

    @property
    def ok(self) -> bool:
        """Whether every check passed, apart from informative ones."""
        return not self.failures

    @property
    def summary(self) -> str:
        """The number of checks, and of those that failed, in one line."""
        migrations = {check.migration for check in self.checks if check.migration is not None}
        verdict = "all passed" if self.ok else f"{len(self.failures)} FAILED"
        if self.warnings:
            verdict = f"{verdict if self.failures else 'none failed'}, {counted(self.warnings, 'warning')}"
        return f"{counted(self.checks, 'check')} of {counted(migrations, 'migration')} and the database: {verdict}"

    def as_tables(self) -> tuple[Table, ...]:
        """Return the failures; in detail also the counts of each migration, and the informative checks."""
        from kimbledb.model.tables import Table, rows_of

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
            *([Table("information", known, ("migration", "check", "found", "hint"), detail=True)] if known else []),
        )

    def as_dict(self) -> dict[str, Json]:
        """Return ``ok`` and ``checks``, each with the attributes of a ``Check``."""
        return {"ok": self.ok, "checks": [plain(check) for check in self.checks]}


def _informs(check: Check) -> bool:
    """Whether a check holds information and is no failure: a fact of the database, or a harmless difference."""
    if not check.passed:
        return check.informative
    return check.migration is None and (check.severity is None or bool(check.rows))


def _found(check: Check) -> str:
    """Return the result of a check; for a security check that passed, only its objects."""
    if check.passed and check.severity is not None:
        return few([str(row["object"]) for row in check.rows])
    return check.found or ""


@frozen(eq=False, slots=False)  # every start makes this class: with slots it takes half as long again
class MigrationReport(Report):
    """The result of migrate()."""

    #: The migrations that this call applied, in order. Empty if there was nothing to do.
    applied: tuple[AppliedStep, ...]
    _plan: Plan | Callable[[], Plan] = field(repr=False)
    #: The duration of the whole call in seconds.
    seconds: float
    #: The checks that ran in the transactions of the migrations. Empty if ``verify`` was False.
    verification: VerificationReport
    #: The position of the write-ahead log after the last COMMIT, or None. A standby can wait for this
    #: position (manual, 9.28.4 "Recovery Control Functions").
    lsn: str | None = None
    #: The existing data that was lost, by ``deletes`` of a migration or by ``allow_data_loss``.
    losses: tuple[Loss, ...] = ()
    #: The rows of existing tables that were updated, which is no loss.
    updates: tuple[Loss, ...] = ()
    #: The role that owns history, if the role of the call cannot write it, else None. "Nothing to do" then
    #: rests on the history of that role.
    history_owner: str | None = None
    #: The tables that were set aside, each with how many of its rows were copied.
    set_aside: tuple[SetAside, ...] = ()

    @cached_property
    def plan(self) -> Plan:
        """The plan before the first step. Where there was nothing to do, it is made when it is asked for."""
        return self._plan() if callable(self._plan) else self._plan

    def __reduce__(self) -> tuple[Callable[..., MigrationReport], tuple[object, ...]]:
        parts = (self.plan if each.name == "_plan" else getattr(self, each.name) for each in fields(type(self)))
        return type(self), tuple(parts)

    @property
    def newer(self) -> tuple[Step, ...]:
        """The steps that another version of kimbledb applied and this catalog does not hold."""
        return tuple(step for step in self.plan.steps if step.is_newer)

    @property
    def summary(self) -> str:
        """The number of applied migrations and the seconds, in one line."""
        if self.applied:
            return f"applied {counted(self.applied, 'migration')} in {self.seconds:.3f} s"
        source = "" if self.history_owner is None else f" according to the history of the role {self.history_owner}"
        return f"nothing to do{source} ({self.seconds:.3f} s)"

    def as_tables(self) -> tuple[Table, ...]:
        """Return the applied migrations, those that the catalog does not hold, what completions did, losses, updates, checks."""
        from kimbledb.model.tables import Table, listed

        checks = self.verification.checks
        passed = f"{sum(check.passed for check in checks)} of {len(checks)} checks passed"
        return (
            steps_table(self.summary, self.applied),
            *listed(
                "applied by another version of kimbledb, and not in this catalog",
                (f"{one_line(step.name)}: {step.reason}" for step in self.newer),
            ),
            *listed(
                "completed, where a part was there",
                (f"{step.migration.name}: {note}" for step in self.applied for note in step.notes),
            ),
            *listed("set aside", self.set_aside),
            *listed("data lost", self.losses),
            *listed("rows updated", self.updates),
            *([Table(passed)] if checks else []),
        )

    def as_dict(self) -> dict[str, Json]:
        """Return the report as values.

        ``applied``: for each migration ``migration``, ``seconds``, ``held``, ``notes``. ``seconds``, ``lsn``, ``history_owner``:
        as the attributes. ``losses``, ``updates``: each with the attributes of a ``Loss``. ``set_aside``: each with the
        attributes of a ``SetAside``. ``newer``: names.
        ``verification``: as of ``VerificationReport``.
        """
        return {
            "applied": [
                {
                    "migration": step.migration.name,
                    "seconds": step.seconds,
                    "held": step.held,
                    "notes": list(step.notes),
                }
                for step in self.applied
            ],
            "seconds": self.seconds,
            "lsn": self.lsn,
            "losses": plain(self.losses),
            "updates": plain(self.updates),
            "set_aside": plain(self.set_aside),
            "newer": [step.name for step in self.newer],
            "history_owner": self.history_owner,
            "verification": self.verification.as_dict(),
        }


def steps_table(caption: str, steps: tuple[AppliedStep, ...], why: tuple[str, ...] = ()) -> Table:
    """Return a table of migrations that were applied or rolled back, with their times if they have any.

    Args:
        caption: The caption.
        steps: The migrations.
        why: The reason for each migration, or an empty tuple.
    """
    from kimbledb.model.tables import Table

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
