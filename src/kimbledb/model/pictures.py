"""Pictures of a graph, as SVG and as a Mermaid flowchart, and the mark of each state.

A picture needs no program, font, script or network. It takes its text colour from the page around it, and its
background from the reader's preference where there is no page: it is readable in light and in dark. Three signs
show a state: a colour that colour-blind readers can distinguish (after Okabe and Ito), the shape of a mark, and a
word. The same values give the same picture.

The SVG has one row for each node. A node that others need has a trunk, which runs down to the last of these nodes
and branches into each. So thirty dependents are one line, a long chain is straight, and a picture grows with the
number of nodes and not with the number of edges. An edge that follows from other edges is left out.
"""

from __future__ import annotations

import heapq
import html
import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from attrs import frozen

from kimbledb.model.text import counted, few


@frozen
class Node:
    """A node of a graph, with a state."""

    #: The name, unique in its graph. The picture holds it as text, in full.
    name: str
    #: The visible text, which the picture shortens if it is long.
    label: str
    #: The number of its phase, or None.
    group: int | None
    #: The state in one word, or an empty text.
    state: str
    #: The text beside the name while a pointer rests on the node.
    hover: str


@frozen
class Graph:
    """Nodes, and edges from each needed node to those that need it."""

    #: The nodes in their given order.
    nodes: tuple[Node, ...]
    #: Pairs of names: the needed node, then the one that needs it. A pair with an unknown name is not drawn.
    edges: tuple[tuple[str, str], ...]


@frozen
class _Look:
    """The signs of a state."""

    #: The character of the state in a terminal and in Mermaid.
    sign: str
    #: The colour, distinct from the others with any one kind of cone missing, on white and on near-black.
    colour: str
    #: A similar colour in a terminal of few colours, by its name in rich.
    terminal: str
    #: The mark as SVG around the origin, within 8 each way, drawn in strokes of the colour.
    mark: str


_RING: Final = '<circle r="6"/>'
_DISC: Final = '<circle r="6" fill="{0}"/>'
_SQUARE: Final = '<path d="M-5.5-5.5h11v11h-11z" fill="{0}"/>'
_DIAMOND: Final = '<path d="M0-7 7 0 0 7-7 0z" fill="{0}"/>'
_TRIANGLE: Final = '<path d="M0-6.5 7 5.5h-14z" fill="{0}"/>'
_HALF: Final = '<path d="M0-6a6 6 0 0 1 0 12z" fill="{0}"/>'


def _look(sign: str, colour: str, terminal: str, outline: str, inside: str = "") -> _Look:
    """Make a look of an outline and lines inside. The lines are white if the outline is filled."""
    pen = ' stroke="#fff"' if outline not in {_RING, _RING + _HALF} else ""
    lines = f'<path{pen} d="{inside}"/>' if inside else ""
    return _Look(sign, colour, terminal, outline.replace("{0}", colour) + lines)


_LOOKS: Final = {
    "applied": _look("✓", "#009E73", "green", _DISC, "M-2.8.2-.8 2.4 2.9-2.2"),
    "pending": _look("•", "#0F7DC2", "cyan", _RING, "M-1.1 0a1.1 1.1 0 1 0 2.2 0a1.1 1.1 0 1 0-2.2 0z"),
    "replaced": _look("-", "#8A8A8A", "dim", _RING, "M-2.6 0h5.2"),
    "adoptable": _look("+", "#56B4E9", "blue", _RING, "M-2.8 0h5.6M0-2.8v5.6"),
    "partial": _look("½", "#E69F00", "yellow", _RING + _HALF),
    "conflicting": _look("!", "#D55E00", "red", _TRIANGLE, "M0-2.2v3.4M0 3.6v.1"),
    "changed": _look("≠", "#CC79A7", "red", _DIAMOND, "M-2.6-1.3h5.2M-2.6 1.3h5.2M1.4-3-1.4 3"),
    "failed": _look("✗", "#C22F1F", "red", _SQUARE, "M-2.5-2.5 2.5 2.5M-2.5 2.5 2.5-2.5"),
    "renamed": _look("→", "#9048F0", "red", _DIAMOND, "M-3 0h6M.6-2.4 3 0 .6 2.4"),
    "undecided": _look("~", "#606018", "yellow", _RING, "M-2.8.8q1.4-2.6 2.8-.8t2.8-.8"),
    "unknown": _look("?", "#707070", "magenta", _SQUARE, "M-2-1.6a2 2 0 1 1 2.9 1.8q-.9.5-.9 1.3M0 3.5v.1"),
}
_LOOKS["passed"] = _LOOKS["applied"]  # the result of a check; the other one is "failed"
_PLAIN: Final = _look("", "#8A8A8A", "", '<circle r="3" fill="{0}"/>')


def sign_of(state: str) -> tuple[str, str]:
    """Return the character of a state and its colour in a terminal."""
    look = _look_of(state)
    return look.sign, look.terminal


def _look_of(state: str) -> _Look:
    return _LOOKS.get(state.casefold(), _PLAIN)


def mark(state: str) -> str:
    """Return the mark of a state as an SVG element around the origin, within 8 each way."""
    look = _look_of(state)
    pen = f'fill="none" stroke="{look.colour}" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round"'
    return f"<g {pen}>{look.mark}</g>"


def _counts(nodes: Iterable[Node]) -> dict[str, int]:
    """Return the number of nodes in each state that occurs, in the order of the states."""
    counts = Counter(node.state for node in nodes if node.state)
    return {state: counts.pop(state) for state in _LOOKS if state in counts} | dict(sorted(counts.items()))


# Text. Users chose the names, so that they are cleaned, measured and escaped here.

# The characters that XML 1.0 (2.2 "Characters") cannot hold, not even escaped.
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MOST_COLUMNS: Final = 64


def escape(text: str) -> str:
    """Escape a text for XML and HTML, in elements and in attributes."""
    return html.escape(_NOT_IN_XML.sub("\ufffd", text)).replace("\r", "&#13;")


def _printable(text: str) -> str:
    """Return a text as one line with each invisible character replaced, such as marks that turn the writing."""
    return "".join(each if each.isprintable() else " " if each.isspace() else "\ufffd" for each in text)


def _columns(text: str) -> float:
    """Return the width of a text in letters of a monospaced font, in which a square character takes 5/3 of a letter."""
    wide = sum(unicodedata.east_asian_width(each) in "WF" for each in text)
    return len(text) - sum(map(bool, map(unicodedata.combining, text))) + wide * 2 / 3


def _shortened(text: str) -> str:
    """Return a text without its middle if it is too long: the ends distinguish names."""
    if _columns(text) <= _MOST_COLUMNS:
        return text
    head, tail = text[:_MOST_COLUMNS], text[-_MOST_COLUMNS:]
    while _columns(head) > _MOST_COLUMNS * 2 // 3:
        head = head[:-1]
    while tail and (_columns(head + tail) > _MOST_COLUMNS - 1 or unicodedata.combining(tail[0])):
        tail = tail[1:]
    return f"{head}…{tail}"


# Structure: an order, the edges to draw, and a lane for each trunk.

_FEW_LANES: Final = 16  # up to this number, new lanes go to the right


@frozen
class _Structure:
    """A graph in the order of its rows; nodes are named by their row."""

    nodes: tuple[Node, ...]
    #: For each node the nodes that it needs, as given.
    needs: tuple[tuple[int, ...], ...]
    #: For each node the nodes below that need it, without the edges that follow from others.
    needed_by: tuple[tuple[int, ...], ...]
    #: The lane of each node that is needed.
    lanes: dict[int, int]


def _structure(graph: Graph) -> _Structure:
    places = {node.name: place for place, node in enumerate(graph.nodes)}
    wanted: list[set[int]] = [set() for _ in graph.nodes]
    for needed, name in graph.edges:
        if needed in places and name in places:
            wanted[places[name]].add(places[needed])
    order = _ordered(wanted)
    rows = {place: row for row, place in enumerate(order)}
    needs = tuple(tuple(sorted(rows[place] for place in wanted[of])) for of in order)
    direct: list[list[int]] = []
    needed_by: list[list[int]] = [[] for _ in order]
    reached: list[int] = []  # for each row, as bits, all rows that it needs, near and far
    for row in range(len(order)):
        near = far = 0
        for need in needs[row]:
            if need < row:
                near |= 1 << need
                far |= reached[need]
        reached.append(near | far)
        direct.append([need for need in needs[row] if need < row and not far >> need & 1])
        for need in direct[row]:
            needed_by[need].append(row)
    nodes = tuple(graph.nodes[place] for place in order)
    return _Structure(nodes, needs, tuple(map(tuple, needed_by)), _lanes(direct, needed_by))


def _ordered(wanted: Sequence[set[int]]) -> list[int]:
    """Return all places so that each comes after those that it needs, else as given; a cycle is cut open."""
    dependents: list[list[int]] = [[] for _ in wanted]
    waiting = {place: len(needs) for place, needs in enumerate(wanted)}
    for place, wants in enumerate(wanted):
        for need in wants:
            dependents[need].append(place)
    ready = [place for place, count in waiting.items() if not count]
    order: list[int] = []
    while waiting:
        if not ready:
            # Each place that is left needs another one that is left: following the needs leads into a cycle.
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


def _lanes(direct: Sequence[Sequence[int]], needed_by: Sequence[Sequence[int]]) -> dict[int, int]:
    """Give each trunk a lane: that of a trunk that ends in its node, else a free one, to the right if there is room."""
    lanes: dict[int, int] = {}
    taken: list[int] = []  # for each lane the last row of its latest trunk
    for row, dependents in enumerate(needed_by):
        if not dependents:
            continue
        right = max(direct[row], key=lanes.__getitem__, default=None)
        lane = -1 if right is None else lanes[right]
        if right is None or needed_by[right][-1] != row:
            free = [each for each, last in enumerate(taken) if last < row] + [len(taken)]
            lane = next((each for each in free if lane < each < max(len(taken), _FEW_LANES)), free[0])
        taken += [0] * (lane + 1 - len(taken))
        lanes[row], taken[lane] = lane, dependents[-1]
    return lanes


# SVG.

_ROW: Final = 22
_COLUMN: Final = 7.25  # of the names' font at 12 pixels; no common one is wider
_LETTER: Final = 6.6  # on average, of the other texts' font at 11 pixels, with some to spare
_MARGIN: Final = 12
_KEY: Final = (
    "From its dot, a migration's line leads down to those that need it,",
    "and ends at the next dot. A need that follows from others has no line.",
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
    """Draw a graph as an SVG picture, complete in itself.

    Returns:
        One ``svg`` element, for a file of its own or for a page. It holds no ids, and no style rule reaches beyond it.
    """
    structure = _structure(graph)
    nodes, lanes = structure.nodes, structure.lanes
    labels = [_shortened(_printable(node.label)) for node in nodes]
    states = [_shortened(_printable(node.state)) for node in nodes]
    for row, needs in enumerate(structure.needs):
        if needs and needs[-1] >= row:
            states[row] = f"{states[row]}, in a circle".removeprefix(", ")
    # The dots of "9. " and "10. " stand below each other.
    digits = [len(label) - len(label.lstrip("0123456789")) for label in labels]
    most_digits = max(digits, default=0)
    indents = [most_digits - each for each in digits]
    widths = [_columns(label) + indent for label, indent in zip(labels, indents, strict=True)]

    # From left to right: phases, lanes, marks, names, states.
    groups = [len(f"phase {node.group}") for node in nodes if node.group is not None]
    step = max(3.0, min(16.0, 320 / (max(lanes.values(), default=0) + 1)))
    lane_x = _MARGIN + 6 + _LETTER * (max(groups, default=-2) + 2)
    mark_x = lane_x + 10 + step * (max(lanes.values(), default=-1) + 1)
    label_x = mark_x + 15
    state_x = label_x + 18 + _COLUMN * max(widths, default=0)
    width = round(max(420, state_x + _LETTER * max(map(_columns, states), default=0) + 2 * _MARGIN))

    parts, y = _legend(nodes, width)
    ys: list[int] = []
    for group, members in itertools.groupby(nodes, key=lambda node: node.group):
        tall = sum(_ROW for _ in members)
        if group is not None:
            parts.append(
                f'<rect class="kimbledb-band" x="{_MARGIN / 2:g}" y="{y - 3}" width="{width - _MARGIN}"'
                f' height="{tall + 6}" rx="5" fill-opacity=".055"/>'
                f'<text class="kimbledb-quiet" x="{_MARGIN + 2}" y="{y + _ROW // 2 + 4}">phase {group}</text>'
            )
        ys += range(y + _ROW // 2, y + tall, _ROW)
        y += tall + 9
    for row, node in enumerate(nodes):
        trunk = _trunk(structure, row, ys, lane_x, mark_x - 9, step) if row in lanes else ""
        # A character of an unforeseen width must not reach into the next column.
        fit = f' textLength="{max(_columns(labels[row]), 1) * _COLUMN:g}" lengthAdjust="spacingAndGlyphs"'
        parts.append(
            f'<g class="kimbledb-node"><title>{escape(_title(structure, row))}</title>'
            f'<rect class="kimbledb-row" x="{mark_x - 9:g}" y="{ys[row] - _ROW // 2}"'
            f' width="{width - _MARGIN / 2 - mark_x + 9:g}" height="{_ROW}" rx="4" fill-opacity="0"/>{trunk}'
            f'<g transform="translate({mark_x:g} {ys[row]})">{mark(node.state)}</g>'
            f'<text class="kimbledb-label" x="{label_x + indents[row] * _COLUMN:g}" y="{ys[row] + 4}"'
            f"{'' if labels[row].isascii() else fit}>{escape(labels[row])}</text>"
            f'<text class="kimbledb-quiet" x="{state_x:g}" y="{ys[row] + 4}">{escape(states[row])}</text></g>'
        )
    for line in _KEY if lanes else ():
        parts.append(f'<text class="kimbledb-quiet" x="{_MARGIN + 2}" y="{y + 10}">{line}</text>')
        y += 17
    height = y + _MARGIN
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="kimbledb-graph" role="img" width="{width}" height="{height}"'
        f' viewBox="0 0 {width} {height}" aria-label="{escape(_summary(nodes))}">'
    )
    return "\n".join((opening, f"<style>{_STYLE}</style>", *parts, "</svg>\n"))


def _trunk(structure: _Structure, row: int, ys: Sequence[int], start: float, end: float, step: float) -> str:
    """Draw the line from a node to those that need it."""
    dependents, lane, bend = structure.needed_by[row], structure.lanes[row], min(7, step)
    x, y = round(start + lane * step) + 0.5, ys[row] + 0.5  # sharp lines lie between pixels
    path = [f"M{end:g} {y:g}H{x:g}"]
    for dependent in dependents:
        below = ys[dependent] + 0.5
        if structure.lanes.get(dependent) == lane:
            path.append(f"V{below:g}")
        else:
            path.append(f"V{below - bend:g}q0 {bend:g} {bend:g} {bend:g}H{end:g}")
            if dependent != dependents[-1]:
                path.append(f"M{x:g} {below - bend:g}")
    return (
        f'<path class="kimbledb-trunk" fill="none" stroke="#8b939c" d="{"".join(path)}"/>'
        f'<circle class="kimbledb-joint" cx="{x:g}" cy="{y:g}" r="{min(3.0, bend / 2):g}"/>'
    )


def _legend(nodes: Sequence[Node], width: int) -> tuple[list[str], int]:
    """Draw the states that occur with their counts. Return the elements, and the height at which the rows begin."""
    texts = {state: f"{count} {_shortened(_printable(state))}" for state, count in _counts(nodes).items()}
    cell = 33 + _LETTER * max(map(_columns, texts.values()), default=0)
    across = max(1, int((width - 2 * _MARGIN) // cell))
    parts = [
        f'<g transform="translate({_MARGIN + 8 + place % across * cell:g} {_MARGIN + 9 + place // across * 20})">'
        f'{mark(state)}<text x="13" y="4">{escape(text)}</text></g>'
        for place, (state, text) in enumerate(texts.items())
    ]
    if not nodes:
        parts.append(f'<text x="{_MARGIN}" y="{_MARGIN + 10}">no migrations</text>')
    return parts, _MARGIN + 7 + 20 * -(-len(parts) // across)


def _summary(nodes: Sequence[Node]) -> str:
    phases = {node.group for node in nodes if node.group is not None}
    counts = ", ".join(f"{count} {state}" for state, count in _counts(nodes).items())
    head = counted(nodes, "migration") + (f" in {counted(phases, 'phase')}" if phases else "")
    return f"{head}: {counts}" if counts else head


def _title(structure: _Structure, row: int) -> str:
    """Return the text while a pointer rests on a node: its full name, its own text and its edges."""
    node, needs = structure.nodes[row], structure.needs[row]
    lines = [node.name, node.hover]
    for verb, rows in (
        ("needs", [need for need in needs if need < row]),
        ("in a circle, needs", [need for need in needs if need >= row]),
        ("needed by", structure.needed_by[row]),
    ):
        if rows:
            lines.append(f"{verb} {few([structure.nodes[each].name for each in rows], 6)}")
    return "\n".join(filter(None, lines))


# Mermaid.


def to_mermaid(graph: Graph) -> str:
    """Write a graph as a Mermaid flowchart, with a subgraph for each phase and a class for each state."""
    structure = _structure(graph)
    boxes: dict[int | None, list[str]] = {}
    for row, node in enumerate(structure.nodes):
        box = f'n{row}["{_signed(node.state, node.label)}"]' + (f":::is_{node.state}" if node.state in _LOOKS else "")
        boxes.setdefault(node.group, []).append(box)
    lines = ["flowchart LR", *boxes.pop(None, [])]
    for group, members in sorted(boxes.items(), key=lambda item: item[0] or 0):
        lines += [f'subgraph phase{group}["phase {group}"]', *(f"  {box}" for box in members), "end"]
    for row, dependents in enumerate(structure.needed_by):
        if dependents:
            lines.append(f"n{row} --> {' & '.join(f'n{each}' for each in dependents)}")
    if counts := _counts(structure.nodes):
        legend = (_signed(state, f"{count} {state}") for state, count in counts.items())
        lines.append(f'states["{"<br/>".join(legend)}"]')
    for state in (state for state in counts if state in _LOOKS):
        lines.append(f"classDef is_{state} fill:#fff,stroke:{_LOOKS[state].colour},stroke-width:2px,color:#1f2328")
    return "\n  ".join(lines) + "\n"


# The characters that may have a meaning in Mermaid or its Markdown: all that are neither letters nor digits, and do
# not stand alone between two of these.
_SPECIAL = re.compile(r"(?<![^\W_])[-_.]|[-_.](?![^\W_])|[!-,/:-@\[-^`{-~]")


def _signed(state: str, text: str) -> str:
    """Return the sign of a state and a text, escaped for the quotation marks of Mermaid."""
    return _SPECIAL.sub(lambda match: f"#{ord(match[0])};", f"{_look_of(state).sign} {_printable(text)}".strip())
