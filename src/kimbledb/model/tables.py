"""Tables: the form in which a report gives its content to every output.

:mod:`kimbledb.model.outputs` writes them as text and as HTML, :mod:`kimbledb.cli.terminal` as the grid of a terminal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from attrs import frozen

#: What stands in one place of a table: a line, or several.
Cell: TypeAlias = "str | tuple[str, ...]"


@frozen(eq=False)
class Table:
    """A caption, with or without rows under it."""

    #: What the table shows, in one line.
    caption: str
    #: The cells of each row.
    rows: tuple[tuple[Cell, ...], ...] = ()
    #: The name of each column, or nothing for a list.
    headers: tuple[str, ...] = ()
    #: What else there is to know, a line each.
    notes: tuple[str, ...] = ()
    #: Whether ``print()`` leaves the table out: pages and the command line show it.
    detail: bool = False
    #: Whether a text has the caption under the rows, where the reader of a long table ends.
    below: bool = False
    #: The columns that need the room of a page.
    page_only: tuple[str, ...] = ()

    def columns(self, *, page: bool = False) -> list[tuple[str, Sequence[Cell]]]:
        """Return each column in which anything stands: its name and its cells.

        Raises:
            ValueError: A row has more or fewer cells than the others, or than there are headers.
        """
        if not self.rows:
            return []
        headers = self.headers or ("",) * len(self.rows[0])
        return [
            (header, cells)
            for header, *cells in zip(headers, *self.rows, strict=True)
            if any(cells) and (page or header not in self.page_only)
        ]


def rows_of(items: Iterable[object]) -> tuple[tuple[Cell], ...]:
    """Return the rows of a list: the text of one item each."""
    return tuple((lines_of(str(item)),) for item in items)


def listed(caption: str, items: Iterable[object]) -> tuple[Table, ...]:
    """Return a table with one item a row, or none where there is no item."""
    rows = rows_of(items)
    return (Table(caption, rows),) if rows else ()


def lines_of(text: str) -> Cell:
    """Return a text of several lines as a cell."""
    return tuple(text.split("\n"))


def is_numeric(cells: Iterable[Cell]) -> bool:
    """Whether a column holds numbers alone, which are aligned on the right."""
    return all(isinstance(cell, str) and re.fullmatch("[0-9.]*", cell) for cell in cells)


def in_order(tables: Iterable[Table], *, detail: bool) -> list[Table]:
    """Return the tables that a text or a terminal shows: those of detail first, so that the reader ends at the verdict."""
    return sorted((table for table in tables if detail or not table.detail), key=lambda table: not table.detail)
