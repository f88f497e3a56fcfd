"""How long an application waits while an older database with many messages is brought to the whole schema.

The application is a process of its own, with a session that reads and one that writes. The number of messages is that of
the environment variable KIMBLEDB_BENCHMARK_MESSAGES.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path

import asyncpg

import kimbledb

from .measuring import Figure, Server

MESSAGES = int(os.environ.get("KIMBLEDB_BENCHMARK_MESSAGES", "3000"))
_BASE = Path(__file__).parent.parent / "data" / "before" / "messages.sql"
#: A build takes as long as it takes, and nobody waits for it.
OPTIONS = kimbledb.Options(deadline=3600, statement_timeout=3600)
#: What the sessions of the application do; the conversation is stamped by its trigger.
WORK = {
    "reader": "SELECT content, embedding FROM messages WHERE id = 'm7'",
    "writer": "UPDATE messages SET tokens_used = tokens_used + 1 WHERE id = 'm7'",
    "writer of conversations": "UPDATE conversations SET title = title || '' WHERE id = 'c7'",
}
_STAMPED = "SELECT (SELECT count(*) FROM {} WHERE updated_at <> '2025-01-01')"


async def figures(server: Server, runs: int) -> list[Figure]:
    """Bring the older database to the whole schema, and measure the longest wait of each session, in terms of the lock timeout."""
    del runs
    dsn = await server.fresh()
    connection = await asyncpg.connect(dsn, command_timeout=3600)
    await connection.execute(_BASE.read_text().replace("{messages}", str(MESSAGES)))
    await connection.execute(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET maintenance_work_mem = ''1GB''', current_database()); END $$"
    )
    application = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __name__, dsn), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert application.stdout is not None
    await application.stdout.readline()  # it is at work

    await kimbledb.adopt(dsn, options=OPTIONS)
    await kimbledb.migrate(dsn, options=OPTIONS)

    said, _ = await application.communicate(b"")
    waits: dict[str, float] = json.loads(said)
    stamped = [await connection.fetchval(_STAMPED.format(table)) for table in ("users", "projects", "conversations")]
    assert stamped == [0, 0, 1], stamped
    assert await connection.fetchval("SELECT count(*) FROM messages") == MESSAGES
    await connection.close()
    limit = 1000 * OPTIONS.lock_timeout
    return [
        Figure(f"{MESSAGES:,} messages, a {who} waits", "the lock timeout", 1000 * wait, limit, 1.0)
        for who, wait in waits.items()
    ]


async def _work(dsn: str) -> None:
    """Work until standard input ends, and print the longest waits."""
    waits = dict.fromkeys(WORK, 0.0)
    ended = asyncio.Event()

    async def repeat(who: str, statement: str) -> None:
        connection = await asyncpg.connect(dsn)
        while not ended.is_set():
            start = time.monotonic()
            await connection.execute(statement)
            waits[who] = max(waits[who], time.monotonic() - start)
            await asyncio.sleep(0.005)
        await connection.close()

    sessions = [asyncio.create_task(repeat(*each)) for each in WORK.items()]
    print("at work", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    ended.set()
    await asyncio.gather(*sessions)
    print(json.dumps(waits))


if __name__ == "__main__":
    asyncio.run(_work(sys.argv[1]))
