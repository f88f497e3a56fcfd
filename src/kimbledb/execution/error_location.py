"""From a server's error to the file, the line and the character that caused it.

The server names a character for errors of syntax and of names. For an error that arises while a
statement runs it names none: then the statements that it completed are counted.
"""

from __future__ import annotations

import bisect
import json
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import accumulate, pairwise

from attrs import evolve

from kimbledb.catalog import statements
from kimbledb.catalog.script_problems import misleading_in
from kimbledb.catalog.statements import Statement
from kimbledb.execution.cures import cure_of
from kimbledb.execution.located_error import LocatedError, cut
from kimbledb.model.migration import Migration
from kimbledb.model.redaction import cover, excerpt, spans
from kimbledb.model.script import Script
from kimbledb.model.text import one_line
from kimbledb.server.codes import (
    DATA_LOSS,
    INDEX_NOT_VALID,
    REACHED_OUTSIDE,
    TRANSACTION_ENDED,
    UNDEFINED,
    own_code,
)
from kimbledb.server.driver import ServerError
from kimbledb.server.drivers.asyncpg import condition
from kimbledb.server.loops import END_OF_SCRIPT

#: The line of a DO block's body on which PL/pgSQL stopped, in whatever language of the server.
_LINE_OF_BLOCK = re.compile(r"inline_code_block\D*(\d+)")
#: Characters of a message that are shown.
_LONGEST_MESSAGE = 1000
#: The words in history for errors of kimbledb's own blocks.
_OUR_CONDITIONS = {
    TRANSACTION_ENDED: "the script ended its transaction",
    REACHED_OUTSIDE: "the script reached outside of its schema",
    INDEX_NOT_VALID: "the script passed over an index that is not valid",
    DATA_LOSS: "rows or values would be lost",
}
_SYNTAX_ERROR = "42601"
#: SQLSTATEs of names and syntax: the server may have taken a character that looks like a space for a part of a name.
_OF_NAMES = UNDEFINED | {_SYNTAX_ERROR}


def locate(
    error: ServerError, migration: Migration, script: Script, *, offset: int | None, exact: bool
) -> LocatedError:
    """Return an error with its place in a file and its cure.

    Args:
        error: The server's error.
        migration: The migration that the script belongs to.
        script: The script that was sent.
        offset: How many characters of the script stand before the place, or None where the place is unknown.
        exact: True where the server named the character, False where only the start of the statement is known.
    """
    text = script.text
    sqlstate = error.sqlstate
    ours = own_code(error)
    located = LocatedError(
        message=cut(error.message, _LONGEST_MESSAGE),
        sqlstate=sqlstate,
        hint=cure_of(error, migration, "" if offset is None else text[offset : offset + 20]),
        file=script.path,
        # The stack and the detail of kimbledb's own errors are for programs.
        context=error.context if ours is None else None,
        detail=error.detail if ours is None else None,
        condition=condition(sqlstate) if ours is None else _OUR_CONDITIONS.get(ours, "refused by kimbledb"),
        subject=_subject(error) if ours is None else None,
    )
    if ours == REACHED_OUTSIDE and (offset is None or not 0 <= offset < len(text)):
        offset, exact = _first_naming(text, json.loads(error.detail or "[]")), False
    if offset is None or not 0 <= offset <= len(text):
        return located
    if not exact and ours is None:
        offset = _place_in_block(error, text, offset)
    line, column = script.line_and_column(offset)
    hidden = spans(text, broken_at=offset if sqlstate == _SYNTAX_ERROR and exact else None)
    source, caret = excerpt(text, offset, hidden)
    found = statement_at(text, offset)
    seeming = None
    if sqlstate in _OF_NAMES:
        begin = text.rfind("\n", 0, offset) + 1
        end = text.find("\n", offset)
        seeming = misleading_in(text[begin : len(text) if end < 0 else end])
    return evolve(
        located,
        hint=located.hint if seeming is None else f"{seeming}, which is part of a name there: write it in ASCII",
        line=line,
        column=column if exact else None,
        statement=None if found is None else cover(text, hidden, found.start, found.start + len(found.text)),
        source=source,
        caret=caret if exact else None,
    )


def _first_naming(text: str, names: Sequence[str]) -> int | None:
    """Return the start of the first statement that names an object of another schema, or None where none does.

    Args:
        text: The script.
        names: The objects as ``schema.object``, or the names of schemas.
    """
    wanted = [set(name.split(".", 1)) for name in names]
    with suppress(ValueError):  # the script cannot be split into statements
        for statement in statements.split(text):
            words = statements.names_in(statement.text)
            if any(parts <= words for parts in wanted):
                return statement.start
    return None


def _place_in_block(error: ServerError, text: str, offset: int) -> int:
    """Return the place in a DO block at which an error arose, or the start of the statement where it is unknown.

    Args:
        error: The server's error.
        text: The script.
        offset: The number of characters before the statement.
    """
    # The outermost call comes last.
    numbers = _LINE_OF_BLOCK.findall(error.context or "")
    with suppress(ValueError):  # the script cannot be split into statements
        return (numbers and statements.line_of_block(text, offset, int(numbers[-1]))) or offset
    return offset


def _subject(error: ServerError) -> str | None:
    """Return the object of an error, by the names that the server gives in fields of their own."""
    names = (("constraint", error.constraint_name), ("column", error.column_name), ("table", error.table_name))
    named = [f"{kind} {one_line(name)}" for kind, name in names if name]
    return " of ".join(named) or None


def statement_at(text: str, offset: int) -> Statement | None:
    """Return the statement at a place in a script, or None where there is none, or where the script cannot be split.

    Args:
        text: The script.
        offset: The number of characters before the place.
    """
    with suppress(ValueError):  # the server found a fault that keeps the script from being split into statements
        return next(
            (each for each in statements.split(text) if each.start <= offset <= each.start + len(each.text)), None
        )
    return None


def offset_in(error: ServerError, statement: str, start: int) -> int:
    """Return the number of characters of a script before the place of an error in a statement that was sent by itself.

    Args:
        error: The server's error.
        statement: The statement.
        start: The number of characters before the statement.
    """
    # The place of a statement that breaks off is right after it.
    return start + min(error.position - 1 if error.position else 0, len(statement))


def offset_of(
    error: ServerError, script: str, ahead: str, completed: int, *, start: int = 0, exact: bool = True
) -> int | None:
    """Return the number of characters of a script before the place of an error, or None where it is not in the script.

    Args:
        error: The server's error.
        script: The text of the script that was sent.
        ahead: The part of its transaction before the script.
        completed: How many statements of that transaction the server completed.
        start: How many characters of the message stand before that transaction.
        exact: Whether the character that the server names is wanted, and not the start of the statement.
    """
    if not (error.position and exact):
        return _failed_statement(script, ahead, completed)
    place = error.position - 1 - start - len(ahead)
    if 0 <= place - len(script) < len(END_OF_SCRIPT):
        return len(script.rstrip())  # the last statement breaks off, and the server met our semicolon
    return place if 0 <= place <= len(script) else None  # else it is in kimbledb's own statements


def failed_script(error: ServerError, ahead: Sequence[str], completed: int, *, start: int = 0) -> int:
    """Return the index of the script at which the server stopped.

    Args:
        error: The server's error.
        ahead: For each script the part of its transaction before it.
        completed: How many statements of that transaction the server completed.
        start: How many characters of the message stand before that transaction.
    """
    return stopped_in(error, [text[len(before) :] for before, text in pairwise(("", *ahead))], completed, start=start)


def stopped_in(error: ServerError, pieces: Iterable[str], completed: int, *, start: int = 0) -> int:
    """Return the index of the script at which the server stopped.

    Args:
        error: The server's error.
        pieces: The text of the transaction up to the last script, cut where each script begins.
        completed: As for ``failed_script()``.
        start: As for ``failed_script()``.
    """
    if error.position:
        place, sizes = error.position - 1 - start, [len(text) for text in pieces]
    else:
        place, sizes = completed, [sum(1 for _ in statements.split(text)) for text in pieces]
    return max(bisect.bisect_right([*accumulate(sizes)], place) - 1, 0)


def _failed_statement(script: str, ahead: str, completed: int) -> int | None:
    """Return the start of the statement at which the server stopped, or None where it is not in the script."""
    try:
        number = completed - sum(1 for _ in statements.split(ahead))
        starts = [statement.start for statement in statements.split(script)]
    except ValueError:
        return None
    return starts[number] if 0 <= number < len(starts) else None
