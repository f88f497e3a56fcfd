"""The folder of one server, and its lock.

::

    kimbledb.mark proves that kimbledb made the folder, and that it is kept or temporary (``marks``)
    owner.lock    locked by the process that owns the server; contains the process id
    password      the superuser's password, in a kept folder
    server.log    the log since the last start
    data/         PostgreSQL's data, owned by the user that runs the server

The folder itself is owned by the caller's user. The lock ends with the process that
holds it, for whatever reason that process ends. So a folder with a free lock was left
behind, and the next start removes it if its mark is that of a temporary folder.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from kimbledb._embedded.marks import MARK, is_marked, is_temporary, mark_kept, mark_temporary
from kimbledb.errors import EmbeddedServerError

PREFIX = "kimbledb-server-"
LOCK = "owner.lock"

#: A file system in memory on Linux. Containers limit it to 64 MB by default.
_MEMORY = Path("/dev/shm")  # noqa: S108 - only a folder of our own in it is used
#: Bytes that must be free in it: several hundred databases of the built-in schema.
_ENOUGH = 4 * 1024**3


@contextmanager
def temporary_home(place: Path | None = None) -> Iterator[Path]:
    """Make a folder that is removed at the end, and remove the folders that dead processes left behind.

    Args:
        place: The folder in which it is made; None for the system's temporary folder.
    """
    _clear_dead_homes(place or _MEMORY)
    with nullcontext() if place is None else suppress(FileNotFoundError):  # the system's folder may not be writable
        _clear_dead_homes(Path(tempfile.gettempdir()))
    while True:
        home = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place)).resolve()
        try:
            mark_temporary(home)
        except BaseException:
            # No later start would remove a folder without a mark.
            shutil.rmtree(home, ignore_errors=True)
            raise
        lock = _lock(home / LOCK)
        if lock is not None:
            break  # else another start has just taken the folder for a leftover
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)
        _unlock(lock)


@contextmanager
def kept_home(home: Path) -> Iterator[Path]:
    """Lock the caller's folder, and stop a server that a dead process has left in it.

    Raises:
        EmbeddedServerError: Another process uses the folder, or kimbledb did not make its content.
    """
    home = home.absolute().resolve()
    _demand_ours(home)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = _lock(home / LOCK)
    if lock is None:
        owner = (home / LOCK).read_text().strip() or "another process"
        raise EmbeddedServerError(f"{home} is in use by {owner}", hint="wait for it, or use another folder")
    try:
        mark_kept(home)
        os.truncate(lock, 0)
        os.write(lock, f"process {os.getpid()}\n".encode())
        _stop_leftover(home, signal.SIGINT, seconds=60)
        yield home
    finally:
        _unlock(lock)


def password_of(home: Path) -> str:
    """Return the superuser's password of a kept folder, and make one for a new folder.

    Raises:
        EmbeddedServerError: The folder has data, but no password.
    """
    file = home / "password"
    try:
        return file.read_text().strip()
    except FileNotFoundError:
        if (home / "data").exists():
            raise EmbeddedServerError(
                f"{file} is missing, and the data in {home} cannot be opened without this password",
                hint="restore the file, or use another folder",
            ) from None
    password = new_password()
    # Written atomically, and never readable by others.
    new = home / "password.new"
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as writing:
        writing.write(password + "\n")
        writing.flush()
        os.fsync(writing.fileno())
    new.rename(file)
    return password


def new_password() -> str:
    """Return a random password that needs no quoting in a DSN."""
    return secrets.token_hex(16)


def server_name(home: Path) -> str:
    """Return the name of the server of a folder, which its command line contains."""
    return f"kimbledb-{hashlib.sha256(bytes(home)).hexdigest()[:12]}"


def _lock(path: Path) -> int | None:
    """Lock a file for as long as this process lives.

    Returns:
        The file's descriptor, or None where another process has locked or removed the file.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    if os.fstat(descriptor).st_nlink == 0:
        os.close(descriptor)
        return None
    return descriptor


def _unlock(descriptor: int) -> None:
    # Closing is not enough: a process that was forked in the meantime holds the lock, too.
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def memory() -> Path | None:
    """Return a folder whose files are in memory, if enough memory is free and no variable names a temporary folder."""
    if any(os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP")):
        return None
    try:
        facts = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        free = min(shutil.disk_usage(_MEMORY).free, 1024 * int(facts["MemAvailable"].split()[0]))
        # A folder of this name on a disk would gain nothing.
        in_memory = any(f" {_MEMORY} tmpfs " in line for line in Path("/proc/mounts").read_text().splitlines())
    except (OSError, KeyError, ValueError):
        return None
    return _MEMORY if in_memory and free >= _ENOUGH and os.access(_MEMORY, os.W_OK | os.X_OK) else None


def _clear_dead_homes(place: Path) -> None:
    """Remove the temporary folders of processes that died together with their watchers."""
    for home in place.resolve().glob(f"{PREFIX}*"):
        with suppress(OSError):
            if not is_temporary(home):
                continue
            lock = _lock(home / LOCK)
            if lock is None:
                continue
            try:
                if not is_temporary(home):
                    continue  # its owner has marked it as kept meanwhile
                with suppress(EmbeddedServerError):
                    _stop_leftover(home, signal.SIGQUIT, seconds=5)
                shutil.rmtree(home, ignore_errors=True)
            finally:
                _unlock(lock)


def _demand_ours(home: Path) -> None:
    """Raise EmbeddedServerError for a folder with content that kimbledb did not make."""
    if not home.exists():
        return
    if not home.is_dir():
        raise EmbeddedServerError(f"{home} is not a folder")
    names = {entry.name for entry in home.iterdir()} - {"lost+found"}
    if "PG_VERSION" in names:
        version = (home / "PG_VERSION").read_text().strip()
        raise EmbeddedServerError(
            f"{home} contains data of PostgreSQL {version} that kimbledb did not make",
            hint="use a new folder; kimbledb keeps the data in its subfolder `data`",
        )
    # A start that was interrupted before the mark leaves an empty lock file, and perhaps a part of the mark.
    begun = {f"{MARK}.new"} | ({LOCK} if LOCK in names and (home / LOCK).stat().st_size == 0 else set())
    if names - begun and not is_marked(home):
        raise EmbeddedServerError(
            f"{home} is not empty, and kimbledb did not make its content", hint="use a new folder"
        )


def _stop_leftover(home: Path, how: signal.Signals, *, seconds: float) -> None:
    """Stop a server whose owner has died, and remove the pid file of a server that has died as well.

    Args:
        home: The folder of the server.
        how: The signal that stops it.
        seconds: The time it may take.

    Raises:
        EmbeddedServerError: The server does not end, or another program started it.
    """
    data = home / "data"
    pid = _postmaster(data)
    if pid is None:
        return
    name = server_name(home)
    deadline = time.monotonic() + seconds
    while name in (command := _command(pid)):
        if time.monotonic() > deadline:
            raise EmbeddedServerError(
                f"a server that a dead process left in {home} does not end (process {pid})", hint=f"kill -QUIT {pid}"
            )
        with suppress(ProcessLookupError):
            os.kill(pid, how)
        time.sleep(0.05)
    if str(data) in command:
        raise EmbeddedServerError(
            f"a server that kimbledb did not start is running on {data} (process {pid})", hint="stop that server first"
        )
    # Another process may have this id by now, and PostgreSQL would take that process for a server.
    (data / "postmaster.pid").unlink(missing_ok=True)


def _postmaster(data: Path) -> int | None:
    """Return the id of the process that runs, or ran, on the data."""
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None
    return pid if pid > 1 else None


def _command(pid: int) -> str:
    """Return the command line of a process, or an empty text where the process has ended."""
    if Path("/proc/self/cmdline").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")
        except (FileNotFoundError, ProcessLookupError):
            return ""
    answer = subprocess.run(  # noqa: S603 - our own arguments
        ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return answer.stdout
