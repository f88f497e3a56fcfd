"""Pictures of plain values: a graph as SVG or Mermaid, rows as an HTML table.

Nothing else of kimbledb is needed here, and no program, font, script or network
to look at what comes out. The pictures take their text colour from the page
around them and their background from the reader's preference where there is
none, so that they are readable in light and in dark. A state is told by a
colour that colour-blind readers can tell from the others (after Okabe and Ito),
by the shape of its mark, and by its word. The same values give the same picture.

The SVG has one row for each node. A node that others need has a trunk, which
runs down to the last of them and branches into each: thirty dependents are one
line, a long chain is straight, and a picture grows with the count of nodes and
not with that of edges. An edge that follows from others is left out.
"""

from __future__ import annotations

import heapq
import html
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from attrs import frozen


@frozen
class Node:
    """Something to be drawn, with a state."""

    #: Unique in its graph; found in the picture as text, whole.
    name: str
    #: What is shown; shortened where it is long.
    label: str
    #: Its phase, or None.
    group: int | None
    #: One word; empty where there is nothing to tell.
    state: str
    #: What is shown beside the name while a pointer rests on it.
    hover: str


@frozen
class Graph:
    """Nodes, and edges from what is needed to what needs it."""

    nodes: tuple[Node, ...]
    #: Pairs of names; one that names no node is not drawn.
    edges: tuple[tuple[str, str], ...]


@frozen
class _Look:
    """How a state is shown."""

    #: As in a terminal.
    sign: str
    #: At least 3 to 1 against white and against near-black (WCAG 2.1, 1.4.11).
    colour: str
    #: SVG around the origin, within 8 each way, drawn in strokes of the colour.
    mark: str


_RING: Final = '<circle r="6"/>'
_DISC: Final = '<circle r="6" fill="{0}"/>'
_SQUARE: Final = '<path d="M-5.5-5.5h11v11h-11z" fill="{0}"/>'
_DIAMOND: Final = '<path d="M0-7 7 0 0 7-7 0z" fill="{0}"/>'
_TRIANGLE: Final = '<path d="M0-6.5 7 5.5h-14z" fill="{0}"/>'
_WHITE: Final = '<path stroke="#fff" d="{}"/>'


def _look(sign: str, colour: str, *parts: str) -> _Look:
    return _Look(sign, colour, "".join(parts).replace("{0}", colour))


_CHECK: Final = _WHITE.format("M-2.8.2-.8 2.4 2.9-2.2")
_CROSS: Final = _WHITE.format("M-2.5-2.5 2.5 2.5M-2.5 2.5 2.5-2.5")
_LOOKS: Final = {
    "applied": _look("✓", "#009E73", _DISC, _CHECK),
    "pending": _look("•", "#1A7DC0", _RING, '<circle r="1.2"/>'),
    "replaced": _look("-", "#7F8790", _RING, '<path d="M-2.6 0h5.2"/>'),
    "adoptable": _look("+", "#2F93C8", _RING, '<path d="M-2.8 0h5.6M0-2.8v5.6"/>'),
    "partial": _look("½", "#C17C00", _RING, '<path d="M0-6a6 6 0 0 1 0 12z" fill="{0}"/>'),
    "conflicting": _look("!", "#D55E00", _TRIANGLE, _WHITE.format("M0-2.2v3.4M0 3.6v.1")),
    "changed": _look("≠", "#C56BA0", _DIAMOND, _WHITE.format("M-2.6-1.3h5.2M-2.6 1.3h5.2M1.4-3-1.4 3")),
    "failed": _look("✗", "#D55E00", _SQUARE, _CROSS),
    "unknown": _look("?", "#7F8790", _SQUARE, _WHITE.format("M-2-1.6a2 2 0 1 1 2.9 1.8q-.9.5-.9 1.3M0 3.5v.1")),
}
#: Results of checks look like the states that they come closest to.
_LOOKS["passed"] = _LOOKS["applied"]
_PLAIN: Final = _look("", "#7F8790", '<circle r="3" fill="{0}"/>')


def _look_of(state: str) -> _Look:
    return _LOOKS.get(state.casefold(), _PLAIN)


def _mark(state: str) -> str:
    look = _look_of(state)
    return (
        f'<g fill="none" stroke="{look.colour}" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round">'
        f"{look.mark}</g>"
    )


# Text. Names are what users typed: they are cleaned, measured and escaped here.

# What XML 1.0 (2.2 "Characters") cannot hold, not even escaped.
_UNSPEAKABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MOST_COLUMNS: Final = 64


def _escape(text: str) -> str:
    """Escape a text for XML and HTML, in elements and in attributes."""
    return html.escape(_UNSPEAKABLE.sub("\ufffd", text)).replace("\r", "&#13;")


def _columns(text: str) -> float:
    """Return how many columns a text takes in a font of one width, where a square character is as wide as it is high."""
    return sum(
        0 if unicodedata.combining(each) else 5 / 3 if unicodedata.east_asian_width(each) in "WF" else 1
        for each in text
    )


def _shown(text: str) -> str:
    """Return what is shown of a text: one line, printable, and shortened in its middle, since ends tell names apart."""
    text = "".join(each if each.isprintable() else " " if each.isspace() else "\ufffd" for each in text)
    if _columns(text) <= _MOST_COLUMNS:
        return text
    head, tail = text[:_MOST_COLUMNS], text[-_MOST_COLUMNS:]
    while _columns(head) > _MOST_COLUMNS * 2 // 3:
        head = head[:-1]
    while _columns(tail) >= _MOST_COLUMNS - _columns(head) or unicodedata.combining(tail[0]):
        tail = tail[1:]
    return f"{head}…{tail}"


def _few(names: Sequence[str], most: int = 6) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


# Structure: an order, the edges that matter, and a lane for each trunk.


@frozen
class _Structure:
    """A graph in the order of its rows; nodes are named by their place in it."""

    nodes: tuple[Node, ...]
    #: For each node what it needs, as given.
    needs: tuple[tuple[int, ...], ...]
    #: The same without what follows from the rest, and without what stands below.
    direct: tuple[tuple[int, ...], ...]

    def dependents(self) -> list[list[int]]:
        """Return for each node the nodes that need it directly, in order."""
        found: list[list[int]] = [[] for _ in self.nodes]
        for place, needs in enumerate(self.direct):
            for need in needs:
                found[need].append(place)
        return found


def _structure(graph: Graph) -> _Structure:
    places = {node.name: place for place, node in enumerate(graph.nodes)}
    wanted: list[set[int]] = [set() for _ in graph.nodes]
    for need, name in graph.edges:
        if need in places and name in places:
            wanted[places[name]].add(places[need])
    order = _ordered(wanted)
    row_of = {place: row for row, place in enumerate(order)}
    needs = tuple(tuple(sorted(row_of[need] for need in wanted[place])) for place in order)
    direct: list[tuple[int, ...]] = []
    reached: list[int] = []  # for each row, as bits, all rows that it needs, near and far
    for row, wants in enumerate(needs):
        far = near = 0
        for need in wants:
            if need < row:
                far |= reached[need]
                near |= 1 << need
        direct.append(tuple(need for need in wants if need < row and not far >> need & 1))
        reached.append(far | near)
    return _Structure(tuple(graph.nodes[place] for place in order), needs, tuple(direct))


def _ordered(wanted: Sequence[set[int]]) -> list[int]:
    """Return all places so that each comes after what it needs, else as given; a circle is cut open."""
    dependents: list[list[int]] = [[] for _ in wanted]
    waiting = {place: len(needs) for place, needs in enumerate(wanted)}
    for place, wants in enumerate(wanted):
        for need in wants:
            dependents[need].append(place)
    ready = [place for place, count in waiting.items() if not count]
    order: list[int] = []
    while waiting:
        if not ready:
            # Whoever is left waits for one that is left: walking on leads into a circle.
            place, seen = min(waiting), set[int]()
            while place not in seen:
                seen.add(place)
                place = min(need for need in wanted[place] if need in waiting)
            ready.append(place)
        place = heapq.heappop(ready)
        del waiting[place]
        order.append(place)
        for dependent in dependents[place]:
            if dependent in waiting:
                waiting[dependent] -= 1
                if not waiting[dependent]:
                    heapq.heappush(ready, dependent)
    return order


def _lanes(structure: _Structure, dependents: Sequence[Sequence[int]]) -> dict[int, int]:
    """Return the lane of each trunk: right of the trunks that it comes from, or the end of one of them."""
    lanes: dict[int, int] = {}
    taken_to: list[int] = []  # for each lane the last row of its latest trunk
    for row, needed_by in enumerate(dependents):
        if not needed_by:
            continue
        last = max(structure.direct[row], key=lanes.__getitem__, default=None)
        lane = 0
        if last is not None and dependents[last][-1] == row:
            lane = lanes[last]
        else:
            lane = 0 if last is None else lanes[last] + 1
            while lane < len(taken_to) and taken_to[lane] >= row:
                lane += 1
        taken_to[lane:] = [needed_by[-1], *taken_to[lane + 1 :]]
        lanes[row] = lane
    return lanes


# SVG.

_ROW: Final = 22
_COLUMN: Final = 7.25  # of the names' font at 12 pixels; no common one is wider
_LETTER: Final = 6.6  # on average, of the other texts' font at 11 pixels, with some to spare
_MARGIN: Final = 12
_KEY: Final = (
    "A line leads down from a migration to those that need it.",
    "A need that follows from others has no line of its own.",
)

_STYLE: Final = """
.kimbledb-graph{max-width:100%;height:auto;overflow:visible;direction:ltr;letter-spacing:normal;word-spacing:normal}
.kimbledb-graph:root{color:#1f2328;background:#fff}
@media (prefers-color-scheme:dark){.kimbledb-graph:root{color:#e6edf3;background:#0d1117}}
.kimbledb-graph text{fill:currentColor;font:11px system-ui,"Segoe UI","Helvetica Neue",Arial,sans-serif}
.kimbledb-graph .kimbledb-label{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace}
.kimbledb-graph .kimbledb-quiet{fill-opacity:.72}
.kimbledb-graph .kimbledb-band{fill:currentColor;fill-opacity:.055}
.kimbledb-graph .kimbledb-row{fill:currentColor;fill-opacity:0}
.kimbledb-graph .kimbledb-trunk{fill:none;stroke:#8b939c;stroke-width:1}
.kimbledb-graph .kimbledb-joint{fill:#8b939c}
.kimbledb-graph .kimbledb-node:hover .kimbledb-row{fill-opacity:.09}
.kimbledb-graph .kimbledb-node:hover .kimbledb-trunk{stroke:currentColor;stroke-width:2}
.kimbledb-graph .kimbledb-node:hover .kimbledb-joint{fill:currentColor}
"""


def to_svg(graph: Graph) -> str:
    """Draw a graph as an SVG picture that needs nothing else to be shown.

    Returns:
        One ``svg`` element, to be written to a file as it is or put into a page.
        It holds no ids and no rule that reaches beyond it.
    """
    structure = _structure(graph)
    dependents = structure.dependents()
    lanes = _lanes(structure, dependents)
    nodes = structure.nodes
    labels = [_shown(node.label) for node in nodes]
    states = [
        _shown(node.state) + (", in a circle" if any(need >= row for need in structure.needs[row]) else "")
        for row, node in enumerate(nodes)
    ]
    # The dots of "9. " and "10. " stand below each other.
    indents = [len(match[0]) if (match := re.match(r"[0-9]*", label)) else 0 for label in labels]
    deepest = max(indents, default=0)

    # From left to right: phases, lanes, marks, names, states.
    groups = [f"phase {node.group}" for node in nodes if node.group is not None]
    count = max(lanes.values(), default=-1) + 1
    step = max(3.0, min(16.0, 320 / max(count, 1)))
    lane_x = _MARGIN + (max(map(len, groups), default=-2) + 2) * _LETTER + 6
    mark_x = lane_x + count * step + 10
    label_x = mark_x + 15
    state_x = (
        label_x
        + 18
        + _COLUMN
        * max((_columns(label) + deepest - indent for label, indent in zip(labels, indents, strict=True)), default=0)
    )
    width = round(max(state_x + _LETTER * max(map(_columns, states), default=0) + 2 * _MARGIN, 420))
    legend, top = _legend(nodes, width)

    ys: list[int] = []
    bands: list[str] = []
    y = top
    for row, node in enumerate(nodes):
        opens = not row or nodes[row - 1].group != node.group
        if opens and row:
            y += 9
        ys.append(y + _ROW // 2)
        if opens and node.group is not None:
            tall = 1
            while row + tall < len(nodes) and nodes[row + tall].group == node.group:
                tall += 1
            bands.append(
                f'<rect class="kimbledb-band" x="{_MARGIN / 2:g}" y="{y - 3}" width="{width - _MARGIN}"'
                f' height="{tall * _ROW + 6}" rx="5"/>'
                f'<text class="kimbledb-quiet" x="{_MARGIN + 2}" y="{y + _ROW // 2 + 4}">phase {node.group}</text>'
            )
        y += _ROW
    for line in _KEY if lanes else ():
        y += 17
        bands.append(f'<text class="kimbledb-quiet" x="{_MARGIN + 2}" y="{y + 3}">{line}</text>')
    height = y + _MARGIN

    rows: list[str] = []
    for row, node in enumerate(nodes):
        trunk = ""
        if row in lanes:
            x = round(lane_x + lanes[row] * step) + 0.5
            trunk = _trunk(row, dependents[row], lanes, ys, x, mark_x - 9, min(7, step))
        label_at = label_x + (deepest - indents[row]) * _COLUMN
        # A character of an unforeseen width must not reach into the next column.
        fit = "" if labels[row].isascii() else f' textLength="{max(_columns(labels[row]), 1) * _COLUMN:.4g}"'
        fit += ' lengthAdjust="spacingAndGlyphs"' if fit else ""
        rows.append(
            f'<g class="kimbledb-node"><title>{_escape(_title(structure, dependents, row))}</title>'
            f'<rect class="kimbledb-row" x="{mark_x - 9:g}" y="{ys[row] - _ROW // 2}"'
            f' width="{width - _MARGIN / 2 - mark_x + 9:g}" height="{_ROW}" rx="4"/>{trunk}'
            f'<g transform="translate({mark_x:g} {ys[row]})">{_mark(node.state)}</g>'
            f'<text class="kimbledb-label" x="{label_at:g}" y="{ys[row] + 4}"{fit}>{_escape(labels[row])}</text>'
            f'<text class="kimbledb-quiet" x="{state_x:g}" y="{ys[row] + 4}">{_escape(states[row])}</text></g>'
        )
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="kimbledb-graph" role="img" width="{width}" height="{height}"'
        f' viewBox="0 0 {width} {height}" aria-label="{_escape(_summary(nodes))}">'
    )
    return "\n".join((opening, f"<style>{_STYLE}</style>", *legend, *bands, *rows, "</svg>\n"))


def _trunk(
    row: int, needed_by: Sequence[int], lanes: dict[int, int], ys: Sequence[int], x: float, end: float, bend: float
) -> str:
    """Draw what leads from a node to those that need it."""
    y = ys[row] + 0.5  # sharp lines lie between pixels
    path = [f"M{end:g} {y:g}H{x:g}"]
    for place in needed_by:
        y = ys[place] + 0.5
        if lanes.get(place) == lanes[row]:
            path.append(f"V{y:g}")
        else:
            path.append(f"V{y - bend:g}q0 {bend:g} {bend:g} {bend:g}H{end:g}")
            if place != needed_by[-1]:
                path.append(f"M{x:g} {y - bend:g}")
    return (
        f'<path class="kimbledb-trunk" d="{"".join(path)}"/>'
        f'<circle class="kimbledb-joint" cx="{x:g}" cy="{ys[row] + 0.5:g}" r="{min(3.0, bend / 2):g}"/>'
    )


def _title(structure: _Structure, dependents: Sequence[Sequence[int]], row: int) -> str:
    node = structure.nodes[row]
    lines = [node.name, node.hover]
    for verb, places in (
        ("needs", [need for need in structure.needs[row] if need < row]),
        ("in a circle: needs", [need for need in structure.needs[row] if need >= row]),
        ("directly needed by", dependents[row]),
    ):
        if places:
            lines.append(f"{verb} {_few([structure.nodes[place].name for place in places])}")
    return "\n".join(line for line in lines if line)


def _counts(nodes: Iterable[Node]) -> dict[str, int]:
    """Return how many nodes are in each state that occurs, in the order of the states."""
    known = list(_LOOKS)
    counts = Counter(node.state for node in nodes if node.state)
    return dict(
        sorted(counts.items(), key=lambda item: (known.index(item[0]) if item[0] in _LOOKS else len(known), item[0]))
    )


def _summary(nodes: Sequence[Node]) -> str:
    phases = len({node.group for node in nodes if node.group is not None})
    head = f"{len(nodes)} migrations" + (f" in {phases} phases" if phases else "")
    return ": ".join(filter(None, (head, ", ".join(f"{count} {state}" for state, count in _counts(nodes).items()))))


def _legend(nodes: Sequence[Node], width: float) -> tuple[list[str], int]:
    """Draw the states that occur with their counts; return that, and where the rows begin."""
    if not nodes:
        return [f'<text x="{_MARGIN}" y="{_MARGIN + 13}">no migrations</text>'], _MARGIN + 20
    texts = {state: f"{count} {_shown(state)}" for state, count in _counts(nodes).items()}
    cell = 13 + _LETTER * max(map(_columns, texts.values()), default=0) + 20
    columns = max(1, int((width - 2 * _MARGIN) // cell))
    parts = [
        f'<g transform="translate({_MARGIN + 8 + place % columns * cell:g} {_MARGIN + 9 + place // columns * 20})">'
        f'{_mark(state)}<text x="13" y="4">{_escape(text)}</text></g>'
        for place, (state, text) in enumerate(texts.items())
    ]
    return parts, _MARGIN + 7 + 20 * -(-len(texts) // columns)


# Mermaid.


def to_mermaid(graph: Graph) -> str:
    """Write a graph as a Mermaid flowchart, with a subgraph for each phase and a class for each state."""
    structure = _structure(graph)
    nodes = structure.nodes
    counts = _counts(nodes)
    lines = ["flowchart LR"]
    for group in sorted({node.group for node in nodes if node.group is not None}):
        lines.append(f'  subgraph phase{group}["phase {group}"]')
        lines += [
            f"    {_box(f'n{row}', node.label, node.state)}" for row, node in enumerate(nodes) if node.group == group
        ]
        lines.append("  end")
    lines += [f"  {_box(f'n{row}', node.label, node.state)}" for row, node in enumerate(nodes) if node.group is None]
    lines += [
        f"  n{row} --> {' & '.join(f'n{place}' for place in needed_by)}"
        for row, needed_by in enumerate(structure.dependents())
        if needed_by
    ]
    if counts:
        lines.append('  subgraph states["states"]')
        lines += [
            f"    {_box(f's{row}', f'{state}: {count}', state)}" for row, (state, count) in enumerate(counts.items())
        ]
        lines.append("  end")
    for state in counts:
        if state in _LOOKS:
            lines.append(
                f"  classDef is_{state} fill:#fff,stroke:{_LOOKS[state].colour},stroke-width:2px,color:#1f2328"
            )
    return "\n".join(lines) + "\n"


def _box(identifier: str, label: str, state: str) -> str:
    look = _look_of(state)
    text = _for_mermaid(f"{look.sign} {label}")
    return f'{identifier}["{text}"]' + (f":::is_{state}" if state in _LOOKS else "")


def _for_mermaid(text: str) -> str:
    text = _shown(text)
    return re.sub(r"[!-/:-@\[-`{-~]", lambda match: f"#{ord(match[0])};", text)


# HTML.

_TABLE_STYLE: Final = """
.kimbledb-table{max-width:100%;overflow-x:auto}
.kimbledb-table table{border-collapse:collapse;margin:.5em 0;font-size:13px;line-height:1.35;color:inherit}
.kimbledb-table caption{caption-side:top;text-align:left;font-weight:600;padding:.2em .6em .4em;color:inherit}
.kimbledb-table th,.kimbledb-table td{text-align:left;vertical-align:top;padding:.2em .7em;white-space:nowrap}
.kimbledb-table th{border-bottom:1px solid #8b939c;font-weight:600}
.kimbledb-table td{border-bottom:1px solid rgba(139,147,156,.3)}
.kimbledb-table .kimbledb-number{text-align:right;font-variant-numeric:tabular-nums}
.kimbledb-table .kimbledb-long{white-space:pre-wrap;min-width:24em;overflow-wrap:anywhere}
.kimbledb-table svg{display:inline-block;vertical-align:-3px;margin:0 .4em 0 0}
"""
_LONG: Final = 48


def to_html_table(headers: Sequence[str], rows: Iterable[Sequence[str]], caption: str) -> str:
    """Write rows as an HTML table, for a notebook.

    Args:
        headers: The columns' names. What stands under ``state`` or ``result`` gets the mark of its state.
        rows: The cells of each row.
        caption: What the table shows, in a line.
    """
    table = [tuple(row) for row in rows]
    numeric = [all(re.fullmatch(r"[0-9.]*", cell) for cell in column) for column in zip(*table, strict=True)]
    body: list[str] = []
    for row in table:
        cells = []
        for header, cell, is_number in zip(headers, row, numeric, strict=True):
            mark = ""
            if header in {"state", "result"} and cell:
                mark = f'<svg width="14" height="14" viewBox="-8 -8 16 16" aria-hidden="true">{_mark(cell)}</svg>'
            kind = "number" if is_number else "long" if "\n" in cell or _columns(cell) > _LONG else "short"
            cells.append(f'<td class="kimbledb-{kind}">{mark}{_escape(cell)}</td>')
        body.append(f"<tr>{''.join(cells)}</tr>")
    head = "".join(f'<th scope="col">{_escape(header)}</th>' for header in headers)
    return "\n".join(
        (
            f'<div class="kimbledb-table"><style>{_TABLE_STYLE}</style>',
            f"<table><caption>{_escape(caption)}</caption>",
            f"<thead><tr>{head}</tr></thead>",
            "<tbody>",
            *body,
            "</tbody></table></div>\n",
        )
    )
