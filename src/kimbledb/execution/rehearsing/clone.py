"""The clone: a database with the schema of the target, on a throwaway server or on one that the caller names."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from attrs import frozen

from kimbledb._embedded import embedded
from kimbledb.errors import RehearsalError
from kimbledb.execution.rehearsing import dump
from kimbledb.execution.rehearsing.source import Source
from kimbledb.execution.throwaway import address_of_server
from kimbledb.model.names import quote_identifier, quote_literal
from kimbledb.model.state import DatabaseState
from kimbledb.server import queries
from kimbledb.server.driver import ServerError, first_line
from kimbledb.server.options import Options
from kimbledb.server.session import Session
from kimbledb.server.targets import Target, target_of

#: Settings whose value is a list, as the server keeps it.
_LISTS = frozenset({"search_path", "temp_tablespaces"})
#: Settings of the target that would keep the clone from being made, or that only its own server can have.
_NOT_TAKEN = ("default_transaction_read_only", "preload_libraries", "_timeout", "role", "session_authorization")
#: The databases that every server has.
_EVERYWHERE = ("postgres", "template0", "template1")
_DROPPING = "the clone cannot be dropped"


@frozen(eq=False)
class Clone:
    """A database with the schema of the target."""

    target: Target
    #: Its server's version, such as ``18.1``.
    server: str
    #: The statement by which a session becomes one of the role that migrates, or nothing.
    as_role: str
    #: The objects that it lacks, a line each.
    notes: tuple[str, ...]
    #: Whether its server is thrown away afterwards.
    is_own: bool


@asynccontextmanager
async def cloned(
    source: Source, state: DatabaseState, schema: str, server: str | None, options: Options
) -> AsyncIterator[Clone]:
    """Make a clone, and drop it at the end.

    Args:
        source: The facts of the target.
        state: The state of its database.
        schema: The statements that make its schema.
        server: The DSN of the server; None for an embedded one.
        options: The limits of each statement.

    Raises:
        RehearsalError: The server lacks something, or is older than that of the target.
        EmbeddedServerError: The embedded server cannot be started.
        ConfigurationError: The server cannot be used.
        ConnectionLostError: The server cannot be reached.
    """
    async with AsyncExitStack() as stack:
        dsn = server if server is not None else await stack.enter_async_context(embedded())
        target = target_of(dsn, "the server's DSN")
        session = await stack.enter_async_context(target.session(options))
        maker = _Maker(target, session, source, state, is_own=server is None)
        yield await stack.enter_async_context(maker.made(schema, options))


class _Maker:
    """Makes a clone on one server."""

    def __init__(self, target: Target, session: Session, source: Source, state: DatabaseState, *, is_own: bool) -> None:
        """Take a server.

        Args:
            target: A database of the server, which is not touched.
            session: A session of it.
            source: The facts of the target.
            state: The state of its database.
            is_own: Whether the server is thrown away afterwards.
        """
        self._target = target
        self._session = session
        self._source = source
        self._state = state
        self._is_own = is_own
        self._made_roles: list[str] = []

    @asynccontextmanager
    async def made(self, schema: str, options: Options) -> AsyncIterator[Clone]:
        """Make the clone, and drop what is made on a server that goes on."""
        address_of_server(self._target)
        look = await self._session.ask(queries.question("rehearse_server"))
        self._check_version(look["version_number"], look["version"])
        name = self._name()
        try:
            await self._make_roles(look["roles"])
            if name not in _EVERYWHERE:
                await self._do(f"CREATE DATABASE {quote_identifier(name)} TEMPLATE template0", "no clone can be made")
            clone = Target(name, self._target.beside(name).source)
            without = [each for each in self._source.extensions if each not in look["extensions"]]
            # The settings of the dump hold in this session alone.
            async with clone.session(options) as session:
                left_out = await dump.restore(session, schema, without)
            await self._take_settings(name)
            role = quote_identifier(self._source.role)
            as_role = ""
            if look["superuser"] and look["role"] != self._source.role:
                await self._do(f"ALTER DATABASE {quote_identifier(name)} OWNER TO {role}", "no clone can be made")
                as_role = f"SET SESSION AUTHORIZATION {role};\n"
            yield Clone(
                clone,
                look["version"],
                as_role,
                tuple(self._notes(without, left_out, look["version_number"])),
                self._is_own,
            )
        finally:
            # A server of our own goes with all that is on it.
            if not self._is_own:
                await self._drop(name)

    def _name(self) -> str:
        # A script may name the database. On a server that goes on the name must be free.
        name = self._source.database
        return name if self._is_own and name not in _EVERYWHERE[1:] else f"kimbledb_rehearsal_{secrets.token_hex(8)}"

    def _check_version(self, number: int, version: str) -> None:
        if number // 10000 < self._state.version_number // 10000:
            raise RehearsalError(
                f"the target is PostgreSQL {self._state.server_version}, and the clone would be on {version}, which may "
                "not know all that the target holds",
                hint="name a server of the same version: server=...",
            )

    async def _make_roles(self, existing: Sequence[str]) -> None:
        made = [each for each in self._source.roles if each["name"] not in existing]
        for each in made:
            options = "NOLOGIN"
            if self._is_own:
                # To keep it from what it may not do is left to the target: this server has other superusers.
                its_own = {**each, "SUPERUSER": each["SUPERUSER"] or each["name"] == self._source.role}
                options += "".join(f" {name}" for name, value in its_own.items() if value is True)
            await self._do(
                f"CREATE ROLE {quote_identifier(each['name'])} {options}", f"the role {each['name']} is missing"
            )
            self._made_roles.append(each["name"])
        if self._is_own:
            known = {*existing, *self._made_roles}
            for role, member in self._source.members:
                if role in self._made_roles and member in known:
                    await self._do(f"GRANT {quote_identifier(role)} TO {quote_identifier(member)}", "the clone's roles")

    async def _take_settings(self, name: str) -> None:
        """Give the clone the settings of the target. One that this server does not know is left out."""
        ordered = sorted(self._source.settings, key=lambda each: each[0])  # those of the role win
        for _, setting, value in ordered:
            if not any(word in setting.lower() for word in _NOT_TAKEN):
                shown = value if setting.lower() in _LISTS else quote_literal(value)
                alter = (
                    f"ALTER DATABASE {quote_identifier(name)} SET {_setting(setting)} TO {shown or quote_literal('')}"
                )
                await self._session.send(queries.block("rehearse_tolerated", statement=quote_literal(alter)))

    def _notes(self, without: Sequence[str], left_out: Sequence[str], number: int) -> list[str]:
        notes = []
        if without:
            notes.append(f"the clone lacks the extensions {', '.join(without)}, which nothing that was cloned needs")
        notes += [f"the clone lacks: {each}" for each in left_out]
        if number // 10000 > self._state.version_number // 10000:
            notes.append(
                f"the target is PostgreSQL {self._state.version_number // 10000}, and the clone {number // 10000}: what "
                "only a newer server accepts, or does without a rewrite, is told as that server does it"
            )
        return notes

    async def _do(self, statement: str, what: str) -> None:
        try:
            await self._session.send(statement)
        except ServerError as error:
            raise RehearsalError(
                f"{what}: on {self._target.label}: {first_line(error)}",
                hint="name a role that may make databases and roles there, or leave out the server",
            ) from error

    async def _drop(self, name: str) -> None:
        if self._session.is_closed:
            return
        await self._do(f"DROP DATABASE IF EXISTS {quote_identifier(name)} WITH (FORCE)", _DROPPING)
        for each in reversed(self._made_roles):
            await self._do(f"DROP ROLE IF EXISTS {quote_identifier(each)}", _DROPPING)


def _setting(name: str) -> str:
    return ".".join(map(quote_identifier, name.split(".")))
