"""A fresh database, a fresh schema, and many of them."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from statistics import median

import asyncpg

import kimbledb
from kimbledb._embedded import programs
from tests.support.proxy import Proxy

from .measuring import Figure, Server, compare, run, seconds
from .planning import write_folder

CATALOG = kimbledb.Catalog.builtin()
STEPS = kimbledb.Planner(CATALOG).plan().pending
SCRIPTS = "\n;\n".join(step.migration.apply_sql for step in STEPS)
#: Seconds that a message takes one way, where a distant server is played.
_LATENCY = 0.01
#: Of each, there and near.
_RUNS_FAR = 5


async def figures(server: Server, runs: int) -> list[Figure]:
    """Measure all that begins with nothing."""
    return [
        *await _databases(server, runs),
        await _process(server, runs),
        *await _network(server),
        await _schema(server, runs),
        await _schemas(server),
        await _loop(server),
        await _replicas(server, runs),
    ]


async def _in_one_message(dsn: str, schema: str = "public") -> None:
    connection = await asyncpg.connect(dsn)
    path = ", ".join(dict.fromkeys((schema, "public", "pg_temp")))
    await connection.execute(f"BEGIN;\nSET LOCAL search_path = {path};\n{SCRIPTS}\n;\nCOMMIT")
    await connection.close()


async def _databases(server: Server, runs: int) -> list[Figure]:
    async def floor() -> float:
        return await seconds(_in_one_message(await server.fresh()))

    async def migrated(*, verify: bool) -> float:
        return await seconds(kimbledb.migrate(await server.fresh(), verify=verify))

    message = "the same SQL in one message"
    return [
        await compare("fresh, verification off", message, 1.2, runs, lambda: migrated(verify=False), floor),
        await compare("fresh, with verification", message, 1.6, runs, lambda: migrated(verify=True), floor),
    ]


async def _process(server: Server, runs: int) -> Figure:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "all.sql"
        script.write_text(f"BEGIN;\n{SCRIPTS}\n;\nCOMMIT;\n", encoding="utf-8")

        async def psql() -> float:
            command = (str(programs() / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", str(script))
            return await seconds(run(*command, await server.fresh(), PGOPTIONS="-c client_min_messages=warning"))

        async def command_line() -> float:
            command = (sys.executable, "-m", "kimbledb", "migrate", "--dsn", await server.fresh())
            return await seconds(run(*command))

        return await compare("fresh, whole process", "psql's process", 2.0, runs, command_line, psql)


async def _network(server: Server) -> list[Figure]:
    async with Proxy(await server.fresh(extensions=False)) as proxy:
        await kimbledb.migrate(proxy.dsn)
        counted = proxy.round_trips
    near: list[float] = []
    far: list[float] = []
    for _ in range(_RUNS_FAR):
        dsn = await server.fresh()
        async with Proxy(await server.fresh()) as proxy:
            proxy.delay = _LATENCY
            far.append(await seconds(kimbledb.migrate(proxy.dsn)))
            own = proxy.round_trips * 2 * _LATENCY
        near.append(own + await seconds(kimbledb.migrate(dsn)))
    return [
        Figure("round trips, fresh", "ten", counted, 10, 1.0, unit=""),
        Figure("fresh, 20 ms away", "the round trips and a fresh run", 1000 * median(far), 1000 * median(near), 1.2),
    ]


async def _schema(server: Server, runs: int) -> Figure:
    dsn = await server.fresh()
    numbers = iter(range(2 * runs))

    async def floor() -> float:
        name = f"s{next(numbers)}"
        connection = await asyncpg.connect(dsn)
        await connection.execute(f"CREATE SCHEMA {name}")
        await connection.close()
        return await seconds(_in_one_message(dsn, name))

    async def migrated() -> float:
        return await seconds(kimbledb.migrate(dsn, schema=f"s{next(numbers)}", verify=False))

    return await compare("a fresh schema", "the same SQL in one message", 1.2, runs, migrated, floor)


async def _schemas(server: Server) -> Figure:
    """Twenty: their time is in line with their number."""
    count = 20
    one_by_one, at_once = await server.fresh(), await server.fresh()

    async def sequence() -> None:
        for number in range(count):
            await kimbledb.migrate(one_by_one, schema=f"s{number}")

    slow = await seconds(sequence())
    quick = await seconds(kimbledb.migrate_many(at_once, schemas=[f"s{number}" for number in range(count)]))
    return Figure(
        f"{count} schemas, how much sooner at once",
        "one after the other",
        1000 * slow,
        1000 * quick,
        1.5,
        more_is_better=True,
    )


async def _loop(server: Server) -> Figure:
    """Two hundred small schemas in one event loop: how long others in it ever wait."""
    dsn = await server.fresh(extensions=False)
    with tempfile.TemporaryDirectory() as folder:
        write_folder(Path(folder), 1)
        catalog = kimbledb.Catalog.from_directory(folder)
    longest = 0.0

    async def beat() -> None:
        nonlocal longest
        while True:
            longest = max(longest, await seconds(asyncio.sleep(0.01)) - 0.01)

    beating = asyncio.create_task(beat())
    await kimbledb.migrate_many(dsn, schemas=[f"tenant_{number}" for number in range(200)], catalog=catalog)
    beating.cancel()
    return Figure("200 schemas: the loop is kept for", "100 ms", 1000 * longest, 100, 1.0)


async def _replicas(server: Server, runs: int) -> Figure:
    count = 64

    async def only_connect(dsn: str) -> None:
        connection = await asyncpg.connect(dsn)
        await connection.fetch("SELECT 1")
        await connection.close()

    async def floor() -> float:
        dsn = await server.fresh()

        async def work() -> None:
            await asyncio.gather(*(only_connect(dsn) for _ in range(count)))
            await kimbledb.migrate(dsn)

        return await seconds(work())

    async def migrated() -> float:
        dsn = await server.fresh()
        return await seconds(asyncio.gather(*(kimbledb.migrate(dsn) for _ in range(count))))

    return await compare(
        f"{count} replicas, one applies", "as many connections, and a fresh run", 1.5, min(runs, 3), migrated, floor
    )
