"""One server: its data are made, PostgreSQL is started, and stopped at the end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from kimbledb._embedded.account import account_for
from kimbledb._embedded.archive import Archive
from kimbledb._embedded.home import kept_home, new_password, password_of, server_name, temporary_home
from kimbledb._embedded.launcher import START_TIMEOUT, Launcher, end
from kimbledb._embedded.unpacking import installation, major_version
from kimbledb._embedded.watcher import Watcher
from kimbledb.errors import EmbeddedServerError

#: Written to postgresql.conf when the data are made. In a kept folder users may change them there.
SETTINGS = {
    "max_connections": "200",
    "shared_buffers": "64MB",
    "max_locks_per_transaction": "256",  # DROP SCHEMA locks each table of the schema
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    # The password is long and random: 4096 rounds of hashing, the default, make it no
    # safer, and would be most of the time that a connection takes.
    "scram_iterations": "1",
}

#: Temporary data need not survive the machine. Their log is small files, and few: they are in the archive, too.
TEMPORARY_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_init_zero": "off",
    "wal_recycle": "off",
    "max_wal_size": "1GB",  # the default, which initdb makes smaller with the files
}

#: Number of ports to try: another program may take a free port before PostgreSQL does.
PORTS = 5


class Server:
    """A server. ``start()`` and ``stop()`` block: call them in a thread.

    Args:
        data_dir: The folder that keeps the data; None for temporary data.
        archive_dir: The folder that keeps a copy of temporary data, for the next server; None for no copy.
        place: The folder in which the folder of temporary data is made; None for the system's.
    """

    def __init__(self, data_dir: Path | None, *, archive_dir: Path | None = None, place: Path | None = None) -> None:
        self._data_dir = data_dir
        self._archive_dir = archive_dir
        self._place = place
        self._abandoned = threading.Event()
        self._stack = ExitStack()

    def start(self) -> str:
        """Start the server and return its DSN. After a failure nothing is left running.

        Raises:
            EmbeddedServerError: The server cannot start; the message ends with the end of the log.
            AbandonedError: ``abandon()`` was called meanwhile.
        """
        with ExitStack() as stack:
            try:
                dsn = self._start(stack)
            except OSError as error:
                raise EmbeddedServerError(f"the embedded server cannot start: {error}") from error
            self._stack = stack.pop_all()
        return dsn

    def stop(self) -> None:
        """Stop the server if it runs, and remove temporary data."""
        self._stack.close()

    def abandon(self) -> None:
        """Make a start in another thread end soon, with an exception."""
        self._abandoned.set()

    def _start(self, stack: ExitStack) -> str:
        programs = installation()
        if self._data_dir is None:
            home = stack.enter_context(temporary_home(self._place))
            password = new_password()
            settings = SETTINGS | TEMPORARY_SETTINGS
            stop = signal.SIGQUIT  # immediate shutdown: data that are removed need not be written
            watcher = Watcher(stop, remove=home)
        else:
            home = stack.enter_context(kept_home(self._data_dir))
            password = password_of(home)
            settings = SETTINGS
            stop = signal.SIGINT  # fast shutdown: it writes all data, and does not wait for clients
            watcher = Watcher(stop, remove=None)
        stack.enter_context(watcher)
        log = stack.enter_context(_open_log(home / "server.log"))
        data = home / "data"
        launcher = Launcher(programs, account_for(data), log, watcher, self._abandoned)
        archive = None
        if self._archive_dir is not None:
            archive = Archive(self._archive_dir, json.dumps([programs.name, settings]))
            password = archive.restore(launcher, data) or password
        if data.exists():
            _demand_same_version(data, programs)
        else:
            _make_data(launcher, data, password, settings)
        for _ in range(PORTS):
            port = _free_port()
            begin = os.fstat(log.fileno()).st_size
            process = launcher.run(
                "postgres",
                *("-p", str(port)),
                *("-c", "listen_addresses=127.0.0.1"),
                *("-c", "unix_socket_directories="),  # a socket's path must be short, and the folder's may be long
                *("-c", f"cluster_name={server_name(home)}"),
                folder=data,
            )
            if archive is None:
                stack.callback(end, process, stop)
            else:
                stack.callback(_end_and_save, process, archive, data, password)
            if _wait_until_ready(launcher, process, data):
                return f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"
            said = launcher.log_tail(since=begin)
            if "Address already in use" not in said:
                raise EmbeddedServerError(f"PostgreSQL does not start:{said}")
        raise EmbeddedServerError(f"other programs took {PORTS} free ports, one after another:{said}")


def _end_and_save(process: subprocess.Popen[bytes], archive: Archive, data: Path, password: str) -> None:
    """Stop a server, and keep its data if their archive is outdated."""
    if archive.is_outdated(data):
        end(process, signal.SIGINT)  # fast shutdown: it writes all data, and does not wait for clients
        if process.returncode == 0:
            archive.save(data, password)
    else:
        end(process, signal.SIGQUIT)


def _make_data(launcher: Launcher, data: Path, password: str, settings: dict[str, str]) -> None:
    """Make PostgreSQL's data, under another name until they are complete."""
    new = data.with_name("data.new")
    shutil.rmtree(new, ignore_errors=True)
    launcher.make_folder(new)
    # The password is passed in a file without a name: every user sees a command line.
    with tempfile.TemporaryFile(dir=data.parent) as secret:
        secret.write(f"{password}\n".encode())
        secret.flush()
        secret.seek(0)
        if launcher.account is not None:
            os.fchown(secret.fileno(), launcher.account.uid, launcher.account.gid)
        process = launcher.run(
            "initdb",
            "--username=postgres",
            "--auth=scram-sha-256",
            f"--pwfile=/dev/fd/{secret.fileno()}",
            "--encoding=UTF8",
            "--locale-provider=builtin",  # the same everywhere, whatever locales the system has
            "--locale=C.UTF-8",
            "--no-instructions",
            *(["--no-sync", "--wal-segsize=1"] if settings.get("fsync") == "off" else []),
            *(f"--set={name}={value}" for name, value in settings.items()),
            folder=new,
            descriptors=[secret.fileno()],
        )
        try:
            made = launcher.wait(process)
        finally:
            end(process, signal.SIGTERM)
    if not made:
        raise EmbeddedServerError(f"PostgreSQL's initdb failed:{launcher.log_tail()}")
    new.rename(data)


def _demand_same_version(data: Path, programs: Path) -> None:
    found = (data / "PG_VERSION").read_text().strip()
    ours = major_version(programs)
    if found != ours:
        raise EmbeddedServerError(
            f"{data.parent} contains data of PostgreSQL {found}, and the embedded server is PostgreSQL {ours}",
            hint=f"use a new folder, and move the data with pg_dump and a server of version {found}",
        )


def _wait_until_ready(launcher: Launcher, process: subprocess.Popen[bytes], data: Path) -> bool:
    """Wait until the server accepts clients, and return whether it does: False if it has ended instead.

    The server itself writes postmaster.pid, while any other program could answer on the port.
    """
    deadline = time.monotonic() + START_TIMEOUT
    while process.poll() is None:
        try:
            lines = (data / "postmaster.pid").read_text().split("\n")
        except FileNotFoundError:
            lines = []
        if lines[0:1] == [str(process.pid)] and [line.strip() for line in lines[7:8]] == ["ready"]:
            return True
        launcher.check_deadline(deadline)
        time.sleep(0.01)
    return False


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def _open_log(path: Path) -> BinaryIO:
    """Open a new log that only the caller may read, since it can contain statements."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    return os.fdopen(descriptor, "w+b")
