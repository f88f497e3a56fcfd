"""History: show which migrations are applied, and the latest events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from kimbledb.model.evidence import AppliedMigration
from kimbledb.model.operator_reports import Status
from kimbledb.model.presentation import Json, Report, plain
from kimbledb.model.tables import Table
from kimbledb.model.text import counted, moment
from kimbledb.operations.status import status

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from kimbledb.execution.command import Invocation

GROUPS = ("database",)
EXAMPLE = "kimbledb history"


@frozen(eq=False)
class _History(Report):
    """The part of a status that reports the past."""

    status: Status

    @property
    def summary(self) -> str:
        rows = self.status.history
        kept = "no history" if rows is None else f"{counted(rows, 'migration')} in history"
        return f"database {self.status.database}, schema {self.status.schema}: {kept}"

    def as_tables(self) -> tuple[Table, ...]:
        rows = tuple(
            (moment(each.applied_at or ""), each.name, _state(each), each.version or "", each.error or "")
            for each in self.status.history or ()
        )
        return (
            Table(self.summary, rows, ("when (UTC)", "migration", "state", "version", "error")),
            *self.status.events_as_tables(),
        )

    def as_dict(self) -> dict[str, Json]:
        return {
            "database": self.status.database,
            "schema": self.status.schema,
            "history": plain(self.status.history),
            "log": plain(self.status.log),
        }


def _state(row: AppliedMigration) -> str:
    if row.is_applied:
        return "adopted" if row.adopted else "applied"
    return "failed" if row.success is False else "unknown"


def add_arguments(parser: ArgumentParser) -> None:
    """Add no arguments: the command has only those that it shares."""


async def command(invocation: Invocation) -> int:
    """Show which migrations are applied, since when, and the latest events."""
    async with invocation.target() as target:
        found = await status(target, catalog=invocation.catalog, schema=invocation.schema, options=invocation.options)
    invocation.show(_History(found))
    return 0
