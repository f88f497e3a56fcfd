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
    "pending": _look("•", "#0072B2", _RING, '<circle r="1.2"/>'),
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


def _columns(text: str) -> int:
    """Return how many columns a text takes in a font of one width; a wide character takes two."""
    return sum(
        0 if unicodedata.combining(each) else 2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text
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
    rows = {place: row for row, place in enumerate(order)}
    needs = tuple(tuple(sorted(rows[need] for need in wanted[place])) for place in order)
    direct: list[tuple[int, ...]] = []
    reached: list[int] = []  # for each row, as bits, all rows that it needs, near and far
    for row, each in enumerate(needs):
        far = near = 0
        for need in each:
            if need < row:
                far |= reached[need]
                near |= 1 << need
        direct.append(tuple(need for need in each if need < row and not far >> need & 1))
        reached.append(far | near)
    return _Structure(tuple(graph.nodes[place] for place in order), needs, tuple(direct))


def _ordered(wanted: Sequence[set[int]]) -> list[int]:
    """Return all places so that each comes after what it needs, else as given; a circle is cut open."""
    dependents: list[list[int]] = [[] for _ in wanted]
    waiting = {place: len(needs) for place, needs in enumerate(wanted)}
    for place, needs in enumerate(wanted):
        for need in needs:
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
    taken_to: list[int] = []
    for row, needed_by in enumerate(dependents):
        if not needed_by:
            continue
        last = max(structure.direct[row], key=lanes.__getitem__, default=None)
        lane = 0 if last is None else lanes[last]
        if last is not None and dependents[last][-1] != row:
            lane += 1
        if last is None or dependents[last][-1] != row:
            while lane < len(taken_to) and taken_to[lane] >= row:
                lane += 1
        if lane == len(taken_to):
            taken_to.append(row)
        lanes[row] = lane
        taken_to[lane] = needed_by[-1]
    return lanes


# SVG.

_ROW: Final = 22
_COLUMN: Final = 7.25  # of the names' font at 12 pixels; no common one is wider
_LETTER: Final = 6.6  # on average, of the other texts' font at 11 pixels, with some to spare
_MARGIN: Final = 12

_STYLE: Final = """
.kimbledb-graph{max-width:100%;height:auto;overflow:visible;direction:ltr;letter-spacing:normal;word-spacing:normal}
.kimbledb-graph:root{color:#1f2328;background:#fff}
@media (prefers-color-scheme:dark){.kimbledb-graph:root{color:#e6edf3;background:#0d1117}}
.kimbledb-graph text{fill:currentColor;font:11px system-ui,"Segoe UI","Helvetica Neue",Arial,sans-serif}
.kimbledb-graph .kimbledb-label{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace}
.kimbledb-graph .kimbledb-quiet{fill-opacity:.72}
.kimbledb-graph .kimbledb-band{fill:currentColor;fill-opacity:.055}
.kimbledb-graph .kimbledb-row{fill:currentColor;fill-opacity:0}
.kimbledb-graph .kimbledb-trunk{fill:none;stroke:#8b939c;stroke-width:1.3}
.kimbledb-graph .kimbledb-joint{fill:#8b939c}
.kimbledb-graph .kimbledb-node:hover .kimbledb-row{fill-opacity:.09}
.kimbledb-graph .kimbledb-node:hover .kimbledb-trunk{stroke:currentColor;stroke-width:2.2}
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
    states = [_shown(node.state) for node in nodes]
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
    state_x = label_x + 18 + _COLUMN * max(
        (_columns(label) + deepest - indent for label, indent in zip(labels, indents, strict=True)), default=0
    )
    width = round(max(state_x + _LETTER * max(map(_columns, states), default=0) + 2 * _MARGIN, 420))
    legend, top = _legend(nodes, width)

    ys: list[float] = []
    bands: list[str] = []
    y = top
    for row, node in enumerate(nodes):
        opens = not row or nodes[row - 1].group != node.group
        if opens and row:
            y += 9
        ys.append(y + _ROW / 2)
        if opens and node.group is not None:
            tall = 1
            while row + tall < len(nodes) and nodes[row + tall].group == node.group:
                tall += 1
            bands.append(
                f'<rect class="kimbledb-band" x="{_MARGIN / 2:g}" y="{y - 3:g}" width="{width - _MARGIN}"'
                f' height="{tall * _ROW + 6}" rx="5"/>'
                f'<text class="kimbledb-quiet" x="{_MARGIN + 2}" y="{y + _ROW / 2 + 4:g}">phase {node.group}</text>'
            )
        y += _ROW
    height = round(y + _MARGIN)

    rows: list[str] = []
    for row, node in enumerate(nodes):
        trunk = ""
        if row in lanes:
            x = lane_x + lanes[row] * step
            trunk = _trunk(row, dependents[row], lanes, ys, x, mark_x - 9, min(7, step))
        label_at = label_x + (deepest - indents[row]) * _COLUMN
        # A character of an unforeseen width must not reach into the next column.
        fit = "" if labels[row].isascii() else f' textLength="{max(_columns(labels[row]), 1) * _COLUMN:g}"'
        fit += ' lengthAdjust="spacingAndGlyphs"' if fit else ""
        rows.append(
            f'<g class="kimbledb-node"><title>{_escape(_title(structure, dependents, row))}</title>'
            f'<rect class="kimbledb-row" x="{mark_x - 9:g}" y="{ys[row] - _ROW / 2:g}"'
            f' width="{width - _MARGIN / 2 - mark_x + 9:g}" height="{_ROW}" rx="4"/>{trunk}'
            f'<g transform="translate({mark_x:g} {ys[row]:g})">{_mark(node.state)}</g>'
            f'<text class="kimbledb-label" x="{label_at:g}" y="{ys[row] + 4:g}"{fit}>{_escape(labels[row])}</text>'
            f'<text class="kimbledb-quiet" x="{state_x:g}" y="{ys[row] + 4:g}">{_escape(states[row])}</text></g>'
        )
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="kimbledb-graph" role="img" width="{width}"'
            f' height="{height}" viewBox="0 0 {width} {height}" aria-label="{_escape(_summary(nodes))}">',
            f"<style>{_STYLE}</style>",
            *legend,
            *bands,
            *rows,
            "</svg>\n",
        )
    )
