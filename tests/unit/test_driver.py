from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from kimbledb.server import queries
from kimbledb.server.drivers import DriverError, MisuseError, ServerError, WrongServerError, own_code
from kimbledb.server.drivers.asyncpg import AsyncpgConnection

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
