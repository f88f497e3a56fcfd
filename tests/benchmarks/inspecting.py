"""What the system catalogs show of the built-in migrations."""

from __future__ import annotations

import kimbledb
from kimbledb.inspection import snapshot
from kimbledb.server.targets import target_of

from .measuring import Figure, Server, compare, seconds
from .process import BUILTIN, taken

#: Milliseconds for the evidence of the whole catalog.
_EVIDENCE = 150


async def figures(server: Server, runs: int) -> list[Figure]:
    """Measure the evidence and the verification."""
    dsn = await server.fresh()
    await kimbledb.migrate(dsn, verify=False)
    evidence = await taken("evidence", BUILTIN, runs, dsn)

    async def ask() -> None:
        async with target_of(dsn).session(kimbledb.Options()) as session:
            assert await session.ask(snapshot.question("public", ["public"], owners=True))

    found = [
        Figure("evidence for the whole catalog", f"{_EVIDENCE} ms", 1000 * evidence.seconds, _EVIDENCE, 1.0),
        await compare(
            "verify() of the whole schema",
            "one query: a snapshot",
            2.0,
            runs * 2,
            lambda: seconds(kimbledb.verify(dsn)),
            lambda: seconds(ask()),
        ),
    ]
    await server.drop([dsn])
    return found
