"""How the cost grows with the number of migrations: in line with it, and no faster."""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median

from .measuring import Figure, Server
from .planning import write_folder
from .process import Taken, taken

#: The first is the floor of the second.
_SIZES = (1, 10, 100, 1_000, 10_000)
#: Ten times as many may take so many times ten times as long: a step that looks at each
#: migration for each takes up to ten.
_IN_LINE = 1.3
#: And a plan so many times as long as reading its files.
_PLAN = 5.0
#: MiB for a process, and KiB for each migration: its texts, its step and its row of history.
_PROCESS, _EACH = 48, 12

#: What is measured in a database, as it is called here.
_IN_DATABASE = {"fresh": "fresh", "nothing": "nothing to do", "evidence": "evidence"}


async def figures(server: Server, runs: int) -> list[Figure]:
    """Measure plans, fresh databases, starts with nothing to do and the evidence, at every size."""
    found: list[Figure] = []
    smaller: dict[str, Taken] = {}
    for count in _SIZES:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_folder(folder, count)
            pairs = [(await taken("read", folder), await taken("plan", folder)) for _ in range(min(runs, 3))]
            measured = await _in_database(server, folder, count, runs)
        read, plan = _typical([pair[0] for pair in pairs]), _typical([pair[1] for pair in pairs])
        if smaller:
            floor = "reading the files"
            found.append(_figure("plan", count, floor, plan.seconds, read.seconds, _PLAN))
            for verb, line in _IN_DATABASE.items():
                floor = f"ten times that of {count // 10:,}"
                found.append(_figure(line, count, floor, measured[verb].seconds, 10 * smaller[verb].seconds, _IN_LINE))
            found += [_memory("plan", count, plan)]
            found += [_memory(line, count, measured[verb]) for verb, line in _IN_DATABASE.items()]
        smaller = measured
    return found


async def _in_database(server: Server, folder: Path, count: int, runs: int) -> dict[str, Taken]:
    # The largest takes minutes.
    runs_of_fresh = runs if count < 1_000 else min(runs, 3) if count == 1_000 else 1
    fresh = []
    for run in range(runs_of_fresh):
        dsn = await server.fresh(extensions=False)
        fresh.append(await taken("fresh", folder, dsn=dsn))
        if run < runs_of_fresh - 1:
            await server.drop([dsn])
    found = {
        "fresh": _typical(fresh),
        "nothing": await taken("nothing", folder, runs * 2, dsn),
        "evidence": await taken("evidence", folder, runs, dsn),
    }
    await server.drop([dsn])
    return found


def _typical(tries: list[Taken]) -> Taken:
    return Taken(median(each.seconds for each in tries), max(each.memory for each in tries))


def _figure(line: str, count: int, floor: str, measured: float, base: float, goal: float) -> Figure:
    name = f"{line}, {count:,} migrations"
    return Figure(name, floor, 1000 * measured, 1000 * base, goal, point=(line, count))


def _memory(line: str, count: int, took: Taken) -> Figure:
    floor = f"{_PROCESS} MiB, {_EACH} KiB a migration"
    return Figure(f"memory, {line}, {count:,}", floor, took.memory, _PROCESS + _EACH * count / 1024, 1.0, unit="MiB")
