"""What a script takes away of what was there before it, measured in its own transaction.

A script is not read for what it deletes: a function, a trigger, a cascade or a DO block
does it as well. One block before it notes storage, positions and the server's counters, one
after it compares (``measure_before.sql``, ``measure_after.sql``), in the same message.
Deleted and updated rows are counted by the server; what counters do not show (a table or column
that is gone, emptied, written anew) is a suspect: the script is undone and run again, and this
time what is in the suspects is counted and compared before and after (``keep_values.sql``,
``compare_values.sql``). What turns out to cost nothing goes on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from attrs import frozen

from kimbledb.model.migration import Loss
from kimbledb.model.names import quote_array, quote_literal
from kimbledb.server import queries
from kimbledb.server.driver import ServerError
from kimbledb.server.retry import Retry
from kimbledb.server.session import Session
from kimbledb.server.settings import setting

_TAKES_BACK = re.compile(r"\b(?:exception|savepoint)\b", re.IGNORECASE)

#: setval(), or EXECUTE of a text; that of a trigger's function is none.
_SETS = re.compile(r"setval|\bexecute\b(?!\s+(?:function|procedure)\b)", re.IGNORECASE)
#: The SQLSTATE of a table that is not there.
_NO_SUCH_TABLE = "42P01"
#: A table or materialised view whose loss no counter shows, as the SQL knows it.
Suspect = dict[str, Any]


@frozen(kw_only=True)
class Guard:
    """How one transaction is watched."""

    schema: str
    #: What the migration says that it reaches outside of it, as in its facts.
    reaches: tuple[str, ...] = ()
    #: Whether it takes a migration back: then each row that is updated counts, too.
    back: bool = False
    #: Whether rows and values may go. They are counted all the same.
    allowed: bool = False
    #: Whether it only tells, for a transaction that is rolled back: then sequences are kept as they are.
    telling: bool = False
    #: Whether the script may take parts of itself back, which the server counts all the same.
    undoing: bool = False
    #: Whether the script may set sequences back, which outlives its transaction: then it is read where they are.
    sequences: bool = False
    #: What an earlier try could not tell, and is counted this time.
    suspects: tuple[Suspect, ...] = ()

    def before(self) -> str:
        """Return what stands before the script. Names are looked up in pg_catalog."""
        literal = quote_literal(self.schema)
        text = queries.block("shield_sequences", schemas=self._schemas) if self.telling else ""
        text += (
            setting("kimbledb.suspects", self.suspects) + setting("kimbledb.lost", []) + setting("kimbledb.made", [])
        )
        text += queries.block(
            "measure_before", schemas=self._schemas, sequences=_boolean(self.sequences or bool(self.suspects))
        )
        if self.suspects:
            text += queries.block("keep_values", schema_literal=literal, forms=queries.filled("conversion_forms"))
        return text

    def after(self) -> str:
        """Return what stands after the script: it fails with :data:`~kimbledb.server.session.DATA_AT_STAKE`, or tells."""
        literal = quote_literal(self.schema)
        text = queries.block("compare_values", schema_literal=literal) if self.suspects else ""
        losses = "DO " + quote_literal(
            queries.filled(
                "measure_losses",
                schema_literal=literal,
                schemas=self._schemas,
                back=_boolean(self.back),
                allowed=_boolean(self.allowed),
                telling=_boolean(self.telling),
                undoing=_boolean(self.undoing),
            )
        )
        namespace = f"(SELECT oid FROM pg_namespace WHERE nspname = {literal})"
        return text + queries.block(
            "measure_after",
            telling=_boolean(self.telling),
            losses=quote_literal(losses),
            parts=queries.filled("own_parts", namespace=namespace),
        )

    @property
    def _schemas(self) -> str:
        return quote_array(dict.fromkeys((self.schema, *(each.partition(".")[0] for each in self.reaches))))


@frozen
class Measured:
    """What a transaction took away, as far as it could be told."""

    losses: tuple[Loss, ...] = ()
    #: Rows that were updated where that is no loss.
    updates: tuple[Loss, ...] = ()
    suspects: tuple[Suspect, ...] = ()


class Suspected(Exception):
    """A script reached what has to be counted first; it is undone, and worth another run.

    Attributes:
        suspects: For the :class:`Guard` of that run, with those of this one.
    """

    def __init__(self, suspects: Sequence[Suspect]) -> None:
        super().__init__()
        self.suspects = tuple(suspects)


class Lost(Exception):
    """A script would have lost data without leave; it is undone.

    Attributes:
        losses: What, and how much of it.
        standing: What was done outside of its transaction and stays, in words, or None.
    """

    def __init__(self, losses: Sequence[Loss]) -> None:
        super().__init__()
        self.losses = tuple(losses)
        self.standing: str | None = None


def measured(value: dict[str, Any]) -> Measured:
    """Return what the block after a script told."""
    return Measured(_losses(value["lost"]), _losses(value["updated"]), tuple(value["suspects"]))


def takes_back(script: str) -> bool:
    """Whether a script may take parts of itself back: by a savepoint, or where a block catches an error."""
    return _TAKES_BACK.search(script) is not None


def sets_sequences(script: str) -> bool:
    """Whether a script may call setval(), by name or in a statement that it puts together when it runs.

    What restarts or drops a sequence otherwise is undone with the transaction.
    """
    return _SETS.search(script) is not None


def together(several: Sequence[Measured]) -> Measured:
    """Return what several transactions took away, as of one."""
    return Measured(
        tuple(loss for each in several for loss in each.losses),
        tuple(update for each in several for update in each.updates),
    )


def refusal(error: ServerError, guard: Guard) -> Suspected | Lost:
    """Return what it means that the block after a script stopped it."""
    found = measured(json.loads(error.detail or "{}"))
    if found.suspects:
        return Suspected((*guard.suspects, *found.suspects))
    return Lost(found.losses)


def dropping(oids: Sequence[int]) -> tuple[Suspect, ...]:
    """Return tables and materialised views that will be dropped as what is counted at once."""
    flags = {"gone": True, "strong": True, "rows": True, "compare": False, "columns": [], "types": {}}
    return tuple({"oid": oid, **flags} for oid in oids)


async def count(session: Session, schema: str, stakes: Sequence[Sequence[Any]]) -> tuple[Loss, ...]:
    """Count what tables, materialised views and sequences hold, without a lock.

    Args:
        session: Where to ask.
        schema: The schema in which they are.
        stakes: Of each its kind in pg_class, and its name.

    Returns:
        What holds anything.

    Raises:
        Retry: One of them has gone since it was seen: another run was quicker.
    """
    block = setting("kimbledb.stakes", stakes) + queries.block("count_losses", schema_literal=quote_literal(schema))
    try:
        return _losses(await session.ask(block, read_only=False))
    except ServerError as error:
        if error.sqlstate == _NO_SUCH_TABLE:
            raise Retry from error
        raise


def as_measured(losses: Sequence[Loss]) -> list[list[Any]]:
    """Return losses in the form in which the SQL tells them."""
    bounds = {(True, False): None, (False, True): "most"}
    return [[each.kind, each.name, each.count, bounds.get((each.exact, each.at_most), "unknown")] for each in losses]


def _losses(rows: Sequence[Sequence[Any]]) -> tuple[Loss, ...]:
    losses = [
        Loss(kind, name, number, exact=bound is None, at_most=bound == "most") for kind, name, number, bound in rows
    ]
    return tuple(sorted(losses, key=lambda loss: (loss.name, loss.kind)))


def _boolean(value: bool) -> str:
    return "true" if value else "false"
