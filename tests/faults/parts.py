"""What the tests of faults do again and again."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

import asyncpg

T = TypeVar("T")
_HERE = Path(__file__).parent

#: Of a script: it sleeps there for as long as the test has the gate shut.
SLEEP = "DO $gate$ BEGIN IF to_regclass('public.gate') IS NOT NULL THEN PERFORM pg_sleep(60); END IF; END $gate$;\n"


@asynccontextmanager
async def gate(dsn: str) -> AsyncIterator[Callable[[], Awaitable[Any]]]:
    """Shut the gate at which scripts sleep, and open it at the end; gives a function that waits until one sleeps."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("CREATE TABLE gate ()")

        async def asleep() -> Any:
            return await connection.fetchval(
                "SELECT max(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
            )

        yield lambda: eventually(asleep)
        await connection.execute("DROP TABLE gate")
    finally:
        await connection.close()


async def sql(dsn: str, statement: str, *arguments: object) -> Any:
    """Run a statement on a connection of its own and return its first value."""
    connection = await asyncpg.connect(dsn)
    try:
        if arguments:
            return await connection.fetchval(statement, *arguments)
        if statement.startswith("SELECT"):
            return await connection.fetchval(statement)
        return await connection.execute(statement)
    finally:
        await connection.close()


_numbers = itertools.count(1)


@asynccontextmanager
async def fresh_database(server: str, options: str = "", *, template: str = "template0") -> AsyncIterator[str]:
    """Make a database on a server, and drop it at the end."""
    name = f"fault_{os.getpid()}_{next(_numbers)}"
    admin = await asyncpg.connect(server)
    try:
        await admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" {options}')
        yield server.rpartition("/")[0] + f"/{name}"
        await admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    finally:
        await admin.close()


class Child:
    """A process of its own that runs one migrate()."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        self._process.kill()

    def freeze(self) -> None:
        """Stop it with SIGSTOP: its connections stay, and say nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    async def end(self) -> dict[str, Any]:
        """Wait until it ends, and return what it said, or nothing."""
        out, err = await asyncio.wait_for(self._process.communicate(), 60)
        self.stderr = err.decode()
        said: dict[str, Any] = json.loads(out) if out.strip() else {}
        return said

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process.returncode is None:
            self._process.kill()
            await self._process.communicate()


async def start_child(dsn: str, path: Path, options: Mapping[str, Any] = {}) -> Child:
    """Start a process that migrates a DSN with a folder of migrations."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(_HERE / "run_one.py"), str(path), json.dumps(options)),
        env={**os.environ, "KIMBLEDB_DSN": dsn},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    return Child(process)


async def eventually(found: Callable[[], Awaitable[T]], *, seconds: float = 30.0) -> T:
    """Wait until something that is awaited gives what is true, and return that."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not (value := await found()):
        assert asyncio.get_running_loop().time() < deadline, "it did not come to that"
        await asyncio.sleep(0.02)
    return value


async def many(dsn: str, path: Path | str, count: int, options: Mapping[str, Any] = {}) -> list[dict[str, Any]]:
    """Run migrate() in many processes that start at the same moment, and return what each says."""
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


def names(steps: Sequence[Any]) -> list[str]:
    """The names of applied steps."""
    return [step.migration.name for step in steps]
