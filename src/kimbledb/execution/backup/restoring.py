"""Brings a backup back into an empty database: all of it, or nothing."""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from kimbledb.errors import BackupError
from kimbledb.execution.backup import installed
from kimbledb.execution.backup.access import Access, access_to
from kimbledb.execution.backup.client import Client, end
from kimbledb.inspection import history
from kimbledb.model.text import counted
from kimbledb.server import queries
from kimbledb.server.in_process_lock import running_loop
from kimbledb.server.options import Options
from kimbledb.server.runner import Runner
from kimbledb.server.session import Session
from kimbledb.server.targets import TargetLike, target_of

#: The entry of a schema, or of an extension's comment, in the contents of a backup.
_ENTRY = re.compile(r"\d+; \d+ \d+ (SCHEMA - |COMMENT - EXTENSION )(.*)")
#: The first version that sets ``transaction_timeout`` when it restores; older servers do not know the setting.
_SETS_TRANSACTION_TIMEOUT = 17
#: The number of lines at the beginning of its output within which it does so.
_HEADER = 40
#: The number of names of objects an error shows.
_SHOWN = 10


async def restore(path: str | os.PathLike[str], target: TargetLike, *, options: Options | None) -> None:
    """Bring a backup back into an empty database.

    Args:
        path: The path of the file that ``backup`` wrote.
        target: As for ``kimbledb.restore()``. The database must be empty.
        options: Deadline, timeouts and the like, in seconds; None for the defaults.

    Raises:
        BackupError: The database is not empty, the file cannot be read, or something in it cannot be made
            there; nothing was touched.
    """
    running_loop()
    options = options or Options()
    file = await asyncio.to_thread(Path(path).absolute)
    where = target_of(target)
    runner = Runner(where, options)

    async def work(session: Session) -> None:
        runner.doing = "checking that the database is empty"
        state = await history.look(session, "public")
        found = await session.ask(queries.question("restore_look"))
        if found["objects"]:
            shown = ", ".join(found["objects"][:_SHOWN])
            more = len(found["objects"]) - _SHOWN
            raise BackupError(
                f"a backup is restored into an empty database only, and {state.database} holds "
                f"{counted(found['objects'], 'object')}: {shown}" + (f" and {more} more" if more > 0 else ""),
                hint="create a new database: CREATE DATABASE ... TEMPLATE template0",
            )
        runner.doing = f"restoring {file.name}"
        await _bring_back(file, await access_to(session, state, where, options), found)

    await runner.run(work)


async def _bring_back(file: Path, access: Access, found: Mapping[str, Any]) -> None:
    client, contents = await _reader(file, access)
    with _temporary_folder() as folder:
        # Objects that every new database has are not made again.
        wanted = Path(folder, "contents")
        text = _without(contents, found)
        # Byte by byte as pg_restore listed it: the dumped database may have another encoding.
        await asyncio.to_thread(wanted.write_bytes, text.encode(errors="surrogateescape"))
        if _sets_too_much(client, access):
            await _by_psql(client, [f"--use-list={wanted}", "--file=-", str(file)], access)
            return
        arguments = ["--exit-on-error", "--single-transaction", "--no-password", f"--use-list={wanted}"]
        await client.run("pg_restore", [*arguments, f"--dbname={access.conninfo}", str(file)], access)


def _temporary_folder() -> tempfile.TemporaryDirectory[str]:
    try:
        return tempfile.TemporaryDirectory(prefix="kimbledb-restore-")
    except OSError as error:
        raise BackupError(
            f"the list of a backup's contents has no folder: {error.strerror}",
            hint="set TMPDIR to a folder that can be written",
        ) from error


def _sets_too_much(client: Client, access: Access) -> bool:
    return client.major >= _SETS_TRANSACTION_TIMEOUT > access.major


async def _by_psql(client: Client, arguments: Sequence[str], access: Access) -> None:
    """Restore a backup by psql, without the one setting that an older server does not know."""
    reading = await client.start("pg_restore", arguments, access)
    try:
        options = ["--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1", "--no-password"]
        writing = await client.start("psql", [*options, f"--dbname={access.conninfo}"], access, stdin=True)
        try:
            assert reading.stdout is not None
            assert reading.stderr is not None
            assert writing.stdin is not None
            assert writing.stdout is not None
            assert writing.stderr is not None
            complaints = [
                asyncio.ensure_future(each.read()) for each in (reading.stderr, writing.stderr, writing.stdout)
            ]
            # Where psql has stopped, its complaints say why.
            with suppress(BrokenPipeError, ConnectionResetError):
                await _pump(reading.stdout, writing.stdin)
                # psql commits at the end of its input: it must not end before pg_restore has succeeded.
                if await reading.wait() == 0:
                    writing.stdin.close()
                    await writing.wait()
        finally:
            await end(writing)
    finally:
        await end(reading)
    said = [await each for each in complaints]
    if reading.returncode == 0 == writing.returncode:
        return
    # Each is killed where the other fails.
    failed = "psql" if writing.returncode and writing.returncode > 0 else "pg_restore"
    raise client.failure(failed, said[1] if failed == "psql" else said[0], access)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    for _ in range(_HEADER):
        line = await source.readline()
        if line.strip() != b"SET transaction_timeout = 0;":
            sink.write(line)
    while chunk := await source.read(1 << 16):
        sink.write(chunk)
        await sink.drain()


async def _reader(file: Path, access: Access) -> tuple[Client, str]:
    """Return the best client that can read a file, and the file's contents as it lists them."""
    if not await asyncio.to_thread(file.is_file):
        raise BackupError(f"there is no backup {file}")
    clients = await installed.fitting(access.major)
    for client in clients:
        try:
            return client, await client.run("pg_restore", ["--list", str(file)], access)
        except BackupError:
            if client is clients[-1]:
                raise
    raise AssertionError  # there is at least one client


def _without(contents: str, found: Mapping[str, Any]) -> str:
    """Return the contents without the schemas and the extensions' comments that the database has already."""
    # Of two roles whose names both end a line, the shorter is the owner.
    roles = sorted(found["roles"], key=len)
    kept = []
    for line in contents.removesuffix("\n").split("\n"):
        entry = _ENTRY.fullmatch(line)
        existing = () if entry is None else found["schemas" if entry[1].startswith("SCHEMA") else "extensions"]
        if entry is None or _name_in(entry[2], roles) not in existing:
            kept.append(line)
    return "\n".join(kept) + "\n"


def _name_in(entry: str, roles: Iterable[str]) -> str:
    """Return the name at the end of an entry. A space and the owner's name follow it, or a space alone."""
    owner = next((role for role in roles if entry.endswith(f" {role}")), None)
    return entry.rpartition(" ")[0] if owner is None else entry[: -len(owner) - 1]
