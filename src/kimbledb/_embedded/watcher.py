"""The process that ends a server whose owner has died.

A process that is killed cannot clean up after itself, so that a second one does:
a small shell that reads from a pipe. When the owner is gone, however it went, the
pipe ends, and the shell stops what the owner had started and removes its folder.
"""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

# $1 the signal, $2 the folder to remove or nothing. Each line is the id of the process
# to be stopped; the line "done" says that there is nothing left to do. The signal is
# sent again, for 30 seconds at most, because a program that has only just begun may
# not heed it yet, and because a process that nobody waits for never quite goes.
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
    """Watch over the calling process while the context is open.

    Args:
        stop: The signal that stops the server.
        remove: The folder that goes with it, or None.
    """

    def __init__(self, stop: signal.Signals, remove: Path | None) -> None:
        reading, self._pipe = os.pipe()  # not inherited by what the owner starts otherwise
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
        """Name the process that is to be stopped, in place of the one named before."""
        self._say(str(pid))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Dismiss the watcher: the owner has cleaned up itself."""
        self._say("done")
        os.close(self._pipe)
        self._process.wait()

    def _say(self, line: str) -> None:
        # A watcher that somebody has killed hears nothing; the next start cleans up then.
        with suppress(BrokenPipeError):
            os.write(self._pipe, f"{line}\n".encode())
