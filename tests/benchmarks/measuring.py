"""A comparison, and what it gives."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from attrs import frozen

if TYPE_CHECKING:
    from .folders import Applied

Measure = Callable[[], Awaitable[float]]


@frozen
class Figure:
    """One comparison."""

    name: str
    floor: str
    #: Medians, in the unit.
    measured: float
    floor_measured: float
    #: The ratio that is aimed at; None where there is none.
    goal: float | None
    #: Whether the ratio is to be no lower than the goal, as of a gain.
    more_is_better: bool = False
    unit: str = "ms"
    #: The tool that is the floor, with its version, where it is one.
    tool: str | None = None
    #: Whether the floor took longer than it was given, and was stopped.
    floor_stopped: bool = False
    #: In the chart of growth: its line, and how many migrations.
    point: tuple[str, int] | None = None

    @property
    def ratio(self) -> float:
        """How many times the floor it took."""
        return self.measured / self.floor_measured

    @property
    def reached(self) -> bool:
        """Whether it is as good as the goal."""
        if self.goal is None:
            return True
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
    """Empty databases of a server, and a folder for what the groups of a run share.

    Args:
        dsn: Of a superuser.
        home: A temporary folder.
    """

    def __init__(self, dsn: str, home: Path) -> None:
        self.dsn = dsn
        #: Folders of migrations that a database holds, by their number.
        self.applied: dict[int, Applied] = {}
        self._home = home
        self._count = 0

    def folder(self, name: str) -> Path:
        """Make a folder."""
        made = self._home / name
        made.mkdir()
        return made

    async def fresh(self) -> str:
        """Make an empty database and return its DSN."""
        self._count += 1
        admin = await asyncpg.connect(self.dsn)
        await admin.execute(f"CREATE DATABASE bench_{self._count}")
        await admin.close()
        return urlunsplit(urlsplit(self.dsn)._replace(path=f"/bench_{self._count}"))

    async def drop(self, dsns: Sequence[str]) -> None:
        """Drop databases, so that the volume does not fill."""
        admin = await asyncpg.connect(self.dsn)
        for dsn in dsns:
            await admin.execute(f'DROP DATABASE "{urlsplit(dsn).path[1:]}" WITH (FORCE)')
        await admin.close()
