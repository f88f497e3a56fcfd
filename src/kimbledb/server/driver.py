"""The protocol that a database driver follows, and the errors that it raises.

One module of ``kimbledb.server.drivers`` adapts one driver: it gives connections that follow
``Connection``, and raises the driver's errors as ``ServerError`` or
``DriverError``. Errors of the network stay an ``OSError``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, Protocol

# Plain classes: every start makes these, and a NamedTuple takes 0.2 ms to make.


class Notice:
    """A message that the server sends beside its answer."""

    def __init__(self, sqlstate: str, message: str, constraint_name: str | None) -> None:
        self.sqlstate = sqlstate
        self.message = message
        self.constraint_name = constraint_name


class ServerError(Exception):
    """An error that the server reported.

    Values of rows and of the script are removed from it and from the driver's error (``kimbledb.model.redaction``).
    Users never see a ServerError: ``driver_errors()`` puts the driver's error in its place.

    Attributes:
        sqlstate: Five characters; ``XX000`` where the driver gives none.
        message: The primary message.
        detail: The detail. The detail of an error of our own blocks is an answer in JSON, for the program alone.
        hint: The server's hint.
        position: The position of the error in the message that was sent, in characters, counted from 1.
        context: The stack of functions in which the error arose.
        table_name: The table that the error is about.
        column_name: The column that the error is about.
        constraint_name: The constraint that the error is about.
        source_function: The function of the server's source code that raised the error. Unlike the message
            it does not depend on the server's language.
        last_word: Where this error is the end of the connection: the last error that the server
            reported before that end, or None.
        driver_error: The driver's error from which this error was made.
    """

    def __init__(
        self,
        message: str,
        *,
        sqlstate: str = "XX000",
        detail: str | None = None,
        hint: str | None = None,
        position: int | None = None,
        context: str | None = None,
        table_name: str | None = None,
        column_name: str | None = None,
        constraint_name: str | None = None,
        source_function: str | None = None,
        last_word: ServerError | None = None,
        driver_error: Exception | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.sqlstate = sqlstate
        self.detail = detail
        self.hint = hint
        self.position = position
        self.context = context
        self.table_name = table_name
        self.column_name = column_name
        self.constraint_name = constraint_name
        self.source_function = source_function
        self.last_word = last_word
        self.driver_error = driver_error

    def __str__(self) -> str:
        more = (("DETAIL", self.detail), ("HINT", self.hint))
        return "\n".join([self.message, *(f"{name}:  {text}" for name, text in more if text)])

    @property
    def raised_by_script(self) -> bool:
        """Whether PL/pgSQL's RAISE raised the error, and not the server: then the script's author chose the SQLSTATE."""
        return self.source_function == "exec_stmt_raise"


class DriverError(Exception):
    """An error of the driver itself, such as an answer that it cannot parse.

    Attributes:
        driver_error: The driver's error from which this error was made.
    """

    def __init__(self, message: str, *, driver_error: Exception) -> None:
        super().__init__(message)
        self.driver_error = driver_error


class MisuseError(DriverError):
    """The driver refuses a call: the connection is closed or in use, or an argument is wrong.

    The text can quote a DSN.
    """


class WrongServerError(DriverError):
    """None of the DSN's hosts is a server of the kind that its target_session_attrs asks for."""


class Endpoint:
    """The server, role and database of a connection.

    Attributes:
        host: The host, or the folder of the socket.
        port: The port.
        user: The role.
        database: The database, or None for the one named like the role.
        password: The password, or None.
        sslmode: As in a DSN, or None.
    """

    def __init__(
        self,
        host: str,
        port: str,
        user: str,
        database: str | None,
        password: str | None,
        sslmode: str | None,
    ) -> None:
        self.host = host
        self.port = port
        self.user = user
        self.database = database
        self.password = password
        self.sslmode = sslmode


class Connection(Protocol):
    """A connection to a server.

    Every coroutine raises ServerError where the server refuses, and DriverError or
    OSError where the connection cannot be used.
    """

    #: The number of completed statements of the last message of ``execute()``.
    completed: int
    #: For each COMMIT of that message that was completed, how many statements were completed up to and with it.
    commits: Sequence[int]

    async def execute(
        self,
        message: str,
        *,
        limit: float | None = None,
        listen: Callable[[Notice], None] | None = None,
        starts: Sequence[int] = (),
    ) -> None:
        """Send statements in one message by the simple protocol.

        Args:
            message: The statements.
            limit: Seconds after which TimeoutError is raised; None for no limit.
            listen: Called with each notice that arrives meanwhile.
            starts: Where each transaction of several begins in the message: an error shows no name that only another
                one holds.
        """

    async def copy_out(self, query: str, *, limit: float) -> bytes:
        """Return the rows of a query in the format of a binary COPY, in one round trip.

        Args:
            query: The query.
            limit: Seconds after which TimeoutError is raised.
        """

    async def fetch(self, statement: str, *arguments: Any) -> Sequence[Sequence[Any]]:
        """Return the rows of one statement with parameters, by the extended protocol.

        The connection may keep a snapshot afterwards. It must not lead through a transaction pooler.

        Args:
            statement: The statement, with ``$1`` and so on for the parameters.
            arguments: The values of the parameters.
        """

    async def change(self, statement: str, *arguments: Any) -> int:
        """Run one statement with parameters, by the extended protocol, and return how many rows it changed.

        Args:
            statement: The statement, with ``$1`` and so on for the parameters.
            arguments: The values of the parameters.
        """

    async def describe(self, statement: str) -> Sequence[tuple[str, str]]:
        """Return the name and the type of each column of the result of one statement, which is prepared and not executed.

        Args:
            statement: The statement, with ``$1`` and so on for the parameters.
        """

    def transaction(self, *, kept: bool) -> AbstractAsyncContextManager[None]:
        """Open a transaction, or a savepoint in one.

        Args:
            kept: Whether the end of the block commits. An exception in the block rolls back in any case.
        """

    @property
    def is_closed(self) -> bool:
        """Whether the connection is of no more use."""

    @property
    def is_in_transaction(self) -> bool:
        """Whether a transaction is open, as the server's last message reports it."""

    @property
    def server_pid(self) -> int:
        """The process id that the server sent when the connection was made; a pooler makes up a number."""

    def endpoints(self) -> AbstractAsyncContextManager[list[Endpoint]]:
        """Collect the endpoint of the connection: one for each message that is sent in the block.

        The list is filled when the block ends.
        """

    async def reload_schema_state(self) -> None:
        """Discard the driver's cache of prepared statements."""

    async def close(self, *, limit: float) -> None:
        """End the connection with a goodbye.

        Args:
            limit: Seconds after which TimeoutError is raised.
        """

    def terminate(self) -> None:
        """End the connection without a goodbye. To end an ended connection is no error."""


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or its class where it has no text."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


@contextmanager
def driver_errors() -> Iterator[None]:
    """Replace ServerError and DriverError, in the chain of each error that leaves the block, by the driver's own error.

    Every public call works in such a block: users know the errors of their driver, and not those of this module.
    """
    try:
        yield
    except (ServerError, DriverError) as error:
        found = error.driver_error
        if found is None:
            raise
    except BaseException as error:
        # A cancellation has a chain, too.
        _replace_in_chain(error)
        raise
    else:
        return
    _replace_in_chain(found)
    context = found.__context__
    try:
        raise found
    finally:
        found.__context__ = context  # `raise` has set it to the error of this module


def _replace_in_chain(error: BaseException) -> None:
    """Replace the errors of this module by the driver's, along all causes and contexts of an error."""
    seen: set[int] = set()
    unseen = [error]
    while unseen:
        each = unseen.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        # To set __cause__ hides the context, so only an existing cause is replaced.
        if isinstance(each.__cause__, ServerError | DriverError):
            each.__cause__ = each.__cause__.driver_error
        if isinstance(each.__context__, ServerError | DriverError):
            each.__context__ = each.__context__.driver_error
        unseen += [linked for linked in (each.__cause__, each.__context__) if linked is not None]
