"""How much stands in the tables and columns that would go."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from kimbledb import queries
from kimbledb.names import quote_literal
from kimbledb.runner import Again
from kimbledb.session import Session, setting


async def count(
    session: Session, schema: str, at_stake: Sequence[Sequence[str | None]]
) -> list[tuple[str, str | None, int]]:
    """Count the rows of tables and the values of columns, from one snapshot and without a lock.

    Args:
        session: Where to ask.
        schema: The schema in which they are.
        at_stake: A table and None, or a table and one of its columns.

    Returns:
        What holds anything: table, column or None, and how much.

    Raises:
        Again: One of them has gone since it was seen: another run was quicker.
    """
    block = setting("kimbledb.at_stake", at_stake) + queries.block("count_losses", schema_literal=quote_literal(schema))
    try:
        return [(table, column, number) for table, column, number in await session.ask(block)]
    except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError) as error:
        raise Again from error
