"""Tables: the form in which a report gives its content to every output.

``kimbledb.model.outputs`` writes them as text and as HTML, ``kimbledb.cli.terminal`` as the grid of a terminal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from attrs import frozen

#: The content of one cell: one line, or several.
Cell: TypeAlias = "str | tuple[str, ...]"


@frozen(eq=False)
class Table:
    """A caption with its rows, if there are any."""

    #: The subject of the table, in one line.
    caption: str
    #: The cells of each row.
    rows: tuple[tuple[Cell, ...], ...] = ()
    #: The name of each column, or an empty tuple for a list.
    headers: tuple[str, ...] = ()
    #: Remarks, a line each.
    notes: tuple[str, ...] = ()
    #: Whether ``print()`` omits the table. Notebooks and the command line show it.
    detail: bool = False
    #: Whether the table may be long: then a text has the notes above the rows, which begin at the left edge, and repeats
    #: the caption under many rows, where the reader ends.
    is_long: bool = False
    #: The names of the columns that only a page has room for.
    page_only: tuple[str, ...] = ()

    def columns(self, *, page: bool = False) -> list[tuple[str, Sequence[Cell]]]:
        """Return each column that is not empty, with its name and its cells.

        Args:
            page: Whether to include the columns of ``page_only``.

        Raises:
            ValueError: A row has more or fewer cells than there are headers.
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
    """Return the rows of a list, one for each item."""
    return tuple((lines_of(str(item)),) for item in items)


def listed(caption: str, items: Iterable[object]) -> tuple[Table, ...]:
    """Return a table with one row for each item, or no table if there is no item."""
    rows = rows_of(items)
    return (Table(caption, rows),) if rows else ()


def lines_of(text: str) -> Cell:
    """Return a text of several lines as a cell."""
    return tuple(text.split("\n"))


def is_numeric(cells: Iterable[Cell]) -> bool:
    """Whether a column holds only numbers, which are aligned on the right."""
    return all(isinstance(cell, str) and re.fullmatch("[0-9.]*", cell) for cell in cells)


def in_order(tables: Iterable[Table], *, detail: bool) -> list[Table]:
    """Return the tables of a text or a terminal. Those of detail come first, so that the reader ends at the verdict."""
    return sorted((table for table in tables if detail or not table.detail), key=lambda table: not table.detail)
