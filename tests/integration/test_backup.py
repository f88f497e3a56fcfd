"""A database written to a file before it is changed, and brought back."""

from __future__ import annotations

import asyncio
import os
import stat
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg
import pytest

import kimbledb
from kimbledb._embedded import programs
from kimbledb.execution.backup import installed, restoring
from kimbledb.model.names import quote_identifier
from tests.support.databases import take_snapshot
from tests.support.folders import Folder


@pytest.fixture
async def empty_database(server: str) -> AsyncIterator[str]:
    """The DSN of a second database, which holds nothing."""
    name = f"brought 'back' {os.getpid()}"  # the workers of a run share the server
    admin = await asyncpg.connect(server)
    await admin.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
    yield urlunsplit(urlsplit(server)._replace(path=f"/{quote(name)}"))
    await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    await admin.close()


def files_in(folder: Path) -> list[str]:
    """Return the names of a folder's files."""
    return sorted(each.name for each in folder.iterdir() if each.is_file())


def children_that_dump(password: str) -> list[Path]:
    """Return this process's children that run pg_dump, and make sure that no other process shows the password."""
    found = []
    own = Path("/proc/self/cmdline").read_bytes()
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line, status = file.read_bytes(), (file.parent / "stat").read_text()
        except OSError:
            continue  # it has ended
        assert password.encode() not in line or line == own
        if b"pg_dump" in line and status.rpartition(")")[2].split()[1] == str(os.getpid()):
            found.append(file.parent)
    return found


async def contents(dsn: str) -> dict[str, tuple[int, str | None]]:
    """Return for each table how many rows it holds, and a sum over all of their values."""
    connection = await asyncpg.connect(dsn)
    names = await connection.fetch(
        "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
    )
    found = {}
    for (name,) in names:
        row = await connection.fetchrow(
            f"SELECT count(*), md5(string_agg(t::text, ',' ORDER BY t::text)) FROM {name} AS t"
        )
        assert row is not None
        found[name] = (row[0], row[1])
    await connection.close()
    return found


async def test_rows_come_back_from_a_backup_as_they_were(
    migrated_database: str, empty_database: str, tmp_path: Path
) -> None:
    """10,000 rows with vectors, backed up by a rollback and brought back elsewhere: an equal snapshot and equal rows."""
    connection = await asyncpg.connect(migrated_database)
    await connection.execute(
        """
        INSERT INTO users (id, email) VALUES ('u', 'u@example.org');
        INSERT INTO knowledge_base (user_id, source_type, category, title, content, embedding)
        SELECT 'u', 'manual', 'fact', 'row ' || n, 'text',
               (SELECT array_agg(sin(n * place)) FROM generate_series(1, 1536) AS place)::vector
        FROM generate_series(1, 100) AS n;
        -- By hand, and so without the index by which each row takes some milliseconds.
        CREATE TABLE notes (id integer PRIMARY KEY, embedding vector(64));
        INSERT INTO notes
        SELECT n, (SELECT array_agg(sin(n * place)) FROM generate_series(1, 64) AS place)::vector
        FROM generate_series(1, 10000) AS n
        """
    )
    await connection.close()
    before, pictured = await contents(migrated_database), await take_snapshot(migrated_database)
    assert (before["knowledge_base"][0], before["notes"][0]) == (100, 10_000)
    file = tmp_path / "before.dump"

    await kimbledb.rollback(migrated_database, to=0, allow_data_loss=True, backup=file)
    await kimbledb.restore(file, empty_database)

    assert await contents(empty_database) == before
    assert not (await take_snapshot(empty_database)).since(pictured)
    assert not pictured.since(await take_snapshot(empty_database))
    assert (await kimbledb.verify(empty_database)).ok
    assert not (await kimbledb.plan(empty_database)).pending
    assert {
        each.name.partition(".")[0] for each in await take_snapshot(migrated_database) if each.kind == "column"
    } == {"notes"}


@pytest.mark.parametrize("name", ["public data", "public postgres", 'pub "lic', "pg"])
async def test_a_schema_of_any_name_comes_back(
    database: str, empty_database: str, connection: asyncpg.Connection, folder: Folder, tmp_path: Path, name: str
) -> None:
    """A backup brings back a schema whose name begins like that of one which is there already."""
    await connection.execute(
        f"CREATE SCHEMA {quote_identifier(name)}; CREATE TABLE {quote_identifier(name)}.t (n integer)"
    )
    folder.table(1, "a")
    await kimbledb.migrate(database, catalog=folder.catalog, backup=tmp_path / "backup")

    await kimbledb.restore(tmp_path / "backup", empty_database)

    restored = await asyncpg.connect(empty_database)
    assert await restored.fetchval("SELECT to_regclass($1) IS NOT NULL", f"{quote_identifier(name)}.t")
    await restored.close()


async def test_only_where_there_is_something_to_do(database: str, folder: Folder, tmp_path: Path) -> None:
    """migrate() and reset() write a file for the caller alone, before they change anything, and none where they change nothing."""
    folder.table(1, "a")
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    await kimbledb.migrate(database, catalog=folder.catalog, backup=str(first))
    assert first.stat().st_size > 0
    assert stat.S_IMODE(first.stat().st_mode) == 0o600

    await kimbledb.migrate(database, catalog=folder.catalog, backup=second)
    name = urlsplit(database).path[1:]
    await kimbledb.reset(database, confirm=name, backup=third)
    await kimbledb.reset(database, confirm=name, backup=second)

    assert files_in(tmp_path) == ["first", "third"]


async def test_nothing_is_overwritten(
    database: str, folder: Folder, tmp_path: Path, connection: asyncpg.Connection
) -> None:
    """A file that is there stays as it is, the run stops before it touches anything, and no scrap is left."""
    folder.table(1, "a")
    file = tmp_path / "kept"
    file.write_text("precious")

    with pytest.raises(kimbledb.BackupError, match="overwrites nothing"):
        await kimbledb.migrate(database, catalog=folder.catalog, backup=file)
    with pytest.raises(kimbledb.BackupError, match="no folder"):
        await kimbledb.migrate(database, catalog=folder.catalog, backup=tmp_path / "nowhere" / "file")

    assert file.read_text() == "precious"
    assert await connection.fetchval("SELECT to_regclass('a')") is None
    assert files_in(tmp_path) == ["kept"]


@pytest.mark.parametrize("kind", ["connection", "pool"])
async def test_a_connection_and_a_pool_are_backed_up(database: str, folder: Folder, tmp_path: Path, kind: str) -> None:
    """A connection and a pool tell where they lead and their password, too."""
    folder.table(1, "a")
    file = tmp_path / "file"
    if kind == "connection":
        connection = await asyncpg.connect(database)
        await kimbledb.migrate(connection, catalog=folder.catalog, backup=file)
        await connection.close()
    else:
        async with asyncpg.create_pool(database, min_size=1) as pool:
            await kimbledb.migrate(pool, catalog=folder.catalog, backup=file)

    assert file.stat().st_size > 0


async def test_the_direct_way_leads_to_the_same_database(
    database: str, server: str, folder: Folder, tmp_path: Path
) -> None:
    """Past a pooler the backup is that of the target, and of no other database."""
    folder.table(1, "a")
    file = tmp_path / "file"
    with pytest.raises(kimbledb.BackupError, match="leads to the database postgres"):
        await kimbledb.migrate(
            database, catalog=folder.catalog, backup=file, options=kimbledb.Options(direct_dsn=server)
        )
    await kimbledb.migrate(database, catalog=folder.catalog, backup=file, options=kimbledb.Options(direct_dsn=database))

    assert files_in(tmp_path) == ["file"]


async def test_what_cannot_be_read_is_an_error(database: str, folder: Folder, tmp_path: Path) -> None:
    """Where the role may not read all, pg_dump's words are told without the password, and nothing is touched."""
    admin = await asyncpg.connect(database)
    await admin.execute(
        """
        DROP ROLE IF EXISTS clerk;
        CREATE ROLE clerk LOGIN PASSWORD 'canary-9f2';
        GRANT ALL ON SCHEMA public TO clerk;
        CREATE SCHEMA secret; CREATE TABLE secret.plans ();
        """
    )
    parts = urlsplit(database)
    dsn = urlunsplit(parts._replace(netloc=f"clerk:canary-9f2@{parts.hostname}:{parts.port}"))
    folder.table(1, "a")

    with pytest.raises(kimbledb.BackupError, match="permission denied") as caught:
        await kimbledb.migrate(dsn, catalog=folder.catalog, backup=tmp_path / "file")

    assert "canary" not in f"{caught.value!r} {caught.value} {caught.value.__cause__!r}"
    assert files_in(tmp_path) == []
    assert await admin.fetchval("SELECT to_regclass('a')") is None
    await admin.execute("REVOKE ALL ON SCHEMA public FROM clerk; DROP ROLE clerk")
    await admin.close()


async def test_the_password_is_on_no_command_line(database: str, folder: Folder, tmp_path: Path) -> None:
    """While pg_dump waits for a lock, no command line of the machine holds the password; cancelled, it ends, and no file is left."""
    password = urlsplit(database).password
    assert password
    folder.table(1, "a")
    blocker = await asyncpg.connect(database)
    await blocker.execute("CREATE TABLE busy ()")
    await blocker.execute("BEGIN; LOCK TABLE busy")
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'the-backup' AND wait_event_type = 'Lock'"
    watcher = await asyncpg.connect(database)
    call = asyncio.create_task(
        kimbledb.migrate(
            database,
            catalog=folder.catalog,
            backup=tmp_path / "file",
            options=kimbledb.Options(application_name="the-backup"),
        )
    )
    while not await watcher.fetchval(waiting):
        assert not call.done()
        await asyncio.sleep(0.02)

    dumping = children_that_dump(password)
    assert dumping
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    assert not [each for each in dumping if each.exists()]
    assert files_in(tmp_path) == []
    await blocker.close()
    await watcher.close()


async def test_the_deadline_holds(database: str, folder: Folder, tmp_path: Path) -> None:
    """A backup that waits for ever ends with the deadline, and says what it was doing."""
    folder.table(1, "a")
    blocker = await asyncpg.connect(database)
    await blocker.execute("CREATE TABLE busy ()")
    await blocker.execute("BEGIN; LOCK TABLE busy")

    with pytest.raises(kimbledb.DeadlineExceededError, match="making the backup"):
        await kimbledb.migrate(
            database, catalog=folder.catalog, backup=tmp_path / "file", options=kimbledb.Options(deadline=4)
        )

    assert files_in(tmp_path) == []
    await blocker.close()


async def test_restore_wants_an_empty_database(
    database: str, folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands in the way is named, and so is a file that is no backup; extensions and empty schemas do not stand in the way."""
    file, other = tmp_path / "file", tmp_path / "other"
    other.write_text("no backup")
    admin = await asyncpg.connect(database)
    await admin.execute(
        'CREATE SCHEMA extensions; CREATE SCHEMA "the app"; CREATE EXTENSION pg_trgm SCHEMA extensions; CREATE TABLE "the app".t ()'
    )
    folder.table(1, "a")
    await kimbledb.migrate(database, catalog=folder.catalog, backup=file)

    with pytest.raises(kimbledb.BackupError, match=r"table public\.a, "):
        await kimbledb.restore(file, database)
    await kimbledb.reset(database, confirm=urlsplit(database).path[1:])
    await admin.execute(
        'DROP TABLE migration_history, migration_log; DROP FUNCTION migration_log_is_append_only; DROP TABLE "the app".t'
    )
    with pytest.raises(kimbledb.BackupError, match="not appear to be a valid archive"):
        await kimbledb.restore(other, database)
    with pytest.raises(kimbledb.BackupError, match="there is no backup"):
        await kimbledb.restore(tmp_path / "nowhere", database)
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
        with pytest.raises(kimbledb.BackupError, match="has no folder") as caught:
            await kimbledb.restore(file, database)
    assert "TMPDIR" in str(caught.value.hint)
    await kimbledb.restore(file, database)

    assert await admin.fetchval("SELECT to_regclass('\"the app\".t') IS NOT NULL")
    await admin.close()


@pytest.mark.parametrize("by_psql", [False, True], ids=["by pg_restore", "by psql"])
async def test_all_or_nothing(
    database: str, empty_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_psql: bool
) -> None:
    """A file that was cut off, or that names a role that is not there, leaves the database empty; whole, it is brought back.

    The second way is for a server that is older than all programs.
    """
    if by_psql:
        monkeypatch.setattr(restoring, "_sets_too_much", lambda _client, _access: True)
    builder = f"builder_{os.getpid()}"
    admin = await asyncpg.connect(database)
    await admin.execute(f"DROP ROLE IF EXISTS {builder}")
    await admin.execute(
        f"CREATE ROLE {builder}; GRANT {builder} TO CURRENT_USER; CREATE TABLE t AS SELECT n, md5(n::text) FROM generate_series(1, 50000) AS n; "
        f"ALTER TABLE t OWNER TO {builder}"
    )
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    await kimbledb.reset(database, confirm=urlsplit(database).path[1:], allow_data_loss=True, backup=whole)
    cut.write_bytes(whole.read_bytes()[:-100_000])

    with pytest.raises(kimbledb.BackupError, match="could not"):
        await kimbledb.restore(cut, empty_database)
    await admin.execute(f"DROP ROLE {builder}")
    with pytest.raises(kimbledb.BackupError, match=f'role "{builder}" does not exist') as caught:
        await kimbledb.restore(whole, empty_database)
    assert "roles" in (caught.value.hint or "")
    assert await contents(empty_database) == {}
    await admin.execute(f"CREATE ROLE {builder}")
    await kimbledb.restore(whole, empty_database)

    assert (await contents(empty_database))["t"][0] == 50_000
    for dsn in (database, empty_database):
        connection = await asyncpg.connect(dsn)
        await connection.execute(f"DROP OWNED BY {builder}")
        await connection.close()
    await admin.execute(f"DROP ROLE {builder}")
    await admin.close()


async def test_a_dump_of_another_encoding_is_brought_back(server: str, empty_database: str, tmp_path: Path) -> None:
    """Names that are no UTF-8 in the file's contents stand in no way: the server converts them."""
    admin = await asyncpg.connect(server)
    await admin.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    latin = urlunsplit(urlsplit(server)._replace(path="/latin"))
    try:
        connection = await asyncpg.connect(latin)
        await connection.execute('CREATE TABLE "größe" (id integer); INSERT INTO "größe" VALUES (7)')
        await connection.close()
        dump = tmp_path / "dump"
        # By what reads it again: an older pg_restore cannot read what a newer pg_dump writes.
        fitting = installed.in_order_of_fit(await installed.installed(), admin.get_server_version().major)
        folder = fitting[0].folder if fitting else programs()
        program = await asyncio.create_subprocess_exec(folder / "pg_dump", "-Fc", f"--file={dump}", f"--dbname={latin}")
        assert await program.wait() == 0

        await kimbledb.restore(dump, empty_database)

        connection = await asyncpg.connect(empty_database)
        assert await connection.fetchval('SELECT id FROM "größe"') == 7
        await connection.close()
    finally:
        await admin.execute("DROP DATABASE latin WITH (FORCE)")
        await admin.close()
