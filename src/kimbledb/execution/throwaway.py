"""Throwaway databases: made, cloned and dropped on a server, for what must not touch a database of somebody."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from kimbledb._embedded import embedded
from kimbledb.errors import ConfigurationError
from kimbledb.model.names import quote_identifier
from kimbledb.server import queries
from kimbledb.server.address import Address
from kimbledb.server.codes import INSUFFICIENT_PRIVILEGE
from kimbledb.server.driver import ServerError, first_line
from kimbledb.server.options import Options
from kimbledb.server.session import Session
from kimbledb.server.targets import Target, target_of


class Throwaway:
    """Makes databases on one server, each dropped at the end of its block."""

    def __init__(self, target: Target, session: Session, word: str) -> None:
        """Take a server.

        Args:
            target: A database of the server, which is not touched, named by a DSN.
            session: A session of it.
            word: The purpose of the databases, a part of their names.
        """
        self._target = target
        self._session = session
        self._word = word
        #: A session does one thing at a time.
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def database(self, *, template: Target | None = None, prepare: str = "") -> AsyncIterator[Target]:
        """Make a database, and drop it at the end, whoever is connected to it.

        Args:
            template: The database of which it is a copy; nobody may be connected to it. None for the server's own.
            prepare: The statements that it gets first.

        Raises:
            ConfigurationError: The role may not make a database.
        """
        name = f"kimbledb_{self._word}_{secrets.token_hex(8)}"
        copied = "" if template is None else f" TEMPLATE {quote_identifier(template.label)}"
        try:
            await self._send(f"CREATE DATABASE {quote_identifier(name)}{copied}")
        except ServerError as error:
            if error.sqlstate != INSUFFICIENT_PRIVILEGE:
                raise
            raise ConfigurationError(
                f"no database can be made on {self._target.label}: {first_line(error)}",
                hint="name a role that may: ALTER ROLE ... CREATEDB",
            ) from error
        made = Target(name, self._target.beside(name).source)
        try:
            if prepare:
                async with made.session(self._session.options) as session:
                    await session.send(prepare)
            yield made
        finally:
            await self._send(f"DROP DATABASE IF EXISTS {quote_identifier(name)} WITH (FORCE)")

    async def _send(self, statement: str) -> None:
        async with self._lock:
            if not self._session.is_closed:
                await self._session.send(statement)
                return
            # A statement was cancelled, which ends its connection; what was made goes all the same.
            async with self._target.session(self._session.options) as session:
                await session.send(statement)


@asynccontextmanager
async def throwaway(server: str | None, word: str, options: Options, *, hosted: bool) -> AsyncIterator[Throwaway]:
    """Open a server for throwaway databases.

    Args:
        server: Its DSN, or None for an embedded server that lives as long as the block.
        word: The purpose of the databases, a part of their names.
        options: The options of the sessions.
        hosted: Whether an embedded server gets the roles of a hosted platform.

    Raises:
        ConfigurationError: The server cannot be used.
        ConnectionLostError: The server cannot be reached.
        EmbeddedServerError: No embedded server can be started.
    """
    async with AsyncExitStack() as stack:
        dsn = await stack.enter_async_context(embedded()) if server is None else server
        target = target_of(dsn, "the server's DSN")
        address_of_server(target)
        session = await stack.enter_async_context(target.session(options))
        if hosted:
            await session.send(queries.text_of("hosted_roles"))
        yield Throwaway(target, session, word)


def address_of_server(target: Target) -> Address:
    """Return the address of a database's server, or raise a ConfigurationError where no DSN names it."""
    if target.address is None:
        raise ConfigurationError(
            "the server is not named by a DSN", hint="pass --server postgresql://user@host/database"
        )
    return target.address


def prepared_for(*, hosted: bool, grants: bool = True) -> str:
    """Return the statements that make an empty database one of a platform.

    Args:
        hosted: Whether it is a hosted one.
        grants: Whether new objects get the privileges that the platform grants by default.
    """
    if not hosted:
        return ""
    return queries.text_of("hosted_database") + (queries.text_of("hosted_defaults") if grants else "")
