"""Targets of SQLAlchemy: ``URL``, ``AsyncEngine`` and ``AsyncConnection``.

An engine is used through its own connections, so that its credentials, TLS and events hold: the connection of its
driver (``driver_connection``) carries the messages where that is asyncpg's. Where it is psycopg's, the parameters of that
connection open one of our own; with any other driver the engine's URL does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

from kimbledb.errors import ConfigurationError
from kimbledb.server.address import Address, address_of
from kimbledb.server.driver import Connection, DriverError, first_line
from kimbledb.server.drivers import asyncpg as driver
from kimbledb.server.dsn import hosts_with_ports
from kimbledb.server.libraries import is_of
from kimbledb.server.libraries.psycopg import address_of_connection
from kimbledb.server.options import Options
from kimbledb.server.parameters import in_libpq_terms
from kimbledb.server.session import TemporarilyUnavailable
from kimbledb.server.sources import GivenConnection, OwnConnections, Source, closed, in_transaction, refused

_SQLALCHEMY = "sqlalchemy"
#: Pools that lend one connection at a time.
_OF_ONE_CONNECTION = ("AssertionPool", "StaticPool")
#: Types that are no target, with the target to use instead.
_CURES = {
    "Engine": "pass an AsyncEngine (create_async_engine), or the engine's URL: engine.url",
    "Connection": "pass an AsyncEngine (create_async_engine), or the engine's URL: connection.engine.url",
    "AsyncSession": "pass its engine: session.bind",
    "Session": "pass the engine's URL: session.get_bind().engine.url",
}


def source_of(given: Any) -> tuple[str, Source] | None:
    """See ``kimbledb.server.libraries.source_of``."""
    if is_of(given, _SQLALCHEMY, "URL"):
        address = _of_url(given, "the URL")
        return address.label, OwnConnections(address)
    if is_of(given, _SQLALCHEMY, "AsyncEngine"):
        return _label(given), _Engine(given)
    if is_of(given, _SQLALCHEMY, "AsyncConnection"):
        return _label(given), _Connection(given)
    for name, cure in _CURES.items():
        if is_of(given, _SQLALCHEMY, name):
            raise ConfigurationError(f"expected a DSN, a connection, a pool or an AsyncEngine, got {name}", hint=cure)
    return None


def _of_url(url: Any, name: str) -> Address:
    """Return the address of a URL. Its text is not used, since it hides the password, or has + for a space."""
    if url.get_backend_name() not in ("postgresql", "postgres"):
        raise ConfigurationError(
            f"{name} is for {url.get_backend_name()}, and kimbledb migrates PostgreSQL",
            hint="its name begins with postgresql, as in postgresql+asyncpg://user@host/database",
        )
    found = {"user": url.username, "password": url.password, "host": url.host, "port": url.port, "dbname": url.database}
    parameters = {key: str(value) for key, value in found.items() if value is not None}
    for key, value in url.query.items():
        values = [value] if isinstance(value, str) else list(value)
        parameters[key] = values[-1]
        if key == "host":
            parameters |= hosts_with_ports(values)
    return address_of(in_libpq_terms(parameters), name)


def _label(given: Any) -> str:
    """Return the name of an engine's database, or of a connection's, in messages: by the URL, if that names a place."""
    url = given.sync_engine.url
    if url.host or url.database or url.query:
        with suppress(ConfigurationError):  # the engine may know better than kimbledb does what its URL means
            return _of_url(url, "the URL").label
    return "the engine's database"


class _Engine:
    """A caller's engine."""

    address = None

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.can_reconnect = not is_of(engine.sync_engine.pool, _SQLALCHEMY, *_OF_ONE_CONNECTION)
        _check_dialect(engine)

    @asynccontextmanager
    async def lend(self, label: str, options: Options) -> AsyncIterator[Connection]:
        """See ``kimbledb.server.sources.Source``."""
        async with AsyncExitStack() as stack:
            given = await _connected(self._engine, label)
            stack.push_async_exit(_given_back(given))
            source = await _through(given, label)
            if source.address is not None:
                await stack.aclose()  # the engine's connection has given the address, and is not needed any more
            yield await stack.enter_async_context(source.lend(label, options))


class _Connection:
    """A caller's connection."""

    can_reconnect = False
    address = None

    def __init__(self, given: Any) -> None:
        self._given = given
        _check_dialect(given)

    @asynccontextmanager
    async def lend(self, label: str, options: Options) -> AsyncIterator[Connection]:
        """See ``kimbledb.server.sources.Source``."""
        if self._given.sync_connection is None:
            raise ConfigurationError(
                "the connection is not open yet",
                hint="await it, or open it by `async with engine.connect() as connection`",
            )
        if self._given.closed or self._given.invalidated:
            raise closed()
        # Where SQLAlchemy has begun a transaction, the driver begins it with the next statement.
        if self._given.in_transaction():
            raise in_transaction()
        source = await _through(self._given, label)
        try:
            async with source.lend(label, options) as connection:
                yield connection
        except Exception:
            # The transaction is rolled back by now, and the connection is the caller's.
            raise
        except BaseException:
            # Cancelled or interrupted: SQLAlchemy must not use this connection again, whose state is unknown.
            await self._given.invalidate()
            raise


def _check_dialect(given: Any) -> None:
    name = given.sync_engine.dialect.name
    if name != "postgresql":
        raise ConfigurationError(f"the engine is for {name}, and kimbledb migrates PostgreSQL")


async def _connected(engine: Any, label: str) -> Any:
    """Return a connection of an engine's pool."""
    try:
        return await engine.connect()
    except Exception as error:
        if is_of(error, _SQLALCHEMY, "TimeoutError"):
            raise TemporarilyUnavailable(f"{label}: no connection of the engine's pool is free") from error
        behind = driver.error_behind(error) or DriverError(first_line(error), driver_error=error)
        refusal, cause = refused(behind, label, None)
    raise refusal from cause


async def _through(given: Any, label: str) -> Source:
    """Return the source for the connection of the driver under a connection of SQLAlchemy's."""
    raw = (await given.get_raw_connection()).driver_connection
    if driver.is_connection(raw):
        return GivenConnection(raw)
    if is_of(raw, "psycopg", "AsyncConnection"):
        return OwnConnections(address_of_connection(raw))
    return OwnConnections(_of_url(given.sync_engine.url, f"the URL of {label}"))


def _given_back(given: Any) -> Any:
    """Return the exit that gives a connection back to its pool, or throws it away where its state is unknown."""

    async def leave(kind: type[BaseException] | None, _error: object, _traceback: object) -> None:
        if kind is not None and not issubclass(kind, Exception):
            await given.invalidate()
        await given.close()

    return leave
