"""The floor of a fresh database: pg_dump's file of a migrated one, with history and log."""

from __future__ import annotations

import asyncpg

import kimbledb
from kimbledb._embedded import programs

from .measuring import Server, run

#: The commit of a run is durable on this server, though the embedded one's settings say otherwise.
_DURABLE = "SET synchronous_commit = local;\n"


async def dumped(server: Server) -> str:
    """Migrate an empty database and return its dump, as psql restores it.

    The rows are INSERTs, since a message of the simple protocol holds no data of COPY.
    """
    dsn = await server.fresh()
    await kimbledb.migrate(dsn)
    text = await run(str(programs() / "pg_dump"), "--inserts", "--rows-per-insert=1000", dsn)
    await server.drop([dsn])
    return _DURABLE + text


def in_one_message(dump: str) -> str:
    """Return a dump without the commands of psql, which begin with a backslash."""
    return "".join(line for line in dump.splitlines(keepends=True) if not line.startswith("\\"))


async def restore(dsn: str, message: str) -> None:
    """Connect and send the message, which is one transaction."""
    connection = await asyncpg.connect(dsn)
    await connection.execute(message)
    await connection.close()
