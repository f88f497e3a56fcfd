from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context, ContextVar
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest

import kimbledb
from kimbledb.server import queries
from kimbledb.server.codes import own_code
from kimbledb.server.driver import DriverError, MisuseError, Notice, ServerError, WrongServerError, driver_errors
from kimbledb.server.drivers.asyncpg import AsyncpgConnection, place_of

CANARY = "kanarienvogel"


class Refusing:
    """A connection of asyncpg's that raises one error for all that it is asked."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def add_log_listener(self, _listener: object) -> None:
        pass

    remove_log_listener = add_log_listener

    def is_closed(self) -> bool:
        return False

    async def execute(self, _message: str, **_: object) -> None:
        raise self._error


class Elsewhere(Refusing):
    """A connection of asyncpg's that gives a notice in another context than that of the call, as a pool's may do."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[object, object], None]] = []

    def add_log_listener(self, listener: Any) -> None:
        self._listeners.append(listener)

    async def execute(self, _message: str, **_: object) -> None:
        notice = SimpleNamespace(sqlstate="00000", message="at 1", constraint_name=None)
        for each in self._listeners:
            Context().run(each, self, notice)

    remove_log_listener = Refusing.add_log_listener


def raised(error: Exception, message: str = "SELECT 1") -> Any:
    """Return what the driver raises where asyncpg raises an error."""
    given: Any = Refusing(error)
    with pytest.raises((ServerError, DriverError, OSError)) as caught:
        asyncio.run(AsyncpgConnection(given).execute(message))
    return caught.value


def from_server(**fields: str) -> asyncpg.PostgresError:
    """Return an error as asyncpg makes it of the fields that a server sends."""
    return asyncpg.PostgresError.new(fields, query=f"SELECT '{CANARY}'")


def test_an_error_of_the_server_keeps_its_fields() -> None:
    """All that places and explains an error is in the ServerError, and asyncpg's error is its cause."""
    original = from_server(C="42703", M='column "x" does not exist', P="8", H="look", R="errorMissingColumn")
    error = raised(original)

    assert isinstance(error, ServerError)
    assert (error.sqlstate, error.message, error.hint) == ("42703", 'column "x" does not exist', "look")
    assert (error.position, error.source_function) == (8, "errorMissingColumn")
    assert str(error) == 'column "x" does not exist\nHINT:  look'
    assert error.__cause__ is original


def test_values_are_in_neither_of_the_two_errors() -> None:
    """A value that the server quotes is taken out of the ServerError and of asyncpg's error below it."""
    original = from_server(C="22P02", M=f'invalid input syntax for type integer: "{CANARY}"', D=CANARY, W=CANARY)
    error = raised(original)

    assert 'invalid input syntax for type integer: "***"' in str(error)
    assert CANARY not in f"{error} {vars(error)} {error.args}"
    assert CANARY not in f"{original} {vars(original)} {original.args}"


def test_an_answer_is_for_the_program_alone() -> None:
    """The detail of an error of our own blocks is in the ServerError, and not in asyncpg's error below it."""
    original = from_server(C="KD001", M="busy", D=f'["{CANARY}"]', n=queries.SIGNATURE)
    error = raised(original)

    assert (own_code(error), error.detail) == ("KD001", f'["{CANARY}"]')
    assert CANARY not in f"{original} {vars(original)}"


def test_the_last_word_of_a_server_is_kept() -> None:
    """Where asyncpg says that a connection has ended, what the server said before that is kept, without values."""
    lost = asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
    lost.__cause__ = from_server(C="23505", M="duplicate key", D=CANARY)
    error = raised(lost)

    assert error.message == "connection was closed in the middle of operation"
    assert (error.last_word.sqlstate, error.last_word.detail) == ("23505", None)
    assert CANARY not in f"{vars(lost.__cause__)}"


@pytest.mark.parametrize(
    ("original", "kind"),
    [
        (asyncpg.InterfaceError("another operation is in progress"), MisuseError),
        (asyncpg.TargetServerAttributeNotMatched("no such host"), WrongServerError),
        (asyncpg.InternalClientError("unexpected message"), DriverError),
        (ConnectionResetError("reset by peer"), ConnectionResetError),
    ],
)
def test_an_error_of_the_client_is_told_apart(original: Exception, kind: type[Exception]) -> None:
    """The driver's own errors have words of their own; those of the network stay what they are."""
    error = raised(original)

    assert type(error) is kind
    assert str(error) == str(original)


def test_users_see_the_drivers_error_as_the_cause() -> None:
    """Where a call ends, the driver's error stands in place of the ServerError, as cause and as context."""
    original = from_server(C="42703", M='column "x" does not exist')

    @driver_errors()
    def call() -> None:
        try:
            raise raised(original)
        except ServerError as error:
            raise kimbledb.MigrationError("it failed") from error

    with pytest.raises(kimbledb.MigrationError) as caught:
        call()

    assert caught.value.__cause__ is original
    assert caught.value.__context__ is original
    assert original.__context__ is None


def test_users_see_the_drivers_error_below_other_errors() -> None:
    """The chain is looked through to its end, along causes and contexts, and what it hides stays hidden."""
    original = from_server(C="57P01", M="terminating connection")

    @driver_errors()
    def call() -> None:
        try:
            try:
                raise raised(original)
            except ServerError as error:
                raise kimbledb.ConnectionLostError("lost") from error
        except kimbledb.ConnectionLostError:
            raise TimeoutError  # noqa: B904 - as where the time is up meanwhile

    with pytest.raises(TimeoutError) as caught:
        call()

    lost = caught.value.__context__
    assert isinstance(lost, kimbledb.ConnectionLostError)
    assert lost.__cause__ is original
    assert not caught.value.__suppress_context__


@pytest.mark.parametrize(
    "original",
    [from_server(C="42501", M="permission denied"), asyncpg.InterfaceError("another operation is in progress")],
    ids=["server", "driver"],
)
def test_users_see_the_drivers_error_where_nothing_else_says_it(original: Exception) -> None:
    """An error that no operation gives a meaning to leaves the call as the driver raised it."""
    with pytest.raises(type(original)) as caught, driver_errors():
        raise raised(original)

    assert caught.value is original
    assert original.__cause__ is original.__context__ is None


def test_the_last_word_of_a_server_is_seen_as_the_driver_gave_it() -> None:
    """An error that ended the session, found below the loss of the connection, is the cause that users see."""
    before = from_server(C="42501", M="permission denied")
    lost = asyncpg.ConnectionDoesNotExistError("connection was closed")
    lost.__cause__ = before
    error = raised(lost)

    with pytest.raises(kimbledb.MigrationError) as caught, driver_errors():
        raise kimbledb.MigrationError("it failed") from error.last_word

    assert caught.value.__cause__ is before


@pytest.mark.parametrize(
    ("address", "place"),
    [
        (("db.example", 5432), "db.example:5432/shop"),
        (("::1", 5433, 0, 0), "[::1]:5433/shop"),
        ("/run/postgresql/.s.PGSQL.5432", "/run/postgresql:5432/shop"),
        (None, None),
    ],
)
def test_a_connection_shows_its_place(address: object, place: str | None) -> None:
    """The database of a caller's connection is named as that of a DSN, and not at all where asyncpg does not say."""
    given: Any = SimpleNamespace(_addr=address, _params=SimpleNamespace(database="shop"))

    assert place_of(given) == place


def test_a_notice_is_read_in_the_context_of_its_call() -> None:
    """What a notice sets off knows the call that sent the message, whoever opened the connection."""
    call: ContextVar[str] = ContextVar("call", default="unknown")
    heard: list[tuple[str, str]] = []

    def listen(notice: Notice) -> None:
        heard.append((call.get(), notice.message))

    async def work() -> None:
        call.set("migrate")
        given: Any = Elsewhere()
        await AsyncpgConnection(given).execute("SELECT 1", listen=listen)

    asyncio.run(work())

    assert heard == [("migrate", "at 1")]
