"""Fills the rows of a large table in batches, each in a transaction that is shorter than the lock timeout."""

from __future__ import annotations

from kimbledb.model.clock import stopwatch
from kimbledb.model.completion import Batches
from kimbledb.server import queries
from kimbledb.server.codes import ANSWERED
from kimbledb.server.session import Session
from kimbledb.server.settings import milliseconds

#: The rows of the first batch, and of the largest one.
_FIRST, _LARGEST = 500, 50_000
#: The part of the lock timeout that a batch is meant to take.
_PART = 0.1


async def fill(worker: Session, batches: Batches, *, begin: str, end: str) -> int:
    """Fill the rows that differ, and return how many were updated.

    A batch that waits in vain for a lock is an error; those before it stay, and the next try finds them filled.

    Args:
        worker: The session.
        batches: The table, and the values of its columns.
        begin: The begin of each transaction, which leaves the search_path of scripts.
        end: The statements before each COMMIT.
    """
    limit = worker.options.lock_timeout
    await worker.send(
        f"SET lock_timeout = {milliseconds(limit)};\nSELECT pg_catalog.set_config('kimbledb.batch', '', false)"
    )
    size, updated = _FIRST, 0
    while True:
        clock = stopwatch()
        answers = await worker.send(f"{begin}{block(batches, size)}{end}COMMIT;\n")
        [rows] = [each.value for each in answers if each.code == ANSWERED]
        if rows is None:
            return updated
        updated += rows
        taken = clock()
        # Not more than twice as many at once: the next rows may be wider.
        size = max(1, min(_LARGEST, 2 * size, int(size * limit * _PART / max(taken, 0.001))))


def block(batches: Batches, size: int) -> str:
    """Return the block that fills the next batch.

    Args:
        batches: The table, and the values of its columns.
        size: The most rows of the batch.
    """
    columns = [column for column, _ in batches.key]
    arrays = [f"kimbledb_key_{place}" for place, _ in enumerate(columns, 1)]
    names = [f"{each}_of_batch" for each in arrays]
    return queries.block(
        "fill_batch",
        declared="\n".join(f"    {each} {kind}[];" for each, (_, kind) in zip(arrays, batches.key, strict=True)),
        aggregated=", ".join(f"pg_catalog.array_agg({each} ORDER BY {', '.join(columns)})" for each in columns),
        arrays=", ".join(arrays),
        key=", ".join(columns),
        table=batches.table,
        last=", ".join(f"(kimbledb_last ->> {place})::{kind}" for place, (_, kind) in enumerate(batches.key)),
        differs=batches.differs,
        size=str(size),
        holding=" ".join(f"{each};" for each in batches.holding),
        assigned=batches.assigned,
        names=", ".join(names),
        joined=" AND ".join(f"{batches.table}.{column} = {name}" for column, name in zip(columns, names, strict=True)),
        releasing=" ".join(f"{each};" for each in batches.releasing),
        reached=", ".join(f"{each}[pg_catalog.array_upper({each}, 1)]::text" for each in arrays),
    )
