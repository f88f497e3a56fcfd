"""Where to: a DSN, a connection or a pool, each opened into a :class:`Session`.

Nothing of a password leaves this module: a DSN is shown by host, port and
database only, and errors that could quote one are replaced.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

import asyncpg
import asyncpg.pool
from attrs import field, frozen

from kimbledb.errors import ConfigurationError, ConnectionLostError
from kimbledb.options import Options
from kimbledb.session import Session, first_line, terminate

#: Environment variables that hold a DSN, in the order in which they are asked.
DSN_VARIABLES = ("KIMBLEDB_DSN", "DATABASE_URL")

#: What asyncpg raises where it gets no connection.
_REFUSALS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, ValueError)
#: Seconds for the goodbye to a server, which may not be heard where the network swallows packets.
_GOODBYE = 0.5


class NotJustNow(ConnectionLostError):
    """The server is there and takes nobody just now: it is starting, or has too many connections."""


@frozen
class Target:
    """A database to work on. Exactly one of the three is set."""

    #: Shown in messages: host, port and database, never a password.
    label: str
    dsn: str | None = field(default=None, repr=False)
    connection: Any = field(default=None, repr=False)
    pool: Any = field(default=None, repr=False)

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
            _refuse_open_transaction(self.connection)
            try:
                yield Session(self.connection, options)
            except Exception:
                # What was sent is rolled back by then, and the connection is the caller's.
                raise
            except BaseException:
                # Cancelled or interrupted in the middle of something: nobody may rely on it any more.
                terminate(self.connection)
                raise
        elif self.pool is not None:
            async with self._pooled() as connection:
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
                terminate(connection)
                raise
            await _close(connection)

    @asynccontextmanager
    async def _pooled(self) -> AsyncIterator[Any]:
        try:
            acquired = await self.pool.acquire()
        except _REFUSALS as error:
            raise self._meaning(error) from _cause(error)
        try:
            yield acquired
        except Exception:
            # Whatever went wrong goes on; the pool gets back what it lent.
            await self._release(acquired)
            raise
        except BaseException:
            # Cancelled or interrupted: it is not to be lent again.
            terminate(acquired)
            await self.pool.release(acquired)  # at once, since it is closed
            raise
        await self._release(acquired)

    async def _release(self, acquired: Any) -> None:
        try:
            await self.pool.release(acquired, timeout=_GOODBYE)
        except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            # The pool has closed it, and makes another one when one is wanted.
            terminate(acquired)

    async def _connect(self, options: Options) -> Any:
        try:
            return await asyncpg.connect(
                self.dsn,
                # Nothing is prepared, so that any pooler can be between.
                statement_cache_size=0,
                server_settings={"application_name": options.application_name},
            )
        except _REFUSALS as error:
            raise self._meaning(error) from _cause(error)

    def _meaning(self, error: Exception) -> ConfigurationError | ConnectionLostError:
        """Return what it means that no connection could be had."""
        if isinstance(error, asyncpg.TooManyConnectionsError | asyncpg.CannotConnectNowError) or (
            # So says PgBouncer where all that it may serve are there.
            isinstance(error, asyncpg.ProtocolViolationError) and "no more connections allowed" in str(error)
        ):
            return NotJustNow(f"{self.label} takes no connection now: {first_line(error)}")
        if isinstance(error, asyncpg.InvalidAuthorizationSpecificationError | asyncpg.InvalidCatalogNameError):
            return ConfigurationError(
                f"{self.label}: {first_line(error)}", hint="check user, password and database in the DSN"
            )
        if isinstance(error, ValueError) or (isinstance(error, asyncpg.InterfaceError) and self.pool is None):
            return ConfigurationError(
                f"the DSN for {self.label} cannot be read ({type(error).__name__})", hint=_DSN_HINT
            )
        if isinstance(error, asyncpg.InterfaceError):
            return ConfigurationError(
                f"{self.label}: {first_line(error)}",
                hint="pass a pool that is open: `async with asyncpg.create_pool(...)`",
            )
        if isinstance(error, OSError):
            return ConnectionLostError(f"{self.label} cannot be reached: {first_line(error)}", hint=_reach_hint(error))
        return ConnectionLostError(f"{self.label} refused the connection: {first_line(error)}")


def target_of(given: object, name: str = "the DSN") -> Target:
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
            hint="pass a DSN (postgresql://user@host/database), a connection or a pool, "
            f"or set {' or '.join(DSN_VARIABLES)}",
        )
    if isinstance(given, Target):
        return given
    if isinstance(given, str):
        return _from_dsn(given, name)
    if isinstance(given, asyncpg.pool.Pool):
        return Target("the pool's database", pool=given)
    if isinstance(given, asyncpg.Connection | asyncpg.pool.PoolConnectionProxy):
        return Target("the connection's database", connection=given)
    raise ConfigurationError(
        f"a {type(given).__name__} is no target", hint="pass a DSN, an asyncpg.Connection or an asyncpg.Pool"
    )


_DSN_HINT = (
    "write postgresql://user:password@host:5432/database, with %2F for /, %23 for #, %3F for ?, "
    "%40 for @ and %25 for % in user and password"
)


def _from_dsn(dsn: str, where: str) -> Target:
    # Read strictly: without the two slashes asyncpg would go to 127.0.0.1 and say nothing.
    scheme, separator, rest = dsn.strip().partition("://")
    if not separator or scheme not in ("postgresql", "postgres"):
        raise ConfigurationError(f"{where} does not begin with postgresql://", hint=_DSN_HINT)
    authority = rest.partition("/")[0].partition("?")[0].partition("#")[0]
    if "#" in rest or ("@" in rest.partition("?")[0] and "@" not in authority):
        raise ConfigurationError(f"{where} holds a character that must be percent-encoded", hint=_DSN_HINT)
    hosts = authority.rpartition("@")[2]
    path = _path_of(dsn.strip(), several_hosts="," in hosts)
    if path is None:
        # Raised here and not where the fault is found: that error quotes a piece of the DSN.
        raise ConfigurationError(f"{where} has a port or host that cannot be read", hint=_DSN_HINT)
    database = unquote(path.removeprefix("/"))
    return Target(f"{hosts or 'the local server'}/{database}".rstrip("/"), dsn=dsn.strip())


def _path_of(dsn: str, *, several_hosts: bool) -> str | None:
    """Return the path of a DSN, or None where its host or port cannot be read."""
    try:
        parts = urlsplit(dsn)
        if not several_hosts:
            _ = parts.port  # raises where it is no number
    except ValueError:
        return None
    return parts.path


def _refuse_open_transaction(connection: Any) -> None:
    if connection.is_closed():
        raise ConnectionLostError("the connection is closed", hint="pass an open one, a DSN or a pool")
    if connection.is_in_transaction():
        raise ConfigurationError(
            "the connection is in a transaction of its own",
            hint="each migration is a transaction by itself: call outside of yours, or pass a DSN",
        )


def _cause(error: Exception) -> Exception | None:
    """Return the error to be shown as the cause: none where asyncpg quotes what it could not read, passwords included."""
    unreadable = isinstance(error, ValueError | asyncpg.InterfaceError)
    return None if unreadable else error


async def _close(connection: Any) -> None:
    try:
        await connection.close(timeout=_GOODBYE)
    except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        terminate(connection)


def _reach_hint(error: OSError) -> str | None:
    if "Name or service not known" in str(error) or "nodename nor servname" in str(error):
        return (
            "the host's name is not known here; a hosted database may have an IPv6 address only: use its pooler's host"
        )
    if "Network is unreachable" in str(error):
        return "the host may have an IPv6 address only, which this machine cannot reach: use its pooler's host"
    return "check host and port, and that the server runs"
