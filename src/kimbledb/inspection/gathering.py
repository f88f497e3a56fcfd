"""Evidence of a database: one snapshot of the schema, compared with what a catalog declares."""

from __future__ import annotations

from kimbledb.inspection import forms, snapshot
from kimbledb.model.evidence import Evidence
from kimbledb.model.forms import Forms
from kimbledb.model.state import DatabaseState
from kimbledb.planning import evidence
from kimbledb.planning.planner import Planner
from kimbledb.server.session import Session


async def gather(
    session: Session, planner: Planner, state: DatabaseState, schema: str, known: Forms | None = None
) -> Evidence:
    """Return the evidence of every migration. Asks two questions, or none where the schema is empty.

    Args:
        session: The session.
        planner: The planner, which has the migrations and their order.
        state: The state of the database.
        schema: The target schema.
        known: The forms that this server gives to the declared objects; None for those that history records.
    """
    if not state.occupied and not any(row.legacy for row in state.history or ()):
        return Evidence(hosted=state.hosted, gathered=True)
    path = state.search_path(schema, planner.catalog.extensions)
    reaches = [name for migration in planner.catalog for name in migration.reaches]
    found = await snapshot.take(session, schema, path, reached=reaches)
    recorded = known or await forms.read(session, schema, path)
    return evidence.weigh(planner.in_order(), found, hosted=state.hosted, forms=recorded)
