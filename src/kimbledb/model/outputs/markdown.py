"""Markdown: the output for a comment on a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from kimbledb.model.tables import Cell, Table, is_numeric
from kimbledb.model.text import one_line

#: The characters that may have a meaning in Markdown.
_SPECIAL: Final = re.compile(r"[\\`*_\[\]<>|~#&!$]")


def write(tables: Iterable[Table]) -> str:
    """Write tables in GitHub's Markdown. Nothing in a cell is read as Markdown, or as HTML.

    Args:
        tables: The tables of a report.

    Raises:
        ValueError: A row of a table has more or fewer cells than there are headers.
    """
    return "\n".join(line for table in tables for line in lines_of(table))


def lines_of(table: Table) -> Iterator[str]:
    """Yield the lines of a table: its caption, its rows and its notes.

    Args:
        table: The table.
    """
    columns = table.columns()
    if table.caption:
        yield f"**{escaped(table.caption)}**"
        yield ""
    if columns:
        yield _row(header for header, _ in columns)
        yield _row("---:" if is_numeric(cells) else "---" for _, cells in columns)
        yield from (_row(_text(cell) for cell in row) for row in zip(*(cells for _, cells in columns), strict=True))
        yield ""
    for note in table.notes:
        yield f"- {escaped(note)}"
    if table.notes:
        yield ""


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _text(cell: Cell) -> str:
    return "<br>".join(escaped(line) for line in ((cell,) if isinstance(cell, str) else cell))


def escaped(text: str) -> str:
    """Return a text that is read as it stands, in one line. It calls nobody by ``@name``.

    Args:
        text: The text.
    """
    return _SPECIAL.sub(r"\\\g<0>", one_line(text)).replace("@", "@<!-- -->")
