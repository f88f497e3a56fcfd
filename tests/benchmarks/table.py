"""The figures as tables of Markdown, as they stand in the docs."""

from __future__ import annotations

from collections.abc import Sequence

from .measuring import Figure

_HEAD = "| measure | floor | measured | floor | ratio | goal |\n| --- | --- | ---: | ---: | ---: | ---: |\n"


def write(figures: Sequence[Figure]) -> str:
    """Return a table of the figures with a floor of their own, and one of those beside other tools."""
    alone = [figure for figure in figures if figure.tool is None]
    rows = "".join(
        f"| {figure.name} | {figure.floor} | {_amount(figure.measured, figure.unit)} "
        f"| {_amount(figure.floor_measured, figure.unit)} | {figure.ratio:.2f} | {_goal(figure)} |\n"
        for figure in alone
    )
    return (_HEAD + rows if alone else "") + _beside([figure for figure in figures if figure.tool is not None])


def _beside(figures: Sequence[Figure]) -> str:
    """Return a row for each measure and a column for each tool, with the share of the tool's time that kimbledb takes."""
    if not figures:
        return ""
    ratios = {(figure.tool, figure.name.partition(": ")[2]): figure.ratio for figure in figures}
    tools = list(dict.fromkeys(tool for tool, _ in ratios))
    measures = list(dict.fromkeys(measure for _, measure in ratios))
    head = f"| measure | {' | '.join(map(str, tools))} |\n"
    lines = [head, "| --- |" + " ---: |" * len(tools) + "\n"]
    for measure in measures:
        cells = (f"{ratios[tool, measure]:.2f}" if (tool, measure) in ratios else "" for tool in tools)
        lines.append(f"| {measure} | " + " | ".join(cells) + " |\n")
    return "\n" + "".join(lines)


def _amount(value: float, unit: str) -> str:
    return f"{value:,.0f} {unit}".strip() if value >= 100 else f"{value:.1f} {unit}".strip()


def _goal(figure: Figure) -> str:
    mark = "" if figure.reached else ", missed"
    return f"{'at least ' if figure.more_is_better else ''}{figure.goal:g}{mark}"
