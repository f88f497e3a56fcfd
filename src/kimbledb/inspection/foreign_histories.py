"""Histories of other tools, in a database to which kimbledb has applied no migration.

The objects that a catalog declares are evidence, whichever tool created them. Where a migration leaves nothing in
the schema to look for, since it only changes rows or has no declarations, only the history of another tool can show
that the migration is applied.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from attrs import evolve, frozen

from kimbledb.catalog.catalog import Catalog
from kimbledb.catalog.foreign_names import Names
from kimbledb.catalog.other_tools import TOOLS
from kimbledb.errors import ForeignHistoryError
from kimbledb.model.evidence import Evidence
from kimbledb.model.names import quote_literal
from kimbledb.model.plan import Plan
from kimbledb.model.state import DatabaseState
from kimbledb.model.step import StepState
from kimbledb.model.text import counted, few
from kimbledb.server import queries
from kimbledb.server.search_path import trusted
from kimbledb.server.session import Session

#: The schema that is migrated by tools that keep their history in a schema of its own.
_USUAL = "public"
#: The most rows that are read.
_MOST = 10_000


@frozen
class ForeignHistory:
    """The history table of another tool."""

    #: The name of the tool, or of several tools that use the same table.
    tool: str
    #: The name of the table, with its schema.
    table: str
    #: The number of its rows.
    rows: int
    #: The names of the catalog's migrations that it calls applied.
    applied: tuple[str, ...] = ()
    #: The tool's own word for a failed or unfinished migration.
    failed: tuple[str, ...] = ()

    def __str__(self) -> str:
        rows = f"{_MOST:,} rows or more" if self.rows >= _MOST else f"{self.rows} row{'' if self.rows == 1 else 's'}"
        shown = f"the database holds the history of {self.tool}: {self.table}, {rows}"
        if self.applied:
            shown += f", with {counted(self.applied, 'migration')} of this catalog"
        return f"{shown}; failed or unfinished: {few(self.failed)}" if self.failed else shown


async def with_histories(
    session: Session, plan: Plan, shown: Evidence, state: DatabaseState, schema: str, catalog: Catalog
) -> tuple[Plan, tuple[ForeignHistory, ...]]:
    """Return a plan with notes on other tools' histories, where kimbledb's own history is empty, and these histories.

    A migration on which the schema gives no evidence, and that such a history calls applied, is adoptable: nothing
    else can show it.

    Args:
        session: The session.
        plan: The plan.
        shown: The evidence of the schema.
        state: The state of the database.
        schema: The target schema.
        catalog: The migrations.
    """
    found = await histories(session, state, schema, catalog) if plan.pending else ()
    if not found:
        return plan, ()
    recorded = {name: each for each in reversed(found) for name in each.applied}
    steps = [
        evolve(step, state=StepState.ADOPTABLE, reason=f"not in history; {each.table} of {each.tool} records it")
        if step.state is StepState.PENDING
        and step.name not in shown.findings
        and (each := recorded.get(step.name)) is not None
        else step
        for step in plan.steps
    ]
    return evolve(plan, steps=tuple(steps), notes=tuple(map(str, found))), found


async def histories(
    session: Session, state: DatabaseState, schema: str, catalog: Catalog
) -> tuple[ForeignHistory, ...]:
    """Return the histories of other tools that concern a schema.

    The database is not asked where the schema is empty, where kimbledb has applied a migration to
    it, or where adopt() has examined it.

    Args:
        session: The session.
        state: The state of the database.
        schema: The target schema.
        catalog: The migrations, which the rows may mean.
    """
    if not state.occupied or state.looked or any(row.is_applied for row in state.history or ()):
        return ()
    known = [(tool, history) for tool in TOOLS for history in tool.histories]
    answer = await session.ask(
        queries.block(
            "foreign_histories",
            schema=quote_literal(schema),
            trusted=trusted(),
            known=quote_literal(
                json.dumps(
                    [
                        {
                            "place": place,
                            "home": history.schema,
                            "name": history.table,
                            "columns": history.columns,
                            "applied": history.applied,
                            "calls": history.calls or f'"{history.columns[0]}"',
                            "failed": history.failed,
                            "last": history.last,
                        }
                        for place, (_, history) in enumerate(known)
                        if history.schema is None or schema == _USUAL
                    ]
                )
            )
            + "::jsonb",
        )
    )
    names = Names(catalog)
    tables: dict[str, list[tuple[str, int, list[tuple[str, bool, bool]]]]] = {}
    for place, home, name, rows in answer:
        tool, history = known[place]
        if rows:
            tables.setdefault(f"{home}.{name}", []).append((tool.name, len(history.columns), rows))
    return tuple(_history_of(table, among, names) for table, among in tables.items())


def _history_of(
    table: str, among: Sequence[tuple[str, int, list[tuple[str, bool, bool]]]], names: Names
) -> ForeignHistory:
    """Return the history in a table that may be that of several tools. Those are named whose columns fit best."""
    _, most, rows = among[0]
    applied: dict[str, None] = {}
    for call, failed, is_last in rows:
        if not failed and (meant := names.meant_by(call)) is not None:
            applied |= dict.fromkeys(each.name for each in (names.up_to(meant) if is_last else (meant,)))
    return ForeignHistory(
        tool=" or ".join(tool for tool, columns, _ in among if columns == most),
        table=table,
        rows=len(rows),
        applied=tuple(applied),
        failed=tuple(call for call, failed, _ in rows if failed),
    )


def refuse(plan: Plan, shown: Evidence, found: Sequence[ForeignHistory]) -> None:
    """Refuse a plan where another tool calls pending migrations applied, or may have applied one that nothing shows.

    Args:
        plan: The plan.
        shown: The evidence of the database.
        found: The histories of other tools.

    Raises:
        ForeignHistoryError: Another tool's history holds, or may hold, a pending migration.
    """
    claimed = [step.name for step in plan.pending if any(step.name in each.applied for each in found)]
    unknown = [step.name for step in plan.pending if step.name not in shown.findings and step.name not in claimed]
    if found and (claimed or unknown):
        raise ForeignHistoryError(tuple(map(str, found)), claimed, unknown)
