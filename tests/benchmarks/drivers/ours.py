"""kimbledb, in the same ways. Where the folder is called ``builtin``, the migrations are its own."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

import kimbledb
from kimbledb.testing import Databases

from .steps import awaited

#: The pool that a test's database comes with in pgfast.
_FEWEST, _MOST = 2, 5


def migrate(folder: Path, dsn: str, count: int) -> list[float]:
    """Migrate so many times, without verification."""
    return asyncio.run(_calls(folder, dsn, count, verify=False))


def verified(folder: Path, dsn: str, count: int) -> list[float]:
    """Migrate so many times, with verification."""
    return asyncio.run(_calls(folder, dsn, count, verify=True))


def clones(_folder: Path, dsn: str, count: int) -> list[float]:
    """Take a test's database so many times; none is made ahead."""
    return asyncio.run(_clones(dsn, count, pool=False))


def pools(_folder: Path, dsn: str, count: int) -> list[float]:
    """Take a test's database so many times, with a pool of connections to each."""
    return asyncio.run(_clones(dsn, count, pool=True))


async def _calls(folder: Path, dsn: str, count: int, *, verify: bool) -> list[float]:
    async def apply() -> None:
        catalog = None if folder.name == "builtin" else kimbledb.Catalog.from_directory(folder)
        await kimbledb.migrate(dsn, catalog=catalog, verify=verify)

    return [await awaited(apply()) for _ in range(count)]


async def _clones(dsn: str, count: int, *, pool: bool) -> list[float]:
    taken = []
    admin = await asyncpg.connect(dsn)
    # A template of this process, as the others make one: an old one has left the server's memory.
    async with Databases(dsn, ahead=0, prepare=f"SELECT {os.getpid()}") as databases:
        for _ in range(count):
            start = time.perf_counter()
            clone = await databases.take()
            opened = await asyncpg.create_pool(clone, min_size=_FEWEST, max_size=_MOST) if pool else None
            taken.append(time.perf_counter() - start)
            if opened is not None:
                await opened.close()
            # The others drop each before the next, too.
            await admin.execute(f'DROP DATABASE "{urlsplit(clone).path[1:]}" WITH (FORCE)')
    await admin.close()
    return taken
