"""The tables that hold history: the statements that make them."""

from __future__ import annotations

from kimbledb.model.names import quote_identifier, quote_literal
from kimbledb.server import queries


def creation(schema: str, *, version: str, take_over: bool) -> str:
    """Return the statements that make the tables where they are missing.

    Args:
        schema: The target schema.
        version: Of this package, for the log.
        take_over: Whether there may be a history that another hand made, to be
            brought to the shape of ours. Where what is there is not to be taken over,
            they fail, and :func:`kimbledb.server.retry.meaning` makes a HistoryError of it.
    """
    quoted, literal = quote_identifier(schema), quote_literal(schema)
    mending = ""
    if take_over:
        mending = queries.block(
            "history_takeover", schema=quoted, schema_literal=literal, version=quote_literal(version)
        )
    guard = queries.block("guard_history", shape=queries.filled("history_shape", schema=literal))
    return queries.filled("history_tables", schema=quoted, schema_literal=literal, takeover=mending, guard=guard)
