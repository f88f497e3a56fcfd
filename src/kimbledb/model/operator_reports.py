"""What the calls of an operator return: adopt(), rollback(), reset(), status() and those for many.

A start of an application needs none of it, so that it is imported when it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Generic, TypeVar

from attrs import evolve, field, frozen

from kimbledb.model.migration import AppliedMigration, AppliedStep, DatabaseObject, Loss
from kimbledb.model.plan import Plan, Step
from kimbledb.model.presentation import Json, Report, error_as_dict, plain
from kimbledb.model.reports import MigrationReport, VerificationReport, steps_table
from kimbledb.model.tables import Table, lines_of, listed, rows_of
from kimbledb.model.text import counted, one_line, printable

#: What a call for one schema returns.
Each = TypeVar("Each", bound=MigrationReport | VerificationReport | Plan)

#: How many of the tables a status names.
_LARGEST = 5


@frozen(eq=False)
class AdoptionReport(Report):
    """What an adoption recorded, or with ``dry_run`` would record."""

    #: In the order of the plan.
    adopted: tuple[Step, ...]
    #: As it was before.
    plan: Plan
    seconds: float
    dry_run: bool = False

    @property
    def left(self) -> tuple[Step, ...]:
        """What a run would still apply."""
        names = {step.name for step in self.adopted}
        return tuple(step for step in self.plan.pending if step.name not in names)

    @property
    def summary(self) -> str:
        """How many migrations were adopted, or would be."""
        return f"{'would adopt' if self.dry_run else 'adopted'} {counted(self.adopted, 'migration')}"

    def as_tables(self) -> tuple[Table, ...]:
        """Return what was adopted, and what is left to migrate()."""
        adopted = tuple((step.name, step.reason, step.migration.title) for step in self.adopted)
        left = tuple((step.name, str(step.state), step.reason) for step in self.left)
        notes = tuple(f"{note}; whether it holds some of these cannot be seen" for note in self.plan.notes)
        caption = f"left to migrate(): {counted(left, 'migration')}"
        return (
            Table(self.summary, adopted, ("migration", "why", "title"), page_only=("title",)),
            *([Table(caption, left, ("migration", "state", "why"), notes)] if left else []),
        )

    def as_dict(self) -> dict[str, Json]:
        """Return the report as values.

        ``adopted``, ``left``: names. ``notes``: those of the plan. ``dry_run``, ``seconds``: as the attributes.
        """
        return {
            "adopted": [step.name for step in self.adopted],
            "dry_run": self.dry_run,
            "left": [step.name for step in self.left],
            "notes": plain(self.plan.notes),
            "seconds": self.seconds,
        }


@frozen(eq=False)
class RollbackReport(Report):
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

    @property
    def summary(self) -> str:
        """How many migrations were rolled back, or would be."""
        if self.dry_run:
            return f"would roll back {counted(self.rolled_back, 'migration')}"
        return f"rolled back {counted(self.rolled_back, 'migration')} in {self.seconds:.3f} s"

    def as_tables(self) -> tuple[Table, ...]:
        """Return the migrations, then the objects and the data that go with them."""
        goes = "go" if self.dry_run else "went"
        why = tuple(
            "needs a migration that goes" if step.migration.name in self.dependents else "" for step in self.rolled_back
        )
        kinds = dict.fromkeys(each.kind for each in self.objects)
        names = (", ".join(one_line(each.name) for each in self.objects if each.kind == kind) for kind in kinds)
        return (
            steps_table(self.summary, self.rolled_back, why),
            *listed(f"objects that {goes} with them", map(": ".join, zip(kinds, names, strict=True))),
            *listed("made by no migration, which stops the rollback", self.handmade),
            *listed(f"data that {goes} with them", self.losses),
        )

    def as_dict(self) -> dict[str, Json]:
        """Return the report as values.

        ``rolled_back``, ``dependents``: names. ``objects``, ``handmade``: each as text, such as ``table users``.
        ``losses``: each with the attributes of a :class:`Loss`. ``dry_run``, ``seconds``: as the attributes.
        """
        return {
            "rolled_back": [step.migration.name for step in self.rolled_back],
            "dependents": plain(self.dependents),
            "objects": [str(each) for each in self.objects],
            "handmade": [str(each) for each in self.handmade],
            "losses": plain(self.losses),
            "dry_run": self.dry_run,
            "seconds": self.seconds,
        }


@frozen(eq=False)
class ResetReport(Report):
    """What a reset took out of a schema."""

    database: str
    schema: str
    #: In the order in which they were dropped: each before all that it needs.
    objects: tuple[DatabaseObject, ...]
    #: What data went with them.
    losses: tuple[Loss, ...]
    seconds: float

    @property
    def summary(self) -> str:
        """How many objects were dropped, and where."""
        where = f'schema "{self.schema}" of the database "{self.database}"'
        if not self.objects:
            return f"nothing to reset in {where} ({self.seconds:.3f} s)"
        return f"dropped {counted(self.objects, 'object')} of {where} in {self.seconds:.3f} s"

    def as_tables(self) -> tuple[Table, ...]:
        """Return the objects, and the data that went with them."""
        return (Table(self.summary, rows_of(self.objects)), *listed("data that went with them", self.losses))

    def as_dict(self) -> dict[str, Json]:
        """Return the report as values.

        ``database``, ``schema``, ``seconds``: as the attributes. ``dropped``: each as text, such as ``table users``.
        ``losses``: each with the attributes of a :class:`Loss`.
        """
        return {
            "database": self.database,
            "schema": self.schema,
            "dropped": [str(each) for each in self.objects],
            "losses": plain(self.losses),
            "seconds": self.seconds,
        }


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
        return one_line(
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
class Status(Report):
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
    log: tuple[Mapping[str, Any], ...] = ()
    #: The schema's tables, those with most rows first.
    tables: tuple[TableUse, ...] = ()
    load: Load | None = None

    @property
    def summary(self) -> str:
        """Which database and schema it is, and what the plan comes to."""
        return f"database {self.database}, schema {self.schema}: {self.plan.summary}"

    def as_tables(self) -> tuple[Table, ...]:
        """Return the facts, the plan, the largest tables and the latest events."""
        facts = [("server", f"PostgreSQL {self.server_version}, {'hosted' if self.hosted else 'bare'}")]
        facts += [
            (f"extension {name}", f"{version}, in schema {home}")
            for name, (version, home) in sorted(self.extensions.items())
        ]
        facts.append(("history", "none" if self.history is None else counted(self.history, "migration")))
        if self.load is not None:
            facts.append(("load", str(self.load)))
        rows = sum(table.rows for table in self.tables)
        events = tuple(
            tuple(str(entry.get(key) or "") for key in ("logged_at", "event", "migration_name", "error_message"))
            for entry in self.log
        )
        return (
            Table(self.summary, tuple(facts)),
            *self.plan.as_tables(),
            *listed(
                f"{counted(self.tables, 'table')}, {rows:,} rows; the largest",
                (table for table in self.tables[:_LARGEST] if table.rows),
            ),
            *([Table("latest events", events, ("when", "event", "migration", "error"))] if events else []),
        )

    def as_dict(self) -> dict[str, Json]:
        """Return the status as values.

        ``database``, ``schema``, ``server_version``, ``hosted``: as the attributes. ``extensions``: versions by name.
        ``extension_schemas``: schemas by name. ``history``: null, or each with the attributes of an
        :class:`AppliedMigration`. ``log``: the entries. ``tables``: each with the attributes of a :class:`TableUse`.
        ``load``: null, or the attributes of a :class:`Load`. What :meth:`Plan.as_dict` holds stands beside them.
        """
        return {
            **self.plan.as_dict(),
            "database": self.database,
            "schema": self.schema,
            "server_version": self.server_version,
            "hosted": self.hosted,
            "extensions": {name: version for name, (version, _) in self.extensions.items()},
            "extension_schemas": {name: home for name, (_, home) in self.extensions.items()},
            "history": plain(self.history),
            "log": plain(self.log),
            "tables": plain(self.tables),
            "load": plain(self.load),
        }

    def _repr_html_(self) -> str:
        return super()._repr_html_() + self.plan.to_svg()


@frozen(eq=False)
class ManyResult(Report, Generic[Each]):
    """What became of one schema."""

    #: The database: host, port and name, never a password.
    target: str
    schema: str
    #: What the call for this one alone would have returned, or None where it failed.
    report: Each | None = None
    #: What it would have raised, or None.
    error: Exception | None = None

    @property
    def ok(self) -> bool:
        """Whether it did not fail, and a verification found nothing wrong."""
        return self.error is None and getattr(self.report, "ok", True) is True

    @property
    def summary(self) -> str:
        """Which database and schema it is, and what became of it."""
        outcome, _, _ = _outcome(self).partition("\n")
        return f"{self.target} {self.schema}: {outcome}"

    def as_tables(self) -> tuple[Table, ...]:
        """Return the error, or what the report shows, under the name of the database and the schema."""
        if self.report is not None:
            first, *others = self.report.as_tables()
            return (evolve(first, caption=self.summary), *others)
        return (Table(self.summary, rows_of(_outcome(self).split("\n")[1:])),)

    def as_dict(self) -> dict[str, Json]:
        """Return the result as values.

        ``target``, ``schema``, ``ok``: as the attributes. ``report``: null, or as its ``as_dict()``.
        ``error``: null, or its class, ``message`` and ``hint``.
        """
        return {
            "target": self.target,
            "schema": self.schema,
            "ok": self.ok,
            "report": None if self.report is None else self.report.as_dict(),
            "error": None if self.error is None else error_as_dict(self.error),
        }


def _outcome(result: ManyResult[Each]) -> str:
    """Return what became of one schema: in one line where all is well."""
    if result.error is not None:
        return f"{type(result.error).__name__}: {printable(str(result.error))}"
    if result.report is None:
        return "nothing"
    return result.report.summary if result.ok else str(result.report)


@frozen(eq=False)
class ManyReport(Report, Generic[Each]):
    """What became of many schemas."""

    #: One for each target and schema, in the order in which they were given.
    results: tuple[ManyResult[Each], ...]
    #: Seconds for all of them.
    seconds: float

    @cached_property
    def failures(self) -> tuple[ManyResult[Each], ...]:
        """The results that are not good."""
        return tuple(result for result in self.results if not result.ok)

    @property
    def ok(self) -> bool:
        """Whether every one is good."""
        return not self.failures

    @property
    def summary(self) -> str:
        """How many schemas there were, in how many seconds, and how many failed."""
        verdict = "all succeeded" if self.ok else f"{len(self.failures)} FAILED"
        return f"{counted(self.results, 'schema')} in {self.seconds:.3f} s: {verdict}"

    def as_tables(self) -> tuple[Table, ...]:
        """Return the failures; in detail also what became of each."""
        each = tuple(
            (result.target, result.schema, "passed" if result.ok else "FAILED", lines_of(_outcome(result)))
            for result in self.results
        )
        headers = ("database", "schema", "result", "what")
        return (
            Table(self.summary, rows_of(self.failures)),
            *([Table("schemas", each, headers, detail=True)] if each else []),
        )

    def as_dict(self) -> dict[str, Json]:
        """Return ``ok``, ``seconds`` and ``results``, each as of :class:`ManyResult`."""
        return {"ok": self.ok, "seconds": self.seconds, "results": [result.as_dict() for result in self.results]}
