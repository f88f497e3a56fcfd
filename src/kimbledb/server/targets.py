"""The target of a call: a DSN, a connection, a pool or an engine, each opened into a ``Session``.

No part of a password leaves the modules behind this one: messages show host, port and
database of a DSN only, and errors that could quote a DSN are replaced.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeAlias

from kimbledb.errors import ConfigurationError
from kimbledb.server import dsn, libraries
from kimbledb.server.address import NAMING, VARIABLES, Address
from kimbledb.server.drivers import asyncpg as driver
from kimbledb.server.libraries import shapes
from kimbledb.server.options import Options
from kimbledb.server.session import Session
from kimbledb.server.sources import GivenConnection, GivenPool, KeptConnection, OwnConnections, Source

#: Environment variables that hold a DSN, in the order in which they are read. After them come libpq's variables.
DSN_VARIABLES = ("KIMBLEDB_DSN", "DATABASE_URL")
#: A DSN that leaves everything to libpq's variables.
_BY_VARIABLES = "postgresql://"


class Target:  # every start makes this class, and Request: with attrs they take 1 ms longer
    """The database of a call."""

    def __init__(self, label: str, source: Source) -> None:
        """Make a target.

        Args:
            label: The name in messages: host, port and database, never a password.
            source: The source of its connections.
        """
        self.label = label
        self.source = source

    def __repr__(self) -> str:
        return f"Target({self.label!r})"

    @property
    def can_reconnect(self) -> bool:
        """Whether a second connection can be opened: not where the caller passed a single connection."""
        return self.source.can_reconnect

    @property
    def address(self) -> Address | None:
        """The address by which our own connections reach the database, or None where the caller's are used."""
        return self.source.address

    def beside(self, database: str) -> Target:
        """Return the target for another database of the same server. Only where ``address`` is known."""
        assert self.address is not None
        address = self.address.beside(database)
        return Target(address.label, OwnConnections(address))

    @property
    def server(self) -> str:
        """The server, for limits per server: the hosts with their ports, in one order whatever that of the target.

        Of a caller's pool or engine they are known as far as its label names them.
        """
        address = self.address
        if address is None:
            places = self.label.rpartition("/")[0].split(",")
        else:
            places = [f"{host}:{port}" for host, port in zip(address.hosts, address.ports, strict=False)]
            places = places or [f"the local server:{address.ports[0]}"]
        return ",".join(sorted({place.casefold() for place in places}))

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
        async with self.source.lend(self.label, options) as connection:
            yield Session(connection, options)

    @asynccontextmanager
    async def reserved(self) -> AsyncIterator[Target]:
        """Yield a target whose next session need not wait for others of this process.

        Whoever opens a second session beside an open transaction calls this before that transaction: a wait inside
        of it can have no end, since CREATE INDEX CONCURRENTLY, in the session that is waited for, waits for
        transactions of the whole database.
        """
        yield self


#: A database as callers pass it: a DSN, a connection, a pool or an engine.
#:
#: That is a DSN as text; a connection or a pool of asyncpg; an ``AsyncEngine``, an ``AsyncConnection`` or a ``URL`` of
#: SQLAlchemy; an ``AsyncConnection`` or a pool of psycopg; a ``Target``; or None for the database that the environment
#: names: ``KIMBLEDB_DSN``, then ``DATABASE_URL``, then libpq's variables, if PGHOST, PGHOSTADDR, PGSERVICE or PGDATABASE
#: is set.
TargetLike: TypeAlias = (
    str
    | driver.GivenConnection
    | driver.GivenPool
    | shapes.SQLAlchemyURL
    | shapes.SQLAlchemyEngine
    | shapes.SQLAlchemyConnection
    | shapes.PsycopgConnection
    | shapes.PsycopgPool
    | Target
    | None
)


def target_of(given: TargetLike, name: str = "the DSN") -> Target:
    """Return the target that a caller passed.

    Args:
        given: As ``TargetLike``.
        name: The name of a given DSN in messages.

    Raises:
        ConfigurationError: No database is named, or the argument is no target.
        ConnectionLostError: The argument is a closed connection.
    """
    found = _known(given, name)
    if found is not None:
        return found
    # The DSN of a settings library is an object of its own.
    is_dsn = str(given).startswith("postgres")
    raise ConfigurationError(
        f"expected a DSN, a connection, a pool or an engine, got {type(given).__name__}",
        hint="pass its text: str(...)" if is_dsn else "pass a DSN such as postgresql://user@host/database",
    )


@asynccontextmanager
async def kept(given: TargetLike) -> AsyncIterator[Target]:
    """Yield a target of which all calls in the block that follow each other share one connection.

    Args:
        given: As ``TargetLike``, but no connection.

    Raises:
        ConfigurationError: As ``target_of()``.
    """
    target = target_of(given)
    source = KeptConnection(target.source)
    try:
        yield Target(target.label, source)
    finally:
        await source.close()


def is_target(given: object) -> bool:
    """Whether a value is a target by itself, and not several.

    Args:
        given: The value.

    Raises:
        ConfigurationError: As ``target_of()``.
        ConnectionLostError: As ``target_of()``.
    """
    return given is None or isinstance(given, str | Target) or _known(given, "") is not None


def is_named(target: TargetLike) -> bool:
    """Whether a call has a target, of its own or by the environment."""
    return target is not None or any(os.environ.get(variable) for variable in (*DSN_VARIABLES, *NAMING))


def _known(given: object, name: str) -> Target | None:
    """Return the target that a value is, or None if it is none."""
    if given is None:
        return _of_environment()
    if isinstance(given, Target):
        return given
    if isinstance(given, str):
        return _of_dsn(given, name)
    if driver.is_pool(given):
        return Target(driver.place_of(given) or "the pool's database", GivenPool(given))
    if driver.is_connection(given):
        return Target(driver.place_of(given) or "the connection's database", GivenConnection(given))
    found = libraries.source_of(given)
    return None if found is None else Target(*found)


def _of_environment() -> Target:
    for variable in DSN_VARIABLES:
        if os.environ.get(variable):
            return _of_dsn(os.environ[variable], variable)
    if is_named(None):
        return _of_dsn(_BY_VARIABLES, VARIABLES)
    raise ConfigurationError(
        "no database is named",
        hint="pass a DSN such as postgresql://user@host/database, a connection, a pool or an engine, "
        f"or set {', '.join(DSN_VARIABLES)} or libpq's variables (PGHOST, PGDATABASE)",
    )


def _of_dsn(given: str, name: str) -> Target:
    address = dsn.read(given, name)
    return Target(address.label, OwnConnections(address))
