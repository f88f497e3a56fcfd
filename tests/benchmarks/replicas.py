"""Replicas that start at the same moment: a program that prints the seconds until the last has ended.

``python -m tests.benchmarks.replicas migrate COUNT DSN`` lets each process migrate. ``floor`` lets each connect and ask
one question, and then one more process migrate. All is imported before the processes are forked, since each replica
imports it on a machine of its own.
"""

from __future__ import annotations

import asyncio
import sys
import time

import asyncpg

import kimbledb
from tests.support.run_many import forked, preload


async def _ask(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.fetch("SELECT 1")
    await connection.close()


def main() -> None:
    """Start the processes."""
    verb, count, dsn = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    preload(kimbledb.Catalog.builtin())

    def ask() -> None:
        asyncio.run(_ask(dsn))

    def migrate() -> None:
        asyncio.run(kimbledb.migrate(dsn))

    start = time.perf_counter()
    if verb == "migrate":
        forked(migrate, count)
    else:
        forked(ask, count)
        forked(migrate, 1)
    print(time.perf_counter() - start)


if __name__ == "__main__":
    main()
