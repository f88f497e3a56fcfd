"""The advisory locks that keep runs apart: their keys, the statements that take them, and their holders."""

from __future__ import annotations

import binascii
from collections.abc import Sequence
from typing import Any, Final

from kimbledb.model.text import one_line
from kimbledb.server import queries

#: The first half of the advisory lock of every transaction of ours: "kdb1" in ASCII.
LOCK_CLASS: Final = 0x6B646231
#: The first half of the advisory lock of a session that works outside of transactions: "kdb2".
_SESSION_LOCK_CLASS: Final = 0x6B646232
#: The first half of the advisory lock by which a session of our own says that its run is at work: "kdb3". It keeps nobody out.
_CLAIM_CLASS: Final = 0x6B646233
#: The second half of the lock for the bootstrap of a database.
BOOTSTRAP_KEY: Final = 0
#: Characters of a query that are shown.
_SHOWN: Final = 120


def lock_key(schema: str) -> int:
    """Return the second half of a schema's lock: a signed 32-bit number, never 0, which is the bootstrap's."""
    return (binascii.crc32(schema.encode()) or 1) - 2**31 or 1


def take_lock_values(key: int) -> dict[str, str]:
    """Return the values of ``take_lock.sql`` that take a lock for the transaction."""
    return {"function": "pg_try_advisory_xact_lock", "lock_class": str(LOCK_CLASS), "lock_key": str(key)}


def take_lock(key: int) -> str:
    """Return the block that takes a lock for the transaction, or fails and lists its holders."""
    return queries.block("take_lock", **take_lock_values(key))


def take_session_lock(schema: str) -> str:
    """Return the block that takes the lock of a session that works outside of transactions, or fails and lists its holders."""
    return queries.block(
        "take_lock",
        function="pg_try_advisory_lock",
        lock_class=str(_SESSION_LOCK_CLASS),
        lock_key=str(lock_key(schema)),
    )


def at_work(schema: str) -> str:
    """Return the query for the server processes of other runs on a schema, and of the bootstrap."""
    keys = ", ".join(str(key & 0xFFFFFFFF) for key in (BOOTSTRAP_KEY, lock_key(schema)))
    return queries.filled("at_work", lock_class=str(LOCK_CLASS), claim_class=str(_CLAIM_CLASS), keys=keys)


def claim_values(schema: str) -> dict[str, str]:
    """Return the values of ``ready.sql`` by which a session of our own says that its run is at work on a schema."""
    return {"claim_class": str(_CLAIM_CLASS), "key": str(lock_key(schema))}


def end_claim(schema: str) -> str:
    """Return the statement by which such a session takes that back."""
    return f"SELECT pg_catalog.pg_advisory_unlock_shared({_CLAIM_CLASS}, {lock_key(schema)});\n"


def lock_holders(schema: str) -> str:
    """Return the query that lists the sessions of these runs."""
    return queries.question("lock_holders", at_work=at_work(schema))


def describe_holders(holders: Sequence[dict[str, Any]]) -> list[str]:
    """Return one line for each holder of a lock: process id, application, state, age and query."""
    return [_describe(holder) for holder in holders]


def _describe(holder: dict[str, Any]) -> str:
    if "prepared" in holder:
        return (
            f"the prepared transaction {holder['prepared']!r} of {one_line(holder['owner'])}, {holder['seconds']} s old "
            f"(COMMIT PREPARED or ROLLBACK PREPARED ends it)"
        )
    application = one_line(holder.get("application") or "no application name")
    if holder.get("standbys") is not None:
        return (
            f"a COMMIT (pid {holder['pid']}, {application}) that waits for a synchronous standby, which does not answer:"
            f" synchronous_standby_names = {holder['standbys']!r}"
            " (start that standby, or remove its name from the setting)"
        )
    query = holder.get("query") or ""
    if queries.ANONYMOUS in query:
        query = "a run of kimbledb"  # whose blocks tell a reader nothing
    elif query:
        from kimbledb.model.redaction import masked  # only where a lock has a holder: 2 ms

        query = one_line(" ".join(masked(query, numbers=True).split()))
    return (
        f"pid {holder.get('pid')}, {application}, "
        f"{holder.get('state') or 'state not visible'}, transaction open for {holder.get('seconds') or '?'} s"
        + (f": {query[:_SHOWN]}{'...' if len(query) > _SHOWN else ''}" if query else "")
    )
