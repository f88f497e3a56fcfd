"""An empty database, and many of them."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from statistics import median

import kimbledb
from kimbledb._embedded import programs
from tests.support.proxy import Proxy

from . import replicas
from .dump import dumped, in_one_message, restore
from .folders import write_folder
from .measuring import Figure, Server, compare, run, seconds

#: Seconds that a message takes one way, where a distant server is played.
_LATENCY = 0.01
#: Of each, there and near.
_RUNS_FAR = 3


async def figures(server: Server, runs: int) -> list[Figure]:
    """Measure all that begins with nothing."""
    dump = await dumped(server)
    return [
        *await _calls(server, dump, runs),
        await _process(server, dump, runs),
        *await _network(server),
        await _schemas(server),
        await _loop(server),
        await _replicas(server, runs),
    ]


async def _calls(server: Server, dump: str, runs: int) -> list[Figure]:
    message = in_one_message(dump)

    async def restored() -> float:
        return await seconds(restore(await server.fresh(), message))

    async def migrated(*, verify: bool) -> float:
        return await seconds(kimbledb.migrate(await server.fresh(), verify=verify))

    floor = "restoring its pg_dump in one message"
    return [
        await compare("fresh, verified", floor, 1.3, runs, lambda: migrated(verify=True), restored),
        await compare("fresh, verification off", floor, 1.15, runs, lambda: migrated(verify=False), restored),
    ]


async def _process(server: Server, dump: str, runs: int) -> Figure:
    script = server.folder("dump") / "all.sql"
    script.write_text(dump, encoding="utf-8")

    async def psql() -> float:
        command = (str(programs() / "psql"), "-X", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-f", str(script))
        return await seconds(run(*command, await server.fresh(), PGOPTIONS="-c client_min_messages=warning"))

    async def command_line() -> float:
        command = (sys.executable, "-m", "kimbledb", "migrate", "--dsn", await server.fresh())
        return await seconds(run(*command))

    return await compare("fresh, verified, whole process", "psql restoring its pg_dump", 1.6, runs, command_line, psql)


async def _network(server: Server) -> list[Figure]:
    near: list[float] = []
    far: list[float] = []
    for _ in range(_RUNS_FAR):
        dsn = await server.fresh()
        async with Proxy(await server.fresh()) as proxy:
            proxy.delay = _LATENCY
            far.append(await seconds(kimbledb.migrate(proxy.dsn)))
            counted = proxy.round_trips
        near.append(counted * 2 * _LATENCY + await seconds(kimbledb.migrate(dsn)))
    return [
        Figure("round trips, fresh", "ten", counted, 10, 1.0, unit=""),
        Figure("fresh, 20 ms away", "the round trips and a fresh run", 1000 * median(far), 1000 * median(near), 1.2),
    ]


async def _schemas(server: Server) -> Figure:
    """Ten: their time is in line with their number."""
    count = 10
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
    dsn = await server.fresh()
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

    async def taken(verb: str) -> float:
        return float(await run(sys.executable, "-m", replicas.__name__, verb, str(count), await server.fresh()))

    return await compare(
        f"{count} replicas as processes, one applies",
        f"{count} that connect and query, and a fresh run",
        1.3,
        min(runs, 3),
        lambda: taken("migrate"),
        lambda: taken("floor"),
    )
