"""The one fixture that needs an event loop. It is registered if pytest-asyncio is installed.

A connection belongs to the event loop that created it, and is kept as long as that loop:
for one test where each test has a loop, for all tests where they share one. Changes that
a test leaves on the connection are undone; if they cannot be undone, the connection is closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import pytest_asyncio

if TYPE_CHECKING:
    import asyncpg

    from kimbledb.testing.background import Pool

#: Seconds to wait for a close, since the server may be gone.
_CLOSE_TIMEOUT = 1.0

#: The methods that change the client's state; no ROLLBACK undoes such a change.
_MARKING = (
    "add_listener",
    "add_log_listener",
    "add_query_logger",
    "add_termination_listener",
    "set_builtin_type_codec",
    "set_type_codec",
)

#: Releases the session's locks, and counts prepared statements: both outlive a transaction on the server.
_LEFTOVERS = """
SELECT pg_catalog.pg_advisory_unlock_all(), count(*) FROM pg_catalog.pg_prepared_statements WHERE from_sql
"""


@pytest_asyncio.fixture
async def kimbledb_connection(_kimbledb_pool: Pool) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a migrated database, in a transaction that is rolled back after the test.

    All tests of a process share the database. A test that ends the transaction itself
    (COMMIT) changes the database for good, and the next test gets another one.
    """
    import asyncpg

    kept = await _Kept.of(_kimbledb_pool.shared())
    connection = kept.connection
    clean = False
    try:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("SAVEPOINT kimbledb_test")
        yield connection
        try:
            # The savepoint exists as long as the transaction, also after an error in it.
            await connection.execute("ROLLBACK TO SAVEPOINT kimbledb_test")
            await transaction.rollback()
            clean = await kept.is_clean()
        except (asyncpg.PostgresError, asyncpg.InterfaceError):
            _kimbledb_pool.discard_shared()
    finally:
        if not clean:
            await kept.close()


class _Kept:
    """A connection that is kept for the next test of its event loop."""

    _by_loop: ClassVar[dict[asyncio.AbstractEventLoop, _Kept]] = {}

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        #: An instance of the class that ``_marking_connection()`` returns.
        self.connection: Any = None
        self._life = self._live()

    @classmethod
    async def of(cls, dsn: str) -> _Kept:
        """Return the running loop's connection to a database, and connect if there is none."""
        loop = asyncio.get_running_loop()
        kept = cls._by_loop.get(loop)
        if kept is not None and (kept.dsn != dsn or kept.connection.is_closed()):
            await kept.close()
            kept = None
        if kept is None:
            kept = cls(dsn)
            await anext(kept._life)
            cls._by_loop[loop] = kept
        return kept

    async def is_clean(self) -> bool:
        """Return whether the next test can use the connection; undo the changes that can be undone."""
        prepared: int = await self.connection.fetchval(_LEFTOVERS, column=1)
        # The client may have prepared statements for tables that are gone.
        await self.connection.reload_schema_state()
        return prepared == 0 and not self.connection.is_marked

    async def close(self) -> None:
        """Close the connection."""
        await self._life.aclose()

    async def _live(self) -> AsyncGenerator[None]:
        """Hold the connection. A loop that ends closes its asynchronous generators, and so the connection."""
        import asyncpg

        from kimbledb.server.dsn import read

        address = read(self.dsn, "the DSN of the test database")
        self.connection = await asyncpg.connect(
            **address.arguments(), server_settings=dict(address.settings), connection_class=_marking_connection()
        )
        try:
            yield
        finally:
            self._by_loop.pop(asyncio.get_running_loop(), None)
            try:
                await self.connection.close(timeout=_CLOSE_TIMEOUT)
            except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                self.connection.terminate()


@cache
def _marking_connection() -> type[asyncpg.Connection]:
    """Return a class of connections that records changes of the client's state."""
    import asyncpg

    class Connection(asyncpg.Connection):
        is_marked = False

    def marking(name: str) -> Any:
        def method(self: Connection, *arguments: Any, **options: Any) -> Any:
            self.is_marked = True
            return getattr(asyncpg.Connection, name)(self, *arguments, **options)

        return method

    for name in _MARKING:
        setattr(Connection, name, marking(name))
    return Connection
