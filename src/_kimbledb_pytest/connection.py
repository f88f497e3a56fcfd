"""The fixtures that are connections of asyncpg and of psycopg, for asynchronous tests.

They are registered if pytest-asyncio is installed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest_asyncio

from _kimbledb_pytest.kept import BACK, LEFTOVERS_BY_TAG, SAVEPOINT, Database, Kept
from _kimbledb_pytest.libraries import asyncpg_arguments, demand_psycopg, psycopg_arguments

if TYPE_CHECKING:
    import asyncpg
    import psycopg

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


@pytest_asyncio.fixture
async def kimbledb_connection(_kimbledb_rolled_back: Database) -> AsyncIterator[asyncpg.Connection]:
    """A connection of asyncpg to a migrated database, in a transaction that is rolled back after the test."""
    async with _Asyncpg.rolled_back(_kimbledb_rolled_back) as kept:
        yield kept.connection


@pytest_asyncio.fixture
async def kimbledb_psycopg_connection(
    _kimbledb_rolled_back: Database,
) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    """An asynchronous connection of psycopg to a migrated database, in a transaction that is rolled back after the test."""
    demand_psycopg("kimbledb_psycopg_connection")
    import psycopg

    # Each test has a connection of its own: row factories, adapters and the like stay with it.
    connection = await psycopg.AsyncConnection.connect(**psycopg_arguments(_kimbledb_rolled_back.dsn))
    changed = False
    try:
        async with connection.transaction(force_rollback=True):
            await connection.execute(SAVEPOINT)
            yield connection
            try:
                await connection.execute(BACK)
            except psycopg.Error:
                changed = True
    finally:
        await connection.close()
    if changed:
        _kimbledb_rolled_back.discard()


class _Asyncpg(Kept):
    """A connection of asyncpg."""

    def __init__(self, dsn: str) -> None:
        import asyncpg

        super().__init__(dsn)
        self.errors = (asyncpg.PostgresError, asyncpg.InterfaceError)
        #: An instance of the class that ``marking_connection()`` returns.
        self.connection: Any = None
        self._transaction: Any = None

    async def connect(self) -> None:
        import asyncpg

        self.connection = await asyncpg.connect(**asyncpg_arguments(self.dsn), connection_class=marking_connection())

    async def begin(self) -> None:
        self._transaction = self.connection.transaction()
        await self.connection.around("", SAVEPOINT, self._transaction.start)

    async def roll_back(self) -> bool:
        tag = await self.connection.around(f"{BACK}; ", LEFTOVERS_BY_TAG, self._transaction.rollback)
        return await _is_clean(self.connection, tag)

    def is_closed(self) -> bool:
        return bool(self.connection.is_closed())

    async def close(self) -> None:
        import asyncpg

        try:
            await self.connection.close(timeout=_CLOSE_TIMEOUT)
        except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            self.connection.terminate()


async def is_clean(connection: Any) -> bool:
    """Reset a connection of ``marking_connection()``, and return whether the next test can use it."""
    return await _is_clean(connection, await connection.execute(LEFTOVERS_BY_TAG))


async def _is_clean(connection: Any, tag: str) -> bool:
    # The client may have prepared statements for tables that are gone.
    await connection.reload_schema_state()
    return tag == "SELECT 0" and not connection.is_marked


@cache
def marking_connection() -> type[asyncpg.Connection]:
    """Return a class of connections that records changes of the client's state."""
    import asyncpg

    class Connection(asyncpg.Connection):
        is_marked = False
        _around: tuple[str, str] | None = None
        _tag = ""

        async def around(self, before: str, after: str, act: Callable[[], Awaitable[None]]) -> str:
            """Await a call that executes one statement, in one message with others, and return the tag of the last.

            A round trip takes as long as a small test.
            """
            self._around = (before, after)
            await act()
            assert self._around is None, "asyncpg did not execute a statement"
            return self._tag

        async def execute(self, query: str, *arguments: Any, **options: Any) -> str:
            if self._around is None:
                return await super().execute(query, *arguments, **options)
            (before, after), self._around = self._around, None
            self._tag = await super().execute(before + query + after)
            return self._tag

    def marking(name: str) -> Any:
        def method(self: Connection, *arguments: Any, **options: Any) -> Any:
            self.is_marked = True
            return getattr(asyncpg.Connection, name)(self, *arguments, **options)

        return method

    for name in _MARKING:
        setattr(Connection, name, marking(name))
    return Connection
