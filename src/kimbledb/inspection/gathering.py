"""Evidence of a database: one snapshot of the schema, compared with what a catalog declares."""

from __future__ import annotations

from kimbledb.catalog.catalog import Catalog
from kimbledb.inspection import snapshot
from kimbledb.model.evidence import Evidence
from kimbledb.model.state import DatabaseState
from kimbledb.planning import evidence
from kimbledb.server.session import Session


async def gather(session: Session, catalog: Catalog, state: DatabaseState, schema: str) -> Evidence:
    """Return the evidence of every migration. Asks one question, or none where the schema is empty.

    Args:
        session: The session.
        catalog: The migrations.
        state: The state of the database.
        schema: The target schema.
    """
    if not state.occupied and not any(row.legacy for row in state.history or ()):
        return Evidence(hosted=state.hosted, gathered=True)
    path = state.search_path(schema, catalog.extensions)
    return evidence.weigh(catalog, await snapshot.take(session, schema, path), hosted=state.hosted)
