"""The advisory locks by which runs keep out of each other's way, and the statements that take them."""

from __future__ import annotations

import zlib
from typing import Final

from kimbledb.server import queries

#: The first half of the advisory lock of every transaction of ours: "kdb1" in ASCII.
LOCK_CLASS: Final = 0x6B646231
#: And of the lock that a session holds which works outside of transactions: "kdb2".
_SESSION_LOCK_CLASS: Final = 0x6B646232
#: The second half of the lock under which a database is prepared.
BOOTSTRAP_KEY: Final = 0


def lock_key(schema: str) -> int:
    """Return the second half of a schema's lock: a signed 32-bit number, never 0, which is the bootstrap's."""
    return (zlib.crc32(schema.encode()) or 1) - 2**31 or 1


def taking(key: int) -> dict[str, str]:
    """Return the values of ``take_lock.sql`` that take a lock for the transaction."""
    return {"function": "pg_try_advisory_xact_lock", "lock_class": str(LOCK_CLASS), "lock_key": str(key)}


def take_lock(key: int) -> str:
    """Return the block that takes a lock for the transaction, or fails and names its holders."""
    return queries.block("take_lock", **taking(key))


def take_session_lock(schema: str) -> str:
    """Return the same for the lock of a session that works outside of transactions."""
    return queries.block(
        "take_lock",
        function="pg_try_advisory_lock",
        lock_class=str(_SESSION_LOCK_CLASS),
        lock_key=str(lock_key(schema)),
    )


def at_work(schema: str) -> str:
    """Return the condition by which rows of pg_locks are those of runs that work on a schema or prepare the database."""
    keys = ", ".join(str(key & 0xFFFFFFFF) for key in (BOOTSTRAP_KEY, lock_key(schema)))
    return queries.filled("at_work", lock_class=str(LOCK_CLASS), keys=keys)


def who_is_at_work(schema: str) -> str:
    """Return the question who they are at this moment."""
    return queries.question("lock_holders", at_work=at_work(schema))
