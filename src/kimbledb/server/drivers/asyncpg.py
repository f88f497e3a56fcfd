"""asyncpg: the one module that imports it.

It also looks at what the server sends on its way to asyncpg. An error that arises while a
statement runs names no place in the message. But the server says of each statement that
it is complete (manual, 55.2.2, "Multiple Statements in a Simple Query"), and asyncpg keeps
that to itself. To run the script once more, statement by statement, would do twice what
reaches outside of the transaction.
"""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

import asyncpg
import asyncpg.pool

from kimbledb.server import queries
from kimbledb.server.driver import DriverError, Endpoint, MisuseError, Notice, ServerError, WrongServerError

if TYPE_CHECKING:
    #: What users of asyncpg pass.
    GivenConnection: TypeAlias = asyncpg.Connection[Any] | asyncpg.pool.PoolConnectionProxy[Any]
    GivenPool: TypeAlias = asyncpg.pool.Pool[Any]
else:
    # The classes take no parameter at run time.
    GivenConnection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy
    GivenPool = asyncpg.pool.Pool

#: Where the names of asyncpg's classes are not the manual's conditions.
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
#: What the server says of statements after which something stays whatever comes: a COMMIT in a
#: transaction that had failed reads "ROLLBACK".
_COMMITS = (b"COMMIT\0", b"PREPARE TRANSACTION\0")


class _Completions(asyncio.Protocol):
    """Counts the statements that the server completes, and its COMMITs, and passes everything on."""

    def __init__(self, protocol: Any) -> None:
        self.count = 0
        self.commits = 0
        self._protocol = protocol
        self._header = b""
        #: Bytes of the present message that are still to come, and what came of it where it says what is complete.
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
                if not self._rest:
                    self.commits += self._tag in _COMMITS
                continue
            missing = _HEADER - len(self._header)
            self._header += data[position : position + missing]
            position += missing
            if len(self._header) == _HEADER:
                self._tag = b"" if self._header[0] == _COMMAND_COMPLETE else None
                self.count += self._tag is not None
                self._rest = int.from_bytes(self._header[_TYPE:]) - (_HEADER - _TYPE)
                self._header = b""


@contextmanager
def _counting(connection: GivenConnection) -> Iterator[_Completions]:
    """Count, as long as the block lasts, the statements that the server completes."""
    # asyncpg shows it to nobody; a version that keeps it elsewhere only costs the place of an error.
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
    """A connection of asyncpg's as a :class:`~kimbledb.server.drivers.Connection`."""

    def __init__(self, given: GivenConnection) -> None:
        self.given = given
        self.completed = self.commits = 0

    async def execute(
        self, message: str, *, limit: float | None = None, listen: Callable[[Notice], None] | None = None
    ) -> None:
        """Send statements in one message by the simple protocol."""

        def hear(_connection: GivenConnection, said: asyncpg.PostgresLogMessage) -> None:
            if listen is not None:
                listen(Notice(said.sqlstate, said.message, said.constraint_name))

        self.completed = self.commits = 0
        with _translated(message):
            self.given.add_log_listener(hear)
            try:
                with _counting(self.given) as completions:
                    try:
                        await self.given.execute(message, timeout=limit)
                    finally:
                        self.completed, self.commits = completions.count, completions.commits
            finally:
                if not self.is_closed:
                    self.given.remove_log_listener(hear)

    async def copy_out(self, query: str, *, limit: float | None = None) -> bytes:
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
            return True  # a pool takes the connections that end

    @property
    def is_in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self.given.is_in_transaction()

    @property
    def server_pid(self) -> int:
        """The process that the server named when the connection was made."""
        return self.given.get_server_pid()

    @asynccontextmanager
    async def observed(self) -> AsyncIterator[list[Endpoint]]:
        """Collect where the connection leads."""
        endpoints: list[Endpoint] = []
        told: list[Any] = []
        # What asyncpg tells of a connection, it tells with its queries.
        with self.given.query_logger(told.append):
            yield endpoints
            await asyncio.sleep(0)
        for each in told:
            parameters = each.conn_params
            password = parameters.password
            if callable(password):
                password = password()
                if inspect.isawaitable(password):
                    password = await password
            mode = None if parameters.sslmode is None else parameters.sslmode.name.replace("_", "-")
            endpoints.append(Endpoint(each.conn_addr, parameters.user, parameters.database, password, mode))

    async def reload_schema_state(self) -> None:
        """Forget the statements that asyncpg has prepared."""
        with _translated():
            await self.given.reload_schema_state()

    async def close(self, *, limit: float) -> None:
        """End the connection with a goodbye."""
        with _translated():
            await self.given.close(timeout=limit)

    def terminate(self) -> None:
        """End the connection without a goodbye."""
        # A pool takes the connections that end, and what it has lent refuses to be spoken to.
        with suppress(asyncpg.InterfaceError):
            self.given.terminate()


def is_connection(given: object) -> TypeGuard[GivenConnection]:
    """Whether something is a connection of asyncpg's, or one that a pool has lent."""
    return isinstance(given, asyncpg.Connection | asyncpg.pool.PoolConnectionProxy)


def is_pool(given: object) -> TypeGuard[GivenPool]:
    """Whether something is a pool of asyncpg's."""
    return isinstance(given, asyncpg.pool.Pool)


async def connect(arguments: Mapping[str, Any], settings: Mapping[str, str]) -> AsyncpgConnection:
    """Make a connection.

    Args:
        arguments: As ``asyncpg.connect`` takes them.
        settings: What the server is told with the first message.

    Raises:
        ServerError: The server refuses.
        DriverError: asyncpg cannot use the arguments.
        OSError: No server can be reached.
        ValueError: asyncpg cannot read an argument.
    """
    with _translated():
        # Nothing is prepared, so that any pooler can be between.
        return AsyncpgConnection(
            await asyncpg.connect(**arguments, statement_cache_size=0, server_settings=dict(settings))
        )


async def acquire(pool: GivenPool) -> AsyncpgConnection:
    """Borrow a connection from a pool. The errors are those of :func:`connect`."""
    with _translated():
        return AsyncpgConnection(await pool.acquire())


async def release(pool: GivenPool, connection: AsyncpgConnection, *, limit: float | None = None) -> None:
    """Give a connection back to its pool."""
    lent: Any = connection.given  # what a pool lends is a proxy
    with _translated():
        await pool.release(lent, timeout=limit)


def condition(sqlstate: str | None) -> str:
    """Return what a SQLSTATE means, in words."""
    classes: Any = type(asyncpg.PostgresError)
    name = classes.get_message_class_for_sqlstate(sqlstate).__name__
    if name == "UnknownPostgresError":
        return "an error of a kind of its own"
    if name in _CONDITIONS:
        return _CONDITIONS[name]
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.removesuffix("Error").replace("SQL", "Sql")).lower()


@contextmanager
def _translated(sql: str | None = None) -> Iterator[None]:
    """Raise what asyncpg raises in the words of :mod:`kimbledb.server.drivers`.

    Args:
        sql: What is sent, or None where errors quote no value of a row or of a script.
    """
    try:
        yield
    except asyncpg.PostgresError as error:
        raise _server_error(error, sql) from error
    except asyncpg.TargetServerAttributeNotMatched as error:
        raise WrongServerError(str(error), driver_error=error) from error
    except asyncpg.InterfaceError as error:
        raise MisuseError(str(error), driver_error=error) from error
    except asyncpg.InternalClientError as error:
        raise DriverError(str(error), driver_error=error) from error


def _server_error(error: asyncpg.PostgresError, sql: str | None) -> ServerError:
    """Make a ServerError of an error of asyncpg's, and take values and answers out of both."""
    before = error.__cause__
    last_word = _server_error(before, sql) if isinstance(before, asyncpg.PostgresError) else None
    if sql is not None and error.constraint_name != queries.SIGNATURE:  # answers of our blocks hold no value
        from kimbledb.model.redaction import without_values  # only where something fails

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
        # Nobody is to print the answer of a block, or the message that was sent.
        vars(error).update(detail=None, query=None)
    return made
