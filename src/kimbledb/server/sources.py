"""The sources of connections: an address, a caller's connection, a caller's pool.

A source lends a connection for one session. At its end the connection is given back as it was, or closed where its
state is unknown. Errors that could quote a DSN are replaced.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Protocol

from kimbledb.errors import ConfigurationError, ConnectionLostError
from kimbledb.server.address import Address
from kimbledb.server.driver import Connection, DriverError, MisuseError, ServerError
from kimbledb.server.drivers import asyncpg as driver
from kimbledb.server.options import APPLICATION_NAME, Options

#: The driver's errors of a connection attempt.
_CONNECTION_ERRORS = (ServerError, DriverError, OSError, ValueError)
#: The driver's errors of a goodbye.
_CLOSING_ERRORS = (ServerError, MisuseError, OSError)
#: Seconds for the goodbye to a server. It may stay without an answer where the network drops packets.
_GOODBYE = 0.5


class Source(Protocol):
    """A source of connections."""

    @property
    def can_reconnect(self) -> bool:
        """Whether a second connection can be had."""

    @property
    def address(self) -> Address | None:
        """The address that leads to the database without the caller's connections, or None."""

    def lend(self, label: str, options: Options) -> AbstractAsyncContextManager[Connection]:
        """Lend a connection.

        Args:
            label: The target's name in messages.
            options: The options of the call.

        Raises:
            TemporarilyUnavailable: The server accepts no connection now; a later attempt may succeed.
            ConnectionLostError: The server cannot be reached.
            ConfigurationError: The server refuses this connection, or the target cannot be used.
        """


class OwnConnections:
    """Connections that are opened by an address, and closed afterwards."""

    can_reconnect = True

    def __init__(self, address: Address) -> None:
        self.address = address

    @asynccontextmanager
    async def lend(self, label: str, options: Options) -> AsyncIterator[Connection]:
        """See ``Source``."""
        name = options.application_name
        if name == APPLICATION_NAME and self.address.application_name is not None:
            name = self.address.application_name
        settings = {**self.address.settings, "application_name": name}
        connection = await or_refused(driver.connect(self.address.arguments(), settings), label, self.address)
        try:
            yield connection
        except Exception:
            # The error is raised further; the connection is ours to close.
            await _close(connection)
            raise
        except BaseException:
            # A cancelled call does not wait for a goodbye.
            connection.terminate()
            raise
        await _close(connection)


class GivenConnection:
    """A caller's connection."""

    can_reconnect = False
    address = None

    def __init__(self, given: driver.GivenConnection) -> None:
        self.given = given

    @asynccontextmanager
    async def lend(self, label: str, options: Options) -> AsyncIterator[Connection]:  # noqa: ARG002 - as Source
        """See ``Source``."""
        given = driver.AsyncpgConnection(self.given)
        if given.is_closed:
            raise closed()
        if given.is_in_transaction:
            raise in_transaction()
        try:
            yield given
        except Exception:
            # The transaction is rolled back by now, and the connection is the caller's.
            raise
        except BaseException:
            # Cancelled or interrupted in mid-message: the state of the connection is unknown.
            given.terminate()
            raise


class LentConnection:
    """A connection that another source has lent, for several sessions one after the other."""

    can_reconnect = False
    address = None

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @asynccontextmanager
    async def lend(self, label: str, options: Options) -> AsyncIterator[Connection]:  # noqa: ARG002 - as Source
        """See ``Source``."""
        yield self._connection


class KeptConnection:
    """A connection of another source, kept from one session to the next.

    A session beside it has a connection of its own: what such a session leaves on it is not kept.
    """

    can_reconnect = True

    def __init__(self, source: Source) -> None:
        self.address = source.address
        self._source = source
        self._lent = AsyncExitStack()
        self._connection: Connection | None = None
        self._is_in_use = False

    @asynccontextmanager
    async def lend(self, label: str, options: Options) -> AsyncIterator[Connection]:
        """See ``Source``."""
        if self._is_in_use:
            async with self._source.lend(label, options) as connection:
                yield connection
            return
        self._is_in_use = True
        try:
            if self._connection is None or self._connection.is_closed:
                await self.close()
                self._connection = await self._lent.enter_async_context(self._source.lend(label, options))
            yield self._connection
        except BaseException as error:
            # In what state the connection is, and whether it is of more use, is judged where it was lent.
            self._connection = None
            await self._lent.__aexit__(type(error), error, error.__traceback__)
            raise
        finally:
            self._is_in_use = False

    async def close(self) -> None:
        """Give the connection back, if one is kept."""
        self._connection = None
        await self._lent.aclose()


class GivenPool:
    """A caller's pool."""

    can_reconnect = True
    address = None

    def __init__(self, pool: driver.GivenPool) -> None:
        self.pool = pool

    @asynccontextmanager
    async def lend(self, label: str, options: Options) -> AsyncIterator[Connection]:  # noqa: ARG002 - as Source
        """See ``Source``."""
        acquired = await or_refused(driver.acquire(self.pool), label, None)
        try:
            yield acquired
        except Exception:
            # The error is raised further; the pool gets its connection back.
            await _release(self.pool, acquired)
            raise
        except BaseException:
            # Cancelled or interrupted: the pool must not lend this connection again.
            acquired.terminate()
            await driver.release(self.pool, acquired)  # returns at once, since the connection is closed
            raise
        await _release(self.pool, acquired)


def closed() -> ConnectionLostError:
    """Return the error for a caller's connection that is closed."""
    return ConnectionLostError("the connection is closed", hint="pass an open one, a DSN or a pool")


def in_transaction() -> ConfigurationError:
    """Return the error for a caller's connection with an open transaction."""
    return ConfigurationError(
        "the connection is in a transaction of its own",
        hint="each migration runs in its own transaction: end yours before the call (commit or roll back), or pass a DSN, "
        "a pool or an engine",
    )


async def or_refused(
    connecting: Awaitable[driver.AsyncpgConnection], label: str, address: Address | None
) -> driver.AsyncpgConnection:
    """Return the connection, or raise the public error for the failed attempt."""
    try:
        return await connecting
    except _CONNECTION_ERRORS as error:
        refusal, cause = refused(error, label, address)
    # Raised here and not in the handler: a traceback shows the handled error, which may quote a DSN.
    raise refusal from cause


def refused(
    error: Exception, label: str, address: Address | None
) -> tuple[ConfigurationError | ConnectionLostError, Exception | None]:
    """Return the public error for a failed connection attempt, and its cause as far as users may see it."""
    from kimbledb.server.connection_errors import explain  # only where there is no connection: 1 ms

    return explain(error, label, address), _shown_cause(error)


def _shown_cause(error: Exception) -> Exception | None:
    """Return the cause that users see, or None where the driver quotes unreadable input, which may be a password."""
    unreadable = isinstance(error, ValueError | MisuseError) and not isinstance(error, OSError)
    return None if unreadable else error


async def _release(pool: driver.GivenPool, acquired: driver.AsyncpgConnection) -> None:
    try:
        await driver.release(pool, acquired, limit=_GOODBYE)
    except _CLOSING_ERRORS:
        # The pool has closed the connection, and opens another one when it needs one.
        acquired.terminate()


async def _close(connection: Connection) -> None:
    try:
        await connection.close(limit=_GOODBYE)
    except _CLOSING_ERRORS:
        connection.terminate()
