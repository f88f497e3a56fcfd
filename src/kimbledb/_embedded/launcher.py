"""PostgreSQL's programs, run for one server: watched, logged, and as the right user."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO

from attrs import frozen

from kimbledb._embedded.account import Account
from kimbledb._embedded.unpacking import environment
from kimbledb._embedded.watcher import Watcher
from kimbledb.errors import EmbeddedServerError

#: Seconds that PostgreSQL may take to make its data or to start: after a crash it recovers first.
START_TIMEOUT = 120.0

#: Seconds that a server may take to stop: it writes its buffers first.
STOP_TIMEOUT = 60.0


class AbandonedError(Exception):
    """The caller has abandoned the start of the server."""


@frozen
class Launcher:
    """Runs PostgreSQL's programs on the folders of one server."""

    #: The folder of the unpacked PostgreSQL.
    installation: Path
    #: The user that runs the programs; None means the caller.
    account: Account | None
    #: The programs' output.
    log: BinaryIO
    #: Stops the last program if this process dies.
    watcher: Watcher
    #: Set by the caller to end a wait with an exception.
    abandoned: threading.Event

    def make_folder(self, folder: Path) -> None:
        """Make a folder that only the user of the programs may enter.

        Raises:
            EmbeddedServerError: This process may not change the owner of the folder.
        """
        folder.mkdir(mode=0o700)
        if self.account is not None:
            try:
                os.chown(folder, self.account.uid, self.account.gid, follow_symlinks=False)
            except OSError as error:
                raise _powerless(self.account, error) from error

    def run(
        self, program: str, *arguments: str, folder: Path, descriptors: Collection[int] = ()
    ) -> subprocess.Popen[bytes]:
        """Start a program on a data folder.

        Args:
            program: The name of the program.
            arguments: Its arguments after ``-D FOLDER``.
            folder: The data folder, and the working directory.
            descriptors: The file descriptors that the program inherits.

        Raises:
            EmbeddedServerError: This process may not run a program as the chosen user.
        """
        try:
            process = subprocess.Popen(  # noqa: S603 - a program that we unpacked
                [str(self.installation / "bin" / program), "-D", self._name_for(folder), *arguments],
                cwd=folder,
                env=environment(self.installation),
                stdin=subprocess.DEVNULL,
                stdout=self.log,
                stderr=self.log,
                pass_fds=descriptors,
                start_new_session=True,  # a Ctrl-C is meant for the owner, who then stops the server
                **(self.account.process if self.account is not None else {}),
            )
        except PermissionError as error:
            if self.account is None:
                raise
            raise _powerless(self.account, error) from error
        self.watcher.guard(process.pid)
        return process

    def wait(self, process: subprocess.Popen[bytes]) -> bool:
        """Wait for a program to end, and return whether it succeeded.

        Raises:
            EmbeddedServerError: The program takes longer than ``START_TIMEOUT``.
            AbandonedError: The caller has abandoned the start.
        """
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            try:
                return process.wait(timeout=0.05) == 0
            except subprocess.TimeoutExpired:
                self.check_deadline(deadline)

    def check_deadline(self, deadline: float) -> None:
        """Return if the wait may continue.

        Args:
            deadline: The end of the wait, in seconds of ``time.monotonic()``.

        Raises:
            EmbeddedServerError: The deadline has passed.
            AbandonedError: The caller has abandoned the start.
        """
        if self.abandoned.is_set():
            raise AbandonedError
        if time.monotonic() > deadline:
            raise EmbeddedServerError(f"PostgreSQL was not ready after {START_TIMEOUT:.0f} seconds{self.log_tail()}")

    def log_tail(self, since: int = 0) -> str:
        """Return the end of the log, indented, as the end of a message.

        Args:
            since: The position in the log, in bytes, before which nothing is returned.
        """
        size = os.fstat(self.log.fileno()).st_size
        start = max(since, size - 2000)
        # By the descriptor: the server's user could have replaced the file, which root must not open then.
        text = os.pread(self.log.fileno(), size - start, start).decode(errors="replace").strip()
        return "".join(f"\n  {line}" for line in text.splitlines()[-20:])

    def _name_for(self, folder: Path) -> str:
        """Return a name by which a program can open the folder that is its working directory.

        Another user may not be allowed to enter the folders above, such as /root or a test's
        temporary folder. The working directory is entered before the user is changed, and
        /proc/self/cwd needs no permission on the folders above.
        """
        own = "/proc/self/cwd"
        return own if self.account is not None and Path(own).exists() else str(folder)


def _powerless(account: Account, error: OSError) -> EmbeddedServerError:
    """Return the error for a root without the usual capabilities, as in some containers."""
    return EmbeddedServerError(
        f"PostgreSQL does not run as root, and cannot be run as user {account.uid}: {error.strerror}",
        hint="run as a user other than root, or with the capabilities CHOWN, DAC_OVERRIDE, SETUID, SETGID and KILL",
    )


def end(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    """Stop a program. The signal is sent again each second: a program that has just begun may ignore it."""
    deadline = time.monotonic() + STOP_TIMEOUT
    while process.poll() is None:
        process.send_signal(how if time.monotonic() < deadline else signal.SIGKILL)
        try:
            process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            continue
