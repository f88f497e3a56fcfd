"""Measures on the target what forecasts of seconds need: read-only, in about a second, within the statement timeout."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from kimbledb.model.names import quote_array
from kimbledb.planning.forecasts import Key, Pace, Size
from kimbledb.server import queries
from kimbledb.server.search_path import trusted
from kimbledb.server.session import Session

#: Seconds for the tables together.
BUDGET = 1.0
#: The share of the statement timeout that may be used.
_SHARE = 0.25


async def measure(session: Session, tables: Iterable[Key], reached: Sequence[str] = ()) -> Pace:
    """Measure how fast the target computes and reads the pages of some tables. Nothing is written.

    Args:
        session: A session of the target.
        tables: The schema and the name of each table. One that is not there is left out.
        reached: The schemas that migrations declare to reach, whose owners are trusted.

    Raises:
        ServerError: The statement timeout passed all the same, or the server cannot answer.
    """
    budget = min(BUDGET, _SHARE * session.options.statement_timeout)
    answer = await session.ask(question(tables, reached, budget=budget))
    return Pace(float(answer["unit"]), {(row[0], row[1]): size_of(*row[2:]) for row in answer["tables"]})


def question(tables: Iterable[Key], reached: Sequence[str] = (), *, budget: float) -> str:
    """Return the block that measures.

    Args:
        tables: The schema and the name of each table.
        reached: The schemas that migrations declare to reach.
        budget: Seconds for reading. Each large table is read for one chunk of pages in any case.
    """
    those = sorted(set(tables))
    return queries.block(
        "rehearse_pace",
        budget=str(budget),
        trusted=trusted(reached),
        schemas=quote_array([schema for schema, _ in those]),
        tables=quote_array([name for _, name in those]),
    )


def size_of(
    estimate: float | None,
    pages: int | None,
    facts: dict[str, Any] | None,
    read: int,
    rows: int,
    seconds: float,
    reason: str | None,
) -> Size:
    """Return the size of a table, with its rows by what was counted, or else by the server's estimate. Pure.

    Args:
        estimate: The server's estimate of its rows, or None if it has never counted them.
        pages: The number of its pages.
        facts: The facts of the objects that depend on it.
        read: How many pages were read.
        rows: How many rows they hold.
        seconds: How long that took.
        reason: The reason why it was not read.
    """
    if pages is None or facts is None or reason is not None:
        return Size(estimate, pages or 0, unread=reason or "it was dropped meanwhile")
    size = Size(estimate, pages, **facts)
    if not read:
        return size
    return Size(rows / read * pages, pages, **facts, page=float(seconds) / read)
