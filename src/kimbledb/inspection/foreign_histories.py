"""Histories of other tools, in a database to which kimbledb has applied no migration.

The objects that a catalog declares are evidence, whichever tool created them. Where a migration declares
no object, only the history of another tool can show that the migration is applied.
"""

from __future__ import annotations

import json

from attrs import evolve, frozen

from kimbledb.catalog.other_tools import TOOLS
from kimbledb.errors import ForeignHistoryError
from kimbledb.model.evidence import Evidence
from kimbledb.model.names import quote_identifier, quote_literal
from kimbledb.model.plan import Plan
from kimbledb.model.state import DatabaseState
from kimbledb.server import queries
from kimbledb.server.search_path import trusted
from kimbledb.server.session import Session

#: The schema that is migrated by tools that keep their history in a schema of its own.
_USUAL = "public"
#: The most rows that are counted.
_MOST = 1000


@frozen
class ForeignHistory:
    """The history table of another tool."""

    #: The name of the tool, or of several tools that use the same table.
    tool: str
    #: The name of the table, with its schema.
    table: str
    rows: int

    def __str__(self) -> str:
        rows = f"{_MOST:,} rows or more" if self.rows >= _MOST else f"{self.rows} row{'' if self.rows == 1 else 's'}"
        return f"the database holds the history of {self.tool}: {self.table}, {rows}"


async def with_histories(session: Session, plan: Plan, state: DatabaseState, schema: str) -> Plan:
    """Return a plan with notes on other tools' histories, where kimbledb's own history is empty.

    Args:
        session: The session.
        plan: The plan.
        state: The state of the database.
        schema: The target schema.
    """
    found = await histories(session, state, schema) if plan.pending else ()
    return evolve(plan, notes=tuple(map(str, found))) if found else plan


async def histories(session: Session, state: DatabaseState, schema: str) -> tuple[ForeignHistory, ...]:
    """Return the histories of other tools that concern a schema.

    The database is not asked where the schema is empty, where kimbledb has applied a migration to
    it, or where adopt() has examined it.

    Args:
        session: The session.
        state: The state of the database.
        schema: The target schema.
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
                        }
                        for place, (_, history) in enumerate(known)
                        if history.schema is None or schema == _USUAL
                    ]
                )
            )
            + "::jsonb",
        )
    )
    tools: dict[str, list[tuple[str, int, int]]] = {}
    for place, home, name, rows in answer:
        tool, history = known[place]
        if rows:
            tools.setdefault(f"{home}.{name}", []).append((tool.name, len(history.columns), rows))
    return tuple(
        # Where the columns fit several tools, the tools with the most columns are named.
        ForeignHistory(" or ".join(name for name, columns, _ in named if columns == named[0][1]), table, named[0][2])
        for table, named in tools.items()
    )


def refuse(plan: Plan, shown: Evidence, schema: str) -> None:
    """Refuse a plan where another tool may have applied a pending migration and no evidence can show it.

    Args:
        plan: The plan, with notes on other tools' histories.
        shown: The evidence of the database.
        schema: The target schema.

    Raises:
        ForeignHistoryError: Another tool's history may hold a pending migration.
    """
    unknown = [step.name for step in plan.pending if step.name not in shown.findings]
    if plan.notes and unknown:
        raise ForeignHistoryError(plan.notes, unknown, f"{quote_identifier(schema)}.migration_history")
