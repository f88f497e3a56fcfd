"""The picture of a run in the documentation: one replica applies three migrations, another one waits for it.

Time goes down. Each box holds its own text in dark letters, so that it reads on light and on dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from attrs import frozen

from tools.svg import STYLE


@frozen
class Box:
    """A box of the picture."""

    #: The first line is bold.
    lines: Sequence[str]
    #: Where it begins, in rows.
    row: int
    colour: str


_LOOK, _WORK, _WAIT, _DONE = "#BBDDF3", "#BFE8D9", "#F7E3B5", "#DDDDDD"
#: What the replica does that got the lock, and the replica that did not.
COLUMNS: dict[str, Sequence[Box]] = {
    "Replica A": (
        Box(("One question", "history: 3 migrations pending"), 0, _LOOK),
        Box(("Plan", "schema, sizes of tables, rows"), 2, _LOOK),
        Box(("Preflight and bootstrap", "privileges, extensions, history"), 4, _LOOK),
        Box(("BEGIN 001: lock, script,", "proof, history row, COMMIT"), 7, _WORK),
        Box(("BEGIN 002: lock, script,", "proof, history row, COMMIT"), 9, _WORK),
        Box(("BEGIN 003: lock, script,", "proof, history row, COMMIT"), 11, _WORK),
        Box(("Report", "3 applied"), 13, _DONE),
    ),
    "Replica B": (
        Box(("One question", "history: 3 migrations pending"), 3, _LOOK),
        Box(("Another run is at work", "the connection is given back"), 5, _WAIT),
        Box(("Sleep, with jitter", "no connection, no lock"), 7, _WAIT),
        Box(("One question", "another run is still at work"), 9, _LOOK),
        Box(("Sleep, longer", "no connection, no lock"), 11, _WAIT),
        Box(("One question", "history: nothing pending"), 13, _LOOK),
        Box(("Report", "nothing to do"), 15, _DONE),
    ),
}
#: The rows that one message of the first replica covers, and its text.
_MESSAGE = (7, 13, "one message")
_WIDTH, _BOX, _ROW, _TOP = 520, 236, 26, 34


def picture() -> str:
    """Return the picture as SVG: a column for each replica."""
    rows = max(box.row for boxes in COLUMNS.values() for box in boxes) + 2
    height = _TOP + _ROW * rows + 6
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" font-family="sans-serif" font-size="13">',
        "<title>Two replicas start at once: one applies, the other waits without a connection</title>",
        STYLE,
    ]
    for column, (name, boxes) in enumerate(COLUMNS.items()):
        x = 12 + column * (_BOX + 24)
        middle = x + _BOX / 2
        lines.append(f'<text x="{middle:.0f}" y="20" text-anchor="middle" font-weight="bold">{name}</text>')
        first, last = _TOP + _ROW * boxes[0].row, _TOP + _ROW * (boxes[-1].row + 1)
        lines.append(f'<line x1="{middle:.0f}" y1="{first}" x2="{middle:.0f}" y2="{last}" stroke="#8a8a8a"/>')
        for box in boxes:
            y = _TOP + _ROW * box.row
            lines.append(f'<rect x="{x}" y="{y}" width="{_BOX}" height="{2 * _ROW - 8}" rx="4" fill="{box.colour}"/>')
            for place, line in enumerate(box.lines):
                weight = ' font-weight="bold"' if place == 0 else ""
                lines.append(f'<text class="in" x="{x + 8}" y="{y + 18 + 17 * place}"{weight}>{escape(line)}</text>')
    begin, end, text = _MESSAGE
    y, tall = _TOP + _ROW * begin - 6, _ROW * (end - begin) + 4
    lines.append(
        f'<rect x="6" y="{y}" width="{_BOX + 12}" height="{tall}" rx="6" fill="none" stroke="#009E73" stroke-width="2"/>'
    )
    lines.append(f'<rect x="{_BOX - 72}" y="{y - 13}" width="84" height="17" rx="3" fill="#009E73"/>')
    lines.append(f'<text class="in" x="{_BOX - 30}" y="{y}" text-anchor="middle" font-size="12">{text}</text>')
    return "\n".join([*lines, "</svg>", ""])
