"""Measure kimbledb against what it stands on, each figure as a ratio to its floor in the same run.

``nox -s benchmarks`` prints a table; ``--json FILE`` writes the figures, ``--chart FILE``
draws them, ``--growth-chart FILE`` draws how the cost grows. The runs of a figure and of its floor alternate, and the medians are compared,
since machines are noisy.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from attrs import asdict

import kimbledb

from . import chart, fresh, growth, lines, live, others, planning, rehearsed, schema, starting, table, testing
from .measuring import Figure, Server

#: By the name that --only takes.
GROUPS: dict[str, Callable[[Server, int], Awaitable[list[Figure]]]] = {
    "starting": starting.figures,
    "fresh": fresh.figures,
    "testing": testing.figures,
    "planning": planning.figures,
    "schema": schema.figures,
    "live": live.figures,
    "rehearse": rehearsed.figures,
    "growth": growth.figures,
    "others": others.figures,
}


async def measure(groups: Sequence[str], runs: int) -> list[Figure]:
    """Run the comparisons of some groups."""
    found: list[Figure] = []
    async with kimbledb.embedded() as dsn:
        server = Server(dsn)
        for group in groups:
            figures = await GROUPS[group](server, runs)
            for figure in figures:
                print(_line(figure), flush=True)
            found += figures
    return found


def _line(figure: Figure) -> str:
    sign = "ok" if figure.reached else "--"
    return (
        f"{figure.name:<40} {figure.floor:<38} {figure.measured:>9.1f} {figure.floor_measured:>9.1f} "
        f"{figure.unit:<3} {figure.ratio:>6.2f} {figure.goal:>5.2f} {sign}"
    )


def main() -> None:
    """Measure, print the table, and write the figures where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="of the longest figures; the short ones run more often")
    parser.add_argument("--only", choices=GROUPS, action="append", help="measure this group alone; may be repeated")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--chart", type=Path, help="where to draw them, as SVG")
    parser.add_argument("--growth-chart", type=Path, help="where to draw the figures of the group growth, as SVG")
    parser.add_argument("--table", type=Path, help="where to write them as tables of Markdown")
    given = parser.parse_args()
    if given.growth_chart and "growth" not in (given.only or GROUPS):
        parser.error("--growth-chart wants the group growth")
    print(f"{'measure':<40} {'floor':<38} {'measured':>9} {'floor':>9}     {'ratio':>6} {'goal':>5}")
    figures = asyncio.run(measure(given.only or list(GROUPS), given.runs))
    if given.json:
        rows = [asdict(figure) | {"ratio": figure.ratio, "reached": figure.reached} for figure in figures]
        given.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    if given.chart:
        given.chart.write_text(chart.draw(figures), encoding="utf-8")
    if given.table:
        given.table.write_text(table.write(figures), encoding="utf-8")
    if given.growth_chart:
        given.growth_chart.write_text(lines.draw(figures), encoding="utf-8")


if __name__ == "__main__":
    main()
