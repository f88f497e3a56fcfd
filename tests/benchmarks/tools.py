"""The other tools, each installed into a temporary folder, and the projects that each applies."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from attrs import frozen

import kimbledb

from .drivers import alembic, dbmate, django, graphile_migrate, node_pg_migrate, pgfast, pogo, sqitch, yoyo
from .drivers.steps import Driver, Package, Step
from .measuring import seconds

DRIVERS: tuple[Driver, ...] = (
    alembic,
    yoyo,
    django,
    pogo,
    pgfast,
    dbmate,
    node_pg_migrate,
    graphile_migrate,
    sqitch,
)
ROOT = Path(__file__).parents[2]
#: Seconds after which a program is stopped.
PATIENCE = 30.0
#: kimbledb makes these by itself; the others have them in their first migration.
_EXTENSIONS = """CREATE EXTENSION IF NOT EXISTS vector;
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE EXTENSION IF NOT EXISTS "uuid-ossp";
"""


class Stopped(Exception):
    """A program was stopped, since it took too long."""


@frozen
class Tool:
    """A tool that is installed."""

    driver: Driver
    #: Its distribution with the version.
    version: str
    #: The folder of its programs, which comes first in PATH.
    programs: Path
    home: Path

    @property
    def package(self) -> Package:
        """Where it comes from."""
        return self.driver.PACKAGE

    def project(self, name: str, steps: Callable[[], Sequence[Step]]) -> Path:
        """Return the folder of a project, which is written when it is first asked for."""
        folder = self.home / name
        if not folder.exists():
            folder.mkdir()
            self.driver.write(folder, steps())
        return folder

    async def run(self, *command: str, folder: Path, dsn: str = "") -> float:
        """Run the command line and return the seconds that it takes."""
        return await seconds(program(*command, programs=self.programs, folder=folder, dsn=dsn))

    async def apply(self, folder: Path, dsn: str) -> list[float]:
        """Apply a project by the command line."""
        return [await self.run(*self.driver.command(folder, dsn), folder=folder, dsn=dsn)]

    async def call(self, verb: str, folder: Path, dsn: str, count: int = 1) -> list[float]:
        """Make calls in a process of its own."""
        return await calls(self.programs / "python", self.driver.__name__, verb, folder, dsn, count)


async def installed(home: Path) -> list[Tool]:
    """Install every tool that can be had; say which are left out, and why."""
    for driver in DRIVERS:
        (home / driver.PACKAGE.name).mkdir()
    tools = await asyncio.gather(*(_install(driver, home / driver.PACKAGE.name) for driver in DRIVERS))
    return [tool for tool in tools if tool is not None]


async def _install(driver: Driver, home: Path) -> Tool | None:
    package = driver.PACKAGE
    try:
        if package.pip:
            programs, number = await _by_pip(package, home)
        elif package.npm:
            programs, number = await _by_npm(package, home)
        else:
            programs, number = home, (await program(*package.start, programs=home, folder=home)).split()[-1]
    except (RuntimeError, OSError) as error:
        print(f"left out: {package.name}: {str(error).splitlines()[-1]}", file=sys.stderr)
        return None
    return Tool(driver, f"{package.distribution} {number.removeprefix('v')}", programs, home)


async def _by_pip(package: Package, home: Path) -> tuple[Path, str]:
    programs = home / "environment" / "bin"
    pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")

    async def python(*arguments: str, interpreter: Path = programs / "python") -> str:
        return await program(str(interpreter), *arguments, programs=programs, folder=home, patience=None)

    await python("-m", "venv", str(programs.parent), interpreter=Path(sys.executable))
    await python(*pip, *package.pip)
    for name in package.unchecked:
        await python(*pip, "--no-deps", "--ignore-requires-python", name)
    code = f"from importlib.metadata import version; print(version({package.distribution!r}))"
    return programs, (await python("-c", code)).strip()


async def _by_npm(package: Package, home: Path) -> tuple[Path, str]:
    npm = ("npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(home))
    await program(*npm, *package.npm, programs=home, folder=home, patience=None)
    modules = home / "node_modules"
    described = json.loads((modules / package.distribution / "package.json").read_text())
    return modules / ".bin", described["version"]


# Processes.


async def program(*command: str, programs: Path, folder: Path, dsn: str = "", patience: float | None = PATIENCE) -> str:
    """Run a program that must succeed, and return what it prints.

    Raises:
        Stopped: It took longer than so many seconds.
    """
    return await asyncio.to_thread(_program, command, programs, folder, dsn, patience)


def _program(command: Sequence[str], programs: Path, folder: Path, dsn: str, patience: float | None) -> str:
    environment = {**os.environ, "DATABASE_URL": dsn, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    found = shutil.which(command[0], path=environment["PATH"])
    if found is None:
        raise FileNotFoundError(f"there is no {command[0]}")
    with subprocess.Popen(
        [found, *command[1:]],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as running:
        try:
            printed, said = running.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)  # with the programs that it started
            raise Stopped from None
    if running.returncode:
        raise RuntimeError(f"{' '.join(command)[:200]} failed:\n{printed[-2000:]}{said[-2000:]}")
    return printed


async def calls(python: Path, module: str, verb: str, folder: Path, dsn: str, count: int) -> list[float]:
    """Make calls of a driver in a process of its own, and return the seconds that each takes."""
    arguments = (module.rpartition(".")[2], verb, str(folder), dsn, str(count))
    printed = await program(
        str(python), "-m", "tests.benchmarks.drivers", *arguments, programs=python.parent, folder=ROOT, dsn=dsn
    )
    found: list[float] = json.loads(printed.splitlines()[-1])
    return found


# What they apply.


@cache
def catalog_steps() -> list[Step]:
    """Return the built-in migrations."""
    plan = kimbledb.Planner(kimbledb.Catalog.builtin()).plan()
    return [
        Step(
            number,
            migration.name.removesuffix(".sql"),
            (_EXTENSIONS if number == 1 else "") + _with_statement(migration.apply_sql),
            migration.rollback_sql,
        )
        for number, migration in enumerate((step.migration for step in plan.pending), start=1)
    ]


def _with_statement(script: str) -> str:
    """Add one to a script that is a comment alone: asyncpg takes no message without one."""
    lines = script.splitlines()
    return script if any(line and not line.startswith("--") for line in lines) else f"{script}SELECT 1;\n"


@cache
def small_steps(count: int) -> list[Step]:
    """Return what ``write_folder()`` writes."""
    return [
        Step(
            number,
            f"step_{number}",
            f"CREATE TABLE IF NOT EXISTS t{number} (id bigint PRIMARY KEY, name text);\n",
            f"DROP TABLE IF EXISTS t{number};\n",
        )
        for number in range(1, count + 1)
    ]
