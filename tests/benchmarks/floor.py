"""What asyncpg alone takes for the same: a program that imports nothing of kimbledb.

``python floor.py nothing FOLDER DSN`` reads history and hashes every file of the folder.
``python floor.py fresh FOLDER DSN`` reads each apply.sql and applies them all in one transaction.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys

import asyncpg

_HISTORY = "SELECT migration_name, success, checksum FROM migration_history"


async def ask(dsn: str) -> set[str]:
    """Connect, and return the names that history has."""
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch(_HISTORY)
    await connection.close()
    return {name.removesuffix(".sql") for name, success, _checksum in rows if success}


async def nothing(folder: str, dsn: str) -> None:
    """Read history, and hash every file."""
    known = await ask(dsn)
    checksums = {
        home: {name: hashlib.sha256(_read(path)).hexdigest() for name, path in _files(folder, home)}
        for home in _homes(folder)
    }
    assert known <= {home.partition("_")[2] for home in checksums}


async def fresh(folder: str, dsn: str) -> None:
    """Apply all in one message, which is one transaction."""
    connection = await asyncpg.connect(dsn)
    await connection.execute("\n;\n".join(scripts(folder)))
    await connection.close()


def scripts(folder: str) -> list[str]:
    """Return the texts to apply, in order."""
    return [_read(f"{folder}/{home}/apply.sql").decode() for home in _homes(folder)]


def _homes(folder: str) -> list[str]:
    return sorted(entry.name for entry in os.scandir(folder) if entry.name[:1].isdigit())


def _files(folder: str, home: str) -> list[tuple[str, str]]:
    return [(entry.name, entry.path) for entry in os.scandir(f"{folder}/{home}") if entry.is_file()]


def _read(path: str) -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123 - pathlib would take longer
        return file.read()


if __name__ == "__main__":
    verb, home, where = sys.argv[1:]
    asyncio.run({"nothing": nothing, "fresh": fresh}[verb](home, where))
