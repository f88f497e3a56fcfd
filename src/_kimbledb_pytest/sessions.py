"""The fixtures that are SQLAlchemy's engines and sessions, for asynchronous tests.

They are registered if pytest-asyncio is installed. SQLAlchemy is imported by the first test
that asks for one of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
import pytest_asyncio

from _kimbledb_pytest.connection import is_clean, marking_connection
from _kimbledb_pytest.kept import BACK, SAVEPOINT, Database, Kept
from _kimbledb_pytest.libraries import demand_async_sqlalchemy, driver_of, engine_arguments

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession


@pytest.fixture(scope="session")
def kimbledb_engine_options() -> dict[str, Any]:
    """The options of ``create_async_engine``, to be overridden."""
    return {}


@pytest.fixture(scope="session")
def kimbledb_session_options() -> dict[str, Any]:
    """The options of ``async_sessionmaker``, to be overridden."""
    return {}


@pytest_asyncio.fixture
async def kimbledb_engine(
    pytestconfig: pytest.Config, kimbledb_engine_options: dict[str, Any], kimbledb_database: str
) -> AsyncIterator[AsyncEngine]:
    """An ``AsyncEngine`` on a fresh migrated database, which is dropped after the test.

    Its connections are real ones and commit: it is for code that takes an engine.
    """
    driver = driver_of(pytestconfig)
    demand_async_sqlalchemy("kimbledb_engine", driver)
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_async_engine(**engine_arguments(kimbledb_database, driver, kimbledb_engine_options))
    yield engine
    await engine.dispose()


@pytest_asyncio.fixture
async def kimbledb_session(
    pytestconfig: pytest.Config,
    kimbledb_engine_options: dict[str, Any],
    kimbledb_session_options: dict[str, Any],
    _kimbledb_rolled_back: Database,
) -> AsyncIterator[AsyncSession]:
    """An ``AsyncSession`` on a migrated database, in a transaction that is rolled back after the test.

    ``session.commit()`` and ``session.rollback()`` in the test end a savepoint of that transaction.
    """
    driver = driver_of(pytestconfig)
    demand_async_sqlalchemy("kimbledb_session", driver)
    from sqlalchemy.ext.asyncio import async_sessionmaker

    async with _Engine.rolled_back(_kimbledb_rolled_back, driver, kimbledb_engine_options) as kept:
        # An expired attribute would be loaded by a plain access, which an AsyncSession cannot do.
        options = {"expire_on_commit": False, **kimbledb_session_options}
        kept.session = async_sessionmaker(bind=kept.connection, join_transaction_mode="create_savepoint", **options)()
        yield kept.session


class _Engine(Kept):
    """An engine with one connection."""

    #: Engines without a connection, for the next event loop: the first connection of an engine asks the server for
    #: its properties.
    _unused: ClassVar[list[tuple[tuple[Any, ...], AsyncEngine]]] = []

    def __init__(self, dsn: str, driver: str, options: dict[str, Any]) -> None:
        import asyncpg
        from sqlalchemy.exc import SQLAlchemyError

        super().__init__(dsn, driver, options)
        self.errors = (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError)
        self.connection: Any = None
        self.session: Any = None
        self._driver = driver
        self._options = options
        self._engine: Any = None
        self._raw: Any = None

    async def connect(self) -> None:
        from sqlalchemy.ext.asyncio import create_async_engine

        for key, engine in self._unused:
            if key == self.key:
                self._unused.remove((key, engine))
                self._engine = engine
                return
        self._unused.clear()  # those of databases that are gone
        arguments: dict[str, Any] = {}
        if self._driver == "asyncpg":
            # A test may roll back the table that a statement was prepared for.
            arguments = {"connection_class": marking_connection(), "prepared_statement_cache_size": 0}
        self._engine = create_async_engine(**engine_arguments(self.dsn, self._driver, self._options, **arguments))

    async def begin(self) -> None:
        self.connection = await self._engine.connect()
        raw = (await self.connection.get_raw_connection()).driver_connection
        if raw is not self._raw and self._driver == "asyncpg":
            raw.is_marked = False  # SQLAlchemy itself has set codecs
        self._raw = raw
        await self.connection.begin()
        await self.connection.exec_driver_sql(SAVEPOINT)

    async def roll_back(self) -> bool:
        await self.session.close()
        await self.connection.exec_driver_sql(BACK)
        await self.connection.rollback()
        if self._driver != "asyncpg" or not await is_clean(self._raw):
            return False
        await self.connection.close()  # returns it to the pool
        return True

    def is_closed(self) -> bool:
        return False  # the pool replaces a connection that has ended

    async def close(self) -> None:
        if self.connection is not None:
            with suppress(*self.errors):
                await self.connection.close()
        # Closes the pool, and keeps what the engine knows of the server.
        await self._engine.dispose()
        self._unused.append((self.key, self._engine))
