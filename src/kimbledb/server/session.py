"""One connection, used in a way that every pooler supports.

kimbledb sends everything by PostgreSQL's simple protocol: several statements
in one message, one round trip, no prepared statement. asyncpg drops the rows of
such a message, and its extended protocol takes two round trips that a
transaction pooler may send to two servers; so answers come back as messages of
level INFO, which a server always delivers and (by default) does not log.

Each message opens its own transaction and pins its settings for that transaction
alone: nothing stays on the connection. Changes that a script makes to the session are taken back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from kimbledb.errors import ConfigurationError, ConnectionLostError, PreflightError
from kimbledb.model.names import quote_array, quote_literal
from kimbledb.server import codes, queries
from kimbledb.server.codes import own_code
from kimbledb.server.driver import Connection, DriverError, MisuseError, Notice, ServerError, first_line
from kimbledb.server.locks import LOCK_CLASS
from kimbledb.server.options import Options
from kimbledb.server.search_path import gaps_of, guard_of, path_of
from kimbledb.server.settings import LEXING, LIMITS, PINNED, PINNED_FOR_QUESTIONS, durable, limits_of, pin, setting

#: The first statement of every transaction that writes.
BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;\n"

#: Bytes before the first row of a COPY in binary (manual, COPY, "Binary Format").
_COPY_HEADER = 19
#: Bytes of a row before the first value, and those that end the whole.
_ROW_HEADER, _COPY_TRAILER = 6, 2

#: The errors of a connection that is gone, ServerError aside.
_NETWORK_ERRORS = (DriverError, OSError)
#: Classes of the SQLSTATEs with which a server ends a session (manual, appendix A).
ENDS_SESSION = ("25P", "57P")
#: The same, and the classes that a pooler sends, or a broken server.
_ENDS_CONNECTION = (*ENDS_SESSION, "08", "53", "58", "XX")


class TemporarilyUnavailable(ConnectionLostError):
    """The server runs and accepts no connection now: it is starting, or has too many connections."""


class Answer(NamedTuple):
    """A value that one of our blocks sent."""

    code: str
    value: Any


class Unread(Exception):
    """The server ran nothing of a message of several transactions, since it could not read it as written.

    Attributes:
        position: The position in the message at which the server stopped, in characters, counted from 1; None where
            the message was read by other settings, or could not be encoded.
    """

    def __init__(self, position: int | None) -> None:
        super().__init__()
        self.position = position


class Session:
    """A connection that runs the messages of one piece of work."""

    def __init__(self, connection: Connection, options: Options) -> None:
        """Take over a connection.

        Args:
            connection: The connection. Nothing else may use it during the work.
            options: The options of the call.
        """
        self.connection = connection
        self.options = options
        #: The server's process that runs our transaction, known once the transaction has begun.
        #: Behind a pooler it is not the process whose id was sent when the connection was made.
        self.process_id: int | None = None
        #: The answers of the last message's blocks, as far as the message got.
        self.answered: list[Answer] = []
        #: The number of completed statements of the last message, and the number up to and with each of its COMMITs.
        self.completed = 0
        self.commits: Sequence[int] = ()
        #: The number of transactions of the last message the server has begun, of those that begin with ``remember()``.
        self.begun = 0
        #: The names of the settings that a script may change in it; none where the server was not asked for them.
        self.settable: Sequence[str] = ()
        #: The part of the message before the second argument of ``transact()``, where one message carried both.
        self.prefix = ""
        #: The state of the session before the transaction that a rollback does not restore.
        self._before: Mapping[str, Any] | None = None
        #: Whether a failed script deallocated prepared statements that the driver keeps.
        self._deallocated = False
        #: Collects the notices that are not answers.
        self._notices: list[tuple[str, str]] | None = None
        #: Called when the server begins a transaction of the message, as in ``begun``.
        self._on_begin: Callable[[], None] | None = None

    async def send(
        self,
        message: str,
        *,
        notices: list[tuple[str, str]] | None = None,
        on_begin: Callable[[], None] | None = None,
        starts: Sequence[int] = (),
    ) -> list[Answer]:
        """Send statements in one message and return the answers of their blocks.

        Args:
            message: The statements.
            notices: Collects the other notices that arrive meanwhile: SQLSTATE and text of each.
            on_begin: Called, while the message runs, when the server begins one of its transactions (``begun``).
            starts: Where each of several transactions begins in the message.

        Raises:
            ServerError: The server refused; the transaction is rolled back.
            PreflightError: Strangers own, or may create, objects on the search_path.
            ConnectionLostError: The connection is lost, and the outcome of the message is unknown.
        """
        answers = self.answered = []
        self._notices, self._on_begin, self.begun = notices, on_begin, 0
        try:
            # The command timeout of a caller's connection is not meant for
            # migrations; the deadline of the call is.
            try:
                await self.connection.execute(message, limit=self.options.deadline, listen=self._receive, starts=starts)
            finally:
                self.completed, self.commits = self.connection.completed, self.connection.commits
        except _NETWORK_ERRORS as error:
            raise self._lost(error) from error
        except ServerError as error:
            # A script can raise any SQLSTATE: the connection itself shows whether it is lost.
            if self.is_closed:
                raise self._lost(error) from error
            # The message opened a transaction, and the end of the message was not reached.
            await self.roll_back()
            if own_code(error) == codes.UNSAFE_PATH:
                raise PreflightError(gaps_of(json.loads(error.detail or "[]"))) from error
            raise
        except BaseException:
            # Cancelled or interrupted. Whether the server reached the COMMIT is unknown,
            # and the state of the connection is, too.
            self.terminate()
            raise
        return answers

    def _receive(self, notice: Notice) -> None:
        if own_code(notice) is None:
            # A script can raise any notice.
            if self._notices is not None:
                self._notices.append((notice.sqlstate, notice.message))
        elif notice.sqlstate in codes.ANSWERS:
            self.answered.append(Answer(notice.sqlstate, json.loads(notice.message)))
        elif notice.sqlstate == codes.PROCESS_ID:
            self.process_id = int(notice.message)
        elif notice.sqlstate == codes.BEFORE:
            self._before = json.loads(notice.message)
            self.begun += 1
            if self._on_begin is not None:
                self._on_begin()
        elif notice.sqlstate == codes.DEALLOCATED:
            self._deallocated = True

    async def transact(
        self, begin: str, rest: str, *, further: Sequence[int] = (), on_begin: Callable[[], None] | None = None
    ) -> list[Answer]:
        """Send transactions that hold somebody's scripts, so that the server lexes the scripts as written.

        The server lexes a whole message before any setting in the message takes effect. Where the
        session's settings would lex it differently, the settings go first, in a message of their own. This works
        through a transaction pooler, too: the pooler keeps an open transaction on one server, and so one transaction only.

        Args:
            begin: ``BEGIN`` and ``remember()``.
            rest: The rest of the transaction, up to the COMMIT, and further transactions.
            further: Where each further transaction begins in ``rest``: such settings would not apply to these.
            on_begin: As for ``send()``.

        Raises:
            Unread: The settings must go first, or a script has a fault of syntax, and there are several transactions.
            ServerError: As ``send()``; ``prefix`` helps to locate it.
            PreflightError: As ``send()``.
            ConnectionLostError: As ``send()``.
        """
        self.prefix = begin + self.reading()
        position: int | None = None
        try:
            starts = [0, *(len(self.prefix) + start for start in further)] if further else ()
            return await self.send(self.prefix + rest, on_begin=on_begin, starts=starts)
        except UnicodeEncodeError:
            pass  # the driver encodes the message in the encoding of the connection
        except ServerError as error:
            otherwise = own_code(error) == codes.READ_OTHERWISE
            if self.is_closed or (self.begun and not otherwise):
                raise
            # No statement ran: the server could not lex the message, or its settings were not the wanted ones.
            position = None if otherwise else error.position
        if further:
            raise Unread(position)
        await self.send(begin + pin(LEXING))
        self.prefix = ""
        return await self.send(rest)

    @staticmethod
    def reading() -> str:
        """Return the block that fails where the server reads the message by other settings than it was written for."""
        return queries.block("reading", wanted=quote_literal(json.dumps(LEXING)))

    def _lost(self, error: Exception) -> Exception:
        """Return the exception that an error of the connection means, and end a connection that is of no more use."""
        if isinstance(error, MisuseError) and not self.is_closed:
            return ConfigurationError(
                f"the connection cannot be used now: {first_line(error)}",
                hint="use the connection for nothing else during the call, or pass a DSN or a pool",
            )
        self.terminate()
        last = error.last_word if isinstance(error, ServerError) else None
        if last is not None and not last.sqlstate.startswith(_ENDS_CONNECTION):
            return last  # exit_on_error: the server ended the session after an ordinary error
        return ConnectionLostError(f"the connection to the server was lost: {first_line(error)}")

    @property
    def is_closed(self) -> bool:
        """Whether the connection is of no more use."""
        return self.connection.is_closed

    def terminate(self) -> None:
        """End the connection without a goodbye. The outcome of a message that is under way is unknown."""
        self.connection.terminate()

    async def roll_back(self) -> None:
        """End the open transaction, if there is one; where that fails, end the connection."""
        if self.is_closed:
            return
        # One message: behind a pooler the server's session belongs to another client right after the ROLLBACK.
        if self.connection.is_in_transaction:
            ending = "ROLLBACK;\n" + self._clearing()
        elif self._before is not None and self.process_id == self.connection.server_pid:
            ending = self._clearing()  # a loop has ended its transaction by itself
        else:
            return
        try:
            await self.connection.execute(ending, limit=self.options.deadline, listen=self._receive)
            if self._deallocated:
                self._deallocated = False
                await self.connection.reload_schema_state()
        except (ServerError, *_NETWORK_ERRORS):
            # The first error is the one to report; the connection is of no more use.
            self.terminate()
        except BaseException:
            # Cancelled before the answer: whether the transaction is open is unknown.
            self.terminate()
            raise

    async def read(self, query: str) -> Any:
        """Run one query that gives one text of JSON, alone, in one round trip, and return the value.

        The query goes as ``COPY ... TO STDOUT``: the driver keeps its rows under the simple protocol. No setting
        is pinned, so all names in the query must be qualified.

        Args:
            query: The query.

        Returns:
            The value, or None where there is none: no row, or a name that the server does not know.

        Raises:
            TimeoutError: The query took longer than the lock timeout. The connection is ended: after a timeout
                in mid-answer the driver would wait for the rest of the answer for ever.
            ConnectionLostError: The connection is lost.
        """
        try:
            received = await self.connection.copy_out(query, limit=self.options.lock_timeout)
        except TimeoutError:  # a network timeout, too, which is an OSError
            self.terminate()
            raise
        except (ServerError, *_NETWORK_ERRORS) as error:
            if isinstance(error, ServerError) and not self.is_closed:
                return None  # the closer look meets the same error, and explains it
            lost = self._lost(error)
            if isinstance(lost, ServerError):  # exit_on_error: the closer look takes another connection
                lost = ConnectionLostError(f"the server ended the session: {first_line(lost)}")
            raise lost from error
        except BaseException:
            # Cancelled: the rest of the answer may still arrive.
            self.terminate()
            raise
        text = received[_COPY_HEADER + _ROW_HEADER : -_COPY_TRAILER]
        return json.loads(text) if text else None

    async def ask(self, block: str, *, read_only: bool = True) -> Any:
        """Ask one question in a transaction of its own and return its answer.

        Args:
            block: The question, as a block.
            read_only: Whether the transaction is read-only.
        """
        [answer] = await self.ask_all([block], read_only=read_only)
        return answer

    async def ask_all(self, blocks: Iterable[str], *, read_only: bool = True) -> list[Any]:
        """Ask questions in one transaction and one message, and return the answer of each.

        Args:
            blocks: The questions, each as a block.
            read_only: Whether the transaction is read-only.
        """
        mode = "READ ONLY" if read_only else "READ WRITE"
        settings = self.settings() + pin(PINNED_FOR_QUESTIONS)
        answers = await self.send(f"BEGIN ISOLATION LEVEL READ COMMITTED {mode};\n{settings}{''.join(blocks)}COMMIT;\n")
        return [answer.value for answer in answers]

    def settings(self, *, statement_timeout: float | None = None, for_session: bool = False, waits: bool = True) -> str:
        """Return the statements that open every transaction, before the first name is looked up.

        Args:
            statement_timeout: Seconds, or None for the options' value.
            for_session: Whether the settings hold for the whole session, which must then be our own.
            waits: Whether COMMIT waits for the disk; the next one that does makes this one durable, too.
        """
        pinned = {**PINNED, **limits_of(self.options, statement_timeout)}
        if not waits:
            pinned["synchronous_commit"] = "off"
        path = self.path(for_session=for_session) + pin(pinned, for_session=for_session)
        return path + (durable(for_session=for_session) if waits else "")

    @staticmethod
    def remember(named: Iterable[str] = (), *, begun: bool = True) -> str:
        """Return the block that notes, right after BEGIN, the state of the session.

        Args:
            named: Settings that a script may change and that the server does not list.
            begun: Whether it sends the notice that the transaction has begun; else ``begun_block()`` does.
        """
        pinned = ("search_path", *PINNED, *LIMITS, "synchronous_commit")
        notice = queries.text_of("begun") if begun else ""
        return queries.block("remember", pinned=quote_array(pinned), named=quote_array(named), begun=notice)

    @staticmethod
    def begun_block() -> str:
        """Return the block that sends that notice, where ``remember()`` did not."""
        return queries.anonymous(f"BEGIN\n{queries.text_of('begun')}\nEND")

    def recall(self) -> str:
        """Return the statement that gives ``leaving()`` the state that ``remember()`` noted in an earlier message."""
        return setting("kimbledb.session", self._before)

    @staticmethod
    def leaving(*, brief: bool = False) -> str:
        """Return the block that restores, right before COMMIT, the state of the session after a script.

        Args:
            brief: Whether it fails with ``LOOK_CLOSER`` where there is more to restore than the search_path.
        """
        values = {"lock_class": str(LOCK_CLASS), "deallocated": queries.text_of("deallocated")}
        if brief:
            return queries.block("leave_briefly", closer=queries.filled("look_closer", what="'session'"), **values)
        return queries.block("leave", unlock=queries.text_of("unlock"), **values)

    def _clearing(self) -> str:
        """Return the block that restores, after a ROLLBACK, the state that the ROLLBACK did not restore."""
        if self._before is None:
            return ""
        before, self._before = self._before, None
        return queries.block("clear", before=quote_literal(json.dumps(before)), unlock=queries.text_of("unlock"))

    @staticmethod
    def path(schemas: Sequence[str] = (), *, for_session: bool = False) -> str:
        """Return the statement that sets the search_path.

        ``pg_temp`` comes last, so that no temporary object hides another.

        Args:
            schemas: The schemas; none for the server's own alone.
            for_session: Whether the path holds for the whole session, or for the transaction alone.
        """
        return f"SET {'SESSION' if for_session else 'LOCAL'} search_path = {path_of(schemas)};\n"

    def guarded(self, schemas: Sequence[str], reached: Sequence[str] = (), *, for_session: bool = False) -> str:
        """Return the statements that set the search_path, after a check that no stranger's object is on it.

        Args:
            schemas: The schemas.
            reached: The schemas that migrations declare to reach: the owners of these are trusted as well.
            for_session: Whether the path holds for the whole session, or for the transaction alone.
        """
        return f"DO {quote_literal(guard_of(schemas, reached))};\n" + self.path(schemas, for_session=for_session)
