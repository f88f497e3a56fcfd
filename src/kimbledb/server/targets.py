"""Where to: a DSN, a connection or a pool, each opened into a :class:`Session`.

Nothing of a password leaves this module: a DSN is shown by host, port and
database only, and errors that could quote one are replaced.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import TypeAlias

from attrs import field, frozen

from kimbledb.errors import ConfigurationError, ConnectionLostError
from kimbledb.server import dsn
from kimbledb.server.driver import Connection, DriverError, MisuseError, ServerError
from kimbledb.server.drivers import asyncpg as driver
from kimbledb.server.dsn import Address
from kimbledb.server.options import APPLICATION_NAME, Options
from kimbledb.server.session import Session

#: Environment variables that hold a DSN, in the order in which they are asked.
DSN_VARIABLES = ("KIMBLEDB_DSN", "DATABASE_URL")

#: What the driver raises where it gets no connection.
_REFUSALS = (ServerError, DriverError, OSError, ValueError)
#: What it raises where the goodbye is not heard.
_UNHEARD = (ServerError, MisuseError, OSError)
#: Seconds for the goodbye to a server, which may not be heard where the network swallows packets.
_GOODBYE = 0.5


@frozen
class Target:
    """A database to work on. Exactly one of the three is set."""

    #: Shown in messages: host, port and database, never a password.
    label: str
    dsn: str | None = field(default=None, repr=False)
    connection: driver.GivenConnection | None = field(default=None, repr=False)
    pool: driver.GivenPool | None = field(default=None, repr=False)
    #: What the DSN says.
    address: Address | None = field(default=None, repr=False)

    @property
    def can_reconnect(self) -> bool:
        """Whether a second connection can be had: not from a single connection of the caller's."""
        return self.connection is None

    @asynccontextmanager
    async def session(self, options: Options) -> AsyncIterator[Session]:
        """Open a session, and give the connection back as it was, or closed where it cannot be trusted.

        Raises:
            NotJustNow: The server takes no connection now; a later try may do.
            ConnectionLostError: It cannot be reached.
            ConfigurationError: It will not take this one, or what was given cannot be used.
        """
        if self.connection is not None:
            given = driver.AsyncpgConnection(self.connection)
            _refuse_open_transaction(given)
            try:
                yield Session(given, options)
            except Exception:
                # What was sent is rolled back by then, and the connection is the caller's.
                raise
            except BaseException:
                # Cancelled or interrupted in the middle of something: nobody may rely on it any more.
                given.terminate()
                raise
        elif self.pool is not None:
            async with self._pooled(self.pool) as connection:
                yield Session(connection, options)
        else:
            connection = await self._connect(options)
            try:
                yield Session(connection, options)
            except Exception:
                # Whatever went wrong goes on; the connection is ours to close.
                await _close(connection)
                raise
            except BaseException:
                # Who is cancelled does not wait for a goodbye.
                connection.terminate()
                raise
            await _close(connection)

    @asynccontextmanager
    async def _pooled(self, pool: driver.GivenPool) -> AsyncIterator[Connection]:
        acquired = await self._or_refused(driver.acquire(pool))
        try:
            yield acquired
        except Exception:
            # Whatever went wrong goes on; the pool gets back what it lent.
            await _release(pool, acquired)
            raise
        except BaseException:
            # Cancelled or interrupted: it is not to be lent again.
            acquired.terminate()
            await driver.release(pool, acquired)  # at once, since it is closed
            raise
        await _release(pool, acquired)

    async def _connect(self, options: Options) -> Connection:
        address = self.address
        assert address is not None
        name = options.application_name
        if name == APPLICATION_NAME and address.application_name is not None:
            name = address.application_name
        return await self._or_refused(
            driver.connect(address.arguments(), {**address.settings, "application_name": name})
        )

    async def _or_refused(self, connecting: Awaitable[driver.AsyncpgConnection]) -> driver.AsyncpgConnection:
        """Return the connection, or raise what it means that there is none."""
        try:
            return await connecting
        except _REFUSALS as error:
            refusal, cause = self._meaning(error), _cause(error)
        # Raised here and not where it is caught: a traceback shows what an error came from, and that may quote a DSN.
        raise refusal from cause

    def _meaning(self, error: Exception) -> ConfigurationError | ConnectionLostError:
        from kimbledb.server.connection_errors import explain  # only where there is no connection: 2 ms

        return explain(error, self.label, self.address)


#: What callers name a database by: a DSN, a connection or a pool of asyncpg's, a :class:`Target`,
#: or None for the environment's DSN.
TargetLike: TypeAlias = str | driver.GivenConnection | driver.GivenPool | Target | None


def target_of(given: TargetLike, name: str = "the DSN") -> Target:
    """Make a target of what a caller gave.

    Args:
        given: A DSN, an ``asyncpg.Connection``, an ``asyncpg.Pool``, or None for
            the environment's ``KIMBLEDB_DSN``, else ``DATABASE_URL``.
        name: What messages call a DSN that was given.

    Raises:
        ConfigurationError: There is none, or it cannot be one.
    """
    if given is None:
        for variable in DSN_VARIABLES:
            if os.environ.get(variable):
                return _from_dsn(os.environ[variable], variable)
        raise ConfigurationError(
            "no database is named",
            hint="pass a DSN (--dsn postgresql://user@host/database), a connection or a pool, "
            f"or set {' or '.join(DSN_VARIABLES)}",
        )
    if isinstance(given, Target):
        return given
    if isinstance(given, str):
        return _from_dsn(given, name)
    if driver.is_pool(given):
        return Target("the pool's database", pool=given)
    if driver.is_connection(given):
        return Target("the connection's database", connection=given)
    raise ConfigurationError(
        f"expected a DSN, an asyncpg.Connection or an asyncpg.Pool, got {type(given).__name__}",
        hint="pass a DSN such as postgresql://user@host/database",
    )


def is_named(target: TargetLike) -> bool:
    """Whether a call has a target, of its own or by the environment."""
    return target is not None or any(os.environ.get(variable) for variable in DSN_VARIABLES)


def _from_dsn(given: str, name: str) -> Target:
    address = dsn.read(given, name)
    return Target(address.label, dsn=given.strip(), address=address)


def _refuse_open_transaction(connection: Connection) -> None:
    if connection.is_closed:
        raise ConnectionLostError("the connection is closed", hint="pass an open one, a DSN or a pool")
    if connection.is_in_transaction:
        raise ConfigurationError(
            "the connection is in a transaction of its own",
            hint="each migration is a transaction by itself: call outside of yours, or pass a DSN",
        )


def _cause(error: Exception) -> Exception | None:
    """Return the error to be shown as the cause: none where the driver quotes what it could not read, passwords included."""
    unreadable = isinstance(error, ValueError | MisuseError) and not isinstance(error, OSError)
    return None if unreadable else error


async def _release(pool: driver.GivenPool, acquired: driver.AsyncpgConnection) -> None:
    try:
        await driver.release(pool, acquired, limit=_GOODBYE)
    except _UNHEARD:
        # The pool has closed it, and makes another one when one is wanted.
        acquired.terminate()


async def _close(connection: Connection) -> None:
    try:
        await connection.close(limit=_GOODBYE)
    except _UNHEARD:
        connection.terminate()
