"""A start at which there is nothing to do."""

from __future__ import annotations

import asyncpg

import kimbledb

from .measuring import Figure, Server, compare, python, seconds

_TIMED = "import time; t = time.perf_counter(); {work}; print(time.perf_counter() - t)"
_ASK = """
async def ask(dsn):
    connection = await asyncpg.connect(dsn)
    await connection.fetch("SELECT migration_name, success, checksum FROM migration_history")
    await connection.close()
"""
_FIRST = """
import asyncio, sys, time
{imports}

async def timed():
    start = time.perf_counter()
    await {call}
    print(time.perf_counter() - start)

asyncio.run(timed())
"""
_WHOLE = "import asyncio, sys\n{imports}\nasyncio.run({call})\n"


async def figures(server: Server, runs: int) -> list[Figure]:
    """Measure starts on an up-to-date database, and imports."""
    dsn = await server.fresh()
    await kimbledb.migrate(dsn, verify=False)

    async def ask() -> None:
        connection = await asyncpg.connect(dsn)
        await connection.fetch("SELECT migration_name, success, checksum FROM migration_history")
        await connection.close()

    async def printed(code: str) -> float:
        return float(await python(code, dsn))

    async def whole(code: str) -> float:
        return await seconds(python(code, dsn))

    ours = {"imports": "import kimbledb", "call": "kimbledb.migrate(sys.argv[1])"}
    theirs = {"imports": "import asyncpg\n" + _ASK, "call": "ask(sys.argv[1])"}
    query = "asyncpg: connect and one query"
    return [
        await compare(
            "nothing to do", query, 1.3, runs * 8, lambda: seconds(kimbledb.migrate(dsn)), lambda: seconds(ask())
        ),
        await compare(
            "nothing to do, a process's first call",
            query,
            2.0,
            runs * 4,
            lambda: printed(_FIRST.format(**ours)),
            lambda: printed(_FIRST.format(**theirs)),
        ),
        await compare(
            "nothing to do, whole process",
            "Python with asyncpg and the query",
            1.5,
            runs * 4,
            lambda: whole(_WHOLE.format(**ours)),
            lambda: whole(_WHOLE.format(**theirs)),
        ),
        await compare(
            "import kimbledb",
            "import asyncpg",
            1.5,
            runs * 4,
            lambda: printed(_TIMED.format(work="import kimbledb")),
            lambda: printed(_TIMED.format(work="import asyncpg")),
        ),
    ]
