"""Behind a pooler that lends each transaction another session."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

import kimbledb
from kimbledb.server.targets import kept
from tests.support.databases import fresh_database, sql
from tests.support.folders import Folder, Steps, names
from tests.support.invariant import OPTIONS, drained, nothing_left
from tests.support.programs import pgbouncer

#: What a session shows that nobody has set anything in.
SHOWN = (
    "SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_settings WHERE source = 'session' "
    "AND name NOT IN ('application_name', 'client_encoding')"
)


@pytest.fixture
async def behind(server: str) -> AsyncIterator[tuple[str, str]]:
    """A fresh database through PgBouncer with one server connection, and the same past it."""
    async with fresh_database(server) as direct:
        with pgbouncer(server, pool_size=1) as pooler:
            yield f"{pooler.rpartition('/')[0]}/{direct.rpartition('/')[2]}", direct


@asynccontextmanager
async def _target(kind: str, dsn: str) -> AsyncIterator[Any]:
    """A target of each kind, as a caller has it who thinks of no pooler: asyncpg's defaults, statement cache on."""
    if kind == "dsn":
        yield dsn
    elif kind == "kept":
        async with kept(dsn) as target:
            yield target
    elif kind == "connection":
        connection = await asyncpg.connect(dsn)
        try:
            yield connection
        finally:
            await connection.close()
    else:
        async with asyncpg.create_pool(dsn, min_size=1, max_size=4) as pool:
            yield pool


@pytest.mark.parametrize("kind", ["dsn", "kept", "connection", "pool"])
async def test_every_call_works(behind: tuple[str, str], steps: Steps, kind: str) -> None:
    """Every call works through a transaction pooler with whatever a caller hands in, and prepares nothing (faults 23, 24, 25)."""
    through, direct = behind
    catalog = steps("a", "b", "c").catalog

    async with _target(kind, through) as target:
        assert len((await kimbledb.plan(target, catalog=catalog)).pending) == 3
        assert names((await kimbledb.migrate(target, catalog=catalog, options=OPTIONS)).applied) == [
            "a.sql",
            "b.sql",
            "c.sql",
        ]
        assert (await kimbledb.migrate(target, catalog=catalog)).applied == ()
        assert (await kimbledb.verify(target, catalog=catalog)).ok
        assert (await kimbledb.status(target, catalog=catalog)).log
        back = await kimbledb.rollback(target, "c.sql", catalog=catalog, allow_data_loss=True)
        assert names(back.rolled_back) == ["c.sql"]

    # The one session that served all of it, lent to a neighbour.
    assert await _through_the_simple_protocol(through, "SELECT count(*) FROM pg_prepared_statements") == "0"
    assert await _through_the_simple_protocol(through, SHOWN) == ""
    await nothing_left(direct)


@pytest.mark.parametrize("how", ["refused by the server", "a failed check", "cut short"])
async def test_what_fails_leaves_no_setting(behind: tuple[str, str], folder: Folder, how: str) -> None:
    """A step that fails leaves the pooler's session as it was, for the neighbour who gets it next (faults 25)."""
    through, direct = behind
    script = "SET LOCAL work_mem = '9MB'; " + ("SELECT 1 / 0;" if how == "refused by the server" else "SELECT 1;")
    verify = f"-- name: check\nSELECT {'false' if how == 'a failed check' else 'true'} AS passed"
    folder.add(1, "a", script if how != "cut short" else "SELECT pg_sleep(30);", verify=verify)

    with pytest.raises(kimbledb.MigrationError if how != "cut short" else kimbledb.DeadlineExceededError):
        await kimbledb.migrate(
            through,
            catalog=folder.catalog,
            options=kimbledb.Options(deadline=1.0 if how == "cut short" else 30, client_check_interval=0.2),
        )

    assert await _through_the_simple_protocol(through, SHOWN) == ""
    await drained(direct, busy=True)
    await nothing_left(direct)


async def test_a_step_that_needs_a_session(behind: tuple[str, str], steps: Steps) -> None:
    """A step that cannot run in a transaction is refused with the cure, and takes the direct DSN where there is one (faults 23)."""
    through, direct = behind
    folder = steps("a")
    folder.add(
        2,
        "b",
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS b ON a (n);",
        facts='transactional = false\nrequires = ["a.sql"]',
        rollback="DROP INDEX b;",
    )

    with pytest.raises(kimbledb.ConfigurationError, match="a pooler is between") as caught:
        await kimbledb.migrate(through, catalog=folder.catalog)
    assert "direct_dsn" in str(caught.value)
    report = await kimbledb.migrate(through, catalog=folder.catalog, options=kimbledb.Options(direct_dsn=direct))

    assert names(report.applied) == ["b.sql"]
    assert await sql(direct, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'b'::regclass")
    assert (await kimbledb.migrate(through, catalog=folder.catalog)).applied == ()
    await drained(direct, busy=True)
    await nothing_left(direct)


async def _through_the_simple_protocol(dsn: str, query: str) -> str:
    """Ask something of the pooler's session without preparing anything: the answer comes as a notice."""
    connection = await asyncpg.connect(dsn)
    said: list[str] = []
    connection.add_log_listener(lambda _, notice: said.append(notice.message))
    try:
        await connection.execute(f"DO $$ BEGIN RAISE WARNING '%', coalesce(({query})::text, ''); END $$")
    finally:
        await connection.close()
    [answer] = said
    return answer


LEFT = """
SELECT pg_catalog.set_config('search_path', '', false), set_config('request.jwt.claims', '{"sub": "1"}', false);
CREATE TEMPORARY TABLE left_here (n integer);
SELECT pg_advisory_lock(7);
PREPARE left_here AS SELECT 1;
DECLARE left_here CURSOR WITH HOLD FOR SELECT 1;
DO $$ BEGIN SET work_mem = '9MB'; LISTEN left_here; END $$;
"""
#: All of it that a neighbour would meet.
MET = """SELECT concat_ws(' ', (SELECT string_agg(name, ' ') FROM pg_settings WHERE source = 'session'
        AND name NOT IN ('application_name', 'client_encoding')), nullif(current_setting('request.jwt.claims', true), ''),
    (SELECT string_agg(relname, ' ') FROM pg_class WHERE relnamespace = pg_my_temp_schema()),
    (SELECT string_agg(objid::text, ' ') FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()),
    (SELECT string_agg(name, ' ') FROM pg_prepared_statements), (SELECT string_agg(name, ' ') FROM pg_cursors),
    (SELECT string_agg(c, ' ') FROM pg_listening_channels() AS c))"""


@pytest.mark.parametrize("ends", ["well", "badly"])
async def test_a_neighbour_meets_nothing_of_a_script(behind: tuple[str, str], folder: Folder, ends: str) -> None:
    """Whatever a script leaves in the session is gone when a pooler lends it to the next one (faults 25)."""
    through, direct = behind
    folder.add(1, "a", LEFT + ("SELECT 1 / 0;" if ends == "badly" else ""))

    if ends == "badly":
        with pytest.raises(kimbledb.MigrationError, match="division by zero"):
            await kimbledb.migrate(through, catalog=folder.catalog, options=OPTIONS)
    else:
        await kimbledb.migrate(through, catalog=folder.catalog, options=OPTIONS)

    assert await _through_the_simple_protocol(through, MET) == ""
    await nothing_left(direct)


async def test_a_message_is_read_as_it_is_meant(behind: tuple[str, str], folder: Folder) -> None:
    """Settings by which a message is read hold before it, also where each transaction may go to another session (faults 25)."""
    through, direct = behind
    name = direct.rpartition("/")[2]
    await sql(direct, f'ALTER DATABASE "{name}" SET standard_conforming_strings = off')
    folder.add(1, "a", r"CREATE TABLE a AS SELECT 'C:\temp' AS path;")

    await kimbledb.migrate(through, catalog=folder.catalog, options=OPTIONS)

    assert await sql(direct, "SELECT path FROM a") == r"C:\temp"
    assert await _through_the_simple_protocol(through, SHOWN) == ""
