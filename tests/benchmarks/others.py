"""Side by side with other tools: the same SQL, each tool as its users run it.

Whole processes are compared with whole processes, and calls of Python libraries with calls: a call is made in a process
of its own that has imported the library before the clock starts. A program that takes longer than ``PATIENCE`` is stopped.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

import asyncpg

import kimbledb

from .drivers.steps import STRONG
from .folders import applied
from .measuring import Figure, Server, seconds
from .table import START
from .tools import PATIENCE, ROOT, Stopped, Tool, calls, catalog_steps, installed, program, small_steps

#: Stands for kimbledb's own migrations.
_BUILTIN = Path("builtin")
_MANY, _KNOWN = 1_000, 10_000
#: Calls of one process with nothing to do, and clones that one takes; the first of each is left out.
_CALLS, _CLONES = 4, 7
#: Goals: to be ahead, or within a tenth of what checks less.
_AHEAD, _CHECKS_LESS = 1.0, 1.1

_TABLES = "SELECT array_agg(tablename::text) FROM pg_tables WHERE schemaname = 'public'"

#: Does something once or more, in a database, and gives the seconds that each took.
Way = Callable[[str], Awaitable[list[float]]]


async def figures(server: Server, runs: int) -> list[Figure]:
    """Measure kimbledb beside every tool that can be installed."""
    tools = await installed(server.folder("tools"))
    connection = await asyncpg.connect(server.dsn)
    await connection.execute("SET scram_iterations = 4096")
    await connection.execute(f"CREATE ROLE {STRONG} SUPERUSER LOGIN PASSWORD '{urlsplit(server.dsn).password}'")
    await connection.close()
    runs = min(runs, 3)
    found = [
        *await _fresh(server, tools, runs),
        *await _nothing(server, tools, runs),
        *await _clones(tools, runs),
        *await _many(server, tools),
        *await _known(server, tools),
    ]
    return [figure for tool in tools for figure in found if figure.tool == tool.version]


# What is measured.


async def _fresh(server: Server, tools: Sequence[Tool], runs: int) -> list[Figure]:
    projects = {tool: tool.project("catalog", catalog_steps) for tool in tools}
    by_call = await _beside(
        server,
        runs,
        {
            "fresh, call": (_AHEAD, lambda dsn: _ours("migrate", _BUILTIN, dsn)),
            "fresh, call, verified": (_CHECKS_LESS, lambda dsn: _ours("verified", _BUILTIN, dsn)),
        },
        {tool: partial(tool.call, "migrate", projects[tool]) for tool in _libraries(tools)},
    )
    by_process = await _beside(
        server,
        runs,
        {
            "fresh": (_AHEAD, partial(_command, "migrate", "--no-verify")),
            "fresh, verified": (_CHECKS_LESS, partial(_command, "migrate")),
        },
        {tool: partial(tool.apply, projects[tool]) for tool in tools},
    )
    return by_call + by_process


async def _nothing(server: Server, tools: Sequence[Tool], runs: int) -> list[Figure]:
    ready = await server.fresh()
    await kimbledb.migrate(ready)
    projects = {tool: tool.project("catalog", catalog_steps) for tool in tools}
    databases = {tool: await server.fresh() for tool in tools}
    expected = await _tables_of_catalog(server)
    for tool, dsn in databases.items():
        await tool.apply(projects[tool], dsn)
        # It applied the same, whatever else it keeps.
        assert not (missing := expected - await _tables(dsn)), f"{tool.package.name} did not make {missing}"

    def by_call(tool: Tool) -> Way:
        return _but_first(lambda _dsn: tool.call("migrate", projects[tool], databases[tool], _CALLS))

    def by_process(tool: Tool) -> Way:
        return lambda _dsn: tool.apply(projects[tool], databases[tool])

    def status(tool: Tool) -> Way:
        command = tool.driver.status(projects[tool], databases[tool])
        return lambda _dsn: _single(tool.run(*command, folder=projects[tool], dsn=databases[tool]))

    def start(tool: Tool) -> Way:
        return lambda _dsn: _single(tool.run(*tool.package.start, folder=tool.home))

    beside = partial(_beside, server, runs, fresh=False)
    found = [
        *await beside(
            {"nothing to do, call": (_AHEAD, _but_first(lambda _dsn: _ours("verified", _BUILTIN, ready, _CALLS)))},
            {tool: by_call(tool) for tool in _libraries(tools)},
        ),
        *await beside(
            {
                "nothing to do": (_AHEAD, lambda _dsn: _command("migrate", "--no-verify", ready)),
                "nothing to do, verified": (_CHECKS_LESS, lambda _dsn: _command("migrate", ready)),
            },
            {tool: by_process(tool) for tool in tools},
        ),
        *await beside(
            {"status": (_AHEAD, lambda _dsn: _command("status", ready))},
            {tool: status(tool) for tool in tools if tool.driver.status(tool.home, "")},
        ),
        *await beside(
            {START: (None, lambda _dsn: _kimbledb("--version"))},
            {tool: start(tool) for tool in tools},
        ),
    ]
    await server.drop([ready, *databases.values()])
    return found


async def _clones(tools: Sequence[Tool], runs: int) -> list[Figure]:
    """Django gives a database, pgfast one with a pool of connections: each beside the same, on a server just started.

    How long a clone takes depends on what is in the server's memory, and that on all that was done before.
    """
    found = []
    for tool in tools:
        if tool.package.clones_beside:
            folder = tool.project("catalog", catalog_steps)
            ours = partial(_ours, tool.package.clones_beside, _BUILTIN, count=_CLONES)
            theirs = partial(tool.call, "clones", folder, count=_CLONES)
            rows = {"a test's database": (_AHEAD, _but_first(ours))}
            with tempfile.TemporaryDirectory() as home:
                async with kimbledb.embedded() as dsn:
                    server = Server(dsn, Path(home))
                    found += await _beside(server, runs, rows, {tool: _but_first(theirs)}, fresh=False)
    return found


async def _many(server: Server, tools: Sequence[Tool]) -> list[Figure]:
    folder = (await applied(server, _MANY)).folder
    projects = {tool: tool.project(str(_MANY), partial(small_steps, _MANY)) for tool in tools}
    return [
        *await _beside(
            server,
            1,
            {
                f"{_MANY:,} migrations, call": (_AHEAD, lambda dsn: _ours("migrate", folder, dsn)),
                f"{_MANY:,} migrations, call, verified": (_CHECKS_LESS, lambda dsn: _ours("verified", folder, dsn)),
            },
            {tool: partial(tool.call, "migrate", projects[tool]) for tool in _libraries(tools)},
        ),
        *await _beside(
            server,
            1,
            {
                f"{_MANY:,} migrations": (
                    _AHEAD,
                    partial(_command, "migrate", "--no-verify", "--catalog", str(folder)),
                )
            },
            {tool: partial(tool.apply, projects[tool]) for tool in tools},
        ),
    ]


async def _known(server: Server, tools: Sequence[Tool]) -> list[Figure]:
    """Measure starts with nothing to do where very many are recorded as applied."""
    known = await applied(server, _KNOWN)
    steps = small_steps(_KNOWN)
    theirs: dict[Tool, Way] = {}
    databases = []
    for tool in tools:
        first = tool.project("first", lambda: steps[:1])
        folder = tool.project(str(_KNOWN), lambda: steps)
        databases.append(dsn := await server.fresh())
        await tool.apply(first, dsn)
        connection = await asyncpg.connect(dsn)
        await connection.execute(tool.driver.mark(folder, steps))
        await connection.close()
        theirs[tool] = partial(_nothing_new, tool, folder, dsn)
    command = partial(_command, "migrate", "--no-verify", "--catalog", str(known.folder))
    rows = {f"{_KNOWN:,} known": (_AHEAD, lambda _dsn: command(known.dsn))}
    found = await _beside(server, 1, rows, theirs, fresh=False)
    await server.drop(databases)
    return found


async def _nothing_new(tool: Tool, folder: Path, dsn: str, _dsn: str) -> list[float]:
    before = await _tables(dsn)
    found = await tool.apply(folder, dsn)
    assert await _tables(dsn) == before, f"{tool.package.name} applied what it knows"
    return found


# How it is measured.


async def _beside(
    server: Server,
    runs: int,
    ours: Mapping[str, tuple[float | None, Way]],
    theirs: Mapping[Tool, Way],
    *,
    fresh: bool = True,
) -> list[Figure]:
    """Let all take turns, each time another one first, and compare the medians of each way of ours and each tool.

    Each gets a fresh database, which is dropped when all have had their turn, or else the server's own.
    """
    ways: dict[str | Tool, Way] = {name: way for name, (_, way) in ours.items()}
    ways.update(theirs.items())
    taken: dict[str | Tool, list[float]] = {name: [] for name in ways}
    stopped: set[str | Tool] = set()
    for run in range(runs):
        first = run % len(ways)
        used = []
        for name in [*ways][first:] + [*ways][:first]:
            if name in stopped:
                continue
            dsn = server.dsn
            if fresh:
                dsn = await server.fresh()
                used.append(dsn)
            try:
                taken[name] += await ways[name](dsn)
            except Stopped:
                stopped.add(name)
                taken[name] = [PATIENCE]
        await server.drop(used)
    return [
        Figure(
            f"{tool.package.name}: {name}",
            tool.version,
            1000 * median(taken[name]),
            1000 * median(taken[tool]),
            goal,
            tool=tool.version,
            floor_stopped=tool in stopped,
        )
        for tool in theirs
        for name, (goal, _) in ours.items()
    ]


def _libraries(tools: Sequence[Tool]) -> list[Tool]:
    """Return those that Python can call."""
    return [tool for tool in tools if tool.package.pip]


def _but_first(way: Way) -> Way:
    async def later(dsn: str) -> list[float]:
        return (await way(dsn))[1:]

    return later


async def _single(measured: Awaitable[float]) -> list[float]:
    return [await measured]


async def _ours(verb: str, folder: Path, dsn: str, count: int = 1) -> list[float]:
    return await calls(Path(sys.executable), "ours", verb, folder, dsn, count)


async def _command(*arguments: str) -> list[float]:
    """Run a command of ours; the DSN comes last."""
    return await _kimbledb(*arguments[:-1], "--dsn", arguments[-1])


async def _kimbledb(*arguments: str) -> list[float]:
    python = Path(sys.executable)
    command = (str(python), "-m", "kimbledb", *arguments)
    return [await seconds(program(*command, programs=python.parent, folder=ROOT, patience=None))]


async def _tables_of_catalog(server: Server) -> set[str]:
    dsn = await server.fresh()
    connection = await asyncpg.connect(dsn)
    await connection.execute("\n;\n".join(step.apply for step in catalog_steps()))
    await connection.close()
    found = await _tables(dsn)
    await server.drop([dsn])
    return found


async def _tables(dsn: str) -> set[str]:
    connection = await asyncpg.connect(dsn)
    found = await connection.fetchval(_TABLES)
    await connection.close()
    return set(found)
