"""Copy the target's history and the statistics of its tables into a clone, and no row of a table."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from attrs import frozen

from kimbledb.model.names import quote_array, quote_identifier, quote_literal
from kimbledb.model.state import DatabaseState
from kimbledb.server import queries
from kimbledb.server.session import Session


@frozen(eq=False)
class Contents:
    """The rows of history, and the statistics."""

    history: list[dict[str, Any]]
    #: For each table its schema, name, pages, rows and columns; for each column its name, whether its statistics are
    #: those of a tree of tables, and its share of NULL, width and number of different values.
    statistics: list[Any]


async def read(session: Session, state: DatabaseState, schema: str, schemas: Iterable[str]) -> Contents:
    """Read the contents of the target.

    Args:
        session: A session of the target.
        state: The state of its database.
        schema: The target schema.
        schemas: The schemas whose statistics are wanted.
    """
    rows = []
    if state.history is not None:
        rows = await session.ask(queries.question("rehearse_history", schema=quote_identifier(schema)))
    statistics = await session.ask(queries.question("rehearse_statistics", schemas=quote_array(sorted(schemas))))
    return Contents(rows, statistics)


async def give(session: Session, contents: Contents, schema: str) -> None:
    """Give a clone the contents of the target.

    Args:
        session: A session of the clone.
        contents: The contents.
        schema: The target schema.
    """
    given = ""
    if contents.history:
        rows = f"{quote_literal(json.dumps(contents.history))}::jsonb"
        given += queries.block("rehearse_take_history", schema=quote_identifier(schema), rows=rows)
    if contents.statistics:
        statistics = quote_literal(json.dumps(contents.statistics))
        given += queries.block("rehearse_take_statistics", statistics=statistics)
    if given:
        await session.send(f"BEGIN;\n{session.settings()}{given}COMMIT;\n")
