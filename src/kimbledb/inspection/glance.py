"""The first question of a start, which most of them need alone: history, as far as it shows that nothing is pending."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from kimbledb.model.names import quote_identifier, quote_literal
from kimbledb.server import queries
from kimbledb.server.session import Session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kimbledb.model.evidence import AppliedMigration


class Glance(NamedTuple):
    """The facts that show whether a start has nothing to do."""

    #: As in ``kimbledb.model.state.DatabaseState``.
    hosted: bool
    #: The rows of history: name, success, checksum, time, version, adopted, and error of each.
    rows: Sequence[Sequence[Any]]
    #: As in ``kimbledb.model.state.DatabaseState``.
    history_owner: str | None

    @property
    def history(self) -> tuple[AppliedMigration, ...]:
        """The rows as values."""
        from kimbledb.inspection.history import history_of  # a start with nothing to do compares the rows as they are

        return history_of(self.rows)


async def glance(session: Session, schema: str) -> Glance | None:
    """Read history in one round trip and one statement.

    Args:
        session: The session.
        schema: The target schema.

    Returns:
        The glance, or None where ``history.look()`` is needed: the table does not exist, has another shape,
        is hidden by policies, or belongs to a stranger.
    """
    quoted = quote_identifier(schema)
    rows = queries.filled("glance_rows", schema=quoted)
    table = quote_literal(f"{quoted}.migration_history")
    answer = await session.read(queries.filled("glance", rows=quote_literal(rows), table=table))
    if answer is None:
        return None
    text = answer["history"].partition("<h>")[2].rpartition("</h>")[0]
    for escaped, character in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        text = text.replace(escaped, character)
    return Glance(answer["hosted"], json.loads(text), answer["owner"])
