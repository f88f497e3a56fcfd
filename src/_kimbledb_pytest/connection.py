"""The one fixture that needs an event loop: registered where pytest-asyncio is there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest_asyncio

if TYPE_CHECKING:
    import asyncpg

    from kimbledb.testing.background import Pool

#: Seconds for the goodbye to a server, which may not be there any more.
_GOODBYE = 1.0


@pytest_asyncio.fixture
async def kimbledb_connection(_kimbledb_pool: Pool) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a migrated database, in a transaction that is rolled back after the test.

    All tests of a process see the same database. A test that ends the transaction
    itself (COMMIT) spoils it, and the next one gets another.
    """
    import asyncpg

    connection = await asyncpg.connect(_kimbledb_pool.shared())
    try:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("SAVEPOINT kimbledb_test")
        yield connection
        try:
            # It is there as long as the transaction is, whatever failed in it.
            await connection.execute("ROLLBACK TO SAVEPOINT kimbledb_test")
            await transaction.rollback()
        except (asyncpg.PostgresError, asyncpg.InterfaceError):
            _kimbledb_pool.spoil()
    finally:
        try:
            await connection.close(timeout=_GOODBYE)
        except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            connection.terminate()
