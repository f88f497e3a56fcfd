"""Passwords and row values are shown nowhere."""

from __future__ import annotations

import logging
import pickle
import re
import traceback
import warnings
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

import kimbledb
from kimbledb.targets import target_of

from .parts import sql

CANARY = "kanarienvogel"
#: As people write them: encoded as they must be, and not.
PASSWORDS = [
    CANARY,
    f"{CANARY}/x",
    f"{CANARY}#x",
    f"x@{CANARY}",
    f"{CANARY}?x",
    f"{CANARY}%x",
    f"{CANARY}:x",
    f"[{CANARY}",
]


def _everything(error: BaseException) -> str:
    """All that a log or a debugger would show of an error and of what led to it."""
    shown = ["".join(traceback.TracebackException.from_exception(error, capture_locals=False).format())]
    seen: BaseException | None = error
    while seen is not None:
        shown += [str(seen), repr(seen), repr(getattr(seen, "__dict__", ""))]
        seen = seen.__cause__ or seen.__context__
    if isinstance(error, kimbledb.KimbleDBError):
        copy = pickle.loads(pickle.dumps(error))  # noqa: S301
        assert str(copy) == str(error)
        shown += [repr(pickle.dumps(error)), str(copy)]
    return "\n".join(shown)


CALLS: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "migrate": kimbledb.migrate,
    "plan": kimbledb.plan,
    "verify": kimbledb.verify,
    "direct_dsn": lambda dsn: kimbledb.migrate(
        target_of("postgresql://u@127.0.0.1:1/d"), options=kimbledb.Options(direct_dsn=dsn)
    ),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("encoded", [True, False], ids=["encoded", "raw"])
@pytest.mark.parametrize("password", PASSWORDS)
async def test_a_password_is_shown_nowhere(
    server: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    password: str,
    encoded: bool,
    call: str,
) -> None:
    """A wrong password, however it is written, is in no error, cause, pickle, log, warning or output (faults 28, 29)."""
    place = urlsplit(server)
    dsn = f"postgresql://nobody:{quote(password, safe='') if encoded else password}@{place.hostname}:{place.port}/postgres"

    with (
        caplog.at_level(logging.DEBUG),
        warnings.catch_warnings(record=True) as warned,
        pytest.raises(kimbledb.KimbleDBError) as caught,
    ):
        await CALLS[call](dsn)

    output = capfd.readouterr()
    shown = (
        _everything(caught.value)
        + caplog.text
        + "".join(str(each.message) for each in warned)
        + output.out
        + output.err
    )
    assert CANARY not in shown
    if encoded and call != "direct_dsn":
        assert f"{place.hostname}:{place.port}/postgres" in str(caught.value)


async def test_what_is_returned_does_not_show_it(database: str, steps: Any) -> None:
    """Reports, plans, status, targets, options, history and log hold no password (faults 29)."""
    password = urlsplit(database).password
    assert password
    catalog = steps("a").catalog
    options = kimbledb.Options(direct_dsn=database)
    report = await kimbledb.migrate(database, catalog=catalog, options=options)
    status = await kimbledb.status(database, catalog=catalog)
    helper = kimbledb.Executor(database, catalog=catalog, options=options)

    shown = "".join(
        f"{each} {each!r} {getattr(each, '_repr_html_', str)()} {getattr(each, '__dict__', '')}"
        for each in (report, status, report.plan, options, helper, helper.target, target_of(database))
    )
    rows = await sql(database, "SELECT jsonb_agg(to_jsonb(h))::text FROM migration_history AS h")
    log = await sql(database, "SELECT jsonb_agg(to_jsonb(l))::text FROM migration_log AS l")

    assert password not in shown + rows + log


async def test_row_values_stay_out_of_history(database: str, folder: Any) -> None:
    """The value of a row that a failing statement met is in no history row, though the caller is told of it (faults 29)."""
    folder.add(1, "a", f"CREATE TABLE a (t text PRIMARY KEY);\nINSERT INTO a VALUES ('{CANARY}'), ('{CANARY}');\n")

    with pytest.raises(kimbledb.MigrationError) as caught:
        await kimbledb.migrate(database, catalog=folder.catalog)

    assert caught.value.sqlstate == "23505"
    assert CANARY in str(caught.value)  # in the line of the script that it shows
    rows = await sql(database, "SELECT jsonb_agg(to_jsonb(h))::text FROM migration_history AS h")
    log = await sql(database, "SELECT jsonb_agg(to_jsonb(l))::text FROM migration_log AS l")
    assert "duplicate key" in rows
    assert CANARY not in rows + log


@pytest.mark.parametrize(
    ("dsn", "said"),
    [
        ("localhost/app", "does not begin with postgresql://"),
        ("postgresql:/localhost/app", "does not begin with postgresql://"),
        ("mysql://localhost/app", "does not begin with postgresql://"),
        ("postgresql://localhost:port/app", "port or host that cannot be read"),
        ("", "does not begin with postgresql://"),
        (7, "an int is no target|a int is no target"),
    ],
)
async def test_a_wrong_dsn_is_read_strictly(dsn: Any, said: str) -> None:
    """What is no DSN is refused with how to write one, and nobody is connected to (faults 28)."""
    with pytest.raises(kimbledb.ConfigurationError, match=said) as caught:
        await kimbledb.migrate(dsn)

    assert re.search("write postgresql://user|pass a DSN", str(caught.value))


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("no-such-host.invalid", "the host's name is not known here|cannot be reached"),
        ("127.0.0.1:1", "cannot be reached"),
    ],
)
async def test_a_host_that_is_not_there(host: str, said: str) -> None:
    """A host that does not answer is named, with what to look at (faults 28)."""
    with pytest.raises(kimbledb.ConnectionLostError, match=said) as caught:
        await kimbledb.migrate(f"postgresql://u:{CANARY}@{host}/app", options=kimbledb.Options(deadline=20))

    assert host.partition(":")[0] in str(caught.value)
    assert CANARY not in _everything(caught.value)
