"""Backups: a database written to a file by pg_dump, and brought back by pg_restore.

PostgreSQL's own programs do the work, since nobody else writes all that a
database can hold. They are taken where they fit the server: pg_dump refuses a
server that is newer than itself, and what a newer one writes, an older
pg_restore cannot read.

The password travels in the environment of the child, which only its own user
can see; a command line is seen by everybody.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, BinaryIO

from attrs import field, frozen

from kimbledb._embedded import programs
from kimbledb.errors import BackupError, EmbeddedServerError
from kimbledb.inspection import history
from kimbledb.model.state import DatabaseState
from kimbledb.model.text import counted
from kimbledb.server import queries
from kimbledb.server.in_process_lock import running_loop
from kimbledb.server.options import Options
from kimbledb.server.runner import Runner
from kimbledb.server.session import Session
from kimbledb.server.targets import DSN_VARIABLES, Target, TargetLike, target_of

#: Where Debian and Ubuntu keep the programs of each version.
_DEBIAN = "/usr/lib/postgresql/*/bin"
#: What libpq would take from the environment and we say ourselves (manual, 34.15).
_OURS = (
    *("PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGPASSWORD", "PGSERVICE", "PGSERVICEFILE"),
    *("PGTARGETSESSIONATTRS", "PGAPPNAME", "PGCONNECT_TIMEOUT", *DSN_VARIABLES),
)
#: What of TLS libpq takes by the environment, too.
_TLS = {
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslcrl": "PGSSLCRL",
    "sslnegotiation": "PGSSLNEGOTIATION",
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
    "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
}
#: A schema or an extension's comment in the contents of a backup.
_ENTRY = re.compile(r"\d+; \d+ \d+ (SCHEMA - |COMMENT - EXTENSION )(.*)")
#: How a complaint begins, or its hint, and how what goes with it does.
_COMPLAINT = re.compile(r"(?:pg_dump|pg_restore|psql)\b|HINT:  |(?!DETAIL|CONTEXT|STATEMENT|QUERY)[^\W\d_a-z]+:  ")
_BESIDE = re.compile(r"(?:DETAIL|CONTEXT|STATEMENT|QUERY|LINE \d+|Command was):")
#: What stands in quotes: a name, where the kind of object stands before it, else it may be a value.
_QUOTED = re.compile(
    r"(\b(?:table|relation|constraint|database|role|user|schema|extension|column|index|type|function|sequence|view|server"
    r"|socket|file|directory|parameter|tablespace|policy|trigger|language|at)\s+)?\"[^\"]*\""
)
#: The first version that sets ``transaction_timeout`` in what it restores, which older servers do not know.
_SETS_TRANSACTION_TIMEOUT = 17
#: Lines within which it does so.
_HEADER = 40
#: How many names an error shows.
_SHOWN = 10


@frozen
class Client:
    """The programs of one version."""

    folder: Path
    major: int
    #: What their environment wants beside the connection.
    environment: Mapping[str, str] = field(factory=dict)


@frozen
class _Server:
    """What the programs must know to reach a database."""

    label: str
    database: str
    #: As ``server_version_num`` without the minor version: 15, 18.
    major: int
    environment: Mapping[str, str] = field(repr=False)
    password: str | None = field(repr=False)


def in_order_of_fit(clients: Iterable[Client], major: int) -> list[Client]:
    """Return the clients that fit a server, best first: of its own version, else newer, never older."""
    fitting = [client for client in clients if client.major >= major]
    return sorted(fitting, key=lambda client: client.major)


def check_path(path: str | os.PathLike[str]) -> Path:
    """Return where a backup is to be written.

    Raises:
        BackupError: There is something already, or no folder for it.
    """
    file = Path(path).absolute()
    if file.exists() or file.is_symlink():
        raise BackupError(f"{file} is there already, and a backup overwrites nothing", hint="name another file")
    if not file.parent.is_dir():
        raise BackupError(f"there is no folder {file.parent} for the backup", hint="make it first")
    return file


async def write(
    path: str | os.PathLike[str], session: Session, state: DatabaseState, target: Target, options: Options
) -> None:
    """Write a backup of the whole database, and make sure that it can be read.

    It appears under its name when it is whole, for the caller alone to read.

    Args:
        path: The file to be made.
        session: A session of the target, which is not spoken to while pg_dump works.
        state: What the database says of itself.
        target: What the session was opened on.
        options: For the application's name and the way past a pooler.

    Raises:
        BackupError: It cannot be made; there is no file.
    """
    file = await asyncio.to_thread(check_path, path)
    async with _reach(session, state, target, options) as server:
        clients = await _fitting(server)
        unfinished = await asyncio.to_thread(_unfinished, file)
        try:
            await _run(
                clients[0],
                "pg_dump",
                ["--format=custom", "--no-password", f"--dbname={_conninfo(server)}"],
                server,
                output=unfinished,
            )
            await _run(clients[0], "pg_restore", ["--list", str(unfinished)], server)
            await asyncio.to_thread(_finish, unfinished, file)
        finally:
            with suppress(FileNotFoundError):
                unfinished.unlink()


async def restore(path: str | os.PathLike[str], target: TargetLike = None, *, options: Options | None = None) -> None:
    """Bring a backup back into an empty database. See :func:`kimbledb.restore`."""
    running_loop()
    options = options or Options()
    file = await asyncio.to_thread(Path(path).absolute)
    where = target_of(target)
    runner = Runner(where, options)

    async def work(session: Session) -> None:
        runner.doing = "looking whether the database is empty"
        state = await history.look(session, "public")
        found = await session.ask(queries.question("restore_look"))
        if found["objects"]:
            shown = ", ".join(found["objects"][:_SHOWN])
            more = len(found["objects"]) - _SHOWN
            raise BackupError(
                f"a backup is brought back into an empty database, and {state.database} holds "
                f"{counted(found['objects'], 'object')}: {shown}" + (f" and {more} more" if more > 0 else ""),
                hint="make a new one: CREATE DATABASE ... TEMPLATE template0",
            )
        runner.doing = f"bringing back {file.name}"
        async with _reach(session, state, where, options) as server:
            await _bring_back(file, server, found)

    await runner.run(work)


async def _bring_back(file: Path, server: _Server, found: Mapping[str, Any]) -> None:
    client, contents = await _reader(file, server)
    with tempfile.TemporaryDirectory(prefix="kimbledb-restore-") as folder:
        # What the database came with is not made again.
        wanted = Path(folder, "contents")
        text = _without(contents, found)
        # Byte by byte what pg_restore listed: a dump may be of a database with another encoding.
        await asyncio.to_thread(wanted.write_bytes, text.encode(errors="surrogateescape"))
        if _says_too_much(client, server):
            await _by_psql(client, [f"--use-list={wanted}", "--file=-", str(file)], server)
            return
        await _run(
            client,
            "pg_restore",
            [
                *("--exit-on-error", "--single-transaction", "--no-password"),
                *(f"--use-list={wanted}", f"--dbname={_conninfo(server)}", str(file)),
            ],
            server,
        )


def _says_too_much(client: Client, server: _Server) -> bool:
    return client.major >= _SETS_TRANSACTION_TIMEOUT > server.major


async def _by_psql(client: Client, arguments: Sequence[str], server: _Server) -> None:
    """Bring a backup back by psql, without the one setting that an older server does not know."""
    reading = await _start(client, "pg_restore", arguments, server)
    try:
        options = ["--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1", "--no-password"]
        writing = await _start(client, "psql", [*options, f"--dbname={_conninfo(server)}"], server, stdin=True)
        try:
            assert reading.stdout is not None
            assert reading.stderr is not None
            assert writing.stdin is not None
            assert writing.stdout is not None
            assert writing.stderr is not None
            complaints = [
                asyncio.ensure_future(each.read()) for each in (reading.stderr, writing.stderr, writing.stdout)
            ]
            # Where psql has stopped, its words say why.
            with suppress(BrokenPipeError, ConnectionResetError):
                await _pump(reading.stdout, writing.stdin)
                # At the end of what it reads psql commits: not before all of it was there.
                if await reading.wait() == 0:
                    writing.stdin.close()
                    await writing.wait()
        finally:
            await _end(writing)
    finally:
        await _end(reading)
    said = [await each for each in complaints]
    if reading.returncode == 0 == writing.returncode:
        return
    # The one is killed where the other fails.
    failed = "psql" if writing.returncode and writing.returncode > 0 else "pg_restore"
    words = said[1] if failed == "psql" else said[0]
    raise BackupError(
        f"{failed} {client.major} failed for {server.label}:\n{_words(words, server)}", hint=_hint(words, server)
    )


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    for _ in range(_HEADER):
        line = await source.readline()
        if line.strip() != b"SET transaction_timeout = 0;":
            sink.write(line)
    while chunk := await source.read(1 << 16):
        sink.write(chunk)
        await sink.drain()


async def _reader(file: Path, server: _Server) -> tuple[Client, str]:
    """Return the best client that can read a file, and the file's contents as it lists them."""
    if not await asyncio.to_thread(file.is_file):
        raise BackupError(f"there is no backup {file}")
    clients = await _fitting(server)
    for client in clients:
        try:
            return client, await _run(client, "pg_restore", ["--list", str(file)], server)
        except BackupError:
            if client is clients[-1]:
                raise
    raise AssertionError  # there is at least one client


def _without(contents: str, found: Mapping[str, Any]) -> str:
    """Return the contents without the schemas and the extensions' comments that are there already."""
    # Of two roles whose names both end a line the shorter is the owner.
    roles = sorted(found["roles"], key=len)
    kept = []
    for line in contents.removesuffix("\n").split("\n"):
        entry = _ENTRY.fullmatch(line)
        there = () if entry is None else found["schemas" if entry[1].startswith("SCHEMA") else "extensions"]
        if entry is None or _name_in(entry[2], roles) not in there:
            kept.append(line)
    return "\n".join(kept) + "\n"


def _name_in(entry: str, roles: Iterable[str]) -> str:
    """Return the name in an entry's end: a space and the owner's name follow, or a space alone."""
    owner = next((role for role in roles if entry.endswith(f" {role}")), None)
    return entry.rpartition(" ")[0] if owner is None else entry[: -len(owner) - 1]


@asynccontextmanager
async def _reach(session: Session, state: DatabaseState, target: Target, options: Options) -> AsyncIterator[_Server]:
    """Find out how the programs reach the database, past any pooler."""
    if options.direct_dsn is not None:
        target = target_of(options.direct_dsn, "Options.direct_dsn")
        async with target.session(options) as direct:
            there = await history.look(direct, "public")
            if (there.database, there.server_version) != (state.database, state.server_version):
                raise BackupError(
                    f"Options.direct_dsn leads to the database {there.database}, and the target is {state.database}",
                    hint="name the same database, past the pooler",
                )
            server = await _server(direct, state, target, options)
    else:
        server = await _server(session, state, target, options)
    yield server


async def _server(session: Session, state: DatabaseState, target: Target, options: Options) -> _Server:
    async with session.connection.observed() as endpoints:
        process_id = await session.ask(queries.question("process_id"))
    if session.connection.server_pid != process_id:
        raise BackupError(
            "a pooler is between, and what pg_dump sets for its session would reach others",
            hint="name the server itself: Options(direct_dsn=...) (--direct-dsn)",
        )
    if not endpoints:
        raise BackupError("the driver does not tell where the connection leads", hint="pass a DSN")
    there = endpoints[0]
    host, port = there.address if isinstance(there.address, tuple) else _socket(there.address)
    environment = {name: value for name, value in os.environ.items() if name not in _OURS}
    environment |= {
        "PGHOST": str(host),
        "PGPORT": str(port),
        "PGUSER": there.user,
        "PGAPPNAME": options.application_name,
        "LC_MESSAGES": "C",
    }
    if there.sslmode is not None:
        environment["PGSSLMODE"] = there.sslmode
    if target.address is not None:
        tls = target.address.tls
        environment |= {variable: tls[name] for name, variable in _TLS.items() if name in tls}
        if "options" in target.address.settings:
            environment["PGOPTIONS"] = target.address.settings["options"]
    if there.password is not None:
        environment["PGPASSWORD"] = there.password
    database = there.database or state.database
    return _Server(f"{host}:{port}/{database}", database, state.version_number // 10000, environment, there.password)


def _socket(address: str) -> tuple[str, str]:
    folder, _, name = address.rpartition("/")
    return folder, name.rpartition(".")[2]


def _conninfo(server: _Server) -> str:
    # A name by itself would be read as a whole DSN where it looks like one (manual, 34.1.1).
    escaped = server.database.replace("\\", "\\\\").replace("'", "\\'")
    return f"dbname='{escaped}'"


async def _fitting(server: _Server) -> list[Client]:
    """Return the clients that fit, best first; the embedded server's only where there are no others."""
    found = await _installed()
    fitting = in_order_of_fit(found, server.major)
    if fitting:
        return fitting
    try:
        folder = await asyncio.to_thread(programs)
    except EmbeddedServerError as error:
        missing: EmbeddedServerError | None = error
    else:
        missing = None
        version = await _version(folder, libraries := {"LD_LIBRARY_PATH": str(folder.parent / "lib")})
        if version is not None:
            found.append(Client(folder, version, libraries))
    fitting = in_order_of_fit(found, server.major)
    if fitting:
        return fitting
    seen = ", ".join(f"{client.folder} ({client.major})" for client in found)
    raise BackupError(
        f"the server is PostgreSQL {server.major}, and "
        + (f"every pg_dump here is older: {seen}" if seen else "there is no pg_dump here"),
        hint=f"install the client programs of PostgreSQL {server.major} (Debian: postgresql-client-{server.major}), "
        "or kimbledb[embedded]",
    ) from missing


async def _installed() -> list[Client]:
    clients = []
    for folder in await asyncio.to_thread(_folders):
        version = await _version(folder, {})
        if version is not None:
            clients.append(Client(folder, version))
    return clients


def _folders() -> list[Path]:
    """Return where programs of PostgreSQL lie, each once: Debian's folders first, since on its PATH is a script."""
    folders = sorted(Path("/").glob(_DEBIAN[1:]))
    on_path = shutil.which("pg_dump")
    if on_path is not None:
        folders.append(Path(on_path).absolute().parent)
    return list(dict.fromkeys(folders))


async def _version(folder: Path, environment: Mapping[str, str]) -> int | None:
    """Return the version that both programs of a folder have, or None where they do not run."""
    versions = set()
    for program in ("pg_dump", "pg_restore"):
        try:
            process = await asyncio.create_subprocess_exec(
                str(folder / program),
                "--version",
                env=dict(os.environ) | dict(environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
        except OSError:
            return None
        output = (await _to_its_end(process))[0].decode(errors="replace")
        number = re.search(r"\(PostgreSQL\) (\d+)", output)
        versions.add(None if number is None or process.returncode else int(number[1]))
    return versions.pop() if len(versions) == 1 else None


async def _run(
    client: Client, program: str, arguments: Sequence[str], server: _Server, *, output: Path | None = None
) -> str:
    """Run a program to its end, and kill it where the call is cancelled.

    Returns:
        What it wrote, where that did not go to a file.
    """
    with nullcontext() if output is None else output.open("r+b") as file:
        process = await _start(client, program, arguments, server, output=file)
        written, complaints = await _to_its_end(process)
    if process.returncode != 0:
        raise BackupError(
            f"{program} {client.major} failed for {server.label}:\n{_words(complaints, server)}",
            hint=_hint(complaints, server),
        )
    return (written or b"").decode(errors="surrogateescape")


async def _start(
    client: Client,
    program: str,
    arguments: Sequence[str],
    server: _Server,
    *,
    stdin: bool = False,
    output: BinaryIO | None = None,
) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            str(client.folder / program),
            *arguments,
            env=dict(server.environment) | dict(client.environment),
            stdin=asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE if output is None else output,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise BackupError(f"{client.folder / program} does not run: {error.strerror}") from error


async def _to_its_end(process: asyncio.subprocess.Process) -> tuple[bytes, bytes]:
    try:
        return await process.communicate()
    finally:
        await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill a program that still runs, as where the call was cancelled."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
        if process.stdout is not None:
            # A pipe that nobody empties is never seen to end, and neither is the program.
            with suppress(RuntimeError):  # somebody does
                await process.stdout.read()
        await process.wait()


def _words(complaints: bytes, server: _Server) -> str:
    """Return the end of what a program said, without any password and any value of a row."""
    text = complaints.decode(errors="replace").strip()
    if server.password:
        text = text.replace(server.password, "***")
    lines, shows = [], True
    for line in text.splitlines():
        # What goes with a complaint can hold rows, over several lines.
        shows = _COMPLAINT.match(line) is not None or (shows and _BESIDE.match(line) is None)
        if shows:
            lines.append(line)
    shown = [_QUOTED.sub(lambda quoted: quoted[0] if quoted[1] else '"***"', line) for line in lines]
    return "\n".join(f"  {line}" for line in shown[-_SHOWN:])


def _hint(complaints: bytes, server: _Server) -> str | None:
    if b"password" in complaints and server.password is None:
        return "the password of this target is not known: pass a DSN that holds it, or name a passfile (PGPASSFILE)"
    if b"certificate" in complaints:
        return "name the certificate in the DSN (sslrootcert=...) or in PGSSLROOTCERT"
    if b"permission denied" in complaints or b"must be owner" in complaints:
        return "connect as a role that may read, or make, all that the database holds"
    if b"role " in complaints and b"does not exist" in complaints:
        return "the roles belong to the server and are in no backup: make those that are missing first"
    return None


def _unfinished(file: Path) -> Path:
    """Make the file that is written to, in the same folder, for nobody else to read."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", suffix=".unfinished", dir=file.parent)
    except OSError as error:
        raise BackupError(f"no backup can be written into {file.parent}: {error.strerror}") from error
    os.close(descriptor)
    return Path(name)


def _finish(unfinished: Path, file: Path) -> None:
    """Give the file its name, unless somebody took it meanwhile, when all of it is on the disk."""
    try:
        _sync(unfinished, os.O_RDWR)
        try:
            os.link(unfinished, file)
        except FileExistsError:
            raise
        except OSError:  # a file system without links
            check_path(file)
            unfinished.rename(file)
        _sync(file.parent, os.O_RDONLY)
    except FileExistsError:
        check_path(file)
        raise
    except OSError as error:
        raise BackupError(f"the backup {file} cannot be written: {error.strerror}") from error


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
