"""What a reported success is worth: the server is stopped hard right after it, as in a crash."""

from __future__ import annotations

import secrets
import signal
from collections.abc import Iterator

import pytest

import kimbledb
from tests.support.databases import sql
from tests.support.folders import Folder, Steps, names
from tests.support.programs import Cluster, embedded_binaries, running

#: Nothing reaches the disk for ten seconds unless a COMMIT waits for it.
SETTINGS = {"max_connections": "40", "wal_writer_delay": "10s", "autovacuum": "off", "bgwriter_delay": "10s"}
OFF = "synchronous_commit = off"


@pytest.fixture(scope="module")
def forgetful() -> Iterator[Cluster]:
    """A PostgreSQL that loses what no COMMIT has waited for."""
    with running(embedded_binaries(), SETTINGS) as cluster:
        yield cluster


@pytest.fixture
async def database(forgetful: Cluster) -> str:
    """The DSN of a database of its own in it, which goes with the server."""
    name = f"d{secrets.token_hex(4)}"
    await sql(forgetful.dsn, f"CREATE DATABASE {name} TEMPLATE template0")
    return f"{forgetful.dsn.rpartition('/')[0]}/{name}"


async def crash(cluster: Cluster) -> None:
    """Stop the server without letting it write anything, and start it again."""
    cluster.stop(signal.SIGQUIT)
    cluster.start()


async def test_the_server_loses_what_nobody_waited_for(forgetful: Cluster, database: str) -> None:
    """Without waiting for the disk a COMMIT is lost here, so that the other tests show something."""
    await sql(database, "CREATE TABLE t (n integer)")
    await sql(database, f"SET {OFF}; INSERT INTO t VALUES (1)")

    await crash(forgetful)

    assert await sql(database, "SELECT count(*) FROM t") == 0


@pytest.mark.parametrize(
    "where", ["nowhere", "database", "script", "script, for the session", "outside of transactions"]
)
async def test_applied_is_on_the_disk(
    forgetful: Cluster, database: str, steps: Steps, folder: Folder, where: str
) -> None:
    """All that migrate() reported is there after a crash, also where COMMIT is told elsewhere not to wait."""
    after = {
        "script": f"SET LOCAL {OFF};",
        "script, for the session": "DO $$ BEGIN SET synchronous_commit = off; END $$;",
    }
    steps("a", "b", "c", after={"c": after.get(where, "")})
    if where == "outside of transactions":
        folder.add(4, "d", "VACUUM c;", facts='transactional = false\nrequires = ["c.sql"]', rollback="SELECT 1;")
    if where in ("database", "outside of transactions"):
        await sql(database, f"ALTER DATABASE {database.rpartition('/')[2]} SET {OFF}")
    report = await kimbledb.migrate(database, catalog=folder.catalog)

    await crash(forgetful)

    history = "SELECT string_agg(migration_name, ' ' ORDER BY id) FROM migration_history WHERE success"
    assert await sql(database, history) == " ".join(names(report.applied))
    assert await sql(database, "SELECT count(*) FROM a, b, c") == 1
    assert (await kimbledb.verify(database, catalog=folder.catalog)).ok


async def test_taken_back_and_adopted_is_on_the_disk(forgetful: Cluster, database: str, steps: Steps) -> None:
    """What rollback() and adopt() reported is there after a crash, too."""
    folder = steps("a", "b")
    await folder.declared(database)
    await sql(database, f"ALTER DATABASE {database.rpartition('/')[2]} SET {OFF}")
    await kimbledb.migrate(database, catalog=folder.catalog)
    await kimbledb.rollback(database, "b.sql", catalog=folder.catalog, allow_data_loss=True)

    await crash(forgetful)

    assert await sql(database, "SELECT to_regclass('b') IS NULL")
    await sql(database, "DROP TABLE migration_history; DROP TABLE migration_log")
    await kimbledb.adopt(database, catalog=folder.catalog)

    await crash(forgetful)

    assert await sql(database, "SELECT string_agg(migration_name, ' ') FROM migration_history") == "a.sql"


async def test_a_failure_leaves_what_came_before_on_the_disk(forgetful: Cluster, database: str, steps: Steps) -> None:
    """What an error reports as applied is there after a crash."""
    folder = steps("a", "b", after={"b": "SELECT 1 / 0;"})
    await sql(database, f"ALTER DATABASE {database.rpartition('/')[2]} SET {OFF}")
    with pytest.raises(kimbledb.MigrationError) as caught:
        await kimbledb.migrate(database, catalog=folder.catalog)
    assert names(caught.value.applied) == ["a.sql"]

    await crash(forgetful)

    assert await sql(database, "SELECT count(*) FROM a") == 1
    assert await sql(database, "SELECT count(*) FROM migration_history WHERE migration_name = 'a.sql' AND success") == 1
