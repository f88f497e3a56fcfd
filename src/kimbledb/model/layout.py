"""The layout of a table in a given width, for text and for a terminal.

No cell is folded within its column: a reason of sixty characters in a column of four would take fifteen lines. If the rows
are wider than the page, as many columns stand beside each other as make the table the shortest; the others stand below the
row, indented and broken between words. The widest column is as narrow as the page demands: a row whose cell is longer
continues below.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Final, TypeAlias

from attrs import evolve, frozen

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
#: The lines of a small terminal.
_SCREEN: Final = 20
#: The width where none is known: no line is broken.
_ENDLESS: Final = 1_000_000


@frozen
class _Column:
    header: str
    cells: Sequence[list[Piece]]
    is_numeric: bool
    width: int


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
    indent = "" if table.is_long else _GAP
    rows = _rows(_columns(table, signs=signs), indent, width)
    notes: list[Line] = [
        [(line, "yellow")] for note in table.notes for line in _broken(f"note: {one_line(note)}", width)
    ]
    if table.is_long:
        # The first lines have scrolled off a screen by the end.
        yield from [*caption, *notes, *rows, *(caption if len(rows) > _SCREEN else [])]
    else:
        yield from [*caption, *rows, *notes]


def _columns(table: Table, *, signs: bool) -> list[_Column]:
    columns = []
    for header, cells in table.columns():
        texts = [[one_line(line) for line in ([cell] if isinstance(cell, str) else cell)] for cell in cells]
        has_signs = signs and header in {"state", "result"}
        pieces = [[_signed(text) if has_signs else (text, "") for text in cell] for cell in texts]
        width = max([len(header), *(len(text) for cell in pieces for text, _ in cell)])
        columns.append(_Column(header, pieces, is_numeric(cells), width))
    return columns


def _signed(state: str) -> Piece:
    from kimbledb.model.pictures import sign_of  # 9 ms, which a text need not take

    sign, colour = sign_of(state)
    return f"{sign} {state}".strip(), colour


def _rows(columns: list[_Column], indent: str, width: int) -> list[Line]:
    """Return the lines of the rows: of all layouts that fit the shortest one, and of those the one with the most columns."""
    if not columns:
        return []
    room = width - len(indent)
    if (beside := _narrowed(columns, room)) == columns:  # each cell has its room
        rows = zip(*(column.cells for column in columns), strict=True)
        lines = (line for row in rows for line in _lines_of(row, columns, indent))
        return [*_head(columns, len(columns), columns, indent), *lines]
    *others, last = columns
    typical = sorted(_length(cell) for cell in last.cells)[len(last.cells) // 2]
    choices = [
        beside if beside is not None and beside[-1] is last else None,
        _narrowed(others, room - len(_GAP) - max(typical, _LEAST)),
        *(_narrowed(columns[:count], room) for count in range(len(others), -1, -1)),
    ]
    layouts = [[*_layout(each, columns[len(each) :], indent, width)] for each in choices if each is not None]
    return min(layouts, key=len)


def _narrowed(columns: list[_Column], room: int) -> list[_Column] | None:
    """Return columns that fit into the room, the widest narrower than its cells if need be; None where they cannot."""
    excess = sum(column.width + len(_GAP) for column in columns) - len(_GAP) - room
    if not columns or excess <= 0:
        return columns
    widest = max(columns, key=lambda column: column.width)
    narrower = max(widest.width - excess, len(widest.header))
    if widest.is_numeric or narrower < _LEAST or narrower > widest.width - excess:
        return None
    return [evolve(column, width=narrower) if column is widest else column for column in columns]


def _layout(beside: list[_Column], below: list[_Column], indent: str, width: int) -> Iterator[Line]:
    """Yield the lines of the rows with some columns beside each other, and the others below."""
    columns = [*beside, *below]
    rows = list(zip(*(column.cells for column in columns), strict=True))
    room = width - len(indent) - sum(column.width + len(_GAP) for column in beside)
    has_room = len(below) == 1 and not below[0].is_numeric and room >= _LEAST
    counts = [_count(row, beside, width - len(indent), room if has_room else 0) for row in rows]
    yield from _head(columns, max(counts), beside, indent)
    for place, (row, count) in enumerate(zip(rows, counts, strict=True)):
        if count:
            before = indent + " " * sum(column.width + len(_GAP) for column in beside[: count - 1])
            folded = [(_broken(text, width, before), style) for text, style in row[count - 1]]
            last = [(line[len(before) :], style) for lines, style in folded for line in lines]
            yield from _lines_of([*row[: count - 1], last], beside, indent)
        else:  # not even the first column has room
            for text, style in row[0]:
                yield from ([(line, style)] for line in _broken(text, width, indent))
        yield from _below(columns[count or 1 :], place, width)


def _head(columns: list[_Column], count: int, beside: list[_Column], indent: str) -> Iterator[Line]:
    """Yield the line of the headers of so many columns, if a table of several has any."""
    if len(columns) > 1 and any(column.header for column in columns):
        headers = columns[:count] or columns[:1]
        yield from _lines_of([[(column.header, "bold")] for column in headers], beside, indent)


def _count(row: Sequence[Sequence[Piece]], beside: list[_Column], width: int, room: int) -> int:
    """Return how many cells of a row share its line. A cell that is longer than its column can be the last of them.

    Args:
        row: The cells.
        beside: The columns that stand beside each other.
        width: The number of characters that a row has. A cell that would pass it is folded in the first half alone.
        room: What is left for one more column.
    """
    offset = 0
    for count, (cell, column) in enumerate(zip(row, beside, strict=False), 1):
        if not _fits(cell, column.width):
            return count if _fits(cell, width - offset) or offset * 2 < width else count - 1
        offset += column.width + len(_GAP)
    return len(beside) + (len(row) > len(beside) and bool(room) and _fits(row[len(beside)], room))


def _fits(cell: Sequence[Piece], room: int) -> bool:
    return all(len(text) <= room for text, _ in cell)


def _lines_of(cells: Sequence[Sequence[Piece]], columns: list[_Column], indent: str) -> Iterator[Line]:
    """Return the lines of a row. Only the cells of ``columns`` have a width; a further one ends its line."""
    for line in zip_longest(*cells, fillvalue=("", "")):
        pieces: Line = [(indent, "")]
        for place, (text, style) in enumerate(line):
            if place < len(columns):
                column = columns[place]
                pieces.append((text.rjust(column.width) if column.is_numeric else text.ljust(column.width), style))
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
    """Return the lines under a row: the cells that have no room in it, with their headers where there are several."""
    line: Line = []
    columns = [column for column in columns if any(text for text, _ in column.cells[place])]
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


def _length(line: Sequence[Piece]) -> int:
    return sum(len(text) for text, _ in line)


class _Wrapper(textwrap.TextWrapper):
    """Breaks a name that is longer than a line behind a sign of its own, where it has one."""

    def _handle_long_word(self, reversed_chunks: list[str], cur_line: list[str], cur_len: int, width: int) -> None:
        space = max(1, width - cur_len)
        place = max((reversed_chunks[-1].rfind(sign, 0, space) for sign in "-_./,"), default=-1) + 1
        word = reversed_chunks.pop()
        cut = place if place > 1 else space
        cur_line.append(word[:cut])
        reversed_chunks.append(word[cut:])


def _broken(text: str, width: int, indent: str = "") -> list[str]:
    """Return a text as lines of at most ``width`` characters, broken between words where it can be."""
    if len(indent) + len(text) <= width:
        return [f"{indent}{text}".rstrip()]
    wrapper = _Wrapper(
        max(width, len(indent) + _LEAST),
        initial_indent=indent,
        subsequent_indent=f"{indent}{_GAP}",
        break_on_hyphens=False,
    )
    return wrapper.wrap(text)
