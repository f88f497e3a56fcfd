"""Folders of many small migrations, and databases in which all of them are applied."""

from __future__ import annotations

import hashlib
from pathlib import Path

import asyncpg
from attrs import frozen

import kimbledb

from . import floor
from .measuring import Server

#: As ``kimbledb declare`` writes it.
_DECLARED = """
checksum = "{1}"
server = "18.1"

[[statement]]
at = "apply.sql:1"
[statement.creates]
"table {0}" = {{}}
"column {0}.id" = {{ type = "bigint", not_null = true }}
"column {0}.name" = {{ type = "text" }}
"constraint {0}.{0}_pkey" = {{ key = "PRIMARY KEY (id)" }}
"""


#: How many scripts go in one message: a transaction holds its locks until its end.
_BATCH = 500


@frozen
class Applied:
    """A folder, and a database that holds all of it, and history too."""

    folder: Path
    dsn: str


async def applied(server: Server, count: int) -> Applied:
    """Return a folder of so many migrations, and their database. The groups of a run share it."""
    if count not in server.applied:
        folder = server.folder(str(count))
        write_folder(folder, count)
        dsn = await server.fresh()
        await run_scripts(folder, dsn)
        catalog = kimbledb.Catalog.from_directory(folder)
        await kimbledb.stamp(dsn, [migration.name for migration in catalog], catalog=catalog)
        server.applied[count] = Applied(folder, dsn)
    return server.applied[count]


async def run_scripts(folder: Path, dsn: str) -> None:
    """Run the SQL of a folder by asyncpg alone."""
    texts = floor.scripts(str(folder))
    connection = await asyncpg.connect(dsn)
    for first in range(0, len(texts), _BATCH):
        await connection.execute("\n;\n".join(texts[first : first + _BATCH]))
    await connection.close()


def write_folder(folder: Path, count: int) -> None:
    """Write migrations of which each needs the one before, and makes a table, which it declares."""
    for number in range(1, count + 1):
        home = folder / f"{number:05}_step_{number}"
        home.mkdir()
        needs = f'requires = ["step_{number - 1}.sql"]\n' if number > 1 else ""
        (home / "migration.toml").write_text(f'title = "Step {number}"\n{needs}')
        apply = f"CREATE TABLE IF NOT EXISTS t{number} (id bigint PRIMARY KEY, name text);\n"
        (home / "apply.sql").write_text(apply)
        checksum = hashlib.sha256(apply.encode()).hexdigest()
        (home / "declared.toml").write_text(_DECLARED.format(f"t{number}", checksum))
        (home / "verify.sql").write_text(f"-- name: there\nSELECT to_regclass('t{number}') IS NOT NULL AS passed;\n")
        (home / "rollback.sql").write_text(f"DROP TABLE IF EXISTS t{number};\n")
