"""One measure in a process of its own: how long it takes, and the most memory that the process had.

``python -m tests.benchmarks.process VERB FOLDER RUNS DSN`` does it, and prints both as JSON.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median

from attrs import frozen

import kimbledb

from .measuring import run, seconds

#: Stands for kimbledb's own migrations.
BUILTIN = Path("builtin")
#: Seconds: a run of ten thousand on a slow machine takes longer than most may.
_PATIENCE = kimbledb.Options(deadline=3600)


@frozen
class Taken:
    """What one measure took."""

    #: The median of its runs.
    seconds: float
    #: In MiB.
    memory: float


async def taken(verb: str, folder: Path, runs: int = 1, dsn: str = "") -> Taken:
    """Measure in a new process.

    Args:
        verb: One of ``read``, ``plan``, ``render`` and those of ``growth``.
        folder: The migrations.
        runs: How often, in that process; what changes the database goes once.
        dsn: The database, for what wants one.
    """
    command = (sys.executable, "-m", __name__, verb, str(folder), str(runs), dsn)
    answer = json.loads(await run(*command))
    return Taken(median(answer["seconds"]), answer["memory"])


# In that process.


def _catalog(folder: Path) -> kimbledb.Catalog:
    return kimbledb.Catalog.builtin() if folder == BUILTIN else kimbledb.Catalog.from_directory(folder)


def _clocked(work: Callable[[], object], runs: int) -> list[float]:
    """Measure some runs after one that is left out, since it imports and fills caches."""
    times = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return times[1:]


def _read(folder: Path) -> None:
    """Read all that a catalog is made of."""
    for home in sorted(folder.iterdir()):
        for file in sorted(home.iterdir()):
            file.read_bytes()


def _plan(folder: Path) -> None:
    plan = kimbledb.Planner(_catalog(folder)).plan()
    assert len(plan.pending) == len(plan.steps)


async def _fresh(catalog: kimbledb.Catalog, dsn: str) -> None:
    report = await kimbledb.migrate(dsn, catalog=catalog, options=_PATIENCE)
    assert len(report.applied) == len(catalog)


async def _nothing(catalog: kimbledb.Catalog, dsn: str) -> None:
    report = await kimbledb.migrate(dsn, catalog=catalog, options=_PATIENCE)
    assert not report.applied


async def _times(work: Callable[[], Awaitable[object]], runs: int) -> list[float]:
    """Do the same with what is awaited."""
    return [await seconds(work()) for _ in range(runs + 1)][1:]


async def _adopt(catalog: kimbledb.Catalog, dsn: str) -> None:
    report = await kimbledb.adopt(dsn, catalog=catalog, options=_PATIENCE)
    assert len(report.adopted) == len(catalog)


async def _rollback(catalog: kimbledb.Catalog, dsn: str) -> None:
    report = await kimbledb.rollback(dsn, to=0, catalog=catalog, options=_PATIENCE)
    assert len(report.rolled_back) == len(catalog)


async def _prove(catalog: kimbledb.Catalog, dsn: str) -> None:
    assert (await kimbledb.prove(catalog, server=dsn, cuts=1)).ok


async def _evidence(catalog: kimbledb.Catalog, dsn: str, runs: int) -> list[float]:
    from kimbledb.inspection import (
        gathering,
        history,  # the others are measured without
    )
    from kimbledb.planning.planner import Planner
    from kimbledb.server.targets import target_of

    planner = Planner(catalog)
    async with target_of(dsn).session(_PATIENCE) as session:
        state = await history.look(session, "public")

        async def gather() -> None:
            shown = gathering.weighed(planner, state, await gathering.look(session, planner, state, "public"))
            assert shown.findings

        return await _times(gather, runs)


#: What is done once.
_ONCE = {"fresh": _fresh, "adopt": _adopt, "rollback": _rollback, "prove": _prove}


def _measured(verb: str, folder: Path, runs: int, dsn: str) -> list[float]:
    if verb == "read":
        return _clocked(lambda: _read(folder), runs)
    if verb == "plan":
        return _clocked(lambda: _plan(folder), runs)
    if verb == "declare":
        return [asyncio.run(seconds(kimbledb.declare(folder, server=dsn, check=True)))]
    catalog = _catalog(folder)
    if verb == "render":
        return _clocked(lambda: kimbledb.render(catalog), runs)
    if verb in _ONCE:
        return [asyncio.run(seconds(_ONCE[verb](catalog, dsn)))]
    if verb == "nothing":
        return asyncio.run(_times(lambda: _nothing(catalog, dsn), runs))
    assert verb == "evidence", verb
    return asyncio.run(_evidence(catalog, dsn, runs))


def _memory() -> float:
    """Return the most memory that this process had, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():
        # The kernel's account of a child begins with its parent's, which getrusage() then shows.
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


if __name__ == "__main__":
    given, home, count, where = sys.argv[1:]
    measured = _measured(given, Path(home), int(count), where)
    print(json.dumps({"seconds": measured, "memory": _memory()}))
