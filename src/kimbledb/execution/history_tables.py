"""The statements that make the tables of history and the log."""

from __future__ import annotations

from kimbledb.model.names import quote_identifier, quote_literal
from kimbledb.server import queries


def creation(schema: str, *, version: str, take_over: bool) -> str:
    """Return the statements that make the tables where they are missing.

    They fail where a table of that name exists that cannot be taken over, and
    ``kimbledb.server.retry.meaning()`` makes a HistoryError of that failure.

    Args:
        schema: The target schema.
        version: The version of this package, for the log.
        take_over: Whether a history that another hand made may exist, which is to be altered to the
            shape of kimbledb's own.
    """
    quoted, literal = quote_identifier(schema), quote_literal(schema)
    alterations = ""
    if take_over:
        alterations = queries.block(
            "history_takeover", schema=quoted, schema_literal=literal, version=quote_literal(version)
        )
    guard = queries.block("guard_history", shape=queries.filled("history_shape", schema=literal))
    return queries.filled("history_tables", schema=quoted, schema_literal=literal, takeover=alterations, guard=guard)
