"""Measure kimbledb against what it stands on, each figure as a ratio to its floor in the same run.

``nox -s benchmarks`` prints a table; with ``--json FILE`` it writes the figures, too.
The runs of a figure and of its floor alternate, and the medians are compared,
since machines are noisy.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from attrs import asdict, frozen

import kimbledb


@frozen
class Figure:
    """One comparison. Times are seconds."""

    name: str
    floor: str
    #: Medians.
    measured: float
    floor_measured: float
    #: The ratio that is aimed at.
    goal: float

    @property
    def ratio(self) -> float:
        """How many times the floor it took."""
        return self.measured / self.floor_measured


async def _compare(
    name: str,
    floor: str,
    goal: float,
    runs: int,
    measured: Callable[[], Awaitable[float]],
    base: Callable[[], Awaitable[float]],
) -> Figure:
    pairs = [(await measured(), await base()) for _ in range(runs)]
    return Figure(
        name, floor, statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs), goal
    )


class Server:
    """Fresh databases of the embedded server, with the extensions that the floor needs."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.count = 0

    async def fresh(self) -> str:
        """Make an empty database with the extensions and return its DSN."""
        self.count += 1
        admin = await asyncpg.connect(self.dsn)
        await admin.execute(f"CREATE DATABASE bench_{self.count}")
        await admin.close()
        dsn = urlunsplit(urlsplit(self.dsn)._replace(path=f"/bench_{self.count}"))
        connection = await asyncpg.connect(dsn)
        await connection.execute('CREATE EXTENSION vector; CREATE EXTENSION pg_trgm; CREATE EXTENSION "uuid-ossp"')
        await connection.close()
        return dsn


async def _seconds(work: Awaitable[object]) -> float:
    start = time.perf_counter()
    await work
    return time.perf_counter() - start


async def measure(runs: int) -> list[Figure]:
    """Run every comparison."""
    catalog = kimbledb.Catalog.builtin()
    scripts = "\n;\n".join(step.migration.apply_sql for step in kimbledb.Planner(catalog).plan().pending)
    async with kimbledb.embedded() as dsn:
        server = Server(dsn)

        async def one_message() -> float:
            fresh = await server.fresh()

            async def work() -> None:
                connection = await asyncpg.connect(fresh)
                await connection.execute("BEGIN;\nSET LOCAL search_path = public, pg_temp;\n" + scripts + "\n;\nCOMMIT")
                await connection.close()

            return await _seconds(work())

        async def migrated(*, verify: bool) -> float:
            return await _seconds(kimbledb.migrate(await server.fresh(), verify=verify))

        whole = await server.fresh()
        await kimbledb.migrate(whole, verify=False)

        async def connect_and_ask() -> float:
            async def work() -> None:
                connection = await asyncpg.connect(whole)
                await connection.fetch("SELECT migration_name, success, checksum FROM migration_history")
                await connection.close()

            return await _seconds(work())

        figures = [
            await _compare(
                "a fresh database, verification off",
                "the same SQL in one message",
                1.2,
                runs,
                lambda: migrated(verify=False),
                one_message,
            ),
            await _compare(
                "a fresh database, with verification",
                "the same SQL in one message",
                1.6,
                runs,
                lambda: migrated(verify=True),
                one_message,
            ),
            await _compare(
                "nothing to do",
                "asyncpg: connect and one query",
                1.3,
                runs * 5,
                lambda: _seconds(kimbledb.migrate(whole)),
                connect_and_ask,
            ),
        ]
    figures.append(
        await _compare(
            "import kimbledb", "import asyncpg", 1.5, runs * 2, lambda: _import("kimbledb"), lambda: _import("asyncpg")
        )
    )
    return figures


async def _import(module: str) -> float:
    code = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def main() -> None:
    """Measure, print the table, and write the figures where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="of the longest figures; the short ones run more often")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    given = parser.parse_args()
    figures = asyncio.run(measure(given.runs))
    print(f"{'measure':<38} {'floor':<32} {'ms':>8} {'floor ms':>9} {'ratio':>6} {'goal':>5}")
    for figure in figures:
        print(
            f"{figure.name:<38} {figure.floor:<32} {figure.measured * 1000:>8.1f} {figure.floor_measured * 1000:>9.1f} "
            f"{figure.ratio:>6.2f} {figure.goal:>5.2f}"
        )
    if given.json:
        given.json.write_text(json.dumps([asdict(figure) | {"ratio": figure.ratio} for figure in figures], indent=2))


if __name__ == "__main__":
    main()
