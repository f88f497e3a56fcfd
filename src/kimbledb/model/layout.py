"""The layout of a table in a given width, for text and for a terminal.

No cell is folded within its column. If a row is wider than the page, its last columns stand below it, indented and broken
between words: a reason of sixty characters in a column of four would take fifteen lines.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Final, TypeAlias

from attrs import frozen

from kimbledb.model.tables import Table, is_numeric
from kimbledb.model.text import one_line

#: A piece of a line and the style in which a terminal shows it, or an empty text for none.
Piece: TypeAlias = "tuple[str, str]"
Line: TypeAlias = "list[Piece]"

_GAP: Final = "  "
#: Four further than a row, so that the numbers of the rows stay alone in their column.
_BELOW: Final = " " * 6
#: The last column shares the line of its row where this much is left for it. Its longer cells stand below.
_LEAST: Final = 12
#: The width where none is known: no line is broken.
_ENDLESS: Final = 1_000_000


@frozen
class _Column:
    header: str
    cells: Sequence[list[Piece]]
    is_numeric: bool

    @property
    def width(self) -> int:
        return max([len(self.header), *(len(text) for cell in self.cells for text, _ in cell)])


def laid_out(table: Table, *, width: int | None = None, signs: bool = False) -> Iterator[Line]:
    """Return the lines of a table. No character in them steers a terminal, and no cell adds a line.

    Args:
        table: The table.
        width: The number of characters in which a line must fit; None for any number.
        signs: Whether each cell of a column ``state`` or ``result`` gets the sign of its state.

    Raises:
        ValueError: A row has more or fewer cells than there are headers.
    """
    width = width or _ENDLESS
    caption: list[Line] = [[(line, "bold")] for line in _broken(one_line(table.caption), width) if table.caption]
    indent = "" if table.below else _GAP
    rows = _rows(_columns(table, signs=signs), indent, width)
    notes: list[Line] = [
        [(line, "yellow")] for note in table.notes for line in _broken(f"note: {one_line(note)}", width)
    ]
    yield from [*rows, *notes, *caption] if table.below else [*caption, *rows, *notes]


def _columns(table: Table, *, signs: bool) -> list[_Column]:
    columns = []
    for header, cells in table.columns():
        texts = [[one_line(line) for line in ([cell] if isinstance(cell, str) else cell)] for cell in cells]
        has_signs = signs and header in {"state", "result"}
        pieces = [[_signed(text) if has_signs else (text, "") for text in cell] for cell in texts]
        columns.append(_Column(header, pieces, is_numeric(cells)))
    return columns


def _signed(state: str) -> Piece:
    from kimbledb.model.pictures import sign_of  # 9 ms, which a text need not take

    sign, colour = sign_of(state)
    return f"{sign} {state}".strip(), colour


def _rows(columns: list[_Column], indent: str, width: int) -> Iterator[Line]:
    if not columns:
        return
    count, room = _beside(columns, width - len(indent))
    beside, below = columns[:count], columns[count:]
    # The last column shares the line of its row with those of its cells that fit there.
    shares = [
        len(below) == 1 and not below[0].is_numeric and room >= _LEAST and _fits(cell, room) for cell in _last(below)
    ]
    if len(columns) > 1 and any(column.header for column in columns):
        headers = [*beside, *(below if any(shares) else [])] or columns[:1]
        yield from _lines_of([[(column.header, "bold")] for column in headers], beside, indent)
    for place in range(len(columns[0].cells)):
        if not beside:  # not even the first column has room
            for text, style in columns[0].cells[place]:
                yield from ([(line, style)] for line in _broken(text, width, indent))
            yield from _below(below[1:], place, width)
            continue
        is_whole = bool(below) and shares[place]
        cells = [column.cells[place] for column in (columns if is_whole else beside)]
        yield from _lines_of(cells, beside, indent)
        if not is_whole:
            yield from _below(below, place, width)


def _last(columns: list[_Column]) -> Sequence[list[Piece]]:
    return columns[-1].cells if columns else ()


def _fits(cell: list[Piece], room: int) -> bool:
    return all(len(text) <= room for text, _ in cell)


def _beside(columns: list[_Column], room: int) -> tuple[int, int]:
    """Return how many columns stand beside each other, and the room that is left for one more."""
    for place, column in enumerate(columns):
        if column.width > room:
            return place, room
        room -= column.width + len(_GAP)
    return len(columns), 0


def _lines_of(cells: list[list[Piece]], columns: list[_Column], indent: str) -> Iterator[Line]:
    """Return the lines of a row. Only the cells of ``columns`` have a width; a further one ends its line."""
    for line in zip_longest(*cells, fillvalue=("", "")):
        pieces: Line = [(indent, "")]
        for place, (text, style) in enumerate(line):
            if place < len(columns):
                side = ">" if columns[place].is_numeric else "<"
                pieces.append((f"{text:{side}{columns[place].width}}", style))
            else:
                pieces.append((text, style))
            pieces.append((_GAP, ""))
        yield _stripped(pieces)


def _stripped(line: Line) -> Line:
    while line and not line[-1][0].rstrip():
        line.pop()
    if line:
        line[-1] = (line[-1][0].rstrip(), line[-1][1])
    return line


def _below(columns: list[_Column], place: int, width: int) -> Iterator[Line]:
    """Return the lines under a row: the cells that have no room in it, with their headers unless it is the last alone."""
    line: Line = []
    for column in columns:
        name = f"{column.header}: " if column.header and (len(columns) > 1 or column.is_numeric) else ""
        for text, style in column.cells[place]:
            if not text:
                continue
            piece, name = (f"{name}{text}", style), ""
            # Short cells share a line.
            if line and len(_BELOW) + _length(line) + len("; ") + len(piece[0]) <= width:
                line += [("; ", ""), piece]
                continue
            if line:
                yield [(_BELOW, ""), *line]
            line = [piece]
            if len(_BELOW) + len(piece[0]) > width:
                yield from ([(each, style)] for each in _broken(piece[0], width, _BELOW))
                line = []
    if line:
        yield [(_BELOW, ""), *line]


def _length(line: Line) -> int:
    return sum(len(text) for text, _ in line)


def _broken(text: str, width: int, indent: str = "") -> list[str]:
    """Return a text as lines of at most ``width`` characters, broken between words where it can be."""
    if len(indent) + len(text) <= width:
        return [f"{indent}{text}".rstrip()]
    return textwrap.wrap(
        text,
        max(width, len(indent) + _LEAST),
        initial_indent=indent,
        subsequent_indent=f"{indent}{_GAP}",
        break_on_hyphens=False,
    )
