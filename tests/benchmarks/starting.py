"""Starts at which there is nothing to do, whole processes, and the import."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import kimbledb

from . import floor
from .folders import applied
from .measuring import Figure, Measure, Server, compare, python, run, seconds

_BUILTIN = Path(kimbledb.__file__).parent / "sql" / "migrations"
#: ``import kimbledb`` alone imports next to nothing: a public name is imported when it is first asked for.
_OURS, _THEIRS = "from kimbledb import migrate", "import asyncpg"
_IMPORT = "import time; t = time.perf_counter(); {}; print(time.perf_counter() - t)"
#: What an application does at its start.
_MIGRATE = """
import asyncio, sys, kimbledb
asyncio.run(kimbledb.migrate(sys.argv[2], catalog=sys.argv[1] or None))
"""
#: How many migrations are known, and the ratio that is aimed at.
_KNOWN = {1_000: 1.5, 10_000: 2.0}
_SMALL = 1_000
_HASHING = "asyncpg's process: history, all hashed"


async def figures(server: Server, runs: int) -> list[Figure]:
    """Measure starts on an up-to-date database, a fresh one of many files, and the import."""
    dsn = await server.fresh()
    await kimbledb.migrate(dsn)

    def imported(statement: str) -> Measure:
        async def printed() -> float:
            return float(await python(_IMPORT.format(statement)))

        return printed

    query = "asyncpg: connect and one query"
    return [
        await compare(
            "nothing to do",
            query,
            1.15,
            runs * 8,
            lambda: seconds(kimbledb.migrate(dsn)),
            lambda: seconds(floor.ask(dsn)),
        ),
        await _nothing(
            len(kimbledb.Planner(kimbledb.Catalog.builtin()).plan().pending), "", _BUILTIN, dsn, 1.3, runs * 3
        ),
        *await _many(server, runs),
        await _small(server, min(runs, 3)),
        await compare(_OURS, _THEIRS, 1.3, runs * 4, imported(_OURS), imported(_THEIRS)),
    ]


async def _many(server: Server, runs: int) -> list[Figure]:
    found = []
    for count, goal in _KNOWN.items():
        known = await applied(server, count)
        found.append(await _nothing(count, str(known.folder), known.folder, known.dsn, goal, runs))
    command = (sys.executable, "-m", "kimbledb")
    where = ("--catalog", str(known.folder), "--dsn", known.dsn)
    theirs = partial(_floor, "nothing", known.folder, known.dsn)
    for verb in ("plan", "status"):
        ours = partial(_timed, *command, verb, *where)
        found.append(await compare(f"{verb}, {count:,}, whole process", _HASHING, 2.0, min(runs, 3), ours, theirs))
    return found


async def _nothing(count: int, folder: str, hashed: Path, dsn: str, goal: float, runs: int) -> Figure:
    ours, theirs = partial(_migrate, folder, dsn), partial(_floor, "nothing", hashed, dsn)
    return await compare(f"nothing to do, {count:,}, whole process", _HASHING, goal, runs, ours, theirs)


async def _small(server: Server, runs: int) -> Figure:
    folder = (await applied(server, _SMALL)).folder

    async def ours() -> float:
        return await _migrate(str(folder), await server.fresh())

    async def theirs() -> float:
        return await _floor("fresh", folder, await server.fresh())

    name = f"{_SMALL:,} small migrations, whole process"
    return await compare(name, "asyncpg's process: one transaction", 1.4, runs, ours, theirs)


async def _migrate(folder: str, dsn: str) -> float:
    return await _timed(sys.executable, "-c", _MIGRATE, folder, dsn)


async def _floor(verb: str, folder: Path, dsn: str) -> float:
    return await _timed(sys.executable, floor.__file__, verb, str(folder), dsn)


async def _timed(*command: str) -> float:
    return await seconds(run(*command))
