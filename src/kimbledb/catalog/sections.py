"""Sections of a script, and what a tool always adds to one, taken off.

What is taken off becomes spaces: every character that stays keeps its line and its column in the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from attrs import evolve, frozen

from kimbledb.catalog import statements
from kimbledb.catalog.script_problems import ends_transaction
from kimbledb.catalog.statements import Statement
from kimbledb.model.script import Script

_BEGINS: Final = re.compile(r"(?:begin|start(?=\s+transaction))(?:\s+(?:work|transaction))?", re.IGNORECASE)
_COMMITS: Final = re.compile(r"(?:commit|end)(?:\s+(?:work|transaction))?", re.IGNORECASE)
_ROLLS_BACK: Final = re.compile(r"(?:rollback|abort)(?:\s+(?:work|transaction))?", re.IGNORECASE)
_SETS: Final = re.compile(
    r"set\s+(?!(?:local|transaction|constraints|session\s+(?:authorization|characteristics))\b)(?:session\s+)?",
    re.IGNORECASE,
)


@frozen(eq=False)
class Mark:
    """A line by which a tool divides a script."""

    #: The offset of its first character, and that of the end of its line.
    start: int
    end: int
    #: The meaning of the pattern's group.
    word: str


def marks_in(script: Script, pattern: re.Pattern[str]) -> list[Mark]:
    """Return the marks of a script in the order of the text.

    Args:
        script: The script.
        pattern: A pattern of one whole line, with ``re.MULTILINE`` and one group.
    """
    return [Mark(match.start(), match.end(), match[1].strip()) for match in pattern.finditer(script.text)]


def without(script: Script, spans: Iterable[tuple[int, int]], *, semicolon: bool = False) -> Script:
    """Return a script with spaces for some of its text.

    Args:
        script: The script.
        spans: The beginning and the end of each text, as offsets, ascending.
        semicolon: Whether a semicolon stands in place of the first character of each.
    """
    parts: list[str] = []
    position = 0
    for begin, end in spans:
        blank = re.sub(r"[^\n]", " ", script.text[begin:end])
        parts += [script.text[position:begin], ";" + blank[1:] if semicolon and blank else blank]
        position = max(position, end)
    return evolve(script, text="".join([*parts, script.text[position:]])) if parts else script


def up_to(script: Script, end: int) -> Script:
    """Return a script up to an offset: what stands before it keeps its place in the file."""
    return evolve(script, text=script.text[:end])


def parted(script: Script, start: int | None) -> tuple[Script, Script | None]:
    """Return a migration and its rollback, which stand in one script.

    Args:
        script: The script.
        start: The offset of the rollback, which begins a line; None where the script holds the migration alone.
    """
    if start is None:
        return script, None
    rollback = evolve(script, text=script.text[start:], first_line=script.line_and_column(start)[0])
    return up_to(script, start), rollback


def holds_sql(script: Script) -> bool:
    """Return whether a script holds anything but space and comments."""
    return statements.holds_sql(script.text, 0)


def runs_alone(script: Script) -> Statement | None:
    """Return the first statement of a script that the server refuses in a transaction, or None."""
    return next((each for each in _split(script) if statements.runs_alone(each.skeleton)), None)


def without_transaction(script: Script, *, rolled_back: bool = False) -> Script:
    """Return a script without the BEGIN and the COMMIT around it; the same script where there are none.

    Args:
        script: The script.
        rolled_back: Whether a ROLLBACK stands in place of the COMMIT.
    """
    first = statements.first_from(script.text, 0)
    if first is None or _BEGINS.fullmatch(first.skeleton) is None:
        return script
    every = list(_split(script))
    ending = _ROLLS_BACK if rolled_back else _COMMITS
    if len(every) < 2 or ending.fullmatch(every[-1].skeleton) is None:
        return script
    if any(ends_transaction(each.skeleton) for each in every[1:-1]):
        return script
    return without(script, map(_span, (first, every[-1])))


def with_local_settings(script: Script) -> Script:
    """Return a script whose SETs end with its transaction, as they ended with the session that its tool gave it."""
    parts: list[str] = []
    position = 0
    for each in _split(script):
        if (match := _SETS.match(script.text, each.start)) is not None and _SETS.match(each.skeleton) is not None:
            parts += [script.text[position : each.start], "SET LOCAL "]
            position = match.end()
    return evolve(script, text="".join([*parts, script.text[position:]])) if parts else script


def without_statements(script: Script, unwanted: Callable[[Statement], bool]) -> tuple[Script, list[Statement]]:
    """Return a script without some of its statements, and these.

    Args:
        script: The script.
        unwanted: Whether a statement is to be taken off.
    """
    found = [each for each in _split(script) if unwanted(each)]
    return without(script, map(_span, found)), found


def _span(statement: Statement) -> tuple[int, int]:
    return statement.start, statement.start + len(statement.text)


def _split(script: Script) -> Iterator[Statement]:
    """Yield the statements of a script up to the first that cannot be read: the checks of the script report that one."""
    found = statements.split(script.text)
    while True:
        try:
            each = next(found)
        except (StopIteration, ValueError):
            return
        yield each


def divided(script: Script, marks: Sequence[Mark]) -> Script:
    """Return a script without the marks themselves."""
    return without(script, ((mark.start, mark.end) for mark in marks))
