"""The process that stops a server whose owner has died.

A killed process cannot clean up after itself, so a second process does: a small shell
that reads from a pipe. When the owner ends, for whatever reason, the pipe ends. Then
the shell stops the server that the owner started, and removes its folder.
"""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

# $1 is the signal, $2 the folder to remove or nothing. Each line of the input is the id of
# the process to stop; the line "done" dismisses the watcher. The signal is sent again, for
# 30 seconds at most: a program that has only just begun may ignore it, and a zombie, which
# no process waits for, never disappears.
SCRIPT = """
trap '' HUP INT QUIT TERM
pid=
while read -r line; do
    if [ "$line" = done ]; then exit; fi
    pid=$line
done
tries=0
while [ -n "$pid" ] && [ $tries -lt 300 ] && kill -s "$1" "$pid" 2>/dev/null; do
    sleep 0.1
    tries=$((tries + 1))
done
if [ -n "$2" ]; then rm -rf -- "$2"; fi
"""


class Watcher:
    """A watcher of the calling process, for as long as the context is open.

    Args:
        stop: The signal that stops the server.
        remove: The folder to remove with the server, or None.
    """

    def __init__(self, stop: signal.Signals, remove: Path | None) -> None:
        reading, self._pipe = os.pipe()  # other processes that the owner starts do not inherit it
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the script is above
                ["/bin/sh", "-c", SCRIPT, "kimbledb-watcher", stop.name.removeprefix("SIG"), str(remove or "")],
                stdin=reading,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={"PATH": os.environ.get("PATH", os.defpath)},
                start_new_session=True,  # a Ctrl-C is meant for the owner
            )
        finally:
            os.close(reading)

    def guard(self, pid: int) -> None:
        """Replace the process to stop."""
        self._send(str(pid))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Dismiss the watcher: the owner cleans up itself."""
        self._send("done")
        os.close(self._pipe)
        self._process.wait()

    def _send(self, line: str) -> None:
        # A killed watcher reads nothing; then the next start cleans up.
        with suppress(BrokenPipeError):
            os.write(self._pipe, f"{line}\n".encode())
