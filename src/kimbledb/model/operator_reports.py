"""The reports of an operator's calls: adopt(), rollback(), reset() and status().

The start of an application needs none of them: the package imports this module on first use (6 ms).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from attrs import field, frozen

from kimbledb.model.evidence import AppliedMigration
from kimbledb.model.forecast import PastForecasts
from kimbledb.model.loss import Loss
from kimbledb.model.migration import AppliedStep
from kimbledb.model.objects import DatabaseObject
from kimbledb.model.plan import Plan
from kimbledb.model.presentation import Json, Report, plain
from kimbledb.model.reports import steps_table
from kimbledb.model.step import Step, StepState
from kimbledb.model.tables import Cell, Table, listed, rows_of
from kimbledb.model.text import counted, few, moment, one_line

#: The number of tables that a status shows.
_LARGEST = 5


@frozen(eq=False)
class AdoptionReport(Report):
    """The result of adopt() or stamp()."""

    #: The migrations that were recorded as applied, or with ``dry_run`` would be, in the order of the plan.
    adopted: tuple[Step, ...]
    #: The plan before the adoption.
    plan: Plan
    #: The duration of the whole call in seconds.
    seconds: float
    #: Whether the call only looked and recorded nothing.
    dry_run: bool = False
    #: The names of the migrations that stamp() took out of history, newest first.
    removed: tuple[str, ...] = ()

    @property
    def left(self) -> tuple[Step, ...]:
        """The steps that migrate() would still apply."""
        names = {step.name for step in self.adopted}
        return tuple(step for step in self.plan.pending if step.name not in names)

    @property
    def summary(self) -> str:
        """The number of migrations that were adopted, or would be, in one line."""
        if self.removed:
            return f"took {counted(self.removed, 'migration')} out of history; nothing was rolled back"
        return f"{'would adopt' if self.dry_run else 'adopted'} {counted(self.adopted, 'migration')}"

    def as_tables(self) -> tuple[Table, ...]:
        """Return the adopted migrations, and those that are left for migrate()."""
        adopted = tuple((step.name, step.reason, step.migration.title) for step in self.adopted)
        names = {step.name for step in self.left}
        left = tuple((step.name, str(step.state), _why_left(step, names)) for step in self.left)
        notes = tuple(f"{note}; it may hold some of these migrations" for note in self.plan.notes)
        caption = f"left for migrate(): {counted(left, 'migration')}"
        if self.removed:
            return (Table(self.summary, rows_of(self.removed)),)
        return (
            Table(self.summary, adopted, ("migration", "why", "title"), page_only=("title",)),
            *([Table(caption, left, ("migration", "state", "why"), notes)] if left else []),
        )

    def as_dict(self) -> dict[str, Json]:
        """Return the report as values.

        ``adopted``, ``left``, ``removed``: names. ``notes``: those of the plan. ``dry_run``, ``seconds``: as the attributes.
        """
        return {
            "adopted": [step.name for step in self.adopted],
            "dry_run": self.dry_run,
            "left": [step.name for step in self.left],
            "notes": plain(self.plan.notes),
            "removed": list(self.removed),
            "seconds": self.seconds,
        }


def _why_left(step: Step, left: Collection[str]) -> Cell:
    """Return the reason for the state of a step, and the migrations that keep it from being adopted."""
    needs = [name for name in step.needs if name in left]
    if step.state is not StepState.ADOPTABLE or not needs:
        return step.reason
    return step.reason, f"it needs {few(needs)}: apply that (--to), or record it (`kimbledb stamp`); then adopt again"


@frozen(eq=False)
class RollbackReport(Report):
    """The result of rollback()."""

    #: The migrations that were rolled back, or with ``dry_run`` would be, newest first.
    rolled_back: tuple[AppliedStep, ...]
    #: The data that was lost, or would be.
    losses: tuple[Loss, ...]
    #: The duration of the whole call in seconds.
    seconds: float
    #: Whether the call only tried the rollback and changed nothing.
    dry_run: bool = False
    #: The tables, views, sequences, functions and types that were dropped, or would be.
    objects: tuple[DatabaseObject, ...] = ()
    #: The names of the migrations that are rolled back only because they need another one, newest first.
    dependents: tuple[str, ...] = ()
    #: Constraints, indexes and statistics that no migration made and that would be dropped with a column. A dry
    #: run lists them; without ``dry_run`` they stop the rollback.
    handmade: tuple[DatabaseObject, ...] = ()
    #: The SQL of each derived rollback, by the name of its migration. A migration that is not in it has a rollback.sql.
    derived: Mapping[str, str] = field(factory=dict)

    @property
    def summary(self) -> str:
        """The number of migrations that were rolled back, or would be, in one line."""
        if self.dry_run:
            return f"would roll back {counted(self.rolled_back, 'migration')}"
        return f"rolled back {counted(self.rolled_back, 'migration')} in {self.seconds:.3f} s"

    def as_tables(self) -> tuple[Table, ...]:
        """Return the migrations, then the dropped objects and the lost data."""
        dropped, lost = ("that would be dropped", "that would be lost") if self.dry_run else ("dropped", "lost")
        why = tuple("; ".join(self._why(step.migration.name)) for step in self.rolled_back)
        kinds = dict.fromkeys(each.kind for each in self.objects)
        names = (", ".join(one_line(each.name) for each in self.objects if each.kind == kind) for kind in kinds)
        return (
            steps_table(self.summary, self.rolled_back, why),
            *listed(f"objects {dropped}", map(": ".join, zip(kinds, names, strict=True))),
            *listed("objects that no migration made; they stop the rollback", self.handmade),
            *listed(f"data {lost}", self.losses),
            *self._scripts(),
        )

    def _why(self, name: str) -> Iterator[str]:
        if name in self.dependents:
            yield "needs a migration that is rolled back"
        if name in self.derived:
            yield "by a derived rollback"

    def _scripts(self) -> Iterator[Table]:
        """Yield the derived rollbacks that a dry run would send."""
        for name, text in self.derived.items() if self.dry_run else ():
            yield from listed(f"derived rollback of {name}", text.splitlines())

    def as_dict(self) -> dict[str, Json]:
        """Return the report as values.

        ``derived``: the SQL of each derived rollback, by the migration's name. ``rolled_back``, ``dependents``: names. ``objects``, ``handmade``: each as text, such as ``table users``.
        ``losses``: each with the attributes of a ``Loss``. ``dry_run``, ``seconds``: as the attributes.
        """
        return {
            "rolled_back": [step.migration.name for step in self.rolled_back],
            "dependents": plain(self.dependents),
            "derived": dict(self.derived),
            "objects": [str(each) for each in self.objects],
            "handmade": [str(each) for each in self.handmade],
            "losses": plain(self.losses),
            "dry_run": self.dry_run,
            "seconds": self.seconds,
        }


@frozen(eq=False)
class ResetReport(Report):
    """The result of reset()."""

    #: The name of the database.
    database: str
    #: The name of the schema.
    schema: str
    #: The dropped objects in the order of their drops: each before the objects that it needs.
    objects: tuple[DatabaseObject, ...]
    #: The data that was lost.
    losses: tuple[Loss, ...]
    #: The duration of the whole call in seconds.
    seconds: float
    #: Whether the call only reported what would be dropped.
    dry_run: bool = False

    @property
    def summary(self) -> str:
        """The number of dropped objects, and their schema, in one line."""
        where = f'schema "{self.schema}" of the database "{self.database}"'
        if not self.objects:
            return f"nothing to reset in {where} ({self.seconds:.3f} s)"
        if self.dry_run:
            return f"would drop {counted(self.objects, 'object')} of {where}"
        return f"dropped {counted(self.objects, 'object')} of {where} in {self.seconds:.3f} s"

    def as_tables(self) -> tuple[Table, ...]:
        """Return the dropped objects, and the lost data."""
        lost = "data that would be lost" if self.dry_run else "data lost"
        return (Table(self.summary, rows_of(self.objects)), *listed(lost, self.losses))

    def as_dict(self) -> dict[str, Json]:
        """Return the report as values.

        ``database``, ``schema``, ``seconds``, ``dry_run``: as the attributes. ``dropped``: each as text, such as ``table users``.
        ``losses``: each with the attributes of a ``Loss``.
        """
        return {
            "database": self.database,
            "schema": self.schema,
            "dropped": [str(each) for each in self.objects],
            "losses": plain(self.losses),
            "seconds": self.seconds,
            "dry_run": self.dry_run,
        }


@frozen
class TableUse:
    """The use of a table by the server's statistics (manual, 27.2 "The Cumulative Statistics System")."""

    #: The name of the table.
    name: str
    #: The number of live rows by the server's running count, which is an estimate.
    rows: int
    #: The size in bytes with the indexes, as of the last vacuum or analyze.
    bytes: int
    #: The number of scans of the whole table.
    sequential_scans: int
    #: The number of scans by an index.
    index_scans: int
    #: The indexes that no query has used since the statistics began, without those that enforce uniqueness.
    unused_indexes: tuple[str, ...] = ()

    def __str__(self) -> str:
        unused = f"; unused indexes: {', '.join(self.unused_indexes)}" if self.unused_indexes else ""
        return one_line(
            f"{self.name}: {self.rows:,} rows, {self.sequential_scans:,} sequential scans, "
            f"{self.index_scans:,} index scans{unused}"
        )


@frozen
class Load:
    """The load of a database at this moment."""

    #: The number of sessions of this database.
    connections: int
    #: The number of these sessions that run a statement.
    active: int
    #: The number of these sessions that wait for a lock.
    waiting: int
    #: The number of connections that the server allows, over all databases.
    max_connections: int
    #: The age of the oldest open transaction in seconds.
    oldest_transaction: float
    #: The share of blocks that were found in the server's buffers, in percent, or None if no block was read yet.
    cache_hits: float | None

    def __str__(self) -> str:
        hits = "" if self.cache_hits is None else f", {self.cache_hits} % cache hits"
        return (
            f"{self.connections} of {self.max_connections} connections, {self.active} active, {self.waiting} waiting for a lock, "
            f"oldest transaction {self.oldest_transaction:.1f} s{hits}"
        )


@frozen(eq=False)
class Status(Report):
    """The result of status(): the state of a database and a schema."""

    #: The name of the database.
    database: str
    #: The name of the schema.
    schema: str
    #: The version of the server, such as ``18.1``.
    server_version: str
    #: Whether the database has the roles anon, authenticated and service_role and a schema auth.
    hosted: bool
    #: The plan for the schema.
    plan: Plan
    #: The rows of migration_history, or None if there is no such table.
    history: tuple[AppliedMigration, ...] | None
    #: The installed extensions by name, each with its version and its schema.
    extensions: Mapping[str, tuple[str, str]] = field(factory=dict)
    #: The newest entries of migration_log, newest first, each as a mapping.
    log: tuple[Mapping[str, Any], ...] = ()
    #: The tables of the schema, those with the most rows first.
    tables: tuple[TableUse, ...] = ()
    #: The load of the database, or None if it was not measured.
    load: Load | None = None
    #: The accuracy of the forecasts that the log holds.
    forecasts: PastForecasts = PastForecasts(0, 0, None)  # noqa: RUF009 -- it is frozen

    @property
    def summary(self) -> str:
        """The database, the schema and the summary of the plan, in one line."""
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
        if self.forecasts.count:
            facts.append(("forecasts", str(self.forecasts)))
        rows = sum(table.rows for table in self.tables)
        return (
            Table(self.summary, tuple(facts)),
            *self.plan.as_tables(),
            *listed(
                f"{counted(self.tables, 'table')}, {rows:,} rows; the largest",
                (table for table in self.tables[:_LARGEST] if table.rows),
            ),
            *self.events_as_tables(),
        )

    def events_as_tables(self) -> tuple[Table, ...]:
        """Return the latest events as a table, or no table if there are none."""
        keys = ("event", "migration_name", "error_message")
        events = tuple(
            (moment(str(entry.get("logged_at") or "")), *(str(entry.get(key) or "") for key in keys))
            for entry in self.log
        )
        return (Table("latest events", events, ("when (UTC)", "event", "migration", "error")),) if events else ()

    def as_dict(self) -> dict[str, Json]:
        """Return the status as values.

        ``database``, ``schema``, ``server_version``, ``hosted``: as the attributes. ``extensions``: versions by name.
        ``extension_schemas``: schemas by name. ``history``: null, or each with the attributes of an
        ``AppliedMigration``. ``log``: the entries. ``tables``: each with the attributes of a ``TableUse``.
        ``load``: null, or the attributes of a ``Load``. ``forecasts``: ``count``, ``within`` and ``ratio``, as the
        attributes of ``PastForecasts``. The keys of ``Plan.states_as_dict()`` stand beside these.
        """
        return {
            **self.plan.states_as_dict(),
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
            "forecasts": plain(self.forecasts),
        }

    def _repr_html_(self) -> str:
        return super()._repr_html_() + self.plan.to_svg()
