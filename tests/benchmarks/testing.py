"""What a test waits for."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit, urlunsplit

import asyncpg

import kimbledb
from kimbledb.server.dsn import with_database
from kimbledb.testing import Databases

from .measuring import Figure, Server, compare, run, seconds

_TESTS, _QUICK_TESTS = 24, 200
_SHOP = Path(__file__).parent.parent.parent / "docs" / "examples" / "shop"

_CONFTEST = """
import json, os

waited = []

def pytest_collection_modifyitems(items):
    # By turns; those with a database come last, since it is dropped beside the next tests.
    items.sort(key=lambda item: ("test_database" in item.name, item.callspec.params["number"]))

def pytest_runtest_logreport(report):
    waited.append((report.nodeid.split("[")[0].split("::")[1], report.when, report.duration))

def pytest_sessionfinish():
    with open(os.environ["WAITED"], "w") as file:
        json.dump(waited, file)
"""
_SUITE = """
import asyncio, asyncpg, os, pytest, pytest_asyncio

INSERT = "INSERT INTO users (id) VALUES ('ann')"
kept = []

@pytest_asyncio.fixture
async def empty():
    yield

@pytest.mark.parametrize("number", range({many}))
async def test_by_hand(empty, number):
    connection = kept[0] if kept else await asyncpg.connect(os.environ["MIGRATED"])
    await connection.execute("BEGIN")
    await connection.execute(INSERT)
    await connection.execute("ROLLBACK")
    if {one_loop}:
        kept[:] = [connection]
    else:
        await connection.close()

@pytest.mark.parametrize("number", range({many}))
async def test_connection(kimbledb_connection, number):
    await kimbledb_connection.execute(INSERT)

@pytest.mark.parametrize("number", range({count}))
async def test_database(kimbledb_database, number):
    await asyncio.sleep(0.06)
"""


async def figures(server: Server, runs: int) -> list[Figure]:
    """Measure clones, as they are made and as a test sees them."""
    whole = await server.fresh()
    await kimbledb.migrate(whole, verify=False)
    name = urlsplit(whole).path[1:]
    admin = await asyncpg.connect(server.dsn)
    numbers = iter(range(1000))

    async def by_hand() -> float:
        clone = f"clone_{next(numbers)}"
        taken = await seconds(admin.execute(f'CREATE DATABASE "{clone}" TEMPLATE "{name}"'))
        await admin.execute(f'DROP DATABASE "{clone}"')
        return taken

    async with Databases(server.dsn, ahead=0) as databases:

        async def cloned() -> float:
            return await seconds(databases.take())

        clone = await compare("a fresh test database", "CREATE DATABASE ... TEMPLATE", 1.1, runs * 4, cloned, by_hand)
        tenant = await _tenant(server.dsn, databases.template, runs * 2)
    await admin.close()
    own_loops, one_loop = await _in_a_suite(whole, one_loop=False), await _in_a_suite(whole, one_loop=True)
    around = own_loops["test_database"]["setup"] + own_loops["test_database"]["teardown"]
    by_hand_in_test = "BEGIN, INSERT, ROLLBACK, an empty fixture"
    return [
        clone,
        tenant,
        Figure("the same as tests of 60 ms see it", "CREATE DATABASE ... TEMPLATE", around, clone.floor_measured, 0.1),
        _figure("a connection rolled back, one loop", by_hand_in_test, one_loop),
        _figure("a connection rolled back, own loops", f"connecting, {by_hand_in_test}", own_loops),
        *await _whole_runs(max(2, runs // 3)),
    ]


async def _tenant(dsn: str, template: str, runs: int) -> Figure:
    """Measure a new tenant's database, from the first connection to what its history says."""
    numbers = iter(range(1000))
    catalog = kimbledb.Catalog.builtin()

    async def provisioned() -> float:
        return await seconds(kimbledb.provision(f"tenant_{next(numbers)}", target=dsn, catalog=catalog))

    async def by_hand() -> float:
        return await seconds(_made_by_hand(dsn, template, f"tenant_{next(numbers)}"))

    floor = "CREATE DATABASE ... TEMPLATE, connecting, a query of history"
    return await compare("a new tenant's database", floor, 1.5, runs, provisioned, by_hand)


async def _made_by_hand(dsn: str, template: str, name: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    await connection.close()
    connection = await asyncpg.connect(with_database(dsn, name))
    await connection.fetch("SELECT migration_name, checksum FROM migration_history")
    await connection.close()


def _figure(name: str, floor: str, waited: dict[str, dict[str, float]]) -> Figure:
    return Figure(name, floor, sum(waited["test_connection"].values()), sum(waited["test_by_hand"].values()), 1.3)


async def _whole_runs(runs: int) -> list[Figure]:
    """Measure whole runs of the shop's twenty tests, server included, beside the same process that collects them alone."""
    with tempfile.TemporaryDirectory() as kept:
        command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(_SHOP))
        # With the plugin's server and its choice of a place for the data.
        environment = {
            name: value
            for name, value in os.environ.items()
            if name not in ("TMPDIR", "KIMBLEDB_TEST_DSN", "PYTEST_ADDOPTS")
        }

        async def timed(*options: str) -> float:
            return await seconds(run(*command, *options, **environment))

        async def collected() -> float:
            return await timed("--collect-only")

        async def first() -> float:
            return await timed()

        async def again() -> float:
            return await timed(f"--kimbledb-data-dir={kept}")

        await again()
        floor = "the same pytest, collecting alone"
        return [
            await compare("twenty tests with SQLAlchemy, first run", floor, 3.0, runs, first, collected),
            await compare("the same with a kept template", floor, 2.0, runs, again, collected),
        ]


async def _in_a_suite(migrated: str, *, one_loop: bool) -> dict[str, dict[str, float]]:
    """Run tests with the plugin in a process of their own; return the median milliseconds of each kind, by phase."""
    scopes = ("fixture", "test") if one_loop else ()
    settings = "".join(f"asyncio_default_{scope}_loop_scope = session\n" for scope in scopes)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "conftest.py").write_text(_CONFTEST)
        (home / "test_suite.py").write_text(_SUITE.format(count=_TESTS, many=_QUICK_TESTS, one_loop=one_loop))
        (home / "pytest.ini").write_text(f"[pytest]\nasyncio_mode = auto\n{settings}")
        waited = home / "waited.json"
        dsn = urlunsplit(urlsplit(migrated)._replace(path="/postgres"))
        await run(
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--kimbledb-dsn", dsn, str(home)),
            **{**os.environ, "WAITED": str(waited), "MIGRATED": migrated},
        )
        rows = json.loads(waited.read_text())
    found: dict[str, dict[str, list[float]]] = {}
    for kind, phase, taken in rows:
        found.setdefault(kind, {}).setdefault(phase, []).append(taken)
    # The first make the template and connect, and the last clears up.
    return {
        kind: {phase: 1000 * median(times[2:-1]) for phase, times in phases.items()} for kind, phases in found.items()
    }
