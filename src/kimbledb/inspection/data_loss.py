"""The rows and values that a script loses, measured in the script's own transaction.

The text of a script does not show its deletions: a function, a trigger, a cascade or a DO block
deletes, too. So one block before the script notes storage, positions and the server's counters, and one
after it compares (``measure_before.sql``, ``measure_after.sql``), in the same message.
The server counts deleted and updated rows. Its counters do not show a table or column
that was dropped, truncated or rewritten: such a table is a suspect. Then the script is rolled back and runs again, and
the rows and values of the suspects are counted and compared before and after (``keep_values.sql``,
``compare_values.sql``). A script that turns out to lose nothing goes on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from attrs import frozen

from kimbledb.model.loss import Loss
from kimbledb.model.names import quote_array, quote_identifier, quote_literal
from kimbledb.model.reach import home_of
from kimbledb.server import queries
from kimbledb.server.codes import UNDEFINED_TABLE
from kimbledb.server.driver import ServerError
from kimbledb.server.retry import Retry
from kimbledb.server.session import Session
from kimbledb.server.settings import handed, setting

_UNDOES_PARTS = re.compile(r"\b(?:exception|savepoint)\b")

#: setval(), or EXECUTE of a text. The EXECUTE FUNCTION of a trigger is not one.
_SETS_SEQUENCES = (re.compile(r"setval"), re.compile(r"execute\b(?<!\wexecute)(?!\s+(?:function|procedure)\b)"))
#: A comment, and the body of a function, which runs only where it is called. These patterns read small letters, and each
#: begins with a word that is quickly found.
_UNREAD = (re.compile(r"--[^\n]*"), re.compile(r"as\s+\$(\w*)\$.*?\$\1\$", re.DOTALL))
#: Statements that change rows, drop something, or may do both.
_WRITES = tuple(
    map(
        re.compile,
        (
            r"update(?<!for update)(?<!on update)\s+(?!o[fnr]\b)",
            r"delete\s+from",
            r"merge\s+into",
            r"truncate\s+(?!o[fnr]\b)",
            r"refresh\s",
            r"execute\b(?!\s+(?:on|function|procedure)\b)",
            r"drop\s+(?!policy|trigger|function|constraint|default|not)",
            r"do\s+\$",
        ),
    )
)
#: The commands that may rewrite an existing table.
_REWRITES = tuple(
    map(re.compile, (r"default\s+\w+\s*\(", r"generated", r" type ", r"logged", r"cluster", r"method", r"tablespace"))
)
#: Rewrites that keep rows: a new column, and a refreshed materialised view.
_KEEPS_ROWS = (re.compile(r"add\s+(?!constraint|primary|unique|foreign|check|value)"), re.compile(r"refresh\b"))
#: A table that a script makes, and one that it changes.
_MAKES = re.compile(r"create\s+(?:\w+\s+)?table\s+(?:if\s+not\s+exists\s+)?([\w.\"]+)")
_CHANGES = re.compile(
    r"alter\s+(?:(?:foreign\s+)?table\s+(?:if\s+exists\s+)?(?:only\s+)?|sequence\s+|materialized\s+)([\w.\"]+)"
)
#: A table or materialised view whose loss no counter shows, in the form of the SQL.
Suspect = dict[str, Any]


@frozen(kw_only=True)
class Guard:
    """The measurement of the losses of one transaction."""

    schema: str
    #: The objects outside of the schema that the migration declares to reach, as in its facts.
    reaches: tuple[str, ...] = ()
    #: Whether the transaction rolls a migration back: then each updated row is a loss, too.
    rolling_back: bool = False
    #: Whether rows and values may be lost. They are counted all the same.
    allowed: bool = False
    #: Whether losses are reported only, for a transaction that is rolled back: then the sequences are protected.
    report_only: bool = False
    #: Whether the script may roll parts of itself back: the server counts the rows of these, too.
    undoing: bool = False
    #: Whether the script may set sequences back, which outlives its transaction: then their positions are read.
    sequences: bool = False
    #: The columns of the schema that rules convert or ``fills`` set, which lose nothing: each as [table, column], by their later names.
    converted: tuple[tuple[str, str], ...] = ()
    #: The tables whose losses an earlier attempt could not measure: these are counted this time.
    suspects: tuple[Suspect, ...] = ()
    #: As in ``Work.brief``. It is not for a script that sets sequences, which outlives its transaction.
    brief: bool = False
    #: Whether the script seems to lose nothing. Then nothing of what was there before it is read, and a
    #: script that may have lost some of it fails with ``LOOK_CLOSER``: it is to run again with all of it read.
    light: bool = False
    #: Whether it seems to rewrite tables: then the sizes of tables are read, to find those that are empty.
    sizes: bool = True

    def before(self) -> str:
        """Return the statements before the script. They look names up in pg_catalog."""
        literal = quote_literal(self.schema)
        text = queries.block("shield_sequences", schemas=self._schemas) if self.report_only else ""
        text += handed(
            {
                "kimbledb.suspects": self.suspects,
                "kimbledb.converted": self.converted,
                "kimbledb.lost": [],
                "kimbledb.made": [],
            }
        )
        closer = queries.filled("look_closer", what="'sequences'")
        if self.light:
            return text + queries.block(
                "measure_lightly", spaces=self._spaces, closer=closer, searching=queries.text_of("sets_sequences")
            )
        text += queries.block(
            "measure_before",
            spaces=self._spaces,
            sequences=_boolean(self.sequences or bool(self.suspects)),
            brief=_boolean(self.brief),
            closer=closer,
            searching=queries.text_of("sets_sequences"),
            sizes=_boolean(self.sizes or bool(self.suspects)),
        )
        if self.suspects:
            text += queries.block("keep_values", schema_literal=literal, forms=queries.filled("conversion_forms"))
        return text

    def after(self) -> str:
        """Return the statements after the script: they fail with ``DATA_LOSS``, or report."""
        literal = quote_literal(self.schema)
        text = queries.block("compare_values", schema_literal=literal) if self.suspects else ""
        return text + queries.block("check_script", parts=self.measuring())

    def measuring(self) -> str:
        """Return the part of ``check_script.sql`` that fails so, or with ``LOOK_CLOSER``, or reports."""
        literal = quote_literal(self.schema)
        if self.light:
            losses = queries.filled("look_closer", what="'losses'")
        else:
            block = queries.filled(
                "measure_losses",
                schema_literal=literal,
                schemas=self._schemas,
                back=_boolean(self.rolling_back),
                allowed=_boolean(self.allowed),
                reporting=_boolean(self.report_only),
                undoing=_boolean(self.undoing),
            )
            # Text, so that the server does not read it where it is not wanted.
            losses = "        EXECUTE " + quote_literal("DO " + quote_literal(block))
        namespace = f"(SELECT oid FROM pg_namespace WHERE nspname = {literal})"
        return queries.filled(
            "measure_after",
            reporting=_boolean(self.report_only),
            losses=losses,
            parts=queries.filled("own_parts", namespace=namespace),
        )

    @property
    def _schemas(self) -> str:
        return quote_array(self._homes)

    @property
    def _spaces(self) -> str:
        found = (f"to_regnamespace({quote_literal(quote_identifier(home))})" for home in self._homes)
        return f"ARRAY[{', '.join(found)}]::oid[]"

    @property
    def _homes(self) -> dict[str, None]:
        return dict.fromkeys((self.schema, *map(home_of, self.reaches)))


@frozen
class Measured:
    """The measured losses of a transaction."""

    losses: tuple[Loss, ...] = ()
    #: Updated rows, where an update is no loss.
    updates: tuple[Loss, ...] = ()
    suspects: tuple[Suspect, ...] = ()


class Suspected(Exception):
    """A script may have lost rows or values that must be counted first; it is rolled back, and is to run again.

    Attributes:
        suspects: The suspects for the ``Guard`` of the next run, with those of this run.
    """

    def __init__(self, suspects: Sequence[Suspect]) -> None:
        super().__init__()
        self.suspects = tuple(suspects)


class Lost(Exception):
    """A script would have lost data without permission; it is rolled back.

    Attributes:
        losses: The losses, with their numbers.
        standing: The effects outside of its transaction, which stay, in words, or None.
    """

    def __init__(self, losses: Sequence[Loss]) -> None:
        super().__init__()
        self.losses = tuple(losses)
        self.standing: str | None = None


def measured(value: dict[str, Any]) -> Measured:
    """Return the losses in the answer of the block after a script."""
    return Measured(_losses(value["lost"]), _losses(value["updated"]), tuple(value["suspects"]))


def may_undo_parts(script: str) -> bool:
    """Whether a script may roll parts of itself back: by a savepoint, or by a block that catches an error."""
    low = script.lower()
    return ("exception" in low or "savepoint" in low) and _UNDOES_PARTS.search(low) is not None


def may_rewrite(script: str) -> bool:
    """Whether a script seems to rewrite a table for a new column, or to refresh a materialised view.

    The answer may be wrong: a table is then taken for one with rows.
    """
    return _any_of(_KEEPS_ROWS, script.lower())


@lru_cache(maxsize=64)  # of the migrations of a message, which may be sent again
def seems_to_lose_nothing(script: str) -> bool:
    """Whether a script seems to change and delete no row, to drop nothing, and to rewrite no table but those that it makes.

    The answer may be wrong, which the server then shows (``Guard.light``).
    """
    read = script.lower()
    for unread in _UNREAD:
        read = unread.sub("", read)
    if _any_of(_WRITES, read):
        return False
    made = {match[1] for match in _MAKES.finditer(read)}
    return not _any_of(_REWRITES, read) or all(match[1] in made for match in _CHANGES.finditer(read))


def may_set_sequences(script: str) -> bool:
    """Whether a script may call setval(), by name or in a statement that it composes at run time.

    Other statements that restart or drop a sequence are rolled back with the transaction.
    """
    return _any_of(_SETS_SEQUENCES, script.lower())


def combined(several: Sequence[Measured]) -> Measured:
    """Return the losses of several transactions as those of one."""
    return Measured(
        tuple(loss for each in several for loss in each.losses),
        tuple(update for each in several for update in each.updates),
    )


def refusal(error: ServerError, guard: Guard) -> Suspected | Lost:
    """Return the exception for an error of the block after a script.

    Args:
        error: The error, with ``DATA_LOSS``.
        guard: The guard of the transaction.
    """
    found = measured(json.loads(error.detail or "{}"))
    if found.suspects:
        return Suspected((*guard.suspects, *found.suspects))
    return Lost(found.losses)


def suspects_of_drop(oids: Sequence[int]) -> tuple[Suspect, ...]:
    """Return tables and materialised views that will be dropped, as suspects that are counted at once."""
    flags = {"gone": True, "strong": True, "rows": True, "compare": False, "columns": [], "types": {}}
    return tuple({"oid": oid, **flags} for oid in oids)


async def count(session: Session, schema: str, objects: Sequence[Sequence[Any]]) -> tuple[Loss, ...]:
    """Count the rows of tables and materialised views, and the positions of sequences, without a lock.

    Args:
        session: The session.
        schema: The schema of the objects.
        objects: For each object its kind in pg_class, and its name; perhaps its number, and its name with its schema.

    Returns:
        The objects that hold rows or a position, with the numbers.

    Raises:
        Retry: One of the objects no longer exists: another run was quicker.
    """
    block = setting("kimbledb.relations", objects) + queries.block("count_losses", schema_literal=quote_literal(schema))
    try:
        return _losses(await session.ask(block, read_only=False))
    except ServerError as error:
        if error.sqlstate == UNDEFINED_TABLE:
            raise Retry from error
        raise


def loss_rows(losses: Sequence[Loss]) -> list[list[Any]]:
    """Return losses in the form of the SQL."""
    bounds = {(True, False): None, (False, True): "most"}
    return [[each.kind, each.name, each.count, bounds.get((each.exact, each.at_most), "unknown")] for each in losses]


def _losses(rows: Sequence[Sequence[Any]]) -> tuple[Loss, ...]:
    losses = [
        Loss(kind, name, number, exact=bound is None, at_most=bound == "most") for kind, name, number, bound in rows
    ]
    return tuple(sorted(losses, key=lambda loss: (loss.name, loss.kind)))


def _any_of(patterns: Sequence[re.Pattern[str]], text: str) -> bool:
    return any(pattern.search(text) for pattern in patterns)


def _boolean(value: bool) -> str:
    return "true" if value else "false"
