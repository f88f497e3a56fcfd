"""SIGTERM, which stops a container, a systemd unit or a CI job: it ends a command as Ctrl-C does, with its cleanup.

The command of a container is process 1, which ignores a signal without a handler: without this one, a pod that is stopped
would run until its grace period is over.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Awaitable


class TerminatedError(Exception):
    """SIGTERM ended the command."""


async def until_terminated(command: Awaitable[int]) -> int:
    """Await a command, and return its exit code. SIGTERM cancels it.

    Raises:
        TerminatedError: SIGTERM arrived before the end of the command, and the command has cleaned up.
    """
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    # Only the main thread may set a handler, and the event loops of Windows cannot.
    if task is None or threading.current_thread() is not threading.main_thread() or sys.platform == "win32":
        return await command
    arrived: list[int] = []

    def stop() -> None:
        arrived.append(signal.SIGTERM)
        if len(arrived) == 1:  # a second one must not interrupt the cleanup
            task.cancel()

    loop.add_signal_handler(signal.SIGTERM, stop)
    try:
        return await command
    except asyncio.CancelledError:
        if arrived:
            raise TerminatedError from None
        raise
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
