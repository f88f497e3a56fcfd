"""The measuring of what goes, where others are in between, in the way, or frozen."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator

import asyncpg
import pytest

import kimbledb
from tests.support.databases import fresh_database, sql
from tests.support.folders import Folder
from tests.support.invariant import OPTIONS, nothing_left
from tests.support.processes import Child
from tests.support.programs import pgbouncer
from tests.support.waiting import eventually


@pytest.fixture
async def behind(server: str) -> AsyncIterator[tuple[str, str]]:
    """A fresh database through PgBouncer with one server connection, and the same past it."""
    async with fresh_database(server) as direct:
        with pgbouncer(server, pool_size=1) as pooler:
            yield f"{pooler.rpartition('/')[0]}/{direct.rpartition('/')[2]}", direct


async def _neighbour(through: str) -> None:
    """Delete and update rows in the one session that the pooler lends."""
    connection = await asyncpg.connect(through)
    await connection.execute("BEGIN; DELETE FROM t WHERE id > 900; UPDATE t SET id = id; ROLLBACK")
    await connection.close()


async def test_what_a_neighbour_deleted_does_not_count(behind: tuple[str, str], folder: Folder) -> None:
    """Through a transaction pooler the session's counters hold a neighbour's rows: what a script deletes is exact all the same."""
    through, direct = behind
    await sql(direct, "CREATE TABLE t AS SELECT generate_series(1, 1000) AS id")
    folder.add(1, "a", "INSERT INTO t VALUES (0);")
    folder.add(2, "b", "DELETE FROM t WHERE id BETWEEN 1 AND 10;", rollback="UPDATE t SET id = 11 WHERE id = 11;")

    await _neighbour(through)
    assert (await kimbledb.migrate(through, catalog=folder.catalog, to=1, options=OPTIONS)).losses == ()
    await _neighbour(through)
    with pytest.raises(kimbledb.DataLossError) as caught:
        await kimbledb.migrate(through, catalog=folder.catalog, options=OPTIONS)
    assert [str(loss) for loss in caught.value.losses] == ["deleted rows of t: 10"]

    await _neighbour(through)
    report = await kimbledb.migrate(through, catalog=folder.catalog, options=OPTIONS, allow_data_loss=True)
    assert [str(loss) for loss in report.losses] == ["deleted rows of t: 10"]
    await _neighbour(through)
    dry = await kimbledb.rollback(through, 2, catalog=folder.catalog, options=OPTIONS, dry_run=True)
    assert [str(loss) for loss in dry.losses] == ["updated rows of t: 1"]
    await nothing_left(direct)


async def test_the_try_run_of_a_frozen_client_ends(database: str, folder: Folder) -> None:
    """The try run of a rollback is one message: its locks end with its scripts, though the client is frozen by then."""
    await sql(database, "CREATE TABLE t (id integer)")
    folder.add(1, "a", "SELECT 1;", rollback="DROP TABLE t; SELECT pg_sleep(1);")
    await kimbledb.migrate(database, catalog=folder.catalog)
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "kimbledb",
            "rollback",
            "1",
            "--dry-run",
            "--dsn",
            database,
            "--catalog",
            str(folder.path),
        ),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )

    async def locks() -> int:
        # Not by its name, which would wait for the lock.
        found = "SELECT count(*) FROM pg_locks WHERE locktype = 'relation' AND mode = 'AccessExclusiveLock' AND relation >= 16384"
        return int(await sql(database, found))

    async def gone() -> bool:
        return await locks() == 0

    async with Child(process) as child:
        await eventually(locks)
        child.freeze()
        await eventually(gone)
        assert process.returncode is None
    assert await sql(database, "SELECT count(*) FROM t") == 0
