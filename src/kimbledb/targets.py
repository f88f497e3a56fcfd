"""Where to: a DSN, a connection or a pool, each opened into a :class:`Session`.

Nothing of a password leaves this module: a DSN is shown by host, port and
database only, and errors that could quote one are replaced.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

import asyncpg
import asyncpg.pool
from attrs import field, frozen

from kimbledb.errors import ConfigurationError, ConnectionLostError
from kimbledb.options import Options
from kimbledb.session import Session, first_line

#: Environment variables that hold a DSN, in the order in which they are asked.
DSN_VARIABLES = ("KIMBLEDB_DSN", "DATABASE_URL")

#: The server is there and takes nobody just now: too many connections (53300), or starting up (57P03).
_NOT_JUST_NOW = (asyncpg.TooManyConnectionsError, asyncpg.CannotConnectNowError)


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
        """Open a session, and give the connection back as it was, or closed where it cannot be trusted."""
        if self.connection is not None:
            _refuse_open_transaction(self.connection)
            yield Session(self.connection, options)
        elif self.pool is not None:
            async with self._pooled() as connection:
                yield Session(connection, options)
        else:
            connection = await self._connect(options)
            try:
                yield Session(connection, options)
            except BaseException:
                connection.terminate()
                raise
            await _close(connection)

    @asynccontextmanager
    async def _pooled(self) -> AsyncIterator[Any]:
        try:
            acquired = await self.pool.acquire()
        except _NOT_JUST_NOW as error:
            raise ConnectionLostError(f"{self.label} takes no connection now: {first_line(error)}") from error
        except OSError as error:
            raise ConnectionLostError(f"{self.label} cannot be reached: {first_line(error)}") from error
        try:
            yield acquired
        finally:
            await self.pool.release(acquired)

    async def _connect(self, options: Options) -> Any:
        delay = 0.1
        while True:
            try:
                return await asyncpg.connect(
                    self.dsn,
                    # Nothing is prepared, so that any pooler can be between.
                    statement_cache_size=0,
                    server_settings={"application_name": options.application_name},
                )
            except _NOT_JUST_NOW:
                # The caller's deadline ends this.
                await asyncio.sleep(delay * random.uniform(0.5, 1.5))
                delay = min(delay * 2, 2.0)
            except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError) as error:
                raise ConfigurationError(
                    f"{self.label}: {first_line(error)}", hint="check user, password and database in the DSN"
                ) from error
            except asyncpg.PostgresError as error:
                raise ConnectionLostError(f"{self.label} refused the connection: {first_line(error)}") from error
            except (ValueError, asyncpg.InterfaceError) as error:
                # asyncpg quotes what it cannot read, passwords included.
                raise ConfigurationError(
                    f"the DSN for {self.label} cannot be read ({type(error).__name__})", hint=_DSN_HINT
                ) from None
            except OSError as error:
                raise ConnectionLostError(
                    f"{self.label} cannot be reached: {first_line(error)}", hint=_reach_hint(error)
                ) from error


def target_of(given: object) -> Target:
    """Make a target of what a caller gave.

    Args:
        given: A DSN, an ``asyncpg.Connection``, an ``asyncpg.Pool``, or None for
            the environment's ``KIMBLEDB_DSN``, else ``DATABASE_URL``.

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
        return _from_dsn(given, "the DSN")
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
    try:
        parts = urlsplit(dsn.strip())
        if "," not in hosts:
            _ = parts.port  # raises where it is no number
    except ValueError:
        raise ConfigurationError(f"{where} has a port or host that cannot be read", hint=_DSN_HINT) from None
    database = unquote(parts.path.removeprefix("/"))
    return Target(f"{hosts or 'the local server'}/{database}".rstrip("/"), dsn=dsn.strip())


def _refuse_open_transaction(connection: Any) -> None:
    if connection.is_closed():
        raise ConnectionLostError("the connection is closed", hint="pass an open one, a DSN or a pool")
    if connection.is_in_transaction():
        raise ConfigurationError(
            "the connection is in a transaction of its own",
            hint="each migration is a transaction by itself: call outside of yours, or pass a DSN",
        )


async def _close(connection: Any) -> None:
    # A close can hang where the network swallows packets; half a second is enough for a goodbye.
    try:
        await connection.close(timeout=0.5)
    except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connection.terminate()


def _reach_hint(error: OSError) -> str | None:
    if "Name or service not known" in str(error) or "nodename nor servname" in str(error):
        return (
            "the host's name is not known here; a hosted database may have an IPv6 address only: use its pooler's host"
        )
    if "Network is unreachable" in str(error):
        return "the host may have an IPv6 address only, which this machine cannot reach: use its pooler's host"
    return "check host and port, and that the server runs"
