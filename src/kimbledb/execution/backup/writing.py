"""Writes a backup: under another name first, checked by pg_restore, and renamed when it is whole."""

from __future__ import annotations

import asyncio
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from kimbledb.errors import BackupError
from kimbledb.execution.backup import installed
from kimbledb.execution.backup.access import access_to
from kimbledb.model.state import DatabaseState
from kimbledb.server.options import Options
from kimbledb.server.session import Session
from kimbledb.server.targets import Target


def check_path(path: str | os.PathLike[str]) -> Path:
    """Return the absolute path of the file that a backup is to be written to.

    Raises:
        BackupError: The file exists, or its folder does not.
    """
    file = Path(path).absolute()
    if file.exists() or file.is_symlink():
        raise BackupError(f"{file} exists already, and a backup overwrites nothing", hint="name another file")
    if not file.parent.is_dir():
        raise BackupError(f"there is no folder {file.parent} for the backup", hint="create it first")
    return file


async def write(
    path: str | os.PathLike[str], session: Session, state: DatabaseState, target: Target, options: Options
) -> None:
    """Write a backup of the whole database, and make sure that it can be read.

    The file gets its name when it is whole. Only the caller's user can read it.

    Args:
        path: The file to be made.
        session: A session of the target. It is idle while pg_dump works.
        state: The state of its database.
        target: The target on which the session was opened.
        options: The options with the application's name and the DSN past a pooler.

    Raises:
        BackupError: The backup cannot be made, and there is no file.
    """
    file = await asyncio.to_thread(check_path, path)
    access = await access_to(session, state, target, options)
    client, *_ = await installed.fitting(access.major)
    unfinished = await asyncio.to_thread(_unfinished, file)
    try:
        arguments = ["--format=custom", "--no-password", f"--dbname={access.conninfo}"]
        await client.run("pg_dump", arguments, access, output=unfinished)
        await client.run("pg_restore", ["--list", str(unfinished)], access)
        await asyncio.to_thread(_finish, unfinished, file)
    finally:
        with suppress(FileNotFoundError):
            unfinished.unlink()


def _unfinished(file: Path) -> Path:
    """Make the file that pg_dump writes to, in the same folder, readable by nobody else."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", suffix=".unfinished", dir=file.parent)
    except OSError as error:
        raise BackupError(f"no backup can be written into {file.parent}: {error.strerror}") from error
    os.close(descriptor)
    return Path(name)


def _finish(unfinished: Path, file: Path) -> None:
    """Give the file its name when all of it is on the disk, unless the name was taken meanwhile."""
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
