"""Targets of psycopg: an ``AsyncConnection``, and the pools of psycopg_pool, each by its conninfo.

kimbledb's driver is asyncpg. So it opens connections of its own, by the parameters and the password with which the
caller's were opened.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from kimbledb.errors import ConfigurationError
from kimbledb.server.address import Address, address_of
from kimbledb.server.driver import Connection
from kimbledb.server.dsn import parameters_of
from kimbledb.server.libraries import is_of
from kimbledb.server.options import Options
from kimbledb.server.sources import OwnConnections, Source, closed, in_transaction

#: Arguments of ``psycopg.AsyncConnection.connect()`` that are no parameters of libpq.
_OF_PSYCOPG = frozenset({"autocommit", "context", "cursor_factory", "prepare_threshold", "row_factory"})


def source_of(given: Any) -> tuple[str, Source] | None:
    """See ``kimbledb.server.libraries.source_of``."""
    if is_of(given, "psycopg_pool", "AsyncConnectionPool", "AsyncNullConnectionPool"):
        if callable(given.conninfo) or callable(given.kwargs):
            return "the pool's database", _PoolOfCallables(given)
        return _own(_of_pool(given.conninfo, given.kwargs))
    if is_of(given, "psycopg", "AsyncConnection"):
        return _own(address_of_connection(given))
    if is_of(given, "psycopg_pool", "ConnectionPool", "NullConnectionPool"):
        raise ConfigurationError(
            "expected a target for asyncio, got a pool of psycopg's for threads",
            hint="pass its conninfo: pool.conninfo",
        )
    if is_of(given, "psycopg", "Connection"):
        raise ConfigurationError(
            "expected a target for asyncio, got a connection of psycopg's for threads",
            hint="pass the DSN by which it was opened, or a psycopg.AsyncConnection",
        )
    return None


def address_of_connection(given: Any) -> Address:
    """Return the address by which a connection of psycopg's was opened.

    Args:
        given: A connection outside of a transaction.

    Raises:
        ConnectionLostError: The connection is closed.
        ConfigurationError: The connection is in a transaction, or asyncpg does not support what a parameter demands.
    """
    if given.closed:
        raise closed()
    if given.info.transaction_status.name != "IDLE":
        raise in_transaction()
    parameters: dict[str, str] = given.info.get_parameters()
    if parameters.get("host") and parameters.get("sslmode") == "verify-full":
        # psycopg adds the address that it found for the host, and asyncpg would check the certificate against it.
        parameters.pop("hostaddr", None)
    return address_of({**parameters, "password": given.info.password}, "psycopg's connection")


def _own(address: Address) -> tuple[str, Source]:
    return address.label, OwnConnections(address)


def _of_pool(conninfo: str, kwargs: Mapping[str, Any] | None) -> Address:
    name = "the pool's conninfo"
    arguments = {
        key: str(value) for key, value in (kwargs or {}).items() if value is not None and key not in _OF_PSYCOPG
    }
    return address_of((parameters_of(conninfo, name) if conninfo else {}) | arguments, name)


class _PoolOfCallables:
    """A pool whose conninfo or arguments are computed for each connection, as a password that expires."""

    can_reconnect = True
    address = None

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    @asynccontextmanager
    async def lend(self, label: str, options: Options) -> AsyncIterator[Connection]:  # noqa: ARG002 - the address has one
        """See ``kimbledb.server.sources.Source``."""
        address = _of_pool(await _value(self._pool.conninfo), await _value(self._pool.kwargs))
        async with OwnConnections(address).lend(address.label, options) as connection:
            yield connection


async def _value(given: Any) -> Any:
    found = given() if callable(given) else given
    return await found if inspect.isawaitable(found) else found
