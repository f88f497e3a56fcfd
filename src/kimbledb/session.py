"""One connection, spoken to in a way that every pooler understands.

All that kimbledb sends goes by PostgreSQL's simple protocol: several statements
in one message, one round trip, no prepared statement. asyncpg drops the rows of
such a message, and its extended protocol takes two round trips that a
transaction pooler may send to two servers; so answers come back as messages of
level INFO, which a server always delivers and (by default) does not log.

Each message opens its own transaction and pins its settings with ``SET LOCAL``:
nothing stays on the connection.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import asyncpg
from attrs import frozen

from kimbledb import queries
from kimbledb.errors import ConfigurationError, ConnectionLostError, PreflightError
from kimbledb.names import quote_array, quote_identifier, quote_literal
from kimbledb.options import Options

#: SQLSTATEs of our own blocks (class KD is nobody else's).
LOCK_BUSY = "KD001"
HISTORY_MOVED = "KD002"
TRANSACTION_ENDED = "KD003"
REACHED_OUTSIDE = "KD004"
VERIFICATION_FAILED = "KD005"
DATA_AT_STAKE = "KD006"
_UNSAFE_PATH = "KD007"
_OUR_CLASS = "KD"
_PROCESS_ID = "KD104"
_MARK = "KD105"
#: What a script took away, as :func:`kimbledb.data_loss.measured` reads it.
MEASURED = "KD106"
_ANSWERS = frozenset({"KD100", "KD101", "KD102", "KD103", MEASURED})

#: Bytes before the first row of a COPY in binary (manual, COPY, "Binary Format").
_COPY_HEADER = 19
#: Bytes of a row before the first value, and those that end the whole.
_ROW_HEADER, _COPY_TRAILER = 6, 2

#: What asyncpg raises when the server is gone: not all of it is a PostgresError.
CONNECTION_ERRORS = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.DatabaseDroppedError,
    asyncpg.IdleSessionTimeoutError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.TransactionTimeoutError,
    OSError,
)


class NotJustNow(ConnectionLostError):
    """The server is there and takes nobody just now: it is starting, or has too many connections."""


@frozen
class Answer:
    """A value that one of our blocks sent."""

    code: str
    value: Any


class Session:
    """A connection in kimbledb's hands."""

    def __init__(self, connection: Any, options: Options) -> None:
        self.connection = connection
        self.options = options
        #: The server's process that runs our transaction, known from its start on.
        #: Behind a pooler it is another one than the connection was told of.
        self.process_id: int | None = None
        #: How far the server got in a message of several scripts (:func:`mark`).
        self.mark = 0

    async def send(self, message: str, *, heard: list[tuple[str, str]] | None = None) -> list[Answer]:
        """Send statements in one message and return what their blocks answered.

        Args:
            message: The statements.
            heard: Takes what else the server says meanwhile: of each notice its SQLSTATE and its text.

        Raises:
            asyncpg.PostgresError: The server refused; the transaction is rolled back. Values
                that it quoted are taken out (:mod:`kimbledb.redaction`).
            PreflightError: The schemas in which names would be looked up are not safe.
            ConnectionLostError: The server is gone; what became of the message is unknown.
        """
        answers: list[Answer] = []

        def listen(_connection: object, notice: Any) -> None:
            if notice.sqlstate in _ANSWERS:
                answers.append(Answer(notice.sqlstate, json.loads(notice.message)))
            elif notice.sqlstate == _PROCESS_ID:
                self.process_id = int(notice.message)
            elif notice.sqlstate == _MARK:
                self.mark = int(notice.message)
            elif heard is not None:
                heard.append((notice.sqlstate, notice.message))

        connection = self.connection
        try:
            connection.add_log_listener(listen)
        except asyncpg.InterfaceError as error:
            raise ConnectionLostError(f"the connection is closed: {error}") from error
        try:
            # The limit that a caller's connection has for a command is not for
            # migrations; the deadline of the call is.
            await connection.execute(message, timeout=self.options.deadline)
        except CONNECTION_ERRORS as error:
            _take_values_out(error, message)
            raise self._lost(error) from error
        except asyncpg.PostgresError as error:
            # The message opened a transaction, and its end was not reached.
            await self.roll_back()
            if error.sqlstate == _UNSAFE_PATH:
                raise PreflightError([(gap, cure) for gap, cure in json.loads(error.detail or "[]")]) from error
            _take_values_out(error, message)
            raise
        except BaseException:
            # Cancelled or interrupted. Whether the server got to the COMMIT is unknown;
            # nothing of this connection is to be relied on any more.
            self.terminate()
            raise
        finally:
            if not self.is_closed:
                connection.remove_log_listener(listen)
        return answers

    def _lost(self, error: Exception) -> ConfigurationError | ConnectionLostError:
        """Return what an error of the connection means, and end it where it is of no more use."""
        if isinstance(error, asyncpg.InterfaceError) and not self.is_closed:
            return ConfigurationError(
                f"the connection cannot be used now: {first_line(error)}",
                hint="let nobody else use it during the call, or pass a DSN or a pool",
            )
        self.terminate()
        return ConnectionLostError(f"the connection to the server was lost: {first_line(error)}")

    @property
    def is_closed(self) -> bool:
        """Whether the connection is of no more use."""
        try:
            return bool(self.connection.is_closed())
        except asyncpg.InterfaceError:
            return True  # a pool takes the connections that end

    def terminate(self) -> None:
        """End the connection without a goodbye; what it was doing may or may not be done."""
        terminate(self.connection)

    async def roll_back(self) -> None:
        """End the open transaction, if there is one; where that cannot be, end the connection."""
        if self.is_closed or not self.connection.is_in_transaction():
            return
        try:
            await self.connection.execute("ROLLBACK", timeout=self.options.deadline)
        except (asyncpg.PostgresError, *CONNECTION_ERRORS):
            # The first error is the one to tell of; the connection is of no more use.
            self.terminate()
        except BaseException:
            # Cancelled before the answer: whether the transaction is open is unknown.
            self.terminate()
            raise

    async def read(self, query: str) -> Any:
        """Run one query that gives one text of JSON, by itself, in one round trip, and return the value.

        It goes as ``COPY ... TO STDOUT``, whose rows the simple protocol keeps. No setting
        is pinned, so that all of its names must be qualified.

        Returns:
            The value, or None where there is none: no row, or a name that the server does not know.

        Raises:
            TimeoutError: It took longer than the lock timeout. The connection is ended: where
                its time is up in mid-answer asyncpg waits for the rest of it for ever.
            ConnectionLostError: The server is gone.
        """
        received = bytearray()

        async def receive(data: bytes) -> None:
            received.extend(data)

        connection = self.connection
        try:
            await connection.copy_from_query(query, output=receive, format="binary", timeout=self.options.lock_timeout)
        except TimeoutError:  # the network's is one, too, and an OSError
            self.terminate()
            raise
        except CONNECTION_ERRORS as error:
            raise self._lost(error) from error
        except asyncpg.PostgresError:
            return None  # a closer look meets it again, and says what it means
        except BaseException:
            # Cancelled: the rest of the answer may still come.
            self.terminate()
            raise
        text = received[_COPY_HEADER + _ROW_HEADER : -_COPY_TRAILER]
        return json.loads(text) if text else None

    async def ask(self, block: str, *, path: Sequence[str] = (), read_only: bool = True) -> Any:
        """Ask one question in a transaction of its own and return its answer.

        Args:
            block: The question, as a block.
            path: Schemas in which it looks names up, if it needs any; they must be safe.
            read_only: Whether it may not write.
        """
        mode = "READ ONLY" if read_only else "READ WRITE"
        guard = self.guarded(path) if path else ""
        [answer] = await self.send(
            f"BEGIN ISOLATION LEVEL READ COMMITTED {mode};\n{self.settings()}{guard}{block}COMMIT;\n"
        )
        return answer.value

    def settings(self, *, statement_timeout: float | None = None, for_session: bool = False) -> str:
        """Return the statements with which every transaction begins, before names are looked up.

        Args:
            statement_timeout: Seconds, or None for the options' value.
            for_session: Whether they are for the whole session, which must then be our own.
        """
        options = self.options
        timeout = options.statement_timeout if statement_timeout is None else statement_timeout
        scope, local = ("SESSION", "false") if for_session else ("LOCAL", "true")
        return (
            self.path(for_session=for_session) + f"SET {scope} standard_conforming_strings = on;\n"
            # A table hidden by its policies gives an error and does not read as empty.
            f"SET {scope} row_security = off;\n"
            + durable(for_session=for_session)
            + f"SET {scope} client_min_messages = warning;\n"
            f"SET {scope} jit = off;\n"
            f"SET {scope} lock_timeout = {milliseconds(options.lock_timeout)};\n"
            f"SET {scope} statement_timeout = {milliseconds(timeout)};\n"
            f"SET {scope} idle_in_transaction_session_timeout = {milliseconds(options.lock_timeout + timeout)};\n"
            # What not every version has. A transaction is bounded by its statements and the deadline.
            f"SELECT pg_catalog.set_config(name, value, {local}) FROM (VALUES ('transaction_timeout', '0'),"
            f" ('client_connection_check_interval', '{milliseconds(options.client_check_interval)}'))"
            " AS optional (name, value) WHERE pg_catalog.current_setting(name, true) IS NOT NULL;\n"
        )

    @staticmethod
    def path(schemas: Sequence[str] = (), *, for_session: bool = False) -> str:
        """Return the statement that sets where names are looked up.

        ``pg_temp`` comes last, so that nobody's temporary object stands for another.
        """
        names = ", ".join([*map(quote_identifier, schemas or ("pg_catalog",)), "pg_temp"])
        return f"SET {'SESSION' if for_session else 'LOCAL'} search_path = {names};\n"

    def guarded(self, schemas: Sequence[str], *, for_session: bool = False) -> str:
        """Return the statements that set it to schemas, after making sure that nobody has planted functions there."""
        dangers = queries.filled("unsafe", schemas=quote_array(schemas))
        return queries.block("guard_path", dangers=dangers) + self.path(schemas, for_session=for_session)


def durable(*, for_session: bool = False) -> str:
    """Return the statement after which COMMIT waits for the disk, where a role, a database or a script has that off."""
    local = "false" if for_session else "true"
    return (
        f"SELECT pg_catalog.set_config('synchronous_commit', 'local', {local})"
        " WHERE pg_catalog.current_setting('synchronous_commit') = 'off';\n"
    )


def _take_values_out(error: Exception, message: str) -> None:
    """Take out of an error of the server what can quote values of rows or of the script; answers of our blocks hold none."""
    if isinstance(error, asyncpg.PostgresError) and not (error.sqlstate or "").startswith(_OUR_CLASS):
        from kimbledb.redaction import without_values  # only where something fails

        without_values(error, message)


def terminate(connection: Any) -> None:
    """End a connection without a goodbye."""
    # A pool takes the connections that end, and what it has lent refuses to be spoken to.
    with suppress(asyncpg.InterfaceError):
        connection.terminate()


def setting(name: str, value: object) -> str:
    """Return the statement that hands a value to our blocks, for this transaction only."""
    return f"SELECT pg_catalog.set_config({quote_literal(name)}, {quote_literal(json.dumps(value))}, true);\n"


def mark(number: int) -> str:
    """Return the statement that tells how far a message of several scripts is, by :attr:`Session.mark`."""
    return queries.block("mark", number=str(number))


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or its class where it has none."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def milliseconds(seconds: float) -> int:
    """Return a limit as PostgreSQL's settings take it."""
    # PostgreSQL keeps these settings as 32-bit integers of milliseconds; 0 would mean no limit.
    return min(2_147_483_647, max(1, round(seconds * 1000)))
