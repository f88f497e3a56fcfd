"""Connections whose changes are rolled back after each test, and that are kept for the next test.

An asynchronous connection belongs to the event loop that created it, and is kept as long as
that loop: for one test where each test has a loop, for all tests where they share one.
Changes that a test leaves on the connection are undone; if they cannot be undone, the
connection is closed.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, ClassVar, NamedTuple, Self

#: Opens the test's part of the transaction.
SAVEPOINT = "SAVEPOINT kimbledb_test"
#: Fails where the test has ended the transaction itself, and so has changed the database for good. The savepoint
#: exists as long as the transaction, also after an error in it.
BACK = "ROLLBACK TO SAVEPOINT kimbledb_test"
#: Releases the session's locks, and counts prepared statements: both outlive a transaction on the server.
_UNLOCK = "SELECT pg_catalog.pg_advisory_unlock_all()"
_PREPARED = "FROM pg_catalog.pg_prepared_statements WHERE from_sql"
LEFTOVERS = f"{_UNLOCK}, count(*) {_PREPARED}"
#: The same as two statements. The tag of the last one has the count: ``SELECT 0``.
LEFTOVERS_BY_TAG = f"{_UNLOCK}; SELECT {_PREPARED}"


class Database(NamedTuple):
    """The database of a connection whose changes are rolled back."""

    dsn: str
    #: Whether later tests use it, too.
    shared: bool
    #: Drops a shared database, which a test has changed for good.
    discard: Callable[[], None]


class Kept(ABC):
    """A connection that is kept for the next test of its event loop.

    Args:
        dsn: The DSN of the database.
        options: The other values on which the connection depends.

    Attributes:
        key: DSN and options.
        life: Holds the connection. A loop that ends closes its asynchronous generators, and so the connection.
    """

    #: The exceptions of the driver.
    errors: tuple[type[Exception], ...]
    _by_loop: ClassVar[dict[tuple[asyncio.AbstractEventLoop, type[Kept]], Kept]] = {}

    def __init__(self, dsn: str, *options: Any) -> None:
        self.dsn = dsn
        self.key = (dsn, *options)
        self.life = self._live()

    @classmethod
    @asynccontextmanager
    async def rolled_back(cls, database: Database, *options: Any) -> AsyncIterator[Self]:
        """Hold the running loop's connection in a transaction, and roll the transaction back at the end.

        All tests of a process share the database. A test that ends the transaction itself (COMMIT)
        changes the database for good, and the next test gets another one.
        """
        kept = await cls._of(database.dsn, *options)
        clean = changed = False
        try:
            await kept.begin()
            yield kept
            try:
                clean = await kept.roll_back() and database.shared
            except kept.errors:
                changed = True
        finally:
            if not clean:
                await kept.end()
            if changed:
                database.discard()  # last: it ends all connections

    async def end(self) -> None:
        """Close the connection, as the end of its event loop does."""
        await self.life.aclose()

    @abstractmethod
    async def begin(self) -> None:
        """Begin the transaction, and make the savepoint."""

    @abstractmethod
    async def roll_back(self) -> bool:
        """Roll back to the savepoint, then the transaction, and undo changes of the session as far as possible.

        Returns:
            Whether the next test can use the connection.
        """

    @abstractmethod
    async def connect(self) -> None:
        """Connect."""

    @abstractmethod
    def is_closed(self) -> bool:
        """Return whether the connection has ended."""

    @abstractmethod
    async def close(self) -> None:
        """Close the connection. The server may be gone."""

    @classmethod
    async def _of(cls, *key: Any) -> Self:
        """Return the running loop's connection to a database, and connect if there is none."""
        place = (asyncio.get_running_loop(), cls)
        kept = cls._by_loop.get(place)
        if kept is not None and (kept.key != key or kept.is_closed()):
            await kept.end()
            kept = None
        if kept is None:
            kept = cls(*key)
            await anext(kept.life)
            cls._by_loop[place] = kept
        assert isinstance(kept, cls)
        return kept

    async def _live(self) -> AsyncGenerator[None]:
        await self.connect()
        try:
            yield
        finally:
            self._by_loop.pop((asyncio.get_running_loop(), type(self)), None)
            await self.close()
