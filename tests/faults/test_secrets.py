"""Passwords and row values are shown nowhere."""

from __future__ import annotations

import logging
import os
import pickle
import re
import traceback
import uuid
import warnings
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import asyncpg
import pytest

import kimbledb
from kimbledb.cli.main import main
from kimbledb.model.migration import Migration
from kimbledb.server.driver import DriverError, ServerError
from kimbledb.server.targets import target_of
from tests.support.databases import Clone, sql
from tests.support.folders import Folder, Steps

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
        assert not isinstance(seen, ServerError | DriverError), "the driver's own error is what users see"
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


async def test_a_pool_with_an_unreadable_dsn_shows_no_password(folder: Folder) -> None:
    """What asyncpg quotes of a DSN that it cannot read is in no error, nor in what led to it."""
    folder.table(1, "a")
    async with asyncpg.create_pool(f"postgresql://u:p@127.0.0.1:{CANARY}/d", min_size=0) as pool:
        with pytest.raises(kimbledb.ConfigurationError, match="cannot be read") as caught:
            await kimbledb.migrate(pool, catalog=folder.catalog)

    assert CANARY not in _everything(caught.value)


@pytest.mark.parametrize("dsn", [f"postgresql://u:{CANARY}@127.0.0.1:1/d", f"host=127.0.0.1 password = {CANARY}"])
@pytest.mark.parametrize("command", ["plan", "verify", "rollback", "restore", "new"])
def test_a_stray_dsn_on_the_command_line_is_not_printed(
    command: str, dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A DSN where a name is meant is answered with the option for it, and its password is not repeated."""
    with pytest.raises(SystemExit) as caught:
        main([command, dsn])

    output = capsys.readouterr()
    assert caught.value.code == 2
    assert "--dsn" in output.err
    assert CANARY not in output.out + output.err


async def test_a_failed_restore_shows_no_row(database: str, clone: Clone, tmp_path: Path) -> None:
    """What pg_restore says of the row at which it fails is not repeated."""
    connection = await asyncpg.connect(database)
    await connection.execute(
        "CREATE FUNCTION fits(t text) RETURNS boolean LANGUAGE plpgsql AS "
        "$$ BEGIN RETURN current_setting('search_path') <> '' OR 'no ' || t || ' here' = t::int::text; END $$;"
        f"CREATE TABLE a (t text CHECK (fits(t))); INSERT INTO a VALUES ('{CANARY}')"
    )
    await connection.close()
    await kimbledb.reset(
        database, confirm=database.rpartition("/")[2], allow_data_loss=True, backup=tmp_path / "backup"
    )
    copy = await clone("template0")

    with pytest.raises(kimbledb.BackupError, match="invalid input syntax for type integer") as caught:
        await kimbledb.restore(tmp_path / "backup", copy)

    assert CANARY not in _everything(caught.value)


async def test_what_is_returned_does_not_show_it(database: str, steps: Steps) -> None:
    """Reports, plans, status, targets, options, history and log hold no password (faults 29)."""
    password = urlsplit(database).password
    assert password
    catalog = steps("a").catalog
    options = kimbledb.Options(direct_dsn=database)
    report = await kimbledb.migrate(database, catalog=catalog, options=options)
    status = await kimbledb.status(database, catalog=catalog)
    helper = kimbledb.Executor(database, catalog=catalog, options=options)

    shown = "".join(
        f"{each} {each!r} {getattr(each, '_repr_html_', str)()} {getattr(each, 'as_dict', str)()} {getattr(each, '__dict__', '')}"
        for each in (report, status, report.plan, options, helper, helper.target, target_of(database))
    )
    rows = await sql(database, "SELECT jsonb_agg(to_jsonb(h))::text FROM migration_history AS h")
    log = await sql(database, "SELECT jsonb_agg(to_jsonb(l))::text FROM migration_log AS l")

    assert password not in shown + rows + log


#: Scripts that fail with a value of a row in the server's words, each with its SQLSTATE and what is told of it all the same.
LEAKS = {
    "duplicate": (
        f"CREATE TABLE a (t text PRIMARY KEY);\nINSERT INTO a VALUES ('{CANARY}'), ('{CANARY}');\n",
        "23505",
        "a_pkey",
    ),
    "wrong type": (
        f"CREATE TABLE a (t text);\nINSERT INTO a VALUES ('{CANARY}');\nALTER TABLE a ALTER t TYPE integer USING t::integer;\n",
        "22P02",
        "invalid input syntax for type integer",
    ),
    "enum": (f"CREATE TYPE e AS ENUM ('a');\nSELECT '{CANARY}'::text::e;\n", "22P02", "invalid input value for enum e"),
    "json": (f"SELECT ('{{\"a\": {CANARY}}}'::text)::jsonb;\n", "22P02", "invalid input syntax for type json"),
    "check": (
        f"CREATE TABLE a (t text CHECK (length(t) < 3));\nINSERT INTO a VALUES ('{CANARY}');\n",
        "23514",
        "a_t_check",
    ),
    "null": (f"CREATE TABLE a (t text, n integer NOT NULL);\nINSERT INTO a VALUES ('{CANARY}');\n", "23502", '"n"'),
    "raise": (
        (
            "CREATE TABLE a (t text);\n"
            f"INSERT INTO a VALUES ('{CANARY}');\n"
            "DO $$ DECLARE bad text; BEGIN SELECT t INTO bad FROM a; RAISE EXCEPTION 'the value % of % is no good', bad, 'a'"
            " USING DETAIL = bad, HINT = 'mend ' || bad, COLUMN = bad; END $$;\n"
        ),
        "P0001",
        "is no good",
    ),
    "raise of an object": (
        f"DO $$ BEGIN RAISE EXCEPTION 'no way because of %', 'policy p on table t: {CANARY}'; END $$;\n",
        "P0001",
        "no way because of policy p on table t: ***",
    ),
    "raise of a value alone": (
        f"DO $$ BEGIN RAISE EXCEPTION '%', '{CANARY}' USING ERRCODE = '42P01'; END $$;\n",
        "42P01",
        "the text of this RAISE is not shown",
    ),
    "assert": (f"DO $$ BEGIN ASSERT false, 'no ' || '{CANARY}'; END $$;\n", "P0004", "not shown"),
    "a code of ours": (
        f"DO $$ BEGIN RAISE EXCEPTION '%', '{CANARY}' USING ERRCODE = 'KD003', DETAIL = '{CANARY}'; END $$;\n",
        "KD003",
        "not shown",
    ),
    "search query": (
        f"SELECT to_tsquery(t) FROM (VALUES ('{CANARY} & &')) AS v (t);\n",
        "42601",
        "syntax error in tsquery",
    ),
    "path": (f"SELECT '$.a {CANARY} b'::jsonpath;\n", "42601", "syntax error"),
    "taken for a name": (f"SELECT t::regclass FROM (VALUES ('{CANARY}'::text)) AS v (t);\n", "42P01", "does not exist"),
    "unterminated": (f"SELECT 1;\nSELECT '{CANARY};\n", "42601", "syntax error"),
    "closed too early": (f"SELECT 'it's {CANARY}';\n", "42601", "syntax error"),
    "closed before a space": (f"SELECT 'the boys' my {CANARY}';\n", "42601", "syntax error"),
    "no quotes": (f"CREATE ROLE nobody_{CANARY[:3]} PASSWORD {CANARY};\n", "42601", "syntax error"),
    "password": (f"CREATE ROLE postgres PASSWORD '{CANARY}';\n", "42710", "already exists"),
    "over lines": (f"SELECT missing, 'a\n{CANARY}' AS x, no_such_column, '\n{CANARY}';\n", "42703", "missing"),
    "parameter": (
        f"SELECT set_config('work_mem', '{CANARY}', true);\n",
        "22023",
        'invalid value for parameter "work_mem"',
    ),
    "comment": (f"SELECT no_such_column; -- the key is {CANARY}\n", "42703", "no_such_column"),
    "in a function": (
        (
            "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $f$\n"
            f"BEGIN PERFORM '{CANARY}'::text::integer; END $f$;\nSELECT f();\n"
        ),
        "22P02",
        "PL/pgSQL function",
    ),
}


@pytest.mark.parametrize("kind", LEAKS)
async def test_values_are_nowhere(database: str, folder: Folder, caplog: pytest.LogCaptureFixture, kind: str) -> None:
    """A value that a failing script met or wrote is in no error, cause, traceback, pickle, log or row of history (faults 29)."""
    script, sqlstate, said = LEAKS[kind]
    folder.add(1, "a", script)

    with caplog.at_level(logging.DEBUG), pytest.raises(kimbledb.MigrationError) as caught:
        await kimbledb.migrate(database, catalog=_unread(folder))

    assert sqlstate == caught.value.sqlstate
    assert said in str(caught.value)
    rows = await _recorded(database)
    assert sqlstate in rows
    assert "apply.sql" in rows
    assert CANARY not in rows
    assert CANARY not in _everything(caught.value) + caplog.text + str(caught.value.statement)


async def _recorded(database: str) -> str:
    rows = await sql(database, "SELECT jsonb_agg(to_jsonb(h))::text FROM migration_history AS h")
    log = await sql(database, "SELECT jsonb_agg(to_jsonb(l))::text FROM migration_log AS l")
    return str(rows) + str(log)


def _unread(folder: Folder) -> kimbledb.Catalog:
    """Return the catalog of a folder whose scripts may be what reading would refuse."""
    migrations = []
    for place, path in enumerate(sorted(folder.path.iterdir()), 1):
        migrations.append(
            Migration(
                name=f"{path.name.partition('_')[2]}.sql",
                number=place,
                location=str(path),
                apply_sql=(path / "apply.sql").read_text(),
                rollback_sql=(path / "rollback.sql").read_text(),
            )
        )
    return kimbledb.Catalog(migrations)


async def test_a_failed_rollback_shows_no_value(
    database: str, folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    """What holds for a script that applies holds for one that takes back."""
    folder.add(
        1,
        "a",
        f"CREATE TABLE a (t text);\nINSERT INTO a VALUES ('{CANARY}');\n",
        rollback="ALTER TABLE a ALTER t TYPE integer USING t::integer;\nDROP TABLE a;\n",
    )
    await kimbledb.migrate(database, catalog=folder.catalog)

    with caplog.at_level(logging.DEBUG), pytest.raises(kimbledb.RollbackError) as caught:
        await kimbledb.rollback(database, 1, catalog=folder.catalog, allow_data_loss=True)

    assert CANARY not in await _recorded(database) + _everything(caught.value) + caplog.text


async def test_a_failed_statement_outside_of_transactions_shows_no_value(
    database: str, folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    """What holds for a transaction holds for statements that run by themselves, and for what is told of them."""
    folder.add(
        1,
        "a",
        f"CREATE TABLE a (t text);\nINSERT INTO a VALUES ('{CANARY}'), ('{CANARY}');\n"
        "CREATE UNIQUE INDEX CONCURRENTLY a_t ON a (t);\n",
        facts="transactional = false\n",
    )
    told: list[str] = []

    with caplog.at_level(logging.DEBUG), pytest.raises(kimbledb.MigrationError) as caught:
        await kimbledb.migrate(database, catalog=folder.catalog, progress=lambda event: told.append(str(event)))

    assert caught.value.sqlstate == "23505"
    assert any("INSERT INTO a VALUES ('***')" in each for each in told)
    assert CANARY not in await _recorded(database) + _everything(caught.value) + caplog.text + "".join(told)


async def test_rows_that_a_check_reads_stay_on_the_server(database: str, folder: Folder) -> None:
    """A query that need only run is counted: its rows are in no message, report, repr or pickle; a check sends what it says."""
    folder.add(
        1,
        "a",
        f"CREATE TABLE a (token text, n integer);\nINSERT INTO a VALUES ('{CANARY}', 1), ('{CANARY}', 2);\n",
        verify="-- name: tokens runs\nSELECT token, token AS found FROM a;\n"
        "-- name: beside\nSELECT count(*) = 2 AS passed, '2' AS expected, count(*) || ' rows' AS found, min(token) AS token FROM a",
    )
    connection = await asyncpg.connect(database)
    messages: list[str] = []
    connection.add_log_listener(lambda _, message: messages.append(f"{message} {message.as_dict()}"))

    report = await kimbledb.migrate(connection, catalog=folder.catalog)
    verified = await kimbledb.verify(connection, catalog=folder.catalog, only=1)
    await connection.close()

    assert [check.found for check in verified.checks] == ["2 rows", "2 rows"]
    assert messages
    assert CANARY not in "".join(messages)
    assert CANARY.encode() not in pickle.dumps(verified) + pickle.dumps(report)
    assert CANARY not in f"{report!r} {report.verification!r} {verified!r}"


def _log_of(process_id: int) -> Path:
    """Return the log of the embedded server: it lies beside the data, in which the server runs."""
    return Path(f"/proc/{process_id}/cwd").resolve().with_name("server.log")


async def test_no_token_is_in_the_log_of_the_server(migrated_database: str) -> None:
    """The built-in checks write no token into the server's log, even where it keeps all that is sent to clients."""
    mark = f"begin of {migrated_database[-20:]}"
    token = uuid.uuid4().hex  # other tests write into the same log
    connection = await asyncpg.connect(migrated_database)
    await connection.execute(
        f"ALTER DATABASE {urlsplit(migrated_database).path[1:]} SET log_min_messages = 'info';"
        "INSERT INTO users (id, email) VALUES ('u', 'u@example.org');"
        f"INSERT INTO user_tokens (user_id, email, provider, access_token) VALUES ('u', 'u@example.org', 'google', '{token}');"
        f"DO $$ BEGIN RAISE LOG '{mark}'; END $$"
    )
    log = _log_of(await connection.fetchval("SELECT pg_backend_pid()"))
    await connection.close()
    if not os.access(log, os.R_OK):
        pytest.skip("the log of this server cannot be read from here")

    report = await kimbledb.verify(migrated_database)

    written = log.read_text(errors="replace").rpartition(mark)[2]
    assert "documented_query" in written  # what the checks found is there
    assert token not in written
    assert "1 rows" in [check.found for check in report.checks]
    assert token.encode() not in pickle.dumps(report)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (f"SELECT '{CANARY}'::text::integer = 1 AS passed", "invalid text representation"),
        ("SELECT no_such_column AS passed", 'column "no_such_column" does not exist'),
        ("SELECT reveal() AS passed", "raise"),
    ],
)
async def test_an_error_in_a_check_quotes_no_value(
    database: str, folder: Folder, caplog: pytest.LogCaptureFixture, query: str, said: str
) -> None:
    """Of an error in a check the condition is told, and the server's words where they name objects only."""
    folder.add(
        1,
        "a",
        f"CREATE FUNCTION reveal() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '%', '{CANARY}'; END $$;\n",
        verify=f"-- name: fails\n{query}",
    )

    with caplog.at_level(logging.DEBUG), pytest.raises(kimbledb.VerificationError, match=said) as caught:
        await kimbledb.migrate(database, catalog=folder.catalog)

    assert CANARY not in await _recorded(database) + _everything(caught.value) + caplog.text


async def test_a_query_of_somebody_else_is_shown_masked(database: str, folder: Folder) -> None:
    """Of who blocks a migration the query is told, its strings, numbers and comments masked."""
    folder.add(1, "a", "CREATE TABLE IF NOT EXISTS a (t text);\nALTER TABLE a ADD COLUMN IF NOT EXISTS n integer;\n")
    blocker = await asyncpg.connect(database)
    await blocker.execute("CREATE TABLE a (t text)")
    await kimbledb.adopt(database, catalog=folder.catalog)
    await blocker.execute("BEGIN")
    await blocker.execute(f"LOCK TABLE a; SELECT '{CANARY}', 4711 /* {CANARY} */")

    with pytest.raises((kimbledb.LockUnavailableError, kimbledb.DeadlineExceededError)) as caught:
        await kimbledb.migrate(
            database, catalog=folder.catalog, options=kimbledb.Options(lock_timeout=3, attempts=1, deadline=30)
        )
    await blocker.close()

    assert "LOCK TABLE a; SELECT '***', *** /*****/" in str(caught.value)
    assert CANARY not in _everything(caught.value)
    assert "4711" not in _everything(caught.value)


@pytest.mark.parametrize(
    ("dsn", "said"),
    [
        ("localhost/app", "does not begin with postgresql://"),
        ("postgresql:/localhost/app", "does not begin with postgresql://"),
        ("mysql://localhost/app", "does not begin with postgresql://"),
        ("postgresql://localhost:port/app", "unreadable port or host"),
        ("", "does not begin with postgresql://"),
        (7, "expected a DSN, a connection, a pool or an engine, got int"),
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
