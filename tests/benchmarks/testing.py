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
from attrs import frozen

import kimbledb
from kimbledb.testing import Databases

from .measuring import Figure, Server, compare, run, seconds

_TESTS = 24
_SHOP = Path(__file__).parent.parent.parent / "docs" / "examples" / "shop"

_CONFTEST = """
import json, os

waited = []

def pytest_runtest_logreport(report):
    waited.append((report.nodeid.split("[")[0].split("::")[1], report.when, report.duration))

def pytest_sessionfinish():
    with open(os.environ["WAITED"], "w") as file:
        json.dump(waited, file)
"""
_SUITE = """
import asyncio, pytest, pytest_asyncio

@pytest_asyncio.fixture
async def empty():
    yield

@pytest.mark.parametrize("number", range({count}))
async def test_database(kimbledb_database, number):
    await asyncio.sleep(0.06)

@pytest.mark.parametrize("number", range({count}))
async def test_connection(kimbledb_connection, number):
    await kimbledb_connection.execute("INSERT INTO users (id) VALUES ('ann')")

@pytest.mark.parametrize("number", range({count}))
async def test_empty(empty, number):
    pass
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
    own_loops = await _in_a_suite(server.dsn)
    one_loop = await _in_a_suite(
        server.dsn, "asyncio_default_fixture_loop_scope = session\nasyncio_default_test_loop_scope = session\n"
    )
    rolled_back, with_connecting = await _rolled_back(whole, runs)
    await admin.close()
    return [
        clone,
        Figure(
            "the same as tests of 60 ms see it",
            "CREATE DATABASE ... TEMPLATE",
            own_loops["test_database"].around,
            clone.floor_measured,
            0.1,
        ),
        Figure(
            "a connection rolled back, one loop",
            "BEGIN, INSERT, ROLLBACK; an empty fixture",
            one_loop["test_connection"].whole,
            rolled_back + one_loop["test_empty"].whole,
            1.3,
        ),
        Figure(
            "a connection rolled back, own loops",
            "connecting, the same; an empty fixture",
            own_loops["test_connection"].whole,
            with_connecting + own_loops["test_empty"].whole,
            1.3,
        ),
        *await _whole_runs(max(2, runs // 3)),
    ]


@frozen
class Waited:
    """What a test took, in milliseconds: its fixtures alone, and with the test itself."""

    around: float
    whole: float


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


async def _rolled_back(dsn: str, runs: int) -> tuple[float, float]:
    """Return the milliseconds that it takes by hand, on a connection that is there and on a new one."""

    async def work(connection: asyncpg.Connection) -> None:
        await connection.execute("BEGIN")
        await connection.execute("INSERT INTO users (id) VALUES ('ann')")
        await connection.execute("ROLLBACK")

    async def connected() -> None:
        connection = await asyncpg.connect(dsn)
        await work(connection)
        await connection.close()

    connection = await asyncpg.connect(dsn)
    alone = [await seconds(work(connection)) for _ in range(runs * 10)]
    await connection.close()
    return 1000 * median(alone), 1000 * median([await seconds(connected()) for _ in range(runs * 10)])


async def _in_a_suite(server: str, settings: str = "") -> dict[str, Waited]:
    """Run tests with the plugin in a process of their own; return the median of each kind."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "conftest.py").write_text(_CONFTEST)
        (home / "test_suite.py").write_text(_SUITE.format(count=_TESTS))
        (home / "pytest.ini").write_text(f"[pytest]\nasyncio_mode = auto\n{settings}")
        waited = home / "waited.json"
        dsn = urlunsplit(urlsplit(server)._replace(path="/postgres"))
        await run(
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--kimbledb-dsn", dsn, str(home)),
            **{**os.environ, "WAITED": str(waited)},
        )
        rows = json.loads(waited.read_text())

    def typical(kind: str, when: str) -> float:
        # The first make the template and connect, and the last clears up.
        return 1000 * float(median([taken for test, phase, taken in rows if (test, phase) == (kind, when)][2:-1]))

    found = {}
    for kind in ("test_database", "test_connection", "test_empty"):
        around = typical(kind, "setup") + typical(kind, "teardown")
        found[kind] = Waited(around, around + typical(kind, "call"))
    return found
