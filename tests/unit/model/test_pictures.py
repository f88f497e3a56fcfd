"""Pictures of plans and catalogs: whole, escaped, the same each time, and readable for everybody."""

from __future__ import annotations

import html
import itertools
import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimbledb.catalog.catalog import Catalog
from kimbledb.model import pictures
from kimbledb.model.outputs import html as html_output
from kimbledb.model.pictures import Graph, Node, to_mermaid, to_svg
from kimbledb.model.step import StepState
from kimbledb.model.tables import Table
from kimbledb.planning.planner import Planner

SVG = "{http://www.w3.org/2000/svg}"
STATES = [str(state) for state in StepState]
BUILT_IN = Planner(Catalog.builtin()).plan()

anything = st.text(st.characters(exclude_categories=()), max_size=90)
# What XML can hold, with more than their share of what could break out of it.
names = st.text(
    st.sampled_from("<>&\"'#;]`\\\t\n\r-_.%")
    | st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="\ufffe\uffff"),
    min_size=1,
    max_size=90,
)


def node(name: str, state: str = "pending", group: int | None = None, label: str | None = None) -> Node:
    """A node that is labelled with its name, where no label is given."""
    return Node(name, name if label is None else label, group, state, "")


def graph(*edges: str, group: int | None = None) -> Graph:
    """A graph of edges such as "ab", its nodes in the order in which they are named."""
    nodes = tuple(node(name, group=group) for name in dict.fromkeys("".join(edges)))
    return Graph(nodes, tuple((edge[0], edge[1]) for edge in edges))


@st.composite
def graphs(draw: st.DrawFn, texts: st.SearchStrategy[str] = names, *, circles: bool = True) -> Graph:
    """Any graph; without circles its nodes still come in any order."""
    unique = draw(st.lists(texts, unique=True, max_size=9))
    groups, states = st.none() | st.integers(1, 3), st.sampled_from([*STATES, ""]) | texts
    nodes = [Node(name, draw(texts), draw(groups), draw(states), draw(texts)) for name in unique]
    pairs = [(a, b) for a in range(len(nodes)) for b in range(len(nodes)) if circles or a < b]
    chosen = draw(st.lists(st.sampled_from(pairs), max_size=30)) if pairs else []
    edges = tuple((unique[need], unique[place]) for need, place in chosen)
    return Graph(tuple(draw(st.permutations(nodes))), edges)


def parsed(picture: str) -> ET.Element:
    """The picture, or the table, as XML."""
    return ET.fromstring(picture)  # noqa: S314 - we wrote it


def rows(picture: str) -> list[ET.Element]:
    """What is drawn for each node, from above."""
    return parsed(picture).findall(f"{SVG}g[@class='kimbledb-node']")


def title(row: ET.Element) -> str:
    """The text that is shown beside a node while a pointer rests on it."""
    return row.findtext(f"{SVG}title") or ""


def texts_of(row: ET.Element) -> list[str]:
    """The label and the state of a node, as shown."""
    return [text.text or "" for text in row.findall(f"{SVG}text")]


def line_of(row: ET.Element) -> str:
    """The line that leads from a node to those that need it, or nothing."""
    path = row.find(f"{SVG}path")
    return "" if path is None else path.get("d", "")


# The SVG.


@given(graphs())
def test_every_name_is_found(drawn: Graph) -> None:
    """Whatever names, labels and states hold, the picture is XML, with each name whole and each node once."""
    titles = [title(row) for row in rows(to_svg(drawn))]

    assert len(drawn.nodes) == len(titles)
    assert all(any(text.startswith(each.name) for text in titles) for each in drawn.nodes)


@given(graphs(anything))
def test_no_character_breaks_it(drawn: Graph) -> None:
    """What XML cannot hold (control characters, lone surrogates) is shown as U+FFFD, and the file can be written."""
    picture = to_svg(drawn)

    assert len(drawn.nodes) == len(rows(picture))
    assert picture.encode()


@given(graphs())
def test_the_same_graph_gives_the_same_picture(drawn: Graph) -> None:
    """The picture depends on nothing but the graph, and not on the order of its edges."""
    turned = Graph(drawn.nodes, drawn.edges[::-1] + drawn.edges)

    assert to_svg(drawn) == to_svg(drawn) == to_svg(turned)
    assert to_mermaid(drawn) == to_mermaid(turned)


@given(graphs(circles=False))
def test_each_node_stands_below_what_it_needs(drawn: Graph) -> None:
    """Without circles every edge leads down, in whatever order the nodes are given."""
    order = {each.name: row for row, each in enumerate(pictures._structure(drawn).nodes)}

    assert all(order[need] < order[name] for need, name in drawn.edges)


@given(graphs(), st.sampled_from([1, 16]))
def test_lines_never_share_a_lane(drawn: Graph, few_lanes: int) -> None:
    """From a node to the last that needs it its lane is its own, but for the end, where the next may begin."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures, "_FEW_LANES", few_lanes)
        structure = pictures._structure(drawn)
    ends = {row: structure.needed_by[row][-1] for row in structure.lanes}

    for (above, lane), (below, other) in itertools.combinations(structure.lanes.items(), 2):
        if lane == other:
            assert ends[above] < below or (ends[above] == below and below in structure.needed_by[above])


def test_built_in_names_are_readable_in_full() -> None:
    """The 35 names of the built-in catalog are shown whole, with their numbers, each with its state."""
    shown = [texts_of(row) for row in rows(BUILT_IN.to_svg())]

    assert len(shown) == 35
    assert shown == [[f"{step.migration.number}. {step.name}", str(step.state)] for step in BUILT_IN.steps]


def test_long_names_are_shortened_in_the_middle() -> None:
    """A label too long keeps both its ends; the name is whole in the text beside it."""
    name = "a-very-long-name-" * 10 + "end.sql"
    row = rows(to_svg(Graph((node(name),), ())))[0]

    assert re.fullmatch(r"a-very-long-name-.*….*end\.sql", texts_of(row)[0])
    assert len(texts_of(row)[0]) <= 64
    assert title(row) == name


@pytest.mark.parametrize("name", ["日本語" * 40, "x" * 100 + "\u0301" * 64, "e\u0301" * 64, "\u0301" * 64])
def test_long_names_of_other_scripts_fit_too(name: str) -> None:
    """Wide letters take more room and accents that stand above others take none."""
    row = rows(to_svg(Graph((node(name),), ())))[0]
    label = row.find(f"{SVG}text[@class='kimbledb-label']")

    assert label is not None
    assert 0 < float(label.get("textLength", "0")) <= 64 * pictures._COLUMN
    assert ("…" in (label.text or "")) == (name[0] in "日x")


@given(graphs())
def test_labels_end_before_the_states_begin(drawn: Graph) -> None:
    """No label reaches into the next column, and no state beyond the picture."""
    picture = to_svg(drawn)

    for row in rows(picture):
        label, state = row.findall(f"{SVG}text")
        width = float(label.get("textLength") or len(label.text or "") * pictures._COLUMN)
        assert float(label.get("x", "")) + width < float(state.get("x", ""))
        assert float(state.get("x", "")) < float(parsed(picture).get("width", ""))


def test_what_follows_from_others_has_no_line() -> None:
    """Of a to b, b to c and a to c the last is not drawn, and is still told beside the name."""
    first, _, last = rows(to_svg(graph("ab", "bc", "ac")))

    assert line_of(first).count("V") == 1
    assert "needs a, b" in title(last)


def test_many_dependents_share_one_line() -> None:
    """A node that thirty others need has one line with thirty branches; the others have none."""
    picture = rows(to_svg(graph(*("a" + chr(200 + place) for place in range(30)))))

    assert [line_of(row).count("q") for row in picture] == [30] + [0] * 30
    assert "and 24 more" in title(picture[0])


def test_a_chain_is_straight() -> None:
    """A long chain takes one lane."""
    links = [chr(200 + place) + chr(201 + place) for place in range(100)]

    assert set(pictures._structure(graph(*links)).lanes.values()) == {0}


def test_a_circle_is_drawn_and_told() -> None:
    """Nodes that need each other are drawn, the one that was cut open says so, and what needs them stays below."""
    drawn = graph("da", "ab", "bc", "cb", "cf", "fg", "ee")
    picture = rows(to_svg(Graph(drawn.nodes[::-1], drawn.edges)))

    assert [texts_of(row) for row in picture] == [
        ["d", "pending"],
        ["a", "pending"],
        ["e", "pending, in a circle"],
        ["c", "pending, in a circle"],
        ["f", "pending"],
        ["g", "pending"],
        ["b", "pending"],
    ]
    assert "in a circle, needs b" in title(picture[3])


def test_phases_are_bands() -> None:
    """Each run of nodes in one phase has a band with its number; nodes without one have none."""
    nodes = (node("a", group=1), node("b", group=1), node("c", group=7), node("d"))
    picture = parsed(to_svg(Graph(nodes, ())))

    assert len(picture.findall(f"{SVG}rect")) == 2
    assert [text.text for text in picture.findall(f"{SVG}text")] == ["phase 1", "phase 7"]


def test_legend_counts_the_states_that_occur() -> None:
    """The legend has each state once, in the order of the states, with its count, and no other."""
    nodes = tuple(node(str(place), state) for place, state in enumerate(["odd", "pending", "applied", "pending", ""]))
    picture = parsed(to_svg(Graph(nodes, ())))

    assert [text.text for text in picture.findall(f"{SVG}g[@transform]/{SVG}text")] == [
        "1 applied",
        "2 pending",
        "1 odd",
    ]


def test_it_is_told_to_those_who_do_not_see_it() -> None:
    """The picture is an image with a text that sums it up."""
    picture = parsed(to_svg(Graph((node("a", "applied", 1), node("b", "pending", 2)), ())))

    assert picture.get("role") == "img"
    assert picture.get("aria-label") == "2 migrations in 2 phases: 1 applied, 1 pending"


def test_nothing_leaks_and_nothing_is_fetched() -> None:
    """There is no id, no script and no address in it, and each rule of its style holds inside of it only."""
    picture = to_svg(graph("ab", group=1))
    rules = re.findall(r"([^{}]+)\{[^{}]+\}", re.sub(r"@media[^{]*\{(.*)\}", r"\1", pictures._STYLE))

    assert not re.search(r"\sid=|<script|<use|url\(|@import|@font-face|href", picture)
    assert re.findall("https?:[^\"' ]+", picture) == ["http://www.w3.org/2000/svg"]
    assert all(rule.strip().startswith(".kimbledb-graph") for rule in rules)
    assert "prefers-color-scheme:dark" in picture


def test_a_picture_of_nothing_says_so() -> None:
    """A picture of nothing says so."""
    assert "no migrations" in "".join(parsed(to_svg(Graph((), ()))).itertext())


def test_a_notebook_shows_table_and_picture() -> None:
    """What a notebook shows of a plan is well-formed, and has each name in the table and in the picture."""
    shown = parsed(f"<div>{BUILT_IN._repr_html_()}</div>")

    assert [each.tag for each in shown] == ["p", "div", f"{SVG}svg"]
    assert shown[0].find("code").attrib == {"title": BUILT_IN.fingerprint}  # type: ignore[union-attr]
    assert all(step.name in "".join(part.itertext()) for step in BUILT_IN.steps for part in shown[1:])


# The looks of states.

# How colours look to people who lack one kind of cone (Machado, Oliveira and
# Fernandes 2009, severity 1), as matrices for linear RGB.
VISION: dict[str, list[tuple[float, float, float]]] = {
    "all cones": [(1, 0, 0), (0, 1, 0), (0, 0, 1)],
    "protanopia": [(0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)],
    "deuteranopia": [(0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.01182, 0.04294, 0.968881)],
    "tritanopia": [(1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.3039)],
}


def seen(colour: str, vision: str) -> tuple[float, float, float]:
    """Return a colour as it is seen, in CIE L*a*b*."""
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels]
    red, green, blue = (
        min(max(sum(factor * each for factor, each in zip(row, linear, strict=True)), 0), 1) for row in VISION[vision]
    )
    x, y, z = (
        each ** (1 / 3) if each > 0.008856 else 7.787 * each + 16 / 116
        for each in (
            (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505,
            0.2126 * red + 0.7152 * green + 0.0722 * blue,
            (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089,
        )
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


@pytest.mark.parametrize("state", STATES)
def test_each_state_has_a_look(state: str) -> None:
    """No state of a plan is drawn as if it were none."""
    assert state in pictures._LOOKS


def test_marks_differ_without_their_colours() -> None:
    """Each state has a mark and a sign of its own, so that a black and white print tells them apart."""
    looks = [pictures._LOOKS[state] for state in STATES]

    assert len({re.sub("#[0-9A-F]{6}", "", look.mark) for look in looks}) == len(STATES)
    assert len({look.sign for look in looks}) == len(STATES)


@pytest.mark.parametrize("vision", VISION)
def test_colours_differ_for_colour_blind_readers(vision: str) -> None:
    """With any one kind of cone missing, no two states look the same (a difference of 2.3 is just noticed)."""
    colours = {state: seen(pictures._LOOKS[state].colour, vision) for state in STATES}

    for (one, colour), (other, second) in itertools.combinations(colours.items(), 2):
        difference = sum((a - b) ** 2 for a, b in zip(colour, second, strict=True)) ** 0.5
        assert difference > 8, f"give {one} and {other} other colours in _LOOKS"


# Mermaid.

MERMAID_LINE = re.compile(
    r"""flowchart\x20LR | \x20\x20(?:
        (?:\x20\x20)?n\d+\["(?P<label>[^"]*)"\](?::::is_[a-z]+)?
        | n\d+\x20-->\x20n\d+(?:\x20&\x20n\d+)*
        | subgraph\x20phase\d+\["phase\x20\d+"\]
        | end
        | states\["(?P<states>[^"]*)"\]
        | classDef\x20is_[a-z]+\x20fill:\#fff,stroke:\#[0-9A-F]{6},stroke-width:2px,color:\#1f2328
    )""",
    re.VERBOSE,
)


@given(graphs(anything))
def test_no_name_breaks_out_of_its_box(drawn: Graph) -> None:
    """Whatever labels hold, each line is one of a flowchart, with nothing special to Mermaid or Markdown in a label."""
    for line in to_mermaid(drawn).removesuffix("\n").split("\n"):
        match = MERMAID_LINE.fullmatch(line)
        assert match, line
        for text in (match["label"] or "", *(match["states"] or "").split("<br/>")):
            plain = re.sub(r"#\d+;", "", text)
            assert not re.search(r"""[<>&"'#;`*\\()\[\]{}|~]""", plain)


@given(names)
def test_labels_can_be_read_back(name: str) -> None:
    """What Mermaid shows of a label is the label."""
    match = re.search(r'n0\["(.*)"\]', to_mermaid(Graph((node(name, state="", label=name),), ())))

    assert match
    assert html.unescape(re.sub(r"#(\d+);", r"&#\1;", match[1])) == pictures._printable(name).strip()


def test_a_number_does_not_begin_a_list() -> None:
    """The dot of "1. " is escaped, which Mermaid would else take for Markdown and refuse."""
    assert 'n0["• 1#46; COMPLETE_MIGRATION.sql"]:::is_pending' in to_mermaid(
        Graph((node("COMPLETE_MIGRATION.sql", label="1. COMPLETE_MIGRATION.sql"),), ())
    )


def test_phases_edges_and_states() -> None:
    """Phases are subgraphs, direct needs are arrows, and the states that occur have a class and a count."""
    nodes = (node("c", group=2), node("b", "applied", 1), node("a", "applied", 1), node("d", ""))
    drawn = Graph(nodes, (("a", "b"), ("b", "c"), ("a", "c"), ("a", "elsewhere")))

    assert to_mermaid(drawn).splitlines() == [
        "flowchart LR",
        '  n3["d"]',
        '  subgraph phase1["phase 1"]',
        '    n0["✓ a"]:::is_applied',
        '    n1["✓ b"]:::is_applied',
        "  end",
        '  subgraph phase2["phase 2"]',
        '    n2["• c"]:::is_pending',
        "  end",
        "  n0 --> n1",
        "  n1 --> n2",
        '  states["✓ 2 applied<br/>• 1 pending"]',
        "  classDef is_applied fill:#fff,stroke:#009E73,stroke-width:2px,color:#1f2328",
        "  classDef is_pending fill:#fff,stroke:#0F7DC2,stroke-width:2px,color:#1f2328",
    ]


# The HTML table.


@given(st.lists(st.tuples(names, names, names)), names)
def test_cells_are_found_as_they_were(rows: list[tuple[str, str, str]], caption: str) -> None:
    """Whatever cells hold, the table is well-formed and each cell is in it as it was."""
    table = parsed(html_output.write([Table(caption, tuple(rows), ("a", "state", "why"))]))
    cells = [tuple("".join(cell.itertext()) for cell in row) for row in table.findall("table/tbody/tr")]

    assert table.findtext("table/caption") == caption
    assert cells == rows


@given(st.lists(st.tuples(anything, anything)), anything)
def test_no_character_breaks_a_table(rows: list[tuple[str, str]], caption: str) -> None:
    """What a page cannot hold is shown as U+FFFD."""
    table = html_output.write([Table(caption, tuple(rows), ("state", "why"))])

    assert len(rows) == len(parsed(table).findall("table/tbody/tr"))
    assert table.encode()


def test_states_and_results_carry_their_marks() -> None:
    """A cell under `state` or `result` has the mark of its word; no other cell has one."""
    table = parsed(
        html_output.write(
            [Table("", (("applied", "FAILED", "pending"), ("", "passed", "")), ("state", "result", "why"))]
        )
    )
    marks = [[cell.find("svg") is not None for cell in row] for row in table.findall("table/tbody/tr")]
    colours = [mark.get("stroke") for mark in table.findall(".//svg/g")]

    assert marks == [[True, True, False], [False, True, False]]
    assert colours == [pictures._LOOKS[state].colour for state in ("applied", "failed", "passed")]


def test_numbers_stand_on_the_right_and_long_texts_wrap() -> None:
    """Columns of numbers are aligned by their ends; only a long cell is broken into lines."""
    table = parsed(
        html_output.write([Table("", (("9", "a.sql", "x " * 40), ("10", "b.sql", "short")), ("#", "name", "why"))])
    )
    classes = [[cell.get("class") for cell in row] for row in table.findall("table//tr")]

    assert classes == [
        ["kimbledb-number", "kimbledb-short", "kimbledb-short"],
        ["kimbledb-number", "kimbledb-short", "kimbledb-long"],
        ["kimbledb-number", "kimbledb-short", "kimbledb-short"],
    ]


def test_nothing_leaks_from_a_table_and_nothing_is_fetched() -> None:
    """There is no id and no script in it, and each rule of its style holds inside of it only."""
    table = html_output.write([Table("one", (("applied",),), ("state",))])
    rules = re.findall(r"([^{}]+)\{[^{}]+\}", html_output._STYLE)

    assert not re.search(r"\sid=|<script|url\(|@import|https?:|href", table)
    assert all(part.strip().startswith(".kimbledb-table") for rule in rules for part in rule.split(","))


def test_a_row_too_short_is_refused() -> None:
    """A row with more or fewer cells than headers is an error of the caller, and not a crooked table."""
    with pytest.raises(ValueError, match="shorter"):
        html_output.write([Table("", (("1",),), ("a", "b"))])
