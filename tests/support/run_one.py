"""A program: it migrates KIMBLEDB_DSN with a folder of migrations, and prints its result as JSON."""

from __future__ import annotations

import asyncio
import json
import signal
import sys

import kimbledb


async def main() -> dict[str, object]:
    """Migrate, and print each event to the standard error stream."""
    report = await kimbledb.migrate(
        catalog=kimbledb.Catalog.from_directory(sys.argv[1]),
        options=kimbledb.Options(**json.loads(sys.argv[2])),
        progress=lambda event: print(type(event).__name__, file=sys.stderr, flush=True),
    )
    return {"applied": [step.migration.name for step in report.applied]}


# A process that a shell starts in the background ignores SIGINT otherwise.
signal.signal(signal.SIGINT, signal.default_int_handler)
print(json.dumps(asyncio.run(main())))
