"""Programs that tests start on loopback: PostgreSQL and PgBouncer."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import pytest

from kimbledb._embedded import programs

PGBOUNCER = Path("/usr/sbin/pgbouncer")
#: The folder of Debian's PostgreSQL, with one folder per version.
DEBIAN = Path("/usr/lib/postgresql")


def missing(reason: str) -> NoReturn:
    """Skip the test because a program is missing; fail it in CI, which installs all programs."""
    if os.environ.get("CI") == "true" and os.geteuid() == 0 and shutil.which("apt-get"):
        pytest.fail(f"{reason}, and CI must have it")
    pytest.skip(reason)


def account() -> dict[str, Any]:
    """Return the arguments that make ``subprocess.Popen`` run a program as another user than root.

    Neither PostgreSQL nor PgBouncer runs as root.
    """
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """Make a temporary folder that the user of ``account()`` owns."""
    path = Path(tempfile.mkdtemp(prefix="kimbledb-faults-"))
    give(path)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def give(path: Path) -> None:
    """Change the owner of a file or folder to the user of ``account()``."""
    owner = account()
    if owner:
        os.chown(path, owner["user"], owner["group"])


def free_port() -> int:
    """Return a free port of loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


class Cluster:
    """A private PostgreSQL that a test can stop, start again and copy."""

    def __init__(self, binaries: Path, data: Path, settings: Mapping[str, str]) -> None:
        self.binaries = binaries
        self.data = data
        self.port = free_port()
        self.password = secrets.token_hex(8)
        self.settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "shared_buffers": "16MB",
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def dsn(self) -> str:
        """The DSN of the superuser."""
        return f"postgresql://postgres:{self.password}@127.0.0.1:{self.port}/postgres"

    def make(self) -> None:
        """Make the data with initdb."""
        with tempfile.NamedTemporaryFile("w", prefix="kimbledb-faults-") as secret:
            secret.write(self.password)
            secret.flush()
            give(Path(secret.name))
            self._run(
                *("initdb", "-D", str(self.data), "-U", "postgres", "-A", "scram-sha-256", "--pwfile", secret.name),
                *("--encoding", "UTF8", "--locale", "C", "--no-sync"),
            )

    def copy_to(self, data: Path, settings: Mapping[str, str]) -> Cluster:
        """Return a standby with a copy of the data; it is not started yet."""
        standby = Cluster(self.binaries, data, settings)
        standby.password = self.password
        source = f"host=127.0.0.1 port={self.port} user=postgres password={self.password}"
        self._run("pg_basebackup", "-D", str(data), "-d", source, "-R", "-c", "fast", "--no-sync")
        return standby

    def start(self, *, wait: bool = True) -> None:
        """Start the server, and wait until it accepts clients."""
        assert self._process is None
        log = (self.data.parent / f"{self.data.name}.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [
                    str(self.binaries / "postgres"),
                    *("-D", str(self.data), "-p", str(self.port)),
                    *(part for name, value in self.settings.items() for part in ("-c", f"{name}={value}")),
                ],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=self._environment(),
                cwd="/",
                start_new_session=True,
                **account(),
            )
        deadline = time.monotonic() + 30
        while wait and not self.is_ready():
            assert self._process.poll() is None, self.log[-2000:]
            assert time.monotonic() < deadline, self.log[-2000:]
            time.sleep(0.02)

    def is_ready(self) -> bool:
        """Return whether the server accepts clients, by its postmaster.pid."""
        try:
            lines = (self.data / "postmaster.pid").read_text().split("\n")
        except OSError:
            return False
        return len(lines) > 7 and lines[7].strip() in ("ready", "standby")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: SIGINT shuts it down, SIGQUIT ends it like a crash."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            process.wait(30)

    @property
    def log(self) -> str:
        """The text of the log."""
        return (self.data.parent / f"{self.data.name}.log").read_text(errors="replace")

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self.binaries / program), *arguments],
            env=self._environment(),
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            **account(),
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LC_ALL": "C",
            "TZ": "UTC",
            "LD_LIBRARY_PATH": str(self.binaries.parent / "lib") if self.binaries == embedded_binaries() else "",
        }


def embedded_binaries() -> Path:
    """Return the folder of the embedded server's programs."""
    return programs()


def debian_binaries(version: int) -> Path:
    """Return the folder of the programs of a version from Debian's packages; skip the test if it is missing."""
    binaries = DEBIAN / str(version) / "bin"
    if not (binaries / "postgres").exists():
        missing(f"PostgreSQL {version} is not installed")
    return binaries


@contextlib.contextmanager
def running(binaries: Path, settings: Mapping[str, str] = {}) -> Iterator[Cluster]:
    """Run a cluster in a temporary folder."""
    with folder() as home:
        cluster = Cluster(binaries, home / "data", settings)
        cluster.make()
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop(signal.SIGQUIT)


@contextlib.contextmanager
def pgbouncer(dsn: str, *, pool_size: int = 5) -> Iterator[str]:
    """Run PgBouncer in front of a server, in transaction mode.

    Args:
        dsn: The server.
        pool_size: The number of connections to the server for each database and user.

    Yields:
        The DSN through PgBouncer.
    """
    if not PGBOUNCER.exists():
        missing("PgBouncer is not installed")
    server = urlsplit(dsn)
    port = free_port()
    with folder() as home:
        (home / "users.txt").write_text(f'"{server.username}" "{server.password}"\n')
        (home / "pgbouncer.ini").write_text(
            "[databases]\n"
            f"* = host=127.0.0.1 port={server.port}\n"
            "[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            f"auth_type = scram-sha-256\nauth_file = {home}/users.txt\n"
            f"pool_mode = transaction\ndefault_pool_size = {pool_size}\nmax_client_conn = 200\n"
            f"logfile = {home}/log\npidfile =\n"
        )
        for file in home.iterdir():
            give(file)
        process = subprocess.Popen(
            [str(PGBOUNCER), "-q", str(home / "pgbouncer.ini")], stdin=subprocess.DEVNULL, cwd="/", **account()
        )
        try:
            deadline = time.monotonic() + 10
            while not _answers(port):
                assert process.poll() is None, (home / "log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.02)
            yield dsn.replace(f"127.0.0.1:{server.port}", f"127.0.0.1:{port}")
        finally:
            process.terminate()
            process.wait(10)


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
