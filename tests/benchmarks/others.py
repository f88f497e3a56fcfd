"""Side by side with other tools: the same SQL, each tool as its users run it.

Each tool is installed into an environment of its own, in a temporary folder, so that
this project needs none of them. What pip cannot get is left out, and said. Whole
processes are compared with whole processes, and calls with calls: a call is made in a
process of its own that has imported the tool before the clock starts.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median

import asyncpg
from attrs import frozen

import kimbledb

from .drivers import alembic, django, pgfast, pogo, yoyo
from .drivers.steps import Driver, Step
from .fresh import SCRIPTS, STEPS
from .measuring import Figure, Server, seconds
from .planning import write_folder

_DRIVERS: tuple[Driver, ...] = (alembic, yoyo, django, pogo, pgfast)
_ROOT = Path(__file__).parents[2]
#: Stands for kimbledb's own migrations.
_BUILTIN = Path("builtin")
_MANY = 1_000
#: Calls of one process with nothing to do, and clones that one takes; the first of each is left out.
_CALLS, _CLONES = 4, 7
#: Goals: to be ahead, or within a tenth of what checks less.
_AHEAD, _CHECKS_LESS = 1.0, 1.1

#: kimbledb brings these by itself; the others have them in their first migration.
_EXTENSIONS = """CREATE EXTENSION IF NOT EXISTS vector;
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE EXTENSION IF NOT EXISTS "uuid-ossp";
"""
_TABLES = "SELECT array_agg(tablename::text) FROM pg_tables WHERE schemaname = 'public'"

#: Does something once or more, in a database, and gives the seconds that each took.
Way = Callable[[str], Awaitable[list[float]]]


@frozen
class Tool:
    """A tool that is installed, with a project of each of the two sets of migrations."""

    driver: Driver
    version: str
    programs: Path
    catalog: Path
    many: Path

    async def whole(self, dsn: str) -> list[float]:
        """Apply the catalog by the command line."""
        command = self.driver.command(self.catalog, dsn)
        return [await seconds(_program(self.programs / command[0], *command[1:], cwd=self.catalog, dsn=dsn))]

    async def call(self, verb: str, folder: Path, dsn: str, count: int = 1) -> list[float]:
        """Make calls in a process of its own."""
        return await _calls(self.programs / "python", self.driver.__name__, verb, folder, dsn, count)


async def figures(server: Server, runs: int) -> list[Figure]:
    """Measure kimbledb beside every tool that can be installed."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        folder = home / "ours"
        folder.mkdir()
        write_folder(folder, _MANY)
        installed = await asyncio.gather(*(_install(driver, home / driver.NAME) for driver in _DRIVERS))
        tools = [tool for tool in installed if tool is not None]
        found = [
            *await _fresh(server, tools, runs),
            *await _nothing(server, tools, runs),
            *await _clones(tools, runs * 2),
            *await _many(server, tools, folder, min(runs, 3)),
        ]
    return [figure for tool in tools for figure in found if figure.name.startswith(f"{tool.driver.NAME}: ")]


# What is measured.


async def _fresh(server: Server, tools: Sequence[Tool], runs: int) -> list[Figure]:
    calls = await _beside(
        server,
        runs,
        {
            "fresh": (_AHEAD, lambda dsn: _ours("migrate", _BUILTIN, dsn)),
            "fresh, verified": (_CHECKS_LESS, lambda dsn: _ours("verified", _BUILTIN, dsn)),
        },
        {tool: _call(tool, tool.catalog) for tool in tools},
    )
    processes = await _beside(
        server,
        runs,
        {
            "fresh, process": (_AHEAD, lambda dsn: _our_process(dsn, "--no-verify")),
            "fresh, process, verified": (_CHECKS_LESS, _our_process),
        },
        {tool: tool.whole for tool in tools},
    )
    return calls + processes


async def _nothing(server: Server, tools: Sequence[Tool], runs: int) -> list[Figure]:
    ready = await server.fresh()
    await _our_process(ready)
    databases = {tool: await server.fresh() for tool in tools}
    expected = await _tables_of_catalog(server)
    for tool, dsn in databases.items():
        await tool.whole(dsn)
        # It applied the same, whatever else it keeps.
        assert not (missing := expected - await _tables(dsn)), f"{tool.driver.NAME} did not make {missing}"

    def theirs(tool: Tool) -> Way:
        return _but_first(lambda _dsn: tool.call("migrate", tool.catalog, databases[tool], _CALLS))

    ours = _but_first(lambda _dsn: _ours("verified", _BUILTIN, ready, _CALLS))

    def their_process(tool: Tool) -> Way:
        return lambda _dsn: tool.whole(databases[tool])

    calls = await _beside(
        server, runs * 2, {"nothing to do": (_AHEAD, ours)}, {tool: theirs(tool) for tool in tools}, fresh=False
    )
    processes = await _beside(
        server,
        runs * 2,
        {
            "nothing to do, process": (_AHEAD, lambda _dsn: _our_process(ready, "--no-verify")),
            "nothing to do, process, verified": (_CHECKS_LESS, lambda _dsn: _our_process(ready)),
        },
        {tool: their_process(tool) for tool in tools},
        fresh=False,
    )
    await server.drop([ready, *databases.values()])
    return calls + processes


async def _clones(tools: Sequence[Tool], runs: int) -> list[Figure]:
    """Django gives a database, pgfast one with a pool of connections: each beside the same, on a server just started.

    How long a clone takes depends on what is in the server's memory, and that on all that was done before.
    """
    found = []
    for tool in tools:
        if tool.driver.CLONES_BESIDE:
            ours = partial(_ours, tool.driver.CLONES_BESIDE, _BUILTIN, count=_CLONES)
            theirs = partial(tool.call, "clones", tool.catalog, count=_CLONES)
            rows = {"a test's database": (_AHEAD, _but_first(ours))}
            async with kimbledb.embedded() as dsn:
                found += await _beside(Server(dsn), runs, rows, {tool: _but_first(theirs)}, fresh=False)
    return found


async def _many(server: Server, tools: Sequence[Tool], folder: Path, runs: int) -> list[Figure]:
    return await _beside(
        server,
        runs,
        {
            f"{_MANY:,} migrations": (_AHEAD, lambda dsn: _ours("migrate", folder, dsn)),
            f"{_MANY:,} migrations, verified": (_CHECKS_LESS, lambda dsn: _ours("verified", folder, dsn)),
        },
        {tool: _call(tool, tool.many) for tool in tools},
    )


# How it is measured.


async def _beside(
    server: Server,
    runs: int,
    ours: Mapping[str, tuple[float, Way]],
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
    for run in range(runs):
        first = run % len(ways)
        used = []
        for name in [*ways][first:] + [*ways][:first]:
            dsn = server.dsn
            if fresh:
                dsn = await server.fresh()
                used.append(dsn)
            taken[name] += await ways[name](dsn)
        await server.drop(used)
    return [
        Figure(
            f"{tool.driver.NAME}: {name}",
            tool.version,
            1000 * median(taken[name]),
            1000 * median(taken[tool]),
            goal,
            tool=tool.version,
        )
        for tool in theirs
        for name, (goal, _) in ours.items()
    ]


def _but_first(way: Way) -> Way:
    async def later(dsn: str) -> list[float]:
        return (await way(dsn))[1:]

    return later


def _call(tool: Tool, folder: Path) -> Way:
    return lambda dsn: tool.call("migrate", folder, dsn)


async def _ours(verb: str, folder: Path, dsn: str, count: int = 1) -> list[float]:
    return await _calls(Path(sys.executable), "ours", verb, folder, dsn, count)


async def _our_process(dsn: str, *options: str) -> list[float]:
    command = ("-m", "kimbledb", "migrate", "--dsn", dsn, *options)
    return [await seconds(_program(Path(sys.executable), *command, cwd=_ROOT, dsn=dsn))]


async def _calls(python: Path, module: str, verb: str, folder: Path, dsn: str, count: int) -> list[float]:
    arguments = (module.rpartition(".")[2], verb, str(folder), dsn, str(count))
    printed = await _program(python, "-m", "tests.benchmarks.drivers", *arguments, cwd=_ROOT, dsn=dsn)
    found: list[float] = json.loads(printed.splitlines()[-1])
    return found


async def _program(program: Path, *arguments: str, cwd: Path, dsn: str = "") -> str:
    """Run a program that must succeed, and return what it prints."""
    done = await asyncio.to_thread(
        subprocess.run,
        [str(program), *arguments],
        cwd=cwd,
        env={**os.environ, "DATABASE_URL": dsn},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{program.name} {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


# The tools.


async def _install(driver: Driver, home: Path) -> Tool | None:
    """Install a tool and write its projects, or say why it is left out and return None."""
    programs = home / "environment" / "bin"
    pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    try:
        await _program(Path(sys.executable), "-m", "venv", str(programs.parent), cwd=_ROOT)
        await _program(programs / "python", *pip, *driver.REQUIREMENTS, cwd=home)
        for name in driver.UNCHECKED:
            await _program(programs / "python", *pip, "--no-deps", "--ignore-requires-python", name, cwd=home)
    except RuntimeError as error:
        print(f"not beside {driver.NAME}, which pip does not get here: {str(error).splitlines()[-1]}", file=sys.stderr)
        return None
    code = f"from importlib.metadata import version; print(version({driver.DISTRIBUTION!r}))"
    number = (await _program(programs / "python", "-c", code, cwd=home)).strip()
    catalog, many = home / "catalog", home / "many"
    for folder, steps in ((catalog, _catalog_steps()), (many, _many_steps())):
        folder.mkdir()
        driver.write(folder, steps)
    return Tool(driver, f"{driver.DISTRIBUTION} {number}", programs, catalog, many)


def _catalog_steps() -> list[Step]:
    migrations = [step.migration for step in STEPS]
    return [
        Step(
            number,
            migration.name.removesuffix(".sql"),
            (_EXTENSIONS if number == 1 else "") + migration.apply_sql,
            migration.rollback_sql,
        )
        for number, migration in enumerate(migrations, start=1)
    ]


def _many_steps() -> list[Step]:
    """Return what ``write_folder()`` writes."""
    return [
        Step(
            number,
            f"step_{number}",
            f"CREATE TABLE IF NOT EXISTS t{number} (id bigint PRIMARY KEY, name text);\n",
            f"DROP TABLE IF EXISTS t{number};\n",
        )
        for number in range(1, _MANY + 1)
    ]


async def _tables_of_catalog(server: Server) -> set[str]:
    dsn = await server.fresh()
    connection = await asyncpg.connect(dsn)
    await connection.execute(SCRIPTS)
    await connection.close()
    found = await _tables(dsn)
    await server.drop([dsn])
    return found


async def _tables(dsn: str) -> set[str]:
    connection = await asyncpg.connect(dsn)
    found = await connection.fetchval(_TABLES)
    await connection.close()
    return set(found)
