"""What the calls return: values to be looked at, each readable when printed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from attrs import field, frozen

from kimbledb.model import AppliedMigration, AppliedStep, Check, DatabaseObject, Loss
from kimbledb.names import counted
from kimbledb.plan import Plan, Step, StepState


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

    @property
    def newer(self) -> tuple[Step, ...]:
        """What another version of kimbledb applied and this catalog does not hold."""
        return tuple(
            step
            for step in self.plan.steps
            if step.state is StepState.UNKNOWN and step.recorded is not None and step.recorded.version is not None
        )

    def __str__(self) -> str:
        if not self.applied:
            lines = [f"nothing to do ({self.seconds:.3f} s)"]
        else:
            lines = [f"applied {counted(self.applied, 'migration')} in {self.seconds:.3f} s"]
            lines += [f"  {step}" for step in self.applied]
        lines += [f"  {step.name}: {step.reason}" for step in self.newer]
        if self.verification.checks:
            passed = sum(check.passed for check in self.verification.checks)
            lines.append(f"{passed} of {len(self.verification.checks)} checks passed")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from kimbledb.drawing import to_html_table

        rows = [(step.migration.name, step.migration.title, f"{step.seconds:.3f}") for step in self.applied]
        return to_html_table(("migration", "title", "seconds"), rows, str(self).splitlines()[0])


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
            lines += [f"  {kind}: {', '.join(e.name for e in self.objects if e.kind == kind)}" for kind in kinds]
        if self.losses:
            lines.append("data that goes with them:" if self.dry_run else "data that went with them:")
            lines += [f"  {loss}" for loss in self.losses]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from kimbledb.drawing import to_html_table

        rows = [(step.migration.name, step.migration.title, f"{step.seconds:.3f}") for step in self.rolled_back]
        return to_html_table(("migration", "title", "seconds"), rows, str(self).splitlines()[0])


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
        where = f'schema "{self.schema}" of the database "{self.database}"'
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
            (each.kind, each.name, lost.get(each.name, "") if each.kind == "table" else "") for each in self.objects
        ]
        return to_html_table(("kind", "dropped", "rows"), rows, str(self).splitlines()[0])


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
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from kimbledb.drawing import to_html_table

        rows = [(step.name, step.migration.title, step.reason) for step in self.adopted]
        return to_html_table(("migration", "title", "why"), rows, str(self).splitlines()[0])


#: How many of the latest events a notebook shows.
_EVENTS = 5
#: How many of the tables a status names.
_LARGEST = 5


@frozen
class TableUse:
    """How a table is used, by the server's statistics (manual, 27.2 "The Cumulative Statistics System")."""

    name: str
    #: As the server counts them while it works; not counted anew.
    rows: int
    #: With its indexes, as of the last vacuum or analyze.
    bytes: int
    #: How often it was read from one end to the other, and by an index.
    sequential_scans: int
    index_scans: int
    #: Indexes that no query has used since the statistics began, and that keep no duplicates out.
    unused_indexes: tuple[str, ...] = ()

    def __str__(self) -> str:
        unused = f"; no query used {', '.join(self.unused_indexes)}" if self.unused_indexes else ""
        return (
            f"{self.name}: {self.rows:,} rows, {self.sequential_scans:,} scans of the whole, "
            f"{self.index_scans:,} by an index{unused}"
        )


@frozen
class Load:
    """How busy a database is at this moment."""

    #: Sessions of this database, of which so many are at work, and so many wait for a lock.
    connections: int
    active: int
    waiting: int
    #: What the server allows altogether.
    max_connections: int
    #: Seconds that the oldest transaction has been open.
    oldest_transaction: float
    #: Percent of the blocks that were found in memory, or None where none was read yet.
    cache_hits: float | None

    def __str__(self) -> str:
        hits = "" if self.cache_hits is None else f", {self.cache_hits} % of blocks found in memory"
        return (
            f"{self.connections} of {self.max_connections} connections, {self.active} at work, {self.waiting} waiting for a lock, "
            f"oldest transaction {self.oldest_transaction:.1f} s{hits}"
        )


@frozen(eq=False)
class Status:
    """How a database stands."""

    database: str
    schema: str
    server_version: str
    hosted: bool
    plan: Plan
    #: Rows of migration_history, or None where there is no such table.
    history: tuple[AppliedMigration, ...] | None
    #: Installed extensions by name: version and schema.
    extensions: Mapping[str, tuple[str, str]] = field(factory=dict)
    #: The newest entries of migration_log, newest first, each as a mapping.
    log: tuple[Mapping[str, object], ...] = ()
    #: The schema's tables, those with most rows first.
    tables: tuple[TableUse, ...] = ()
    load: Load | None = None

    def __str__(self) -> str:
        platform = "hosted" if self.hosted else "bare"
        lines = [
            f"database {self.database}, schema {self.schema}, PostgreSQL {self.server_version} ({platform})",
            "extensions: "
            + (", ".join(f"{name} {version}" for name, (version, _) in sorted(self.extensions.items())) or "none"),
            "history: " + ("none" if self.history is None else counted(self.history, "migration")),
            str(self.plan),
        ]
        if self.tables:
            lines.append(
                f"{counted(self.tables, 'table')}, {sum(table.rows for table in self.tables):,} rows; the largest:"
            )
            lines += [f"  {table}" for table in self.tables[:_LARGEST] if table.rows]
        if self.load is not None:
            lines.append(f"load: {self.load}")
        if self.log:
            lines.append("latest events:")
            lines += [f"  {entry['logged_at']}  {entry['event']:<8}  {entry['migration_name']}" for entry in self.log]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from kimbledb.drawing import to_html_table

        rows = [("server", f"PostgreSQL {self.server_version}, {'hosted' if self.hosted else 'bare'}")]
        rows += [
            (f"extension {name}", f"{version}, in schema {home}")
            for name, (version, home) in sorted(self.extensions.items())
        ]
        rows += [("history", "none" if self.history is None else counted(self.history, "migration"))]
        rows += [
            (str(entry["logged_at"]), f"{entry['event']} {entry['migration_name']}") for entry in self.log[:_EVENTS]
        ]
        facts = to_html_table(("what", "found"), rows, f"database {self.database}, schema {self.schema}")
        return facts + self.plan._repr_html_()
