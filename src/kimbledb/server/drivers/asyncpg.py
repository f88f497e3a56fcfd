"""The driver asyncpg. No other module imports it.

This module also reads the server's messages on their way to asyncpg. A run-time error of a
statement has no position in the message that was sent. But the server reports each completed
statement (manual, 55.2.2, "Multiple Statements in a Simple Query"), and asyncpg does not
pass that on. To locate the error by running the script again, statement by statement, would
repeat its effects outside of the transaction.
"""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

import asyncpg
import asyncpg.pool

from kimbledb.server import queries
from kimbledb.server.driver import DriverError, Endpoint, MisuseError, Notice, ServerError, WrongServerError

if TYPE_CHECKING:
    #: A connection of asyncpg's: the caller's own, or one of a pool.
    GivenConnection: TypeAlias = asyncpg.Connection[Any] | asyncpg.pool.PoolConnectionProxy[Any]
    #: A pool of asyncpg's.
    GivenPool: TypeAlias = asyncpg.pool.Pool[Any]
else:
    # The classes take no parameter at run time.
    GivenConnection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy
    GivenPool = asyncpg.pool.Pool

#: The conditions (manual, appendix A) of those classes of asyncpg's that have other names.
_CONDITIONS = {
    "PostgresSyntaxError": "syntax error",
    "RaiseError": "raise exception",
    "AssertError": "assert failure",
    "InternalServerError": "internal error",
    "PLPGSQLError": "plpgsql error",
}
#: Type and length of a message: the length counts itself and what follows (manual, 55.7).
_TYPE, _HEADER = 1, 5
_COMMAND_COMPLETE = ord("C")
#: The server's answer to a message without a statement.
_EMPTY = ord("I")
#: The server's tags of statements whose effects stay, whatever follows. The tag of a COMMIT in a
#: failed transaction is "ROLLBACK".
_COMMITS = (b"COMMIT\0", b"PREPARE TRANSACTION\0")


class _Completions(asyncio.Protocol):
    """Counts the statements that the server completes, notes its COMMITs, and passes all data on."""

    def __init__(self, protocol: Any) -> None:
        self.count = 0
        self.commits: list[int] = []
        #: Whether the message holds no statement.
        self.empty = False
        self._protocol = protocol
        self._header = b""
        #: Bytes of the current message that are still to come, and the tag, as far as it has come, where it has one.
        self._rest = 0
        self._tag: bytes | None = None

    def data_received(self, data: bytes) -> None:
        """Count, and pass on."""
        self._look_through(data)
        self._protocol.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on."""
        self._protocol.connection_lost(exc)

    def eof_received(self) -> bool | None:
        """Pass on."""
        keep: bool | None = self._protocol.eof_received()
        return keep

    def pause_writing(self) -> None:
        """Pass on."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Pass on."""
        self._protocol.resume_writing()

    def _look_through(self, data: bytes) -> None:
        position, end = 0, len(data)
        while position < end:
            if self._rest:
                step = min(self._rest, end - position)
                self._rest -= step
                if self._tag is not None:
                    self._tag += data[position : position + step]
                position += step
                if not self._rest and self._tag in _COMMITS:
                    self.commits.append(self.count)
                continue
            missing = _HEADER - len(self._header)
            self._header += data[position : position + missing]
            position += missing
            if len(self._header) == _HEADER:
                self._tag = b"" if self._header[0] == _COMMAND_COMPLETE else None
                self.count += self._tag is not None
                self.empty = self.empty or self._header[0] == _EMPTY
                self._rest = int.from_bytes(self._header[_TYPE:]) - (_HEADER - _TYPE)
                self._header = b""


@contextmanager
def _counting(connection: GivenConnection) -> Iterator[_Completions]:
    """Count, during the block, the statements that the server completes."""
    # The attribute is private. With a version of asyncpg that has no such attribute only the place of an error is lost.
    transport = getattr(connection, "_transport", None)
    protocol = None if transport is None else transport.get_protocol()
    completions = _Completions(protocol)
    if transport is not None:
        transport.set_protocol(completions)
    try:
        yield completions
    finally:
        if transport is not None and not transport.is_closing():
            transport.set_protocol(protocol)


class AsyncpgConnection:
    """A connection of asyncpg's as a ``Connection``."""

    def __init__(self, given: GivenConnection) -> None:
        self.given = given
        self.completed = 0
        self.commits: Sequence[int] = ()

    async def execute(
        self,
        message: str,
        *,
        limit: float | None = None,
        listen: Callable[[Notice], None] | None = None,
        starts: Sequence[int] = (),
    ) -> None:
        """Send statements in one message by the simple protocol."""
        # asyncpg calls a listener in the context in which the connection was opened, or was last read: of another call.
        here = copy_context()

        def receive(_connection: GivenConnection, notice: asyncpg.PostgresLogMessage) -> None:
            if listen is not None:
                here.run(listen, Notice(notice.sqlstate, notice.message, notice.constraint_name))

        self.completed, self.commits = 0, ()

        def running() -> str:
            place = len(self.commits)
            return message[slice(*[*starts, None][place : place + 2])] if place < len(starts) else message

        with _translated(message, running):
            self.given.add_log_listener(receive)
            try:
                with _counting(self.given) as completions:
                    try:
                        await self.given.execute(message, timeout=limit)
                    except AttributeError:
                        # asyncpg reads the tag of the last statement, also where there is none: a message of comments.
                        if not completions.empty:
                            raise
                    finally:
                        self.completed, self.commits = completions.count, completions.commits
            finally:
                if not self.is_closed:
                    self.given.remove_log_listener(receive)

    async def copy_out(self, query: str, *, limit: float) -> bytes:
        """Return the rows of a query in the format of a binary COPY."""
        received = bytearray()

        async def receive(data: bytes) -> None:
            received.extend(data)

        with _translated(query):
            await self.given.copy_from_query(query, output=receive, format="binary", timeout=limit)
        return bytes(received)

    async def fetch(self, statement: str, *arguments: Any) -> Sequence[Sequence[Any]]:
        """Return the rows of one statement with parameters."""
        with _translated():
            return [tuple(row) for row in await self.given.fetch(statement, *arguments)]

    async def change(self, statement: str, *arguments: Any) -> int:
        """Run one statement with parameters and return how many rows it changed."""
        with _translated():
            tag = await self.given.execute(statement, *arguments)
        return int(tag.rpartition(" ")[2])

    async def describe(self, statement: str) -> Sequence[tuple[str, str]]:
        """Return the name and the type of each column of the result of one statement."""
        with _translated(statement):
            prepared = await self.given.prepare(statement, name="")
        return [(each.name, each.type.name) for each in prepared.get_attributes()]

    @asynccontextmanager
    async def transaction(self, *, kept: bool) -> AsyncIterator[None]:
        """Open a transaction, or a savepoint in one."""
        transaction = self.given.transaction()
        with _translated():
            await transaction.start()
        done = False
        try:
            yield
            done = True
        finally:
            with _translated():
                await (transaction.commit() if done and kept else transaction.rollback())

    @property
    def is_closed(self) -> bool:
        """Whether the connection is of no more use."""
        try:
            return self.given.is_closed()
        except asyncpg.InterfaceError:
            return True  # a pool takes a connection back when it ends

    @property
    def is_in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self.given.is_in_transaction()

    @property
    def server_pid(self) -> int:
        """The process id that the server sent when the connection was made."""
        return self.given.get_server_pid()

    @asynccontextmanager
    async def endpoints(self) -> AsyncIterator[list[Endpoint]]:
        """Collect the endpoint of the connection."""
        endpoints: list[Endpoint] = []
        logged: list[Any] = []
        # asyncpg shows the parameters of a connection with the queries that it logs.
        with self.given.query_logger(logged.append):
            yield endpoints
            await asyncio.sleep(0)
        for each in logged:
            parameters = each.conn_params
            password = parameters.password
            if callable(password):
                password = password()
                if inspect.isawaitable(password):
                    password = await password
            mode = None if parameters.sslmode is None else parameters.sslmode.name.replace("_", "-")
            endpoints.append(
                Endpoint(*_host_and_port(each.conn_addr), parameters.user, parameters.database, password, mode)
            )

    async def reload_schema_state(self) -> None:
        """Discard asyncpg's cache of prepared statements."""
        with _translated():
            await self.given.reload_schema_state()

    async def close(self, *, limit: float) -> None:
        """End the connection with a goodbye."""
        with _translated():
            await self.given.close(timeout=limit)

    def terminate(self) -> None:
        """End the connection without a goodbye."""
        # A pool takes a connection back when it ends, and the lent proxy then raises.
        with suppress(asyncpg.InterfaceError):
            self.given.terminate()


def is_connection(given: object) -> TypeGuard[GivenConnection]:
    """Whether a value is a connection of asyncpg's, lent by a pool or not."""
    return isinstance(given, asyncpg.Connection | asyncpg.pool.PoolConnectionProxy)


def is_pool(given: object) -> TypeGuard[GivenPool]:
    """Whether a value is a pool of asyncpg's."""
    return isinstance(given, asyncpg.pool.Pool)


def place_of(given: GivenConnection | GivenPool) -> str | None:
    """Return host, port and name of the database of a caller's connection or pool, or None where they are not known.

    They are in no public attribute of asyncpg. OpenTelemetry's instrumentation of asyncpg reads the same ones.

    Args:
        given: A connection, or a pool, which knows its database once it has opened a connection.
    """
    holders = getattr(given, "_holders", ()) if is_pool(given) else ()
    for connection in [getattr(holder, "_con", None) for holder in holders] or [given]:
        address = getattr(connection, "_addr", None)
        database = getattr(getattr(connection, "_params", None), "database", None)
        if isinstance(address, str | tuple) and isinstance(database, str):
            host, port = _host_and_port(address)
            return f"[{host}]:{port}/{database}" if ":" in host else f"{host}:{port}/{database}"
    return None


def _host_and_port(address: str | tuple[Any, ...]) -> tuple[str, str]:
    """Return the host and the port of an address; of the path of a socket its folder, and the port in its name."""
    if isinstance(address, str):
        folder, _, name = address.rpartition("/")
        return folder, name.rpartition(".")[2]
    return str(address[0]), str(address[1])


async def connect(arguments: Mapping[str, Any], settings: Mapping[str, str]) -> AsyncpgConnection:
    """Open a connection.

    Args:
        arguments: The arguments of ``asyncpg.connect``.
        settings: Settings of the server, sent with the first message.

    Raises:
        ServerError: The server refuses.
        DriverError: asyncpg cannot use the arguments.
        OSError: No server can be reached.
        ValueError: asyncpg cannot read an argument.
    """
    with _translated():
        # No prepared statements, so that any pooler can be used.
        return AsyncpgConnection(
            await asyncpg.connect(**arguments, statement_cache_size=0, server_settings=dict(settings))
        )


async def acquire(pool: GivenPool) -> AsyncpgConnection:
    """Borrow a connection from a pool.

    Raises:
        ServerError: As ``connect()``.
        DriverError: As ``connect()``.
        OSError: As ``connect()``.
        ValueError: As ``connect()``.
    """
    with _translated():
        return AsyncpgConnection(await pool.acquire())


async def release(pool: GivenPool, connection: AsyncpgConnection, *, limit: float | None = None) -> None:
    """Give a connection back to its pool.

    Args:
        pool: The pool.
        connection: A connection of that pool.
        limit: Seconds after which TimeoutError is raised; None for no limit.
    """
    lent: Any = connection.given  # a pool lends a proxy
    with _translated():
        await pool.release(lent, timeout=limit)


def error_behind(error: BaseException) -> Exception | None:
    """Return the error of asyncpg's, or of the network, from which another library made its own; None without one.

    Args:
        error: The other library's error.
    """
    found: BaseException | None = error
    while found is not None:
        behind = found if isinstance(found, OSError) else _ours(found, None)
        if behind is not None:
            return behind
        found = found.__cause__
    return None


def condition(sqlstate: str | None) -> str:
    """Return the condition of a SQLSTATE in words (manual, appendix A)."""
    classes: Any = type(asyncpg.PostgresError)
    name = classes.get_message_class_for_sqlstate(sqlstate).__name__
    if name == "UnknownPostgresError":
        return "an error without a standard condition"
    if name in _CONDITIONS:
        return _CONDITIONS[name]
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.removesuffix("Error").replace("SQL", "Sql")).lower()


#: The errors of asyncpg's own.
_ASYNCPG = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


@contextmanager
def _translated(sql: str | None = None, running: Callable[[], str] | None = None) -> Iterator[None]:
    """Raise asyncpg's errors as the errors of ``kimbledb.server.driver``.

    Args:
        sql: The message that is sent, or None where errors quote no value of a row or of a script.
        running: Returns the transaction of the message that the server runs; None where the message holds one alone.
    """
    try:
        yield
    except _ASYNCPG as error:
        # A place is one in the whole message.
        is_unplaced = isinstance(error, asyncpg.PostgresError) and not error.position
        made = _ours(error, running() if running is not None and is_unplaced else sql)
        assert made is not None
        raise made from error


def _ours(error: BaseException, sql: str | None) -> ServerError | DriverError | None:
    """Return the error of ``kimbledb.server.driver`` for one of asyncpg's, or None for any other error.

    Args:
        error: The error.
        sql: As for ``_translated()``.
    """
    match error:
        case asyncpg.PostgresError():
            return _server_error(error, sql)
        case asyncpg.TargetServerAttributeNotMatched():
            return WrongServerError(str(error), driver_error=error)
        case asyncpg.InterfaceError():
            return MisuseError(str(error), driver_error=error)
        case asyncpg.InternalClientError():
            return DriverError(str(error), driver_error=error)
    return None


def _server_error(error: asyncpg.PostgresError, sql: str | None) -> ServerError:
    """Return the ServerError for an error of asyncpg's, and remove values and answers from asyncpg's error."""
    before = error.__cause__
    last_word = _server_error(before, sql) if isinstance(before, asyncpg.PostgresError) else None
    if sql is not None and error.constraint_name != queries.SIGNATURE:  # answers of our blocks hold no value
        from kimbledb.model.redaction import without_values  # only where a statement fails: 2 ms

        without_values(error, sql)
    made = ServerError(
        str(error.args[0] if error.args else error.message),
        sqlstate=error.sqlstate or "XX000",
        detail=error.detail,
        hint=error.hint,
        position=int(error.position) if error.position else None,
        context=error.context,
        table_name=error.table_name,
        column_name=error.column_name,
        constraint_name=error.constraint_name,
        source_function=error.server_source_function,
        last_word=last_word,
        driver_error=error,
    )
    if sql is not None:
        # The answer of a block, and the message that was sent, must not be printed.
        vars(error).update(detail=None, query=None)
    return made
