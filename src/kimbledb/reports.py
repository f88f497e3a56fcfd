"""What a migration and a verification return: values to be looked at, each readable when printed.

What the rarer calls return stands beside them: _adoption, _reset, _rollback, _status.
"""

from __future__ import annotations

from functools import cached_property

from attrs import frozen

from kimbledb.errors import one_line
from kimbledb.model import AppliedStep, Check, Loss
from kimbledb.names import counted
from kimbledb.plan import Plan, Step


@frozen(eq=False)
class VerificationReport:
    """The results of a verification."""

    checks: tuple[Check, ...]

    @cached_property
    def failures(self) -> tuple[Check, ...]:
        """The checks that did not pass; informative ones never count."""
        return tuple(check for check in self.checks if not check.passed and not check.informative)

    @property
    def ok(self) -> bool:
        """Whether every check passed."""
        return not self.failures

    def __str__(self) -> str:
        migrations = {check.migration for check in self.checks if check.migration is not None}
        head = f"{counted(self.checks, 'check')} of {counted(migrations, 'migration')} and the database: "
        if self.ok:
            return head + "all passed"
        return head + f"{len(self.failures)} FAILED\n" + "\n".join(f"  {check}" for check in self.failures)

    def _repr_html_(self) -> str:
        from kimbledb.drawing import to_html_table

        rows = [
            (
                check.migration or "the database",
                check.name,
                "passed" if check.passed else "FAILED",
                check.expected or "",
                check.found or "",
            )
            for check in self.checks
        ]
        return to_html_table(("migration", "check", "result", "expected", "found"), rows, str(self).splitlines()[0])


@frozen(eq=False)
class MigrationReport:
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

    def __str__(self) -> str:
        if not self.applied:
            says = "" if self.history_owner is None else f", says the history of the role {self.history_owner}"
            lines = [f"nothing to do{says} ({self.seconds:.3f} s)"]
        else:
            lines = [f"applied {counted(self.applied, 'migration')} in {self.seconds:.3f} s"]
            lines += [f"  {step}" for step in self.applied]
        lines += [f"  {one_line(step.name)}: {step.reason}" for step in self.newer]
        if self.losses:
            lines += ["data that went with them:", *(f"  {loss}" for loss in self.losses)]
        lines += [f"  {update}" for update in self.updates]
        if self.verification.checks:
            passed = sum(check.passed for check in self.verification.checks)
            lines.append(f"{passed} of {len(self.verification.checks)} checks passed")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from kimbledb.drawing import to_html_table

        rows = [(step.migration.name, step.migration.title, f"{step.seconds:.3f}") for step in self.applied]
        return to_html_table(("migration", "title", "seconds"), rows, str(self).splitlines()[0])
