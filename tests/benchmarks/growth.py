"""How the cost grows with the number of migrations: in line with it, and no faster."""

from __future__ import annotations

from statistics import median

from .folders import Applied, applied, run_scripts
from .measuring import Figure, Server
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

#: By the verb: as the line is called, and the most migrations that it is measured with.
_LINES = {
    "fresh": ("fresh", 10_000),
    "nothing": ("nothing to do", 10_000),
    "evidence": ("evidence", 10_000),
    "render": ("render", 10_000),
    "rollback": ("rollback to 0", 100),
    "adopt": ("adopt", 1_000),
    "declare": ("declare", 100),
    "prove": ("prove", 10),
}


async def figures(server: Server, runs: int) -> list[Figure]:
    """Measure plans, what is done in databases and what is derived, at every size."""
    found: list[Figure] = []
    smaller: dict[str, Taken] = {}
    for count in _SIZES:
        known = await applied(server, count)
        pairs = [(await taken("read", known.folder), await taken("plan", known.folder)) for _ in range(min(runs, 3))]
        read, plan = _typical([pair[0] for pair in pairs]), _typical([pair[1] for pair in pairs])
        measured = await _acts(server, known, count, runs)
        if smaller:
            found += [_figure("plan", count, "reading the files", plan.seconds, read.seconds, _PLAN)]
            found += [_memory("plan", count, plan)]
            tenth = f"ten times that of {count // 10:,}"
            for verb, each in measured.items():
                line = _LINES[verb][0]
                found.append(_figure(line, count, tenth, each.seconds, 10 * smaller[verb].seconds, _IN_LINE))
                found.append(_memory(line, count, each))
        smaller = measured
    return found


async def _acts(server: Server, known: Applied, count: int, runs: int) -> dict[str, Taken]:
    async def once(verb: str) -> Taken:
        dsn = await server.fresh()
        if verb == "rollback":
            await taken("fresh", known.folder, dsn=dsn)
        if verb == "adopt":
            await run_scripts(known.folder, dsn)
        took = await taken(verb, known.folder, dsn=dsn)
        await server.drop([dsn])
        return took

    found = {}
    for verb, (_, most) in _LINES.items():
        if count > most:
            continue
        if verb in ("nothing", "evidence", "render"):
            found[verb] = await taken(verb, known.folder, runs, known.dsn)
        else:
            # The longer ones take seconds.
            quick = count < 1_000 and verb not in ("declare", "prove")
            found[verb] = _typical([await once(verb) for _ in range(min(runs, 3) if quick else 1)])
    return found


def _typical(tries: list[Taken]) -> Taken:
    return Taken(median(each.seconds for each in tries), max(each.memory for each in tries))


def _figure(line: str, count: int, floor: str, measured: float, base: float, goal: float) -> Figure:
    name = f"{line}, {count:,} migrations"
    return Figure(name, floor, 1000 * measured, 1000 * base, goal, point=(line, count))


def _memory(line: str, count: int, took: Taken) -> Figure:
    floor = f"{_PROCESS} MiB, {_EACH} KiB a migration"
    return Figure(f"memory, {line}, {count:,}", floor, took.memory, _PROCESS + _EACH * count / 1024, 1.0, unit="MiB")
