"""Plans of many migrations, and what the system catalogs show."""

from __future__ import annotations

import tempfile
from pathlib import Path

import kimbledb
from kimbledb import evidence, history
from kimbledb.targets import target_of

from .measuring import Figure, Server, python, seconds

#: Milliseconds for the evidence of the whole catalog.
_EVIDENCE = 150
#: Bytes, in MiB, that a process may take for the largest plan.
_MEMORY = 300

_READ = """
import sys, time, pathlib
start = time.perf_counter()
for folder in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    for file in sorted(folder.iterdir()):
        file.read_bytes()
print(time.perf_counter() - start)
"""
_PLAN = """
import resource, sys, time, kimbledb
start = time.perf_counter()
plan = kimbledb.Planner(kimbledb.Catalog.from_directory(sys.argv[1])).plan()
print(time.perf_counter() - start)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
assert len(plan.pending) == int(sys.argv[2])
"""


async def figures(server: Server, runs: int) -> list[Figure]:
    """Measure folders of growing size, and the evidence."""
    found = []
    for count in (10, 100, 1_000, 10_000):
        with tempfile.TemporaryDirectory() as folder:
            write_folder(Path(folder), count)
            tries = []
            for _ in range(min(runs, 3)):
                planned = (await python(_PLAN, folder, str(count))).split()
                tries.append((float(planned[0]), float(await python(_READ, folder)), float(planned[1])))
            took, read, memory = sorted(tries)[len(tries) // 2]
            found.append(Figure(f"plan of {count:,} migrations", "reading the files", 1000 * took, 1000 * read, 5.0))
            if count == 10_000:
                found.append(Figure(f"memory for {count:,}", f"{_MEMORY} MiB", memory, _MEMORY, 1.0, unit="MiB"))
    return [*found, await _evidence(server, runs)]


def write_folder(folder: Path, count: int) -> None:
    """Write migrations of which each needs the one before, and makes a table."""
    for number in range(1, count + 1):
        home = folder / f"{number:05}_step_{number}"
        home.mkdir()
        needs = f'requires = ["step_{number - 1}.sql"]\n' if number > 1 else ""
        (home / "migration.toml").write_text(f'title = "Step {number}"\n{needs}')
        (home / "apply.sql").write_text(f"CREATE TABLE IF NOT EXISTS t{number} (id bigint PRIMARY KEY, name text);\n")
        (home / "verify.sql").write_text(f"-- name: there\nSELECT to_regclass('t{number}') IS NOT NULL AS passed;\n")
        (home / "rollback.sql").write_text(f"DROP TABLE IF EXISTS t{number};\n")


async def _evidence(server: Server, runs: int) -> Figure:
    dsn = await server.fresh()
    await kimbledb.migrate(dsn, verify=False)
    catalog = kimbledb.Catalog.builtin()
    taken = []
    async with target_of(dsn).session(kimbledb.Options()) as session:
        state = await history.look(session, "public")
        for _ in range(runs + 1):
            taken.append(await seconds(evidence.gather(session, catalog, state, "public")))
    # The first one reads what the migrations declare from their files.
    return Figure("evidence for the whole catalog", f"{_EVIDENCE} ms", 1000 * sorted(taken)[runs // 2], _EVIDENCE, 1.0)
