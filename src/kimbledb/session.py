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

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import asyncpg
from attrs import frozen

from kimbledb.errors import ConnectionLostError
from kimbledb.names import quote_identifier, quote_literal
from kimbledb.options import Options

#: SQLSTATEs of our own blocks (class KD is nobody else's).
LOCK_BUSY = "KD001"
HISTORY_MOVED = "KD002"
TRANSACTION_ENDED = "KD003"
REACHED_OUTSIDE = "KD004"
VERIFICATION_FAILED = "KD005"
DATA_AT_STAKE = "KD006"
_ANSWERS = frozenset({"KD100", "KD101", "KD102", "KD103"})

#: What asyncpg raises when the server is gone: not all of it is a PostgresError.
CONNECTION_ERRORS = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    OSError,
)


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

    async def send(self, message: str) -> list[Answer]:
        """Send statements in one message and return what their blocks answered.

        Raises:
            asyncpg.PostgresError: The server refused; the transaction is rolled back.
            ConnectionLostError: The server is gone; what became of the message is unknown.
        """
        answers: list[Answer] = []

        def listen(_connection: object, notice: Any) -> None:
            if notice.sqlstate in _ANSWERS:
                answers.append(Answer(notice.sqlstate, json.loads(notice.message)))

        connection = self.connection
        try:
            connection.add_log_listener(listen)
        except asyncpg.InterfaceError as error:
            raise ConnectionLostError(f"the connection is closed: {error}") from error
        try:
            await connection.execute(message)
        except CONNECTION_ERRORS as error:
            if isinstance(error, asyncpg.InterfaceError) and not connection.is_closed():
                raise  # a misuse of the connection, not its loss
            raise ConnectionLostError(f"the connection to the server was lost: {first_line(error)}") from error
        except asyncpg.PostgresError:
            # The message opened a transaction, and its end was not reached.
            await self._roll_back()
            raise
        except (asyncio.CancelledError, KeyboardInterrupt):
            # Whether the server got to the COMMIT is unknown; nothing of this
            # connection is to be relied on any more.
            connection.terminate()
            raise
        finally:
            if not connection.is_closed():
                connection.remove_log_listener(listen)
        return answers

    async def ask(self, block: str, *, path: Sequence[str] = (), read_only: bool = True) -> Any:
        """Ask one question in a transaction of its own and return its answer."""
        mode = "READ ONLY" if read_only else "READ WRITE"
        [answer] = await self.send(f"BEGIN {mode};\n{self.settings(path)}{block}COMMIT;\n")
        return answer.value

    def settings(self, path: Sequence[str] = (), *, statement_timeout: float | None = None) -> str:
        """Return the ``SET LOCAL`` statements with which every transaction begins.

        Args:
            path: The schemas to look names up in. ``pg_temp`` comes last, so that
                nobody's temporary object stands for another.
            statement_timeout: Seconds, or None for the options' value.
        """
        options = self.options
        timeout = options.statement_timeout if statement_timeout is None else statement_timeout
        return (
            self.path(path) + "SET LOCAL standard_conforming_strings = on;\n"
            # A table hidden by its policies gives an error and does not read as empty.
            "SET LOCAL row_security = off;\n"
            "SET LOCAL client_min_messages = warning;\n"
            "SET LOCAL jit = off;\n"
            f"SET LOCAL lock_timeout = {_milliseconds(options.lock_timeout)};\n"
            f"SET LOCAL statement_timeout = {_milliseconds(timeout)};\n"
            "SET LOCAL idle_in_transaction_session_timeout = "
            f"{_milliseconds(options.lock_timeout + options.statement_timeout)};\n"
            f"SET LOCAL client_connection_check_interval = {_milliseconds(options.client_check_interval)};\n"
        )

    @staticmethod
    def path(schemas: Sequence[str] = ()) -> str:
        """Return the statement that sets where names are looked up, for this transaction."""
        names = ", ".join([*map(quote_identifier, schemas or ("pg_catalog",)), "pg_temp"])
        return f"SET LOCAL search_path = {names};\n"

    async def _roll_back(self) -> None:
        try:
            await self.connection.execute("ROLLBACK")
        except (asyncpg.PostgresError, *CONNECTION_ERRORS):
            # The first error is the one to tell of; the connection is of no more use.
            self.connection.terminate()


def setting(name: str, value: object) -> str:
    """Return the statement that hands a value to our blocks, for this transaction only."""
    return f"SELECT pg_catalog.set_config({quote_literal(name)}, {quote_literal(json.dumps(value))}, true);\n"


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or its class where it has none."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def _milliseconds(seconds: float) -> int:
    # PostgreSQL keeps these settings as 32-bit integers of milliseconds; 0 would mean no limit.
    return min(2_147_483_647, max(1, round(seconds * 1000)))
