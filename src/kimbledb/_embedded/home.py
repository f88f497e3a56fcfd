"""The folder of one server, and whose it is.

::

    kimbledb.mark says that kimbledb made it, and whether it is to be kept (``marks``)
    owner.lock    locked by the process that the server belongs to, with its id
    password      of the superuser, where the folder is kept
    server.log    of this start
    data/         PostgreSQL's data, owned by the user that runs the server

The folder belongs to the caller. A lock goes with the process that holds it, so
that a folder whose lock is free was left behind, whatever its process died of. It
is removed where its mark says that it was a temporary one.
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
from contextlib import contextmanager, suppress
from pathlib import Path

from kimbledb._embedded.marks import MARK, is_marked, is_temporary, mark_kept, mark_temporary
from kimbledb.errors import EmbeddedServerError

PREFIX = "kimbledb-server-"
LOCK = "owner.lock"


@contextmanager
def temporary_home() -> Iterator[Path]:
    """Make a folder that is removed at the end; remove those that the dead have left."""
    _clear_dead_homes()
    while True:
        home = Path(tempfile.mkdtemp(prefix=PREFIX)).resolve()
        try:
            mark_temporary(home)
        except BaseException:
            # Without its mark nobody would remove it.
            shutil.rmtree(home, ignore_errors=True)
            raise
        lock = _lock(home / LOCK)
        if lock is not None:
            break  # else another start took it for a dead one's in the moment before
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)
        _unlock(lock)


@contextmanager
def kept_home(home: Path) -> Iterator[Path]:
    """Take the caller's folder, and stop the server that a dead process has left on it.

    Raises:
        EmbeddedServerError: Another process uses it, or kimbledb did not make what is in it.
    """
    home = home.absolute().resolve()
    _demand_ours(home)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = _lock(home / LOCK)
    if lock is None:
        owner = (home / LOCK).read_text().strip() or "another process"
        raise EmbeddedServerError(f"{home} is in use by {owner}", hint="wait for it, or take another folder")
    try:
        mark_kept(home)
        os.truncate(lock, 0)
        os.write(lock, f"process {os.getpid()}\n".encode())
        _stop_leftover(home, signal.SIGINT, seconds=60)
        yield home
    finally:
        _unlock(lock)


def password_of(home: Path) -> str:
    """Read the superuser's password in a kept folder, or make one.

    Raises:
        EmbeddedServerError: There are data, but the password is gone.
    """
    file = home / "password"
    try:
        return file.read_text().strip()
    except FileNotFoundError:
        if (home / "data").exists():
            raise EmbeddedServerError(
                f"{file} is gone, and the data in {home} cannot be opened without it",
                hint="put the file back, or take another folder",
            ) from None
    password = new_password()
    # Whole or not at all, and never readable by others.
    new = home / "password.new"
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as writing:
        writing.write(password + "\n")
        writing.flush()
        os.fsync(writing.fileno())
    new.rename(file)
    return password


def new_password() -> str:
    """Make a password that nobody guesses and that needs no quoting in a DSN."""
    return secrets.token_hex(16)


def server_name(home: Path) -> str:
    """Give the name by which the server of a folder is known: it stands in its command line."""
    return f"kimbledb-{hashlib.sha256(bytes(home)).hexdigest()[:12]}"


def _lock(path: Path) -> int | None:
    """Lock a file for as long as this process lives; None where another process holds it, or has removed it."""
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
    # To close it would not do: a process that was forked meanwhile holds the lock, too.
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def _clear_dead_homes() -> None:
    """Remove the temporary folders of processes that died together with their watchers."""
    for home in Path(tempfile.gettempdir()).resolve().glob(f"{PREFIX}*"):
        with suppress(OSError):
            if not is_temporary(home):
                continue
            lock = _lock(home / LOCK)
            if lock is None:
                continue
            try:
                if not is_temporary(home):
                    continue  # its owner had taken it to be kept
                with suppress(EmbeddedServerError):
                    _stop_leftover(home, signal.SIGQUIT, seconds=5)
                shutil.rmtree(home, ignore_errors=True)
            finally:
                _unlock(lock)


def _demand_ours(home: Path) -> None:
    """Refuse a folder that holds anything but what kimbledb has put there."""
    if not home.exists():
        return
    if not home.is_dir():
        raise EmbeddedServerError(f"{home} is not a folder")
    names = {entry.name for entry in home.iterdir()} - {"lost+found"}
    if "PG_VERSION" in names:
        version = (home / "PG_VERSION").read_text().strip()
        raise EmbeddedServerError(
            f"{home} holds data of PostgreSQL {version} that kimbledb did not make",
            hint="take a new folder; kimbledb keeps the data in its subfolder `data`",
        )
    # A start that was interrupted before the mark leaves an empty lock, and perhaps a part of the mark.
    begun = {f"{MARK}.new"} | ({LOCK} if LOCK in names and (home / LOCK).stat().st_size == 0 else set())
    if names - begun and not is_marked(home):
        raise EmbeddedServerError(
            f"{home} is not empty, and kimbledb did not make what is in it", hint="take a new folder"
        )


def _stop_leftover(home: Path, how: signal.Signals, *, seconds: float) -> None:
    """Stop a server whose owner has died, and forget one that has died as well.

    Raises:
        EmbeddedServerError: The server does not end, or somebody else started it.
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
                f"a server that was left behind in {home} does not end (process {pid})", hint=f"kill -QUIT {pid}"
            )
        with suppress(ProcessLookupError):
            os.kill(pid, how)
        time.sleep(0.05)
    if str(data) in command:
        raise EmbeddedServerError(
            f"a server that kimbledb did not start is running on {data} (process {pid})", hint="stop it first"
        )
    # Another process may have this id by now, and PostgreSQL would take it for a server.
    (data / "postmaster.pid").unlink(missing_ok=True)


def _postmaster(data: Path) -> int | None:
    """Read which process runs, or ran, on the data."""
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None
    return pid if pid > 1 else None


def _command(pid: int) -> str:
    """Give the command line of a process; nothing where there is none."""
    if Path("/proc/self/cmdline").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")
        except (FileNotFoundError, ProcessLookupError):
            return ""
    answer = subprocess.run(  # noqa: S603 - arguments of ours
        ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return answer.stdout
