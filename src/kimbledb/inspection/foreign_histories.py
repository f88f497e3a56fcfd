"""Histories of other tools in a database that kimbledb has not applied anything to.

What a catalog declares is looked for, whoever made it. Where a migration declares
nothing, nothing shows that another tool has applied it: then its history does.
"""

from __future__ import annotations

import json

from attrs import evolve, frozen

from kimbledb.catalog.other_tools import TOOLS
from kimbledb.errors import ForeignHistoryError
from kimbledb.model.migration import Evidence
from kimbledb.model.names import quote_identifier, quote_literal
from kimbledb.model.plan import Plan
from kimbledb.model.state import DatabaseState
from kimbledb.server import queries
from kimbledb.server.search_path import trusted
from kimbledb.server.session import Session

#: The schema that tools with a schema of their own work on.
_USUAL = "public"
#: Rows are counted no further.
_MOST = 1000


@frozen
class ForeignHistory:
    """A table in which another tool keeps what it has applied."""

    #: Of the tool, or of several that keep the same table.
    tool: str
    #: With its schema.
    table: str
    rows: int

    def __str__(self) -> str:
        rows = f"{_MOST:,} rows or more" if self.rows >= _MOST else f"{self.rows} row{'' if self.rows == 1 else 's'}"
        return f"the history of {self.tool} is there: {self.table}, {rows}"


async def with_histories(session: Session, plan: Plan, state: DatabaseState, schema: str) -> Plan:
    """Return a plan with notes of other tools' histories, where nothing of its own history is there to go by."""
    found = await histories(session, state, schema) if plan.pending else ()
    return evolve(plan, notes=tuple(map(str, found))) if found else plan


async def histories(session: Session, state: DatabaseState, schema: str) -> tuple[ForeignHistory, ...]:
    """Ask for the histories of other tools that speak of a schema.

    Nothing is asked where the schema is empty, where kimbledb has applied something to
    it, or where adopt() has looked at it.
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
        # Of those whose columns are there that with the most of them is meant.
        ForeignHistory(" or ".join(name for name, columns, _ in named if columns == named[0][1]), table, named[0][2])
        for table, named in tools.items()
    )


def refuse(plan: Plan, shown: Evidence, schema: str) -> None:
    """Stop where another tool's history may hold what would be run, and nothing in the database can show it.

    Raises:
        ForeignHistoryError: It may.
    """
    unknown = [step.name for step in plan.pending if step.name not in shown.findings]
    if plan.notes and unknown:
        raise ForeignHistoryError(plan.notes, unknown, f"{quote_identifier(schema)}.migration_history")
