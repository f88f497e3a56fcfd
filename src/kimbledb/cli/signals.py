"""SIGTERM: what stops a container, a unit or a job ends a command as Ctrl-C does, and not the process alone.

The process with number 1, which the command of a container is, ignores a signal for which it has no handler: without one,
a pod that is to stop would wait until its grace period is over.
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
        TerminatedError: SIGTERM arrived before the end of the command, which has cleaned up behind itself.
    """
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    # No other thread may set a handler, and the loops of Windows cannot.
    if task is None or threading.current_thread() is not threading.main_thread() or sys.platform == "win32":
        return await command
    arrived: list[int] = []

    def stop() -> None:
        arrived.append(signal.SIGTERM)
        if len(arrived) == 1:  # a second one must not interrupt the cleaning up
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
