"""Child processes that migrate a database."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

_HERE = Path(__file__).parent


class Child:
    """A child process that runs one migrate()."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.stderr = ""

    def kill(self) -> None:
        """Send SIGKILL."""
        self._process.kill()

    def freeze(self) -> None:
        """Send SIGSTOP: the process stops, and its connections stay open and silent."""
        self._process.send_signal(signal.SIGSTOP)

    def interrupt(self) -> None:
        """Send SIGINT, as Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)

    async def reaches(self, event: str, times: int) -> bool:
        """Wait until the child has printed an event so many times; False if it ends before.

        Args:
            event: The name of the event's class.
            times: How many times.
        """
        assert self._process.stderr is not None
        while times and (line := await asyncio.wait_for(self._process.stderr.readline(), 60)):
            times -= line.decode().strip() == event
            self.stderr += line.decode()
        return not times

    def ended(self) -> asyncio.Task[int]:
        """Return a task that is done when the process has ended."""
        return asyncio.create_task(self._process.wait())

    async def end(self) -> dict[str, Any]:
        """Wait until the process ends, and return its output, or an empty dict if it printed nothing."""
        out, err = await asyncio.wait_for(self._process.communicate(), 60)
        self.stderr += err.decode()
        said: dict[str, Any] = json.loads(out) if out.strip() else {}
        return said

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process.returncode is None:
            self._process.kill()
            await self._process.communicate()


async def start_child(dsn: str, path: Path, options: Mapping[str, Any] = {}) -> Child:
    """Start a child that migrates a database.

    Args:
        dsn: The database.
        path: The folder of migrations.
        options: The values of kimbledb.Options.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(_HERE / "run_one.py"), str(path), json.dumps(options)),
        env={**os.environ, "KIMBLEDB_DSN": dsn},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    return Child(process)


async def many(dsn: str, path: Path | str, count: int, options: Mapping[str, Any] = {}) -> list[dict[str, Any]]:
    """Run migrate() in many processes that start at the same moment, and return the output of each.

    Args:
        dsn: The database.
        path: The folder of migrations, or ``builtin``.
        count: The number of processes.
        options: The values of kimbledb.Options.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(_HERE / "run_many.py"), str(path), str(count), json.dumps(options)),
        env={**os.environ, "KIMBLEDB_DSN": dsn},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert err.decode() == ""
    said: list[dict[str, Any]] = [json.loads(line) for line in out.splitlines()]
    return said
