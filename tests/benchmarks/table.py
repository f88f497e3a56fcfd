"""The figures as tables of Markdown, and their places in docs/benchmarks.md."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from .measuring import Figure

#: A program's start has no goal: it is shown in milliseconds.
START = "its own start (`--version`)"


def alone(figures: Sequence[Figure]) -> str:
    """Return a table of figures that have a floor and a goal."""
    rows = [
        (
            f"{figure.name}: {_amount(figure.measured, figure.unit)}",
            f"{figure.floor}: {_amount(figure.floor_measured, figure.unit)}",
            f"{figure.ratio:.2f}; {_goal(figure)}",
        )
        for figure in figures
    ]
    return _table(("measure", "floor", "ratio; goal"), rows, left=2)


def growth(figures: Sequence[Figure]) -> str:
    """Return a row for each measure, with its figure for each number of migrations, and one for the most memory."""
    cells = {figure.point: _duration(figure.measured) for figure in figures if figure.point is not None}
    lines = list(dict.fromkeys(line for line, _ in cells))
    counts = sorted({count for _, count in cells})
    memory: dict[int, float] = {}
    for figure in figures:
        if figure.unit == "MiB":
            count = int(figure.name.rpartition(" ")[2].replace(",", ""))
            memory[count] = max(memory.get(count, 0), figure.measured)
    rows = [(line, "; ".join(cells[line, count] for count in counts if (line, count) in cells)) for line in lines]
    rows.append(("most memory", "; ".join(f"{memory[count]:.0f} MiB" for count in counts)))
    return _table(("measure", f"with {'; '.join(f'{count:,}' for count in counts)} migrations"), rows, left=2)


def beside(figures: Sequence[Figure]) -> str:
    """Return the versions of the tools, and for each measure the share of each tool's time that kimbledb takes.

    It is a list: a table with a column for each tool would be wider than a telephone.
    """
    cells = {(figure.tool, figure.name.partition(": ")[2]): figure for figure in figures}
    tools = list(dict.fromkeys(tool for tool, _ in cells if tool is not None))
    lines = [f"{', '.join(tools)}.\n\n"]
    for measure in dict.fromkeys(measure for _, measure in cells):
        found = {tool: figure for tool in tools if (figure := cells.get((tool, measure))) is not None}
        ours = next(iter(found.values())).measured
        shares = ", ".join(f"{tool.rpartition(' ')[0]} {_share(figure, measure)}" for tool, figure in found.items())
        lines.append(f"- **{measure}** (kimbledb {_duration(ours)}): {shares}\n")
    return "".join(lines)


def inserted(page: str, sections: Mapping[str, str]) -> str:
    """Return a page with new text between the marks of each section.

    Raises:
        ValueError: The page has no such section.
    """
    for name, text in sections.items():
        begin, end = re.search(rf"<!-- {name}: [^>]*-->\n", page), f"<!-- end of {name} -->"
        if begin is None or end not in page:
            raise ValueError(f"the page has no section {name}")
        page = page[: begin.end()] + text + page[page.index(end) :]
    return page


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, left: int) -> str:
    rule = [" --- "] * left + [" ---: "] * (len(head) - left)
    lines = [f"| {' | '.join(head)} |", f"|{'|'.join(rule)}|", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join(lines) + "\n"


def _share(figure: Figure, measure: str) -> str:
    if measure == START:
        return _duration(figure.floor_measured)
    return f"{'< ' if figure.floor_stopped else ''}{figure.ratio:.2f}"


def _amount(value: float, unit: str) -> str:
    return f"{value:,.0f} {unit}".strip() if value >= 100 else f"{value:.1f} {unit}".strip()


def _duration(milliseconds: float) -> str:
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms"
    return f"{milliseconds / 1000:.1f} s" if milliseconds < 10_000 else f"{milliseconds / 1000:.0f} s"


def _goal(figure: Figure) -> str:
    mark = "" if figure.reached else ", missed"
    return f"{'at least ' if figure.more_is_better else ''}{figure.goal:g}{mark}"
