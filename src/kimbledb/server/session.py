"""One connection, spoken to in a way that every pooler understands.

All that kimbledb sends goes by PostgreSQL's simple protocol: several statements
in one message, one round trip, no prepared statement. asyncpg drops the rows of
such a message, and its extended protocol takes two round trips that a
transaction pooler may send to two servers; so answers come back as messages of
level INFO, which a server always delivers and (by default) does not log.

Each message opens its own transaction and pins its settings for it alone: nothing
stays on the connection. What a script leaves there is taken back with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import frozen

from kimbledb.errors import ConfigurationError, ConnectionLostError, PreflightError
from kimbledb.model.names import quote_array, quote_identifier, quote_literal
from kimbledb.server import queries
from kimbledb.server.drivers import Connection, DriverError, MisuseError, Notice, ServerError, own_code
from kimbledb.server.locks import LOCK_CLASS
from kimbledb.server.options import Options

#: SQLSTATEs of our own blocks. A script can raise them, too: :func:`own_code` tells whose one is.
TRANSACTION_ENDED = "KD003"
REACHED_OUTSIDE = "KD004"
VERIFICATION_FAILED = "KD005"
DATA_AT_STAKE = "KD006"
_UNSAFE_PATH = "KD007"
_READ_OTHERWISE = "KD009"
DISTURBED = "KD010"
INDEX_NOT_VALID = "KD012"
_PROCESS_ID = "KD104"
_BEFORE = "KD105"
#: What a script took away, as :func:`kimbledb.inspection.data_loss.measured` reads it.
MEASURED = "KD106"
_DEALLOCATED = "KD107"
_ANSWERS = frozenset({"KD100", "KD101", "KD102", "KD103", MEASURED})

#: Seconds after a call's deadline at which the server by itself ends what is left of it.
_BEYOND_DEADLINE = 1.0
#: The first statement of every transaction that writes.
BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;\n"

#: What the server reads a whole message by, before any statement of it runs.
_READING: Mapping[str, str] = {
    "standard_conforming_strings": "on",
    "backslash_quote": "safe_encoding",
    "client_encoding": "UTF8",
}
#: What values are read, printed and deparsed by, and what keeps our own blocks from being heard.
#: docs/design.md says which settings are the owner's and stay as they are.
PINNED: Mapping[str, str] = {
    **_READING,
    "array_nulls": "on",
    "bytea_output": "hex",
    "client_min_messages": "warning",
    "DateStyle": "ISO, MDY",
    "exit_on_error": "off",
    "extra_float_digits": "1",
    "gin_fuzzy_search_limit": "0",
    "IntervalStyle": "postgres",
    "jit": "off",
    "quote_all_identifiers": "off",
    # A table hidden by its policies gives an error and does not read as empty.
    "row_security": "off",
    # Only a superuser can have set another; foreign keys would not be checked.
    "session_replication_role": "origin",
    "transform_null_equals": "off",
    "xmlbinary": "base64",
    "xmloption": "content",
}
#: And for what we ask ourselves. A script is run in the time zone of the database: it is what
#: the timestamps without a zone mean that its rows hold.
_PINNED_FOR_QUESTIONS: Mapping[str, str] = {"TimeZone": "UTC"}
#: What bounds a transaction, by the options of the call.
_LIMITS = (
    "lock_timeout",
    "statement_timeout",
    "idle_in_transaction_session_timeout",
    "transaction_timeout",
    "client_connection_check_interval",
)

#: Bytes before the first row of a COPY in binary (manual, COPY, "Binary Format").
_COPY_HEADER = 19
#: Bytes of a row before the first value, and those that end the whole.
_ROW_HEADER, _COPY_TRAILER = 6, 2

#: What is raised when the server is gone, where it is no ServerError.
_NETWORK_ERRORS = (DriverError, OSError)
#: Classes of the errors with which a server ends a session (manual, appendix A), and of those that
#: may come from a pooler, or from a server that is broken.
ENDS_SESSION = ("25P", "57P")
_ENDS_CONNECTION = (*ENDS_SESSION, "08", "53", "58", "XX")


class NotJustNow(ConnectionLostError):
    """The server is there and takes nobody just now: it is starting, or has too many connections."""


@frozen
class Answer:
    """A value that one of our blocks sent."""

    code: str
    value: Any


class Session:
    """A connection in kimbledb's hands."""

    def __init__(self, connection: Connection, options: Options) -> None:
        self.connection = connection
        self.options = options
        #: The server's process that runs our transaction, known from its start on.
        #: Behind a pooler it is another one than the connection was told of.
        self.process_id: int | None = None
        #: What the blocks of the last message answered, and how many of its statements, and of its
        #: COMMITs, were completed, as far as it got.
        self.answered: list[Answer] = []
        self.completed = self.commits = 0
        #: What :meth:`transact` sent in one message with its second text, before it.
        self.prefix = ""
        #: What the session held when the transaction began, and what a rollback does not take back.
        self._before: Mapping[str, Any] | None = None
        #: Whether a script that failed took prepared statements along that the driver keeps.
        self._deallocated = False
        #: Takes what the server says beside the answers.
        self._heard: list[tuple[str, str]] | None = None
        #: Whether the server has begun to run what :meth:`transact` sent.
        self._began = False

    async def send(self, message: str, *, heard: list[tuple[str, str]] | None = None) -> list[Answer]:
        """Send statements in one message and return what their blocks answered.

        Args:
            message: The statements.
            heard: Takes what else the server says meanwhile: of each notice its SQLSTATE and its text.

        Raises:
            ServerError: The server refused; the transaction is rolled back.
            PreflightError: Strangers own or may make something where names would be looked up.
            ConnectionLostError: The server is gone; what became of the message is unknown.
        """
        answers = self.answered = []
        self._heard = heard
        try:
            # The limit that a caller's connection has for a command is not for
            # migrations; the deadline of the call is.
            try:
                await self.connection.execute(message, limit=self.options.deadline, listen=self._hear)
            finally:
                self.completed, self.commits = self.connection.completed, self.connection.commits
        except _NETWORK_ERRORS as error:
            raise self._lost(error) from error
        except ServerError as error:
            # A script can raise any SQLSTATE: whether the connection is lost, it says itself.
            if self.is_closed:
                raise self._lost(error) from error
            # The message opened a transaction, and its end was not reached.
            await self.roll_back()
            if own_code(error) == _UNSAFE_PATH:
                raise PreflightError(gaps_of(json.loads(error.detail or "[]"))) from error
            raise
        except BaseException:
            # Cancelled or interrupted. Whether the server got to the COMMIT is unknown;
            # nothing of this connection is to be relied on any more.
            self.terminate()
            raise
        return answers

    def _hear(self, notice: Notice) -> None:
        if own_code(notice) is None:
            # A script can raise whatever it likes.
            if self._heard is not None:
                self._heard.append((notice.sqlstate, notice.message))
        elif notice.sqlstate in _ANSWERS:
            self.answered.append(Answer(notice.sqlstate, json.loads(notice.message)))
        elif notice.sqlstate == _PROCESS_ID:
            self.process_id = int(notice.message)
        elif notice.sqlstate == _BEFORE:
            self._began, self._before = True, json.loads(notice.message)
        elif notice.sqlstate == _DEALLOCATED:
            self._deallocated = True

    async def transact(self, begin: str, rest: str) -> list[Answer]:
        """Send a transaction with somebody's script in it, to be read as it is written.

        The server reads all of a message before any setting in it holds. Where it would read
        it otherwise than we do, the settings go ahead in a message of their own: through a
        transaction pooler, too, the rest of a transaction goes where its beginning went.

        Args:
            begin: :data:`BEGIN` and :meth:`remember`.
            rest: What follows, up to the COMMIT.

        Raises:
            ServerError: As :meth:`send`; :attr:`prefix` helps to place it.
            PreflightError: As :meth:`send`.
            ConnectionLostError: As :meth:`send`.
        """
        check = queries.block("reading", wanted=quote_literal(json.dumps(_READING)))
        self._began, self.prefix = False, begin + check
        try:
            return await self.send(self.prefix + rest)
        except UnicodeEncodeError:
            pass  # the driver writes in the encoding that the connection has
        except ServerError as error:
            if self.is_closed or (self._began and own_code(error) != _READ_OTHERWISE):
                raise
            # None of it was run: it could not be read, or was read otherwise.
        await self.send(begin + pin(_READING))
        self.prefix = ""
        return await self.send(rest)

    def _lost(self, error: Exception) -> Exception:
        """Return what an error of the connection means, and end it where it is of no more use."""
        if isinstance(error, MisuseError) and not self.is_closed:
            return ConfigurationError(
                f"the connection cannot be used now: {first_line(error)}",
                hint="let nobody else use it during the call, or pass a DSN or a pool",
            )
        self.terminate()
        last = error.last_word if isinstance(error, ServerError) else None
        if last is not None and not last.sqlstate.startswith(_ENDS_CONNECTION):
            return last  # exit_on_error: the server ended the session after an error like any other
        return ConnectionLostError(f"the connection to the server was lost: {first_line(error)}")

    @property
    def is_closed(self) -> bool:
        """Whether the connection is of no more use."""
        return self.connection.is_closed

    def terminate(self) -> None:
        """End the connection without a goodbye; what it was doing may or may not be done."""
        self.connection.terminate()

    async def roll_back(self) -> None:
        """End the open transaction, if there is one; where that cannot be, end the connection."""
        if self.is_closed or not self.connection.is_in_transaction:
            return
        try:
            # In one message: behind a pooler the server's session is somebody else's right after the ROLLBACK.
            await self.connection.execute(
                "ROLLBACK;\n" + self._clearing(), limit=self.options.deadline, listen=self._hear
            )
            if self._deallocated:
                self._deallocated = False
                await self.connection.reload_schema_state()
        except (ServerError, *_NETWORK_ERRORS):
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
                its time is up in mid-answer the driver waits for the rest of it for ever.
            ConnectionLostError: The server is gone.
        """
        try:
            received = await self.connection.copy_out(query, limit=self.options.lock_timeout)
        except TimeoutError:  # the network's is one, too, and an OSError
            self.terminate()
            raise
        except (ServerError, *_NETWORK_ERRORS) as error:
            if isinstance(error, ServerError) and not self.is_closed:
                return None  # a closer look meets it again, and says what it means
            lost = self._lost(error)
            if isinstance(lost, ServerError):  # exit_on_error: that look takes another connection
                lost = ConnectionLostError(f"the server ended the session: {first_line(lost)}")
            raise lost from error
        except BaseException:
            # Cancelled: the rest of the answer may still come.
            self.terminate()
            raise
        text = received[_COPY_HEADER + _ROW_HEADER : -_COPY_TRAILER]
        return json.loads(text) if text else None

    async def ask(self, block: str, *, read_only: bool = True) -> Any:
        """Ask one question in a transaction of its own and return its answer.

        Args:
            block: The question, as a block.
            read_only: Whether it may not write.
        """
        mode = "READ ONLY" if read_only else "READ WRITE"
        settings = self.settings() + pin(_PINNED_FOR_QUESTIONS)
        [answer] = await self.send(f"BEGIN ISOLATION LEVEL READ COMMITTED {mode};\n{settings}{block}COMMIT;\n")
        return answer.value

    def settings(self, *, statement_timeout: float | None = None, for_session: bool = False) -> str:
        """Return the statements with which every transaction begins, before names are looked up.

        Args:
            statement_timeout: Seconds, or None for the options' value.
            for_session: Whether they are for the whole session, which must then be our own.
        """
        options = self.options
        timeout = options.statement_timeout if statement_timeout is None else statement_timeout
        # No call lasts longer than its deadline, which is the first to end what goes on for so long:
        # a client that is still there then is frozen, and its locks must end.
        latest = options.deadline + _BEYOND_DEADLINE
        limits = (
            milliseconds(options.lock_timeout),
            milliseconds(min(timeout, latest)),
            milliseconds(min(options.lock_timeout + timeout, latest)),
            0,  # a transaction is bounded by its statements and the deadline
            milliseconds(options.client_check_interval),
        )
        pins = {**PINNED, **{name: str(value) for name, value in zip(_LIMITS, limits, strict=True)}}
        return (
            self.path(for_session=for_session) + pin(pins, for_session=for_session) + durable(for_session=for_session)
        )

    @staticmethod
    def remember(named: Iterable[str] = ()) -> str:
        """Return the block that notes, right after BEGIN, what the session holds.

        Args:
            named: Settings that a script may change and the server does not list.
        """
        pinned = ("search_path", *PINNED, *_LIMITS, "synchronous_commit")
        return queries.block("remember", pinned=quote_array(pinned), named=quote_array(named))

    def recall(self) -> str:
        """Return the statement that gives :meth:`leaving` what :meth:`remember` noted in an earlier message."""
        return setting("kimbledb.server.session", self._before)

    @staticmethod
    def leaving() -> str:
        """Return the block that takes back, right before COMMIT, what a script left in the session."""
        return queries.block("leave", unlock=queries.text_of("unlock"), lock_class=str(LOCK_CLASS))

    def _clearing(self) -> str:
        """Return the block that takes back, after a ROLLBACK, what that leaves in the session."""
        if self._before is None:
            return ""
        before, self._before = self._before, None
        return queries.block("clear", before=quote_literal(json.dumps(before)), unlock=queries.text_of("unlock"))

    @staticmethod
    def path(schemas: Sequence[str] = (), *, for_session: bool = False) -> str:
        """Return the statement that sets where names are looked up.

        ``pg_temp`` comes last, so that nobody's temporary object stands for another.
        """
        return f"SET {'SESSION' if for_session else 'LOCAL'} search_path = {path_of(schemas)};\n"

    def guarded(self, schemas: Sequence[str], reached: Sequence[str] = (), *, for_session: bool = False) -> str:
        """Return the statements that set it to schemas, after making sure that nothing of a stranger's is there."""
        return f"DO {quote_literal(guard_of(schemas, reached))};\n" + self.path(schemas, for_session=for_session)


def path_of(schemas: Sequence[str] = ()) -> str:
    """Return the value of ``search_path`` for schemas; for none, the server's own."""
    return ", ".join([*map(quote_identifier, schemas or ("pg_catalog",)), "pg_temp"])


def guard_of(schemas: Sequence[str], reached: Sequence[str] = ()) -> str:
    """Return the body of a block that stops where what would be called in schemas is not of those whom we trust.

    Args:
        schemas: Where names are looked up.
        reached: The schemas that migrations say they reach: their owners are trusted as well.
    """
    return queries.filled(
        "guard_path",
        trusted=trusted(reached),
        schemas=quote_array(schemas),
        dangers=quote_literal(strangers_in(schemas, reached)),
    )


def strangers_in(schemas: Sequence[str], reached: Sequence[str] = ()) -> str:
    """Return the query that lists what strangers own or may make in schemas: object, reason, cure."""
    return queries.filled("strangers", trusted=trusted(reached), schemas=quote_array(schemas))


def trusted(reached: Sequence[str] = ()) -> str:
    """Return the query that gives the roles which are trusted."""
    return queries.filled("trusted", reached=quote_array(reached))


def gaps_of(dangers: Sequence[Sequence[str]]) -> list[tuple[str, str]]:
    """Return what :func:`strangers_in` lists as gaps, each with its cure."""
    return [(f"{thing} {reason}", cure) for thing, reason, cure in dangers]


def durable(*, for_session: bool = False) -> str:
    """Return the statement after which COMMIT waits for the disk, where a role, a database or a script has that off."""
    local = "false" if for_session else "true"
    return (
        f"SELECT pg_catalog.set_config('synchronous_commit', 'local', {local})"
        " WHERE pg_catalog.current_setting('synchronous_commit') OPERATOR(pg_catalog.=) 'off';\n"
    )


def pin(settings: Mapping[str, str], *, for_session: bool = False) -> str:
    """Return the statement that sets what is set otherwise, and what this server version has."""
    return queries.filled("pin", values=settings_values(settings), local=str(not for_session).lower()) + "\n"


def settings_values(settings: Mapping[str, str]) -> str:
    """Return settings as the rows of a VALUES."""
    return ", ".join(f"({quote_literal(name)}, {quote_literal(value)})" for name, value in settings.items())


def setting(name: str, value: object) -> str:
    """Return the statement that hands a value to our blocks, for this transaction only."""
    return f"SELECT pg_catalog.set_config({quote_literal(name)}, {quote_literal(json.dumps(value))}, true);\n"


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or its class where it has none."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def milliseconds(seconds: float) -> int:
    """Return a limit as PostgreSQL's settings take it."""
    # PostgreSQL keeps these settings as 32-bit integers of milliseconds; 0 would mean no limit.
    return min(2_147_483_647, max(1, round(seconds * 1000)))
