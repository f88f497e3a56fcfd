"""The target of a call: a DSN, a connection or a pool, each opened into a ``Session``.

No part of a password leaves this module: messages show host, port and
database of a DSN only, and errors that could quote a DSN are replaced.
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

#: Environment variables that hold a DSN, in the order in which they are read.
DSN_VARIABLES = ("KIMBLEDB_DSN", "DATABASE_URL")

#: The driver's errors of a connection attempt.
_CONNECTION_ERRORS = (ServerError, DriverError, OSError, ValueError)
#: The driver's errors of a goodbye.
_CLOSING_ERRORS = (ServerError, MisuseError, OSError)
#: Seconds for the goodbye to a server. It may stay without an answer where the network drops packets.
_GOODBYE = 0.5


@frozen(eq=False)
class Target:
    """The database of a call. Exactly one of dsn, connection and pool is set."""

    #: The name in messages: host, port and database, never a password.
    label: str
    dsn: str | None = field(default=None, repr=False)
    connection: driver.GivenConnection | None = field(default=None, repr=False)
    pool: driver.GivenPool | None = field(default=None, repr=False)
    #: The content of the DSN.
    address: Address | None = field(default=None, repr=False)

    @property
    def can_reconnect(self) -> bool:
        """Whether a second connection can be opened: not where the caller passed a single connection."""
        return self.connection is None

    @asynccontextmanager
    async def session(self, options: Options) -> AsyncIterator[Session]:
        """Open a session. At its end the connection is given back as it was, or closed where its state is unknown.

        Args:
            options: The options of the call.

        Raises:
            TemporarilyUnavailable: The server accepts no connection now; a later attempt may succeed.
            ConnectionLostError: The server cannot be reached.
            ConfigurationError: The server refuses this connection, or the target cannot be used.
        """
        if self.connection is not None:
            given = driver.AsyncpgConnection(self.connection)
            _refuse_open_transaction(given)
            try:
                yield Session(given, options)
            except Exception:
                # The transaction is rolled back by now, and the connection is the caller's.
                raise
            except BaseException:
                # Cancelled or interrupted in mid-message: the state of the connection is unknown.
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
                # The error is raised further; the connection is ours to close.
                await _close(connection)
                raise
            except BaseException:
                # A cancelled call does not wait for a goodbye.
                connection.terminate()
                raise
            await _close(connection)

    @asynccontextmanager
    async def reserved(self) -> AsyncIterator[Target]:
        """Yield a target whose next session need not wait for others of this process.

        Whoever opens a second session beside an open transaction calls this before that transaction: a wait inside
        of it can have no end, since CREATE INDEX CONCURRENTLY, in the session that is waited for, waits for
        transactions of the whole database.
        """
        yield self

    @asynccontextmanager
    async def _pooled(self, pool: driver.GivenPool) -> AsyncIterator[Connection]:
        acquired = await self._or_refused(driver.acquire(pool))
        try:
            yield acquired
        except Exception:
            # The error is raised further; the pool gets its connection back.
            await _release(pool, acquired)
            raise
        except BaseException:
            # Cancelled or interrupted: the pool must not lend this connection again.
            acquired.terminate()
            await driver.release(pool, acquired)  # returns at once, since the connection is closed
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
        """Return the connection, or raise the public error for the failed attempt."""
        try:
            return await connecting
        except _CONNECTION_ERRORS as error:
            refusal, cause = self._explained(error), _shown_cause(error)
        # Raised here and not in the handler: a traceback shows the handled error, which may quote a DSN.
        raise refusal from cause

    def _explained(self, error: Exception) -> ConfigurationError | ConnectionLostError:
        from kimbledb.server.connection_errors import explain  # only where there is no connection: 1 ms

        return explain(error, self.label, self.address)


#: A database as callers pass it: a DSN, a connection or a pool of asyncpg's, a ``Target``,
#: or None for the environment's DSN.
TargetLike: TypeAlias = str | driver.GivenConnection | driver.GivenPool | Target | None


def target_of(given: TargetLike, name: str = "the DSN") -> Target:
    """Return the target that a caller passed.

    Args:
        given: A DSN, an ``asyncpg.Connection``, an ``asyncpg.Pool``, or None for
            the environment's ``KIMBLEDB_DSN``, else ``DATABASE_URL``.
        name: The name of a given DSN in messages.

    Raises:
        ConfigurationError: No database is named, or the argument is no target.
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
            hint="each migration runs in its own transaction: call outside of yours, or pass a DSN",
        )


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
