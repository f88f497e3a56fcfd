"""Folders of many migrations, and what the system catalogs show of kimbledb's own."""

from __future__ import annotations

import hashlib
from pathlib import Path

import kimbledb

from .measuring import Figure, Server
from .process import BUILTIN, taken

#: Milliseconds for the evidence of the whole catalog.
_EVIDENCE = 150

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


async def figures(server: Server, runs: int) -> list[Figure]:
    """Measure the evidence."""
    dsn = await server.fresh()
    await kimbledb.migrate(dsn, verify=False)
    evidence = await taken("evidence", BUILTIN, runs, dsn)
    await server.drop([dsn])
    name = "evidence for the whole catalog"
    return [Figure(name, f"{_EVIDENCE} ms", 1000 * evidence.seconds, _EVIDENCE, 1.0)]


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
