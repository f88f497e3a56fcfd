"""Waits for a condition, and a gate at which a migration's script sleeps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import asyncpg

T = TypeVar("T")

#: A part of a script: it sleeps for 60 seconds if the gate is shut.
SLEEP = "DO $gate$ BEGIN IF to_regclass('public.gate') IS NOT NULL THEN PERFORM pg_sleep(60); END IF; END $gate$;\n"


async def eventually(found: Callable[[], Awaitable[T | None]], *, seconds: float = 30.0) -> T:
    """Call a function until it returns a true value, and return the value.

    Args:
        found: The function, which is awaited.
        seconds: The time after which the test fails.
    """
    deadline = asyncio.get_running_loop().time() + seconds
    while not (value := await found()):
        assert asyncio.get_running_loop().time() < deadline, f"no true value in {seconds:g} seconds"
        await asyncio.sleep(0.02)
    return value


@asynccontextmanager
async def gate(dsn: str) -> AsyncIterator[Callable[[], Awaitable[int]]]:
    """Shut the gate at which scripts sleep, and open it at the end.

    Yields:
        A function that waits until a script sleeps, and returns the process id of its session.
    """
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("CREATE TABLE gate ()")

        async def asleep() -> int | None:
            pid: int | None = await connection.fetchval(
                "SELECT max(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
            )
            return pid

        yield lambda: eventually(asleep)
        await connection.execute("DROP TABLE gate")
    finally:
        await connection.close()
