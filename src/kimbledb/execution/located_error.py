"""A server's error with its place in a file and its cure, as it is shown and as history keeps it."""

from __future__ import annotations

import unicodedata
from typing import Any

from attrs import frozen

from kimbledb.model.text import printable

#: Characters of a line of the server's detail and context that are shown.
_LONGEST_LINE = 300


@frozen
class LocatedError:
    """A server's error, its place in a file, and its cure."""

    message: str
    sqlstate: str
    hint: str | None
    file: str | None = None
    line: int | None = None
    column: int | None = None
    statement: str | None = None
    #: The line as it is shown: strings and comments masked, a long line cut.
    source: str | None = None
    #: The column of the caret under it, counted from 0, or None where the server named no character.
    caret: int | None = None
    #: The server's stack of function calls, or None.
    context: str | None = None
    #: The server's detail: names of objects.
    detail: str | None = None
    #: The name of the SQLSTATE's condition.
    condition: str = ""
    #: The object of the error, by the server's own fields: ``constraint t_pkey of table t``.
    subject: str | None = None

    @property
    def attributes(self) -> dict[str, Any]:
        """The attributes of the ``MigrationError`` or RollbackError that it becomes."""
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "statement": self.statement,
            "sqlstate": self.sqlstate,
            "hint": self.hint,
        }

    @property
    def for_history(self) -> str:
        """The text for history and the log: condition, names and place, and no words that could quote a value."""
        about = "" if self.subject is None else f" of {self.subject}"
        place = "" if self.file is None else f" at {self.file}" + ("" if self.line is None else f":{self.line}")
        return f"{self.condition}{about} (SQLSTATE {self.sqlstate}){place}"

    def __str__(self) -> str:
        lines = [f"{self.message} (SQLSTATE {self.sqlstate})"]
        if self.file is not None and self.line is not None:
            place = f"{self.file}:{self.line}" + (f":{self.column}" if self.column else "")
            lines.append(f"  at {place}")
            if self.source is not None:
                number = f"{self.line}"
                lines.append(f"  {number} | {self.source}")
                if self.caret is not None:
                    lines.append(f"  {' ' * len(number)} | {_blank(self.source[: self.caret])}^")
        elif self.file is not None:
            lines.append(f"  in {self.file}")
        if self.detail:
            lines += [f"  {cut(line)}" for line in self.detail.splitlines()[:10]]
        if self.context:
            lines += [f"  {cut(line)}" for line in self.context.splitlines()[:3] if "inline_code_block" not in line]
        return "\n".join(lines)


def _blank(text: str) -> str:
    """Return spaces as wide as a text is shown: characters that cannot be shown are spelt out, and tabs stay tabs."""
    return "".join(each if each == "\t" else " " * _width(each) for each in printable(text))


def _width(character: str) -> int:
    """Return the number of columns of a terminal that a character takes."""
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cut(text: str, longest: int = _LONGEST_LINE) -> str:
    """Return a text, cut where it has more characters than are shown."""
    return text if len(text) <= longest else f"{text[: longest - 3]}..."
