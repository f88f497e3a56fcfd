"""Plain text: the output of ``print(report)``, and of the command line outside of a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from kimbledb.model.layout import laid_out
from kimbledb.model.tables import Table, in_order


def write(tables: Iterable[Table], *, detail: bool = False, width: int | None = None) -> str:
    """Write tables as text. No character in it steers a terminal, and no cell adds a line.

    Args:
        tables: The tables of a report.
        detail: Whether to write the tables that ``Table.detail`` marks, too.
        width: The number of characters in which each line must fit; None for any number.

    Returns:
        The lines, without a line break at the end.

    Raises:
        ValueError: A row of a table has more or fewer cells than there are headers.
    """
    lines = (line for table in in_order(tables, detail=detail) for line in laid_out(table, width=width))
    return "\n".join("".join(piece for piece, _ in line) for line in lines)
