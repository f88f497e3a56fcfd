"""How PostgreSQL's programs are run for one server."""

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
from kimbledb._embedded.carrier import environment
from kimbledb._embedded.watcher import Watcher
from kimbledb.errors import EmbeddedServerError

#: Seconds that PostgreSQL may take to make its data, or to start: after a crash it recovers first.
PATIENCE = 120.0

#: Seconds that a server may take to stop: it writes what it holds in memory first.
STOP_PATIENCE = 60.0


class AbandonedError(Exception):
    """The caller does not want the server any more."""


@frozen
class Launcher:
    """Runs programs on folders of one server, watched, logged and as the right user."""

    #: Where PostgreSQL is unpacked.
    installation: Path
    #: The user that the programs run as; None for the caller.
    account: Account | None
    #: Where they write to.
    log: BinaryIO
    #: Stops the last one where this process dies.
    watcher: Watcher
    #: Set when waiting is to end by an exception.
    abandoned: threading.Event

    def make_folder(self, folder: Path) -> None:
        """Make a folder that the programs may write to, and nobody else.

        Raises:
            EmbeddedServerError: It may not be given to the user chosen for them.
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
        """Begin a program on a data folder.

        Raises:
            EmbeddedServerError: It may not run as the user chosen for it.
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
        """Wait for a program to end, and say whether it went well.

        Raises:
            EmbeddedServerError: It takes too long.
            AbandonedError: Nobody waits for it any more.
        """
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return process.wait(timeout=0.05) == 0
            except subprocess.TimeoutExpired:
                self.check_patience(deadline)

    def check_patience(self, deadline: float) -> None:
        """Raise where waiting makes no sense any more.

        Raises:
            EmbeddedServerError: The deadline (of ``time.monotonic()``) has passed.
            AbandonedError: Nobody waits any more.
        """
        if self.abandoned.is_set():
            raise AbandonedError
        if time.monotonic() > deadline:
            raise EmbeddedServerError(f"PostgreSQL was not ready after {PATIENCE:.0f} seconds{self.last_words()}")

    def last_words(self, since: int = 0) -> str:
        """Give the end of the log, to be put at the end of a message."""
        size = os.fstat(self.log.fileno()).st_size
        start = max(since, size - 2000)
        # By its descriptor: as root we would not open a file that the server's user could have exchanged.
        text = os.pread(self.log.fileno(), size - start, start).decode(errors="replace").strip()
        return "".join(f"\n  {line}" for line in text.splitlines()[-20:])

    def _name_for(self, folder: Path) -> str:
        """Name a folder so that the program can open it, which begins with it as its working directory.

        Another user may not be allowed into the folders above, such as /root or a test's
        temporary one. The working directory is entered before the user is changed, and
        that name of it needs no way in.
        """
        own = "/proc/self/cwd"
        return own if self.account is not None and Path(own).exists() else str(folder)


def _powerless(account: Account, error: OSError) -> EmbeddedServerError:
    """Describe a root who may not do what root can usually do, as in some containers."""
    return EmbeddedServerError(
        f"PostgreSQL does not run as root, and cannot be run as user {account.uid}: {error.strerror}",
        hint="run as a user other than root, or with the capabilities CHOWN, DAC_OVERRIDE, SETUID, SETGID and KILL",
    )


def end(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    """Stop a program; the signal is sent again, in case that it was not yet listening."""
    deadline = time.monotonic() + STOP_PATIENCE
    while process.poll() is None:
        process.send_signal(how if time.monotonic() < deadline else signal.SIGKILL)
        try:
            process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            continue
