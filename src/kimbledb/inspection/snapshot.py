"""Takes the snapshot of a schema.

``sql/queries/snapshot.sql`` documents the differences between versions of PostgreSQL, and evens them out.
"""

from __future__ import annotations

from collections.abc import Iterable

from kimbledb.model.names import quote_literal
from kimbledb.model.snapshot import Snapshot
from kimbledb.server import queries
from kimbledb.server.search_path import path_of
from kimbledb.server.session import Session


async def take(session: Session, schema: str, path: Iterable[str]) -> Snapshot:
    """Take a snapshot of a schema.

    Args:
        session: The session.
        schema: The schema.
        path: The schema and those of extensions: the snapshot omits their names.
    """
    seen_from = quote_literal(path_of(tuple(path)))
    rows = await session.ask(queries.printed("snapshot", seen_from, schema=quote_literal(schema)))
    return Snapshot({(kind, name): definition for kind, name, definition in rows})
