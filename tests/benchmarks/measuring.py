"""A comparison, and what it gives."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from attrs import frozen

Measure = Callable[[], Awaitable[float]]


@frozen
class Figure:
    """One comparison."""

    name: str
    floor: str
    #: Medians, in the unit.
    measured: float
    floor_measured: float
    #: The ratio that is aimed at.
    goal: float
    #: Whether the ratio is to be no lower than the goal, as of a gain.
    more_is_better: bool = False
    unit: str = "ms"
    #: The tool that is the floor, with its version, where it is one.
    tool: str | None = None
    #: In the chart of growth: its line, and how many migrations.
    point: tuple[str, int] | None = None

    @property
    def ratio(self) -> float:
        """How many times the floor it took."""
        return self.measured / self.floor_measured

    @property
    def reached(self) -> bool:
        """Whether it is as good as the goal."""
        return self.ratio >= self.goal if self.more_is_better else self.ratio <= self.goal


async def compare(name: str, floor: str, goal: float, runs: int, measured: Measure, base: Measure) -> Figure:
    """Measure something and its floor by turns, and compare the medians. Both give seconds."""
    pairs = [(await measured(), await base()) for _ in range(runs)]
    return Figure(
        name,
        floor,
        1000 * statistics.median(pair[0] for pair in pairs),
        1000 * statistics.median(pair[1] for pair in pairs),
        goal,
    )


async def seconds(work: Awaitable[object]) -> float:
    """Return how long something takes."""
    start = time.perf_counter()
    await work
    return time.perf_counter() - start


async def run(*command: str, **environment: str) -> str:
    """Run a program that must succeed, and return what it prints."""
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, check=False, env=environment or None
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


async def python(code: str, *arguments: str) -> str:
    """Run Python in a process of its own, and return what it prints."""
    return await run(sys.executable, "-c", code, *arguments)


class Server:
    """Fresh databases of a server, with the extensions that the floors need."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self._count = 0

    async def fresh(self, *, extensions: bool = True) -> str:
        """Make an empty database and return its DSN."""
        self._count += 1
        admin = await asyncpg.connect(self.dsn)
        await admin.execute(f"CREATE DATABASE bench_{self._count}")
        await admin.close()
        dsn = urlunsplit(urlsplit(self.dsn)._replace(path=f"/bench_{self._count}"))
        if extensions:
            connection = await asyncpg.connect(dsn)
            await connection.execute('CREATE EXTENSION vector; CREATE EXTENSION pg_trgm; CREATE EXTENSION "uuid-ossp"')
            await connection.close()
        return dsn

    async def drop(self, dsns: Sequence[str]) -> None:
        """Drop databases, so that the volume does not fill."""
        admin = await asyncpg.connect(self.dsn)
        for dsn in dsns:
            await admin.execute(f'DROP DATABASE "{urlsplit(dsn).path[1:]}" WITH (FORCE)')
        await admin.close()
