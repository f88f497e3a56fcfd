"""The picture of a trace in the documentation: the spans of a start-up that waits for another replica.

It is drawn from fixed times, so that the file is the same whoever writes it.
"""

from __future__ import annotations

from html import escape

from attrs import frozen

from tools.svg import STYLE


@frozen
class Span:
    """A span of the picture."""

    name: str
    #: How many spans it lies in.
    depth: int
    #: Its begin and end in milliseconds.
    begin: int
    end: int
    #: What stands beside its bar.
    note: str
    #: The colour of its bar.
    colour: str


_CALL, _WAIT, _MIGRATION = "#0F7DC2", "#E69F00", "#009E73"
SPANS = (
    Span("start-up", 0, 0, 1440, "", "#8A8A8A"),
    Span("kimbledb.migrate", 1, 15, 1400, "kimbledb.migrations=2", _CALL),
    Span("kimbledb.waiting", 2, 40, 900, "kimbledb.blockers=pid 4711, shop", _WAIT),
    Span("apply 002_orders.sql", 2, 940, 1130, "", _MIGRATION),
    Span("apply 003_prices.sql", 2, 1130, 1390, "", _MIGRATION),
)
_WIDTH, _ROW, _LEFT, _TOP = 760, 30, 230, 30


def picture() -> str:
    """Return the picture as SVG: a row for each span, on one scale of time."""
    whole = max(span.end for span in SPANS)
    scale = (_WIDTH - _LEFT - 20) / whole
    height = _TOP + _ROW * len(SPANS) + 10
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" font-family="sans-serif" font-size="13">',
        "<title>A trace of a start-up that waits for another replica</title>",
        STYLE,
    ]
    for moment in range(0, whole + 1, 400):
        x = _LEFT + moment * scale
        lines.append(
            f'<line x1="{x:.1f}" y1="22" x2="{x:.1f}" y2="{height - 8}" stroke="#8a8a8a" stroke-opacity=".4"/>'
        )
        lines.append(f'<text x="{x:.1f}" y="15" text-anchor="middle" font-size="11">{moment} ms</text>')
    for place, span in enumerate(SPANS):
        y, x, width = _TOP + _ROW * place, _LEFT + span.begin * scale, (span.end - span.begin) * scale
        lines.append(f'<text x="{8 + 16 * span.depth}" y="{y + 17}">{escape(span.name)}</text>')
        lines.append(
            f'<rect x="{x:.1f}" y="{y + 3}" width="{width:.1f}" height="19" rx="3" fill="{span.colour}" fill-opacity=".8"/>'
        )
        if span.note:
            lines.append(f'<text class="in" x="{x + 6:.1f}" y="{y + 17}" font-size="11">{escape(span.note)}</text>')
    return "\n".join([*lines, "</svg>", ""])
