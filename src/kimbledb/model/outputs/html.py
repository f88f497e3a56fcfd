"""HTML: the output in a notebook, and for a page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from kimbledb.model.pictures import escape, mark
from kimbledb.model.tables import Cell, Table, is_numeric

_STYLE: Final = """
.kimbledb-table{max-width:100%;overflow-x:auto}
.kimbledb-table table{border-collapse:collapse;margin:.5em 0;font-size:13px;line-height:1.35;color:inherit}
.kimbledb-table caption{caption-side:top;text-align:left;font-weight:600;padding:.2em .6em .4em;color:inherit}
.kimbledb-table th,.kimbledb-table td{text-align:left;vertical-align:top;padding:.2em .7em;white-space:nowrap}
.kimbledb-table th{border-bottom:1px solid #8b939c;font-weight:600}
.kimbledb-table td{border-bottom:1px solid rgba(139,147,156,.3)}
.kimbledb-table .kimbledb-number{text-align:right;font-variant-numeric:tabular-nums}
.kimbledb-table .kimbledb-long{white-space:pre-wrap;min-width:24em;overflow-wrap:anywhere}
.kimbledb-table p{margin:.2em .6em}
.kimbledb-table svg{display:inline-block;vertical-align:-3px;margin:0 .4em 0 0}
"""
_LONG: Final = 48


def write(tables: Iterable[Table]) -> str:
    """Write tables as HTML, for a notebook or a page.

    Each cell of a column ``state`` or ``result`` gets the mark of its state.

    Args:
        tables: The tables of a report.

    Returns:
        One ``div`` element with its own style rules. No rule reaches beyond it.

    Raises:
        ValueError: A row of a table has more or fewer cells than there are headers.
    """
    lines = [line for table in tables for line in _lines_of(table)]
    return "\n".join([f'<div class="kimbledb-table"><style>{_STYLE}</style>', *lines, "</div>\n"])


def _lines_of(table: Table) -> list[str]:
    columns = table.columns(page=True)
    numbers = [is_numeric(cells) for _, cells in columns]
    head = "".join(
        f'<th scope="col" class="kimbledb-{"number" if number else "short"}">{escape(header)}</th>'
        for (header, _), number in zip(columns, numbers, strict=True)
    )
    lines = [f"<table><caption>{escape(table.caption)}</caption>"]
    if table.headers and table.rows:
        lines.append(f"<thead><tr>{head}</tr></thead>")
    lines.append("<tbody>")
    for place in range(len(table.rows)):
        cells = (
            _cell(header, cells[place], number=number) for (header, cells), number in zip(columns, numbers, strict=True)
        )
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return [*lines, "</tbody></table>", *(f"<p>note: {escape(note)}</p>" for note in table.notes)]


def _cell(header: str, cell: Cell, *, number: bool) -> str:
    text = cell if isinstance(cell, str) else "\n".join(cell)
    sign = ""
    if header in {"state", "result"} and text:
        sign = f'<svg width="14" height="14" viewBox="-8 -8 16 16" aria-hidden="true">{mark(text)}</svg>'
    kind = "number" if number else "long" if "\n" in text or len(text) > _LONG else "short"
    return f'<td class="kimbledb-{kind}">{sign}{escape(text)}</td>'
