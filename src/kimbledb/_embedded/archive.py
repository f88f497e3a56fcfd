"""The file that keeps a stopped server's data, so that the next server for tests starts from a copy.

A run of tests works on temporary data, which are not synced and may be in memory. Data that
are used in place would have to be synced, or a power failure would damage them; and two runs
could not use them at the same time. The file is written beside its place and renamed when it
is complete, so that runs may come at the same time and be killed at any moment.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tarfile
from io import BytesIO
from pathlib import Path
from typing import IO

from kimbledb._embedded.account import Account
from kimbledb._embedded.launcher import Launcher
from kimbledb.errors import EmbeddedServerError

#: The file in the folder that the caller keeps.
NAME = "kimbledb-test-server.tar"
#: The first member of the archive: it proves that kimbledb made the file. Its content says for which programs the
#: data are, and has the superuser's password.
_MARK = "kimbledb.mark"
#: Files of a server that runs.
_OF_A_PROCESS = ("postmaster.pid", "postmaster.opts")


class Archive:
    """The archive in one folder.

    Args:
        folder: The folder, which is made if it is missing.
        key: What the data depend on, such as the version of PostgreSQL. An archive with another key is replaced.

    Raises:
        EmbeddedServerError: The folder cannot be used, or has a file with the archive's name that kimbledb did not make.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self._path = folder.absolute() / NAME
        self._key = key
        self._databases: set[str] | None = None
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = self._read_mark() if self._path.exists() else {}
        except OSError as error:
            raise EmbeddedServerError(f"{folder} cannot keep the data of test databases: {error.strerror}") from error
        if found is None:
            raise EmbeddedServerError(
                f"{self._path} has the name of kimbledb's archive, and kimbledb did not make it",
                hint="move the file, or use another folder",
            )

    def restore(self, launcher: Launcher, data: Path) -> str | None:
        """Copy the archived data.

        Args:
            launcher: Has the user who is to own the data.
            data: The folder of the data, which is made.

        Returns:
            The superuser's password; None, and no folder, where there is no usable archive.
        """
        try:
            with self._path.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as archive:
                mark = _mark_of(archive, archive.next())
                if mark is None or mark["key"] != self._key:
                    return None
                launcher.make_folder(data)
                while (member := archive.next()) is not None:
                    _place(file, member, data, launcher.account)
            self._databases = _databases(data)
        except (OSError, EOFError, tarfile.TarError):
            # Missing or damaged: the data are made anew.
            shutil.rmtree(data, ignore_errors=True)
            return None
        return mark["password"]

    def is_outdated(self, data: Path) -> bool:
        """Return whether a server has made or dropped a database, such as a template, since its data were copied."""
        return _databases(data) != self._databases

    def save(self, data: Path, password: str) -> None:
        """Replace the archive by the data of a server that has been shut down.

        A failure, such as a full disk, leaves the archive as it was: the next run makes its data itself. So does
        another run that saves at this moment.
        """
        new = self._path.with_name(f"{NAME}.new")
        try:
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600), "wb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # released when the process ends, for whatever reason
                if os.fstat(file.fileno()).st_ino != new.stat().st_ino:
                    return  # another run has just renamed it
                file.truncate()  # a run that was killed may have left a part
                self._write(file, data, password)
                file.flush()
                os.fsync(file.fileno())
                new.rename(self._path)
        except (OSError, tarfile.TarError):
            return

    def _write(self, file: IO[bytes], data: Path, password: str) -> None:
        content = json.dumps({"key": self._key, "password": password}).encode()
        mark = tarfile.TarInfo(_MARK)
        mark.size = len(content)
        # The default format has a second header for each file, with the fraction of the second in which it was written.
        with tarfile.open(fileobj=file, mode="w|", format=tarfile.GNU_FORMAT) as archive:
            archive.addfile(mark, BytesIO(content))
            for entry in sorted(data.rglob("*")):
                if entry.name not in _OF_A_PROCESS:
                    archive.add(entry, entry.relative_to(data).as_posix(), recursive=False)

    def _read_mark(self) -> dict[str, str] | None:
        try:
            with tarfile.open(self._path, "r|") as archive:
                return _mark_of(archive, next(iter(archive), None))
        except (EOFError, tarfile.TarError):
            return None


def _databases(data: Path) -> set[str]:
    """Return the folders of the databases."""
    return {entry.name for entry in (data / "base").iterdir() if entry.name.isdigit()}


def _mark_of(archive: tarfile.TarFile, first: tarfile.TarInfo | None) -> dict[str, str] | None:
    """Return the content of the first member, or None if it is no mark."""
    if first is None or first.name != _MARK or (content := archive.extractfile(first)) is None:
        return None
    try:
        mark = json.load(content)
    except ValueError:
        return None
    return mark if isinstance(mark, dict) and {"key", "password"} <= mark.keys() else None


def _place(file: IO[bytes], member: tarfile.TarInfo, data: Path, account: Account | None) -> None:
    """Write one folder or file to its place, for its owner alone."""
    if ".." in member.name.split("/") or member.name.startswith("/"):
        raise tarfile.ExtractError(f"{member.name} would be written outside of its folder")
    target = f"{data}/{member.name}"
    if member.isdir():
        Path(target).mkdir(mode=0o700)
    elif member.isreg():
        # In one piece: tarfile itself would read a kilobyte at a time, and take three times as long.
        file.seek(member.offset_data)
        content = file.read(member.size)
        if len(content) < member.size:
            raise tarfile.ReadError(f"{member.name} is cut off")
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=0) as copy:
            copy.write(content)
    else:
        raise tarfile.ExtractError(f"{member.name} is neither a file nor a folder")
    if account is not None:
        os.chown(target, account.uid, account.gid)
