"""The one fixture that needs an event loop: registered where pytest-asyncio is there.

A connection belongs to the event loop that it was made in, and is kept as long as
that loop: for one test where each has a loop of its own, for all of them where
they share one. What a test could leave on it is either taken back or ends it.
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

#: Seconds for the goodbye to a server, which may not be there any more.
_GOODBYE = 1.0

#: What leaves something with the client that no ROLLBACK takes back.
_MARKING = (
    "add_listener",
    "add_log_listener",
    "add_query_logger",
    "add_termination_listener",
    "set_builtin_type_codec",
    "set_type_codec",
)

#: What outlives a transaction on the server: locks of the session, which end here, and prepared statements.
_REST = """
SELECT pg_catalog.pg_advisory_unlock_all(), count(*) FROM pg_catalog.pg_prepared_statements WHERE from_sql
"""


@pytest_asyncio.fixture
async def kimbledb_connection(_kimbledb_pool: Pool) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a migrated database, in a transaction that is rolled back after the test.

    All tests of a process see the same database. A test that ends the transaction
    itself (COMMIT) spoils it, and the next one gets another.
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
            # It is there as long as the transaction is, whatever failed in it.
            await connection.execute("ROLLBACK TO SAVEPOINT kimbledb_test")
            await transaction.rollback()
            clean = await kept.is_clean()
        except (asyncpg.PostgresError, asyncpg.InterfaceError):
            _kimbledb_pool.spoil()
    finally:
        if not clean:
            await kept.close()


class _Kept:
    """A connection that waits for the next test of its event loop."""

    _by_loop: ClassVar[dict[asyncio.AbstractEventLoop, _Kept]] = {}

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        #: One of the class below.
        self.connection: Any = None
        self._life = self._live()

    @classmethod
    async def of(cls, dsn: str) -> _Kept:
        """Return the running loop's connection to a database, made where there is none."""
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
        """Whether the next test may have it: nothing is left on it, or what is can be taken back."""
        prepared: int = await self.connection.fetchval(_REST, column=1)
        # Statements that the client prepared for tables which are not there any more.
        await self.connection.reload_schema_state()
        return prepared == 0 and not self.connection.is_marked

    async def close(self) -> None:
        """End it."""
        await self._life.aclose()

    async def _live(self) -> AsyncGenerator[None]:
        """Hold the connection; a loop that ends closes its asynchronous generators, and so this one."""
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
                await self.connection.close(timeout=_GOODBYE)
            except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                self.connection.terminate()


@cache
def _marking_connection() -> type[asyncpg.Connection]:
    """Return a connection's class that notes whether something was left with the client."""
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
