"""What the policies cost that keep people apart, in tables with many rows."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import asyncpg

import kimbledb

from .measuring import Figure, Server, compare, seconds

_LOAD = Path(__file__).parents[1] / "data" / "many_rows.sql"
_ROWS, _EMBEDDED = 100_000, 10_000
_ROLE = "people_of_the_benchmark"
_PERSON = "person_7"
#: What a person asks, and the same by a role that is under no policy and names the person itself.
_QUERIES = {
    "conversations": (
        "SELECT id, title, updated_at FROM conversations ORDER BY updated_at DESC LIMIT 20",
        "SELECT id, title, updated_at FROM conversations WHERE user_id = 'person_7' ORDER BY updated_at DESC LIMIT 20",
    ),
    "messages of a conversation": (
        "SELECT role, content FROM messages WHERE conversation_id = 'c6' ORDER BY created_at",
        "SELECT role, content FROM messages WHERE conversation_id = 'c6' ORDER BY created_at",
    ),
    "knowledge": (
        "SELECT count(*) FROM knowledge_base",
        "SELECT count(*) FROM knowledge_base WHERE user_id = 'person_7'",
    ),
    "daily costs": (
        "SELECT * FROM daily_costs",
        "SELECT * FROM daily_costs WHERE user_id = 'person_7'",
    ),
}


async def figures(server: Server, runs: int) -> list[Figure]:
    """Measure each query with the policies and without."""
    dsn = await server.fresh()
    await kimbledb.migrate(dsn, verify=False)
    owner, person = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    await owner.execute(_LOAD.read_text().format(rows=_ROWS, embedded=_EMBEDDED, role=_ROLE))
    await owner.execute("VACUUM ANALYZE")
    await person.execute(f"SET ROLE {_ROLE}; SET kimbledb.user_id = '{_PERSON}'")
    found = []
    for name, (by_policy, by_condition) in _QUERIES.items():
        assert await person.fetch(by_policy) == await owner.fetch(by_condition)
        found.append(
            await compare(
                f"{name}, by the policies",
                "the same without policies",
                2.0,
                runs * 20,
                partial(_taken, person, by_policy),
                partial(_taken, owner, by_condition),
            )
        )
    await person.close()
    await owner.execute(f"DROP OWNED BY {_ROLE}; DROP ROLE {_ROLE}")
    await owner.close()
    await server.drop([dsn])
    return found


async def _taken(connection: asyncpg.Connection, query: str) -> float:
    return await seconds(connection.fetch(query))
