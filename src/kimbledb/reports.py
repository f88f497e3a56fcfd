"""What each operation returns: values to be looked at, each readable when printed."""

from __future__ import annotations

from functools import cached_property

from attrs import frozen

from kimbledb.errors import one_line
from kimbledb.model import AppliedStep, Check, DatabaseObject, Loss
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


@frozen(eq=False)
class AdoptionReport:
    """What an adoption recorded, or with ``dry_run`` would record."""

    #: In the order of the plan.
    adopted: tuple[Step, ...]
    #: As it was before.
    plan: Plan
    seconds: float
    dry_run: bool = False

    def __str__(self) -> str:
        verb = "would adopt" if self.dry_run else "adopted"
        names = {step.name for step in self.adopted}
        left = [step for step in self.plan.pending if step.name not in names]
        lines = [f"{verb} {counted(self.adopted, 'migration')}"]
        lines += [f"  {step.name}: {step.reason}" for step in self.adopted]
        if left:
            lines.append(f"left to migrate(): {len(left)}")
            lines += [f"  {step.name}: {step.state}, {step.reason}" for step in left]
            lines += [f"note: {note}; whether it holds some of these cannot be seen" for note in self.plan.notes]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from kimbledb.drawing import to_html_table

        rows = [(step.name, step.migration.title, step.reason) for step in self.adopted]
        return to_html_table(("migration", "title", "why"), rows, str(self).splitlines()[0])


@frozen(eq=False)
class RollbackReport:
    """What a rollback did, or with ``dry_run`` would do."""

    #: In the order in which they were, or would be, taken back: newest first.
    rolled_back: tuple[AppliedStep, ...]
    #: What data goes with them.
    losses: tuple[Loss, ...]
    seconds: float
    dry_run: bool = False
    #: The tables, views, sequences, functions and types that go with them.
    objects: tuple[DatabaseObject, ...] = ()
    #: The names of those that go because they need another, newest first.
    dependents: tuple[str, ...] = ()
    #: Constraints, indexes and statistics that no migration made and that would go with a column: a dry run
    #: tells them, and without it they stop the rollback.
    handmade: tuple[DatabaseObject, ...] = ()

    def __str__(self) -> str:
        verb = "would roll back" if self.dry_run else "rolled back"
        lines = [
            f"{verb} {counted(self.rolled_back, 'migration')}" + ("" if self.dry_run else f" in {self.seconds:.3f} s")
        ]
        for step in self.rolled_back:
            needs = " (it needs what goes)" if step.migration.name in self.dependents else ""
            lines.append((f"  {step.migration.name}" if self.dry_run else f"  {step}") + needs)
        if self.objects:
            lines.append("objects that go with them:" if self.dry_run else "objects that went with them:")
            kinds = dict.fromkeys(each.kind for each in self.objects)
            lines += [
                f"  {kind}: {', '.join(one_line(e.name) for e in self.objects if e.kind == kind)}" for kind in kinds
            ]
        if self.handmade:
            lines.append("made by no migration, which stops the rollback:")
            lines += [f"  {each}" for each in self.handmade]
        if self.losses:
            lines.append("data that goes with them:" if self.dry_run else "data that went with them:")
            lines += [f"  {loss}" for loss in self.losses]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from kimbledb.drawing import to_html_table

        rows = [(step.migration.name, step.migration.title, f"{step.seconds:.3f}") for step in self.rolled_back]
        return to_html_table(("migration", "title", "seconds"), rows, str(self).splitlines()[0])


#: The kinds of objects whose loss can be one of data.
_HOLD_DATA = ("table", "view", "sequence")


@frozen(eq=False)
class ResetReport:
    """What a reset took out of a schema."""

    database: str
    schema: str
    #: In the order in which they were dropped: each before all that it needs.
    objects: tuple[DatabaseObject, ...]
    #: What data went with them.
    losses: tuple[Loss, ...]
    seconds: float

    def __str__(self) -> str:
        where = one_line(f'schema "{self.schema}" of the database "{self.database}"')
        if not self.objects:
            return f"nothing to reset in {where} ({self.seconds:.3f} s)"
        lines = [f"dropped {counted(self.objects, 'object')} of {where} in {self.seconds:.3f} s"]
        lines += [f"  {each}" for each in self.objects]
        if self.losses:
            lines.append("data that went with them:")
            lines += [f"  {loss}" for loss in self.losses]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from kimbledb.drawing import to_html_table

        lost = {loss.name: str(loss.count) for loss in self.losses}
        rows = [
            (each.kind, each.name, lost.get(each.name, "") if each.kind in _HOLD_DATA else "") for each in self.objects
        ]
        return to_html_table(("kind", "dropped", "rows"), rows, str(self).splitlines()[0])
