"""Plain text: the output of ``print(report)``, and of the command line outside of a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest

from kimbledb.model.tables import Cell, Table, in_order, is_numeric
from kimbledb.model.text import one_line


def write(tables: Iterable[Table], *, detail: bool = False) -> str:
    """Write tables as text. No character in it steers a terminal, and no cell adds a line.

    Args:
        tables: The tables of a report.
        detail: Whether to write the tables that ``Table.detail`` marks, too.

    Returns:
        The lines, without a line break at the end.

    Raises:
        ValueError: A row of a table has more or fewer cells than there are headers.
    """
    return "\n".join(line for table in in_order(tables, detail=detail) for line in _lines_of(table))


def _lines_of(table: Table) -> list[str]:
    caption = [one_line(table.caption)] if table.caption else []
    rows = _aligned(table.columns(), "" if table.below else "  ")
    notes = [f"note: {one_line(note)}" for note in table.notes]
    return [*rows, *notes, *caption] if table.below else [*caption, *rows, *notes]


def _aligned(columns: Sequence[tuple[str, Sequence[Cell]]], indent: str) -> list[str]:
    laid: list[list[list[str]]] = []
    for header, cells in columns:
        texts = [[one_line(line) for line in ([cell] if isinstance(cell, str) else cell)] for cell in cells]
        if len(columns) > 1 and any(name for name, _ in columns):
            texts.insert(0, [header])
        width = max(len(line) for lines in texts for line in lines)
        side = ">" if is_numeric(cells) else "<"
        laid.append([[f"{line:{side}{width}}" for line in lines] for lines in texts])
    blanks = [" " * len(texts[0][0]) for texts in laid]
    return [
        f"{indent}{'  '.join(each or blank for each, blank in zip(line, blanks, strict=True))}".rstrip()
        for row in zip(*laid, strict=True)
        for line in zip_longest(*row)
    ]
