"""A program: many processes migrate KIMBLEDB_DSN at the same moment, and each prints its result as a line of JSON.

What each of them would import and read is imported and read before they start, once for all.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import os
import sys
from collections.abc import Callable

import kimbledb

#: What a call imports late.
LATE = (
    "kimbledb.events",
    "kimbledb.execution.applying",
    "kimbledb.execution.load_plan",
    "kimbledb.inspection.foreign_histories",
    "kimbledb.inspection.gathering",
    "kimbledb.planning.planner",
    "kimbledb.server.drivers.asyncpg",
)


async def run(catalog: kimbledb.Catalog, options: kimbledb.Options) -> dict[str, object]:
    """Migrate, and return the result."""
    waits: list[object] = []

    def watch(event: object) -> None:
        if type(event).__name__ == "Waiting":
            waits.append(event)

    report = await kimbledb.migrate(catalog=catalog, options=options, progress=watch)
    return {
        "applied": [step.migration.name for step in report.applied],
        "seconds": report.seconds,
        "waits": len(waits),
    }


def preload(catalog: kimbledb.Catalog) -> None:
    """Import and read what each process would."""
    for name in LATE:
        importlib.import_module(name)
    for migration in catalog:
        assert migration.declarations is not None
    gc.freeze()


def forked(work: Callable[[], None], count: int) -> None:
    """Do something in so many processes that start at the same moment, and wait for all."""
    waiting, start = os.pipe()
    children = []
    for _ in range(count):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                os.close(start)
                os.read(waiting, 1)  # until all processes have started
                work()
                status = 0
            finally:
                os._exit(status)
        children.append(pid)
    os.close(waiting)
    os.close(start)
    for pid in children:
        _, status = os.waitpid(pid, 0)
        assert status == 0, "a process failed"


def main() -> None:
    """Start the processes, and wait for them."""
    path, count, options = sys.argv[1], int(sys.argv[2]), kimbledb.Options(**json.loads(sys.argv[3]))
    catalog = kimbledb.Catalog.builtin() if path == "builtin" else kimbledb.Catalog.from_directory(path)
    preload(catalog)

    def work() -> None:
        try:
            said: dict[str, object] = asyncio.run(run(catalog, options))
        except BaseException as error:  # noqa: BLE001 - the parent reads it
            said = {"error": f"{type(error).__name__}: {error}"}
        os.write(1, (json.dumps(said) + "\n").encode())

    forked(work, count)


if __name__ == "__main__":
    main()
