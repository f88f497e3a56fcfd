"""What the library needs of a database driver, in no driver's words.

One module of this package speaks to one driver: it gives connections that follow
:class:`Connection`, and raises what the driver raises as :class:`ServerError` or
:class:`DriverError`. Errors of the network stay what they are: an :class:`OSError`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, NamedTuple, Protocol

from kimbledb.server import queries


class Notice(NamedTuple):
    """A message that the server sends beside its answer."""

    sqlstate: str
    message: str
    constraint_name: str | None


class ServerError(Exception):
    """An error that the server reported.

    Values of rows and of the script are taken out of it and of the driver's error (:mod:`kimbledb.model.redaction`).
    Users never see it: :func:`driver_errors` puts the driver's error in its place.

    Attributes:
        sqlstate: Five characters; ``XX000`` where the driver gives none.
        message: The primary message.
        detail: The detail. Of an error of our own blocks it is an answer in JSON, for the program alone.
        hint: The server's hint.
        position: The number of a character of the message that was sent, counted from 1.
        context: The functions in which the error arose.
        table_name: The table that the error is about.
        column_name: The column that the error is about.
        constraint_name: The constraint that the error is about.
        source_function: The function of the server's source that raised the error: it does not
            depend on the server's language.
        last_word: The error that the server reported before the connection ended, where that
            end is what this error is about.
        driver_error: The driver's error of which this one was made.
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
        """Whether PL/pgSQL's RAISE made the error, and not the server: then its author chose the SQLSTATE."""
        return self.source_function == "exec_stmt_raise"


class DriverError(Exception):
    """An error of the driver itself, such as an answer that it does not understand.

    Attributes:
        driver_error: The driver's error of which this one was made.
    """

    def __init__(self, message: str, *, driver_error: Exception | None = None) -> None:
        super().__init__(message)
        self.driver_error = driver_error


class MisuseError(DriverError):
    """The driver refuses what it was asked for: the connection is closed or in use, or an argument is wrong.

    The text can quote a DSN.
    """


class WrongServerError(DriverError):
    """No server of those that the DSN names is of the kind that it asks for."""


class Endpoint(NamedTuple):
    """Where a connection leads."""

    #: Host and port, or the path of a socket.
    address: tuple[str, int] | str
    user: str
    database: str | None
    password: str | None
    sslmode: str | None


class Connection(Protocol):
    """A connection to a server.

    Every method that waits raises ServerError for what the server refuses, and DriverError or
    OSError where the connection cannot be used.
    """

    #: How many statements of the last message of :meth:`execute` were completed, and how many of its COMMITs.
    completed: int
    commits: int

    async def execute(
        self, message: str, *, limit: float | None = None, listen: Callable[[Notice], None] | None = None
    ) -> None:
        """Send statements in one message by the simple protocol.

        Args:
            message: The statements.
            limit: Seconds after which TimeoutError is raised.
            listen: Called with each notice that comes meanwhile.
        """

    async def copy_out(self, query: str, *, limit: float | None = None) -> bytes:
        """Return the rows of a query in the format of a binary COPY, in one round trip."""

    async def fetch(self, statement: str, *arguments: Any) -> Sequence[Sequence[Any]]:
        """Return the rows of one statement with parameters, by the extended protocol.

        The connection may keep a snapshot afterwards, and no transaction pooler may be between.
        """

    async def change(self, statement: str, *arguments: Any) -> int:
        """Run one statement with parameters, by the extended protocol, and return how many rows it changed."""

    def transaction(self, *, kept: bool) -> AbstractAsyncContextManager[None]:
        """Open a transaction, or a savepoint in one.

        Args:
            kept: Whether what was done in it stays at its end; it does not where an error ends it.
        """

    @property
    def is_closed(self) -> bool:
        """Whether the connection is of no more use."""

    @property
    def is_in_transaction(self) -> bool:
        """Whether a transaction is open, by what the server said last."""

    @property
    def server_pid(self) -> int:
        """The process that the server named when the connection was made: a pooler makes up a number."""

    def observed(self) -> AbstractAsyncContextManager[list[Endpoint]]:
        """Collect where the connection leads: one endpoint for each message that is sent in the block.

        The list is filled when the block ends.
        """

    async def reload_schema_state(self) -> None:
        """Forget the statements that the driver has prepared."""

    async def close(self, *, limit: float) -> None:
        """End the connection with a goodbye."""

    def terminate(self) -> None:
        """End the connection without a goodbye; a connection that has ended already is no error."""


def own_code(said: ServerError | Notice) -> str | None:
    """Return the SQLSTATE of an error or a notice that one of our own blocks raised, or None for any other."""
    return said.sqlstate if said.constraint_name == queries.SIGNATURE else None


@contextmanager
def driver_errors() -> Iterator[None]:
    """Let each error leave the block with the driver's error where ServerError or DriverError stands in its chain.

    Every public call does its work in such a block: users know the errors of their driver, and not those of this module.
    """
    try:
        yield
    except (ServerError, DriverError) as error:
        found = error.driver_error
        if found is None:
            raise
    except BaseException as error:
        # A cancellation has a chain, too.
        _put_driver_errors(error)
        raise
    else:
        return
    _put_driver_errors(found)
    context = found.__context__
    try:
        raise found
    finally:
        found.__context__ = context  # Python has put the error of this module there


def _put_driver_errors(error: BaseException) -> None:
    """Replace, in all that led to an error, the errors of this module by the driver's."""
    seen: set[int] = set()
    unseen = [error]
    while unseen:
        each = unseen.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        # To set __cause__ hides the context: only a cause that is there is replaced.
        if isinstance(each.__cause__, ServerError | DriverError):
            each.__cause__ = each.__cause__.driver_error
        if isinstance(each.__context__, ServerError | DriverError):
            each.__context__ = each.__context__.driver_error
        unseen += [led for led in (each.__cause__, each.__context__) if led is not None]
