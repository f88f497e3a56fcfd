"""How a database stands, as a value to be looked at: what status() returns."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from kimbledb.errors import one_line
from kimbledb.model import AppliedMigration
from kimbledb.names import counted
from kimbledb.plan import Plan

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
            one_line(f"database {self.database}, schema {self.schema}, PostgreSQL {self.server_version} ({platform})"),
            "extensions: "
            + one_line(
                ", ".join(f"{name} {version}" for name, (version, _) in sorted(self.extensions.items())) or "none"
            ),
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
            lines += [
                one_line(f"  {entry['logged_at']}  {entry['event']:<8}  {entry['migration_name']}")
                for entry in self.log
            ]
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
