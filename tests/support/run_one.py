"""A process that migrates KIMBLEDB_DSN with a folder of migrations, and prints what came of it."""

from __future__ import annotations

import asyncio
import json
import signal
import sys

import kimbledb


async def main() -> dict[str, object]:
    """Migrate, telling each event to the standard error stream."""
    report = await kimbledb.migrate(
        catalog=kimbledb.Catalog.from_directory(sys.argv[1]),
        options=kimbledb.Options(**json.loads(sys.argv[2])),
        progress=lambda event: print(type(event).__name__, file=sys.stderr, flush=True),
    )
    return {"applied": [step.migration.name for step in report.applied]}


# Who is started in the background of a shell is deaf to Ctrl-C otherwise.
signal.signal(signal.SIGINT, signal.default_int_handler)
print(json.dumps(asyncio.run(main())))
