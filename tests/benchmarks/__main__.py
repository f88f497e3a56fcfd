"""Measure kimbledb against what it stands on, each figure as a ratio to its floor in the same run.

``nox -s benchmarks`` prints the figures. ``--write`` brings docs/benchmarks.md and its charts in step with what was
measured. The runs of a figure and of its floor alternate, and the medians are compared, since machines are noisy.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import asyncpg
from attrs import asdict, define, field

import kimbledb

from . import chart, fresh, growth, inspecting, lines, live, others, rehearsed, schema, starting, table, testing, trace
from .measuring import Figure, Server

#: By the name that --only takes: those of the table of figures, and those with a table of their own.
ALONE: dict[str, Callable[[Server, int], Awaitable[list[Figure]]]] = {
    "starting": starting.figures,
    "fresh": fresh.figures,
    "testing": testing.figures,
    "inspecting": inspecting.figures,
    "schema": schema.figures,
    "live": live.figures,
    "rehearse": rehearsed.figures,
}
GROUPS = {**ALONE, "growth": growth.figures, "others": others.figures}
TRACE = "trace"
_DOCS = Path(__file__).parents[2] / "docs"
_GIBIBYTE = 1 << 30


@define
class Results:
    """What was measured, by group."""

    figures: dict[str, list[Figure]] = field(factory=dict)
    trace: list[trace.Message] = field(factory=list)
    seconds: dict[str, float] = field(factory=dict)
    #: The server and the machine.
    where: str = ""


async def measure(groups: Sequence[str], runs: int) -> Results:
    """Run the comparisons of some groups."""
    results = Results()
    with tempfile.TemporaryDirectory() as home:
        async with kimbledb.embedded() as dsn:
            results.where = await _where(dsn)
            server = Server(dsn, Path(home))
            for group in groups:
                start = time.perf_counter()
                if group == TRACE:
                    results.trace = await trace.messages(server)
                    print(trace.table(results.trace))
                else:
                    results.figures[group] = await GROUPS[group](server, runs)
                    for figure in results.figures[group]:
                        print(_line(figure))
                results.seconds[group] = time.perf_counter() - start
                print(f"{group}: {results.seconds[group]:.0f} s", flush=True)
    return results


async def _where(dsn: str) -> str:
    connection = await asyncpg.connect(dsn)
    server = await connection.fetchval("SHOW server_version")
    await connection.close()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIBIBYTE
    return (
        f"PostgreSQL {server}, Python {platform.python_version()}, {platform.system()} with {os.cpu_count()} cores and "
        f"{memory:.0f} GiB"
    )


def _line(figure: Figure) -> str:
    sign = "ok" if figure.reached else "--"
    goal = "" if figure.goal is None else f"{figure.goal:.2f}"
    return (
        f"{figure.name:<40} {figure.floor:<38} {figure.measured:>9.1f} {figure.floor_measured:>9.1f} "
        f"{figure.unit:<3} {figure.ratio:>6.2f} {goal:>5} {sign}"
    )


def write(results: Results) -> None:
    """Write the tables and charts of what was measured into the docs."""
    sections = {}
    if results.figures.keys() >= ALONE.keys():
        found = [figure for group in ALONE for figure in results.figures[group]]
        took = ", ".join(f"{group} {seconds:.0f} s" for group, seconds in results.seconds.items())
        sections["figures"] = f"\n{results.where}. The groups took: {took}.\n\n{table.alone(found)}\n"
        (_DOCS / "images" / "benchmarks.svg").write_text(chart.draw(found), encoding="utf-8")
    if "growth" in results.figures:
        sections["growth"] = f"\n{table.growth(results.figures['growth'])}\n"
        (_DOCS / "images" / "growth.svg").write_text(lines.draw(results.figures["growth"]), encoding="utf-8")
    if "others" in results.figures:
        sections["others"] = f"\n{table.beside(results.figures['others'])}\n"
    if results.trace:
        sections["trace"] = f"\n{trace.table(results.trace)}\n"
    page = _DOCS / "benchmarks.md"
    page.write_text(table.inserted(page.read_text(encoding="utf-8"), sections), encoding="utf-8")


def main() -> None:
    """Measure, print the figures, and write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    groups = [*GROUPS, TRACE]
    parser.add_argument("--runs", type=int, default=5, help="of the longest figures; the short ones run more often")
    parser.add_argument("--only", choices=groups, action="append", help="measure this group alone; may be repeated")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--write", action="store_true", help="write the tables of docs/benchmarks.md and its charts")
    given = parser.parse_args()
    print(f"{'measure':<40} {'floor':<38} {'measured':>9} {'floor':>9}     {'ratio':>6} {'goal':>5}")
    results = asyncio.run(measure(given.only or groups, given.runs))
    if given.json:
        found = [figure for figures in results.figures.values() for figure in figures]
        rows = [asdict(figure) | {"ratio": figure.ratio, "reached": figure.reached} for figure in found]
        given.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    if given.write:
        write(results)


if __name__ == "__main__":
    main()
