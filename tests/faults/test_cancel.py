"""Tasks that are cancelled, at any moment and in every way."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
import types
from collections.abc import Generator
from typing import Any

import asyncpg
import pytest

import kimbledb
from kimbledb.server.drivers.asyncpg import AsyncpgConnection
from kimbledb.server.session import Session
from tests.support.folders import Folder, Steps, names
from tests.support.invariant import OPTIONS, drained, holds, nothing_left, whole
from tests.support.processes import start_child
from tests.support.waiting import SLEEP, gate

#: 160 runs in all, in four parts, so that they share the cores.
PARTS, RUNS = 4, 40


@pytest.mark.parametrize("part", range(PARTS))
async def test_cancelled_at_random(database: str, steps: Steps, part: int) -> None:
    """Whenever a run is cancelled each migration is whole or absent, and the next run completes it (faults 2, 3, 6)."""
    folder = steps("a", "b", "c")
    catalog = folder.catalog
    begun = time.monotonic()
    await kimbledb.migrate(database, catalog=catalog, schema="measure")
    usual = time.monotonic() - begun
    chance = random.Random(part)
    outcomes: dict[int, int] = {}
    connection = await asyncpg.connect(database)

    for number in range(RUNS):
        schema = f"run_{number}"
        run = asyncio.create_task(
            kimbledb.migrate(
                database,
                catalog=catalog,
                schema=schema,
                options=kimbledb.Options(application_name=schema, client_check_interval=0.2),
            )
        )
        await asyncio.sleep(chance.uniform(0, usual * 1.2))
        run.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await run
        await drained(connection, schema)
        applied = await whole(connection, catalog, schema)
        assert applied == ["a.sql", "b.sql", "c.sql"][: len(applied)]
        outcomes[len(applied)] = outcomes.get(len(applied), 0) + 1
        report = await kimbledb.migrate(database, catalog=catalog, schema=schema, options=OPTIONS)
        assert [*applied, *names(report.applied)] == ["a.sql", "b.sql", "c.sql"]
        assert len(await whole(connection, catalog, schema)) == 3

    await connection.close()
    await nothing_left(database)
    assert len(outcomes) > 1, "all were cancelled at the same place: the moments are chosen badly"


async def _cancel_at_the_gate(database: str, target: Any, catalog: kimbledb.Catalog) -> None:
    async with gate(database) as asleep:
        run = asyncio.create_task(kimbledb.migrate(target, catalog=catalog, options=OPTIONS))
        await asleep()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        await drained(database, "caller", busy=True)
        assert await whole(database, catalog) == ["a.sql"]


async def test_a_connection_that_was_cancelled_is_closed(database: str, steps: Steps) -> None:
    """A caller's connection is closed where the call was cancelled, since nobody knows how it stands (faults 6)."""
    folder = steps("a", "b", after={"b": SLEEP})
    connection = await asyncpg.connect(database, server_settings={"application_name": "caller"})

    await _cancel_at_the_gate(database, connection, folder.catalog)

    assert connection.is_closed()
    await holds(database, folder.catalog)


async def test_a_pools_connection_that_was_cancelled_is_not_lent_again(database: str, steps: Steps) -> None:
    """A pool gets its connection back closed where the call was cancelled, and makes another one (faults 6)."""
    folder = steps("a", "b", after={"b": SLEEP})
    async with asyncpg.create_pool(
        database, min_size=1, max_size=1, server_settings={"application_name": "caller"}
    ) as pool:
        before = await pool.fetchval("SELECT pg_backend_pid()")
        await _cancel_at_the_gate(database, pool, folder.catalog)
        assert await pool.fetchval("SELECT pg_backend_pid()") != before

    await holds(database, folder.catalog)


async def test_a_timeout_around_the_call(database: str, steps: Steps) -> None:
    """`asyncio.timeout` around a call ends it, as its own TimeoutError (faults 6)."""
    folder = steps("a", "b", after={"b": SLEEP})
    async with gate(database):
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(1):
                await kimbledb.migrate(database, catalog=folder.catalog, options=OPTIONS)
        assert not isinstance(caught.value, kimbledb.KimbleDBError)

    await holds(database, folder.catalog)


async def test_a_failing_group_of_tasks(database: str, steps: Steps) -> None:
    """Another task's failure ends a call in the same TaskGroup, and is the only error of the group (faults 6)."""
    folder = steps("a", "b", after={"b": SLEEP})

    async with gate(database) as asleep:

        async def fail() -> None:
            await asleep()
            raise RuntimeError("another task's")

        async def both() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(kimbledb.migrate(database, catalog=folder.catalog, options=OPTIONS))
                group.create_task(fail())

        with pytest.raises(ExceptionGroup) as caught:
            await both()
        assert [str(error) for error in caught.value.exceptions] == ["another task's"]

    await holds(database, folder.catalog)


async def test_control_c(database: str, steps: Steps) -> None:
    """Ctrl-C ends a process at once with KeyboardInterrupt, and leaves nothing half done (faults 6)."""
    folder = steps("a", "b", after={"b": SLEEP})
    async with (
        gate(database) as asleep,
        await start_child(database, folder.path, {"client_check_interval": 0.2}) as child,
    ):
        await asleep()
        child.interrupt()
        assert await child.end() == {}
        assert child.stderr.splitlines()[-1] == "KeyboardInterrupt"
        await drained(database)
        assert await whole(database, folder.catalog) == ["a.sql"]

    await holds(database, folder.catalog)


async def test_cancelled_in_a_road_of_its_own(database: str, steps: Steps, folder: Folder) -> None:
    """A cancelled call ends as cancelled outside of a transaction (faults 6)."""
    steps("a")
    folder.add(2, "b", "SELECT 1;\nVACUUM a;\n" + SLEEP, facts="transactional = false", rollback="SELECT 1;")
    async with gate(database) as asleep:
        run = asyncio.create_task(kimbledb.migrate(database, catalog=folder.catalog, options=OPTIONS))
        await asleep()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        await drained(database)
    await nothing_left(database)

    report = await kimbledb.migrate(database, catalog=folder.catalog, options=OPTIONS)

    assert names(report.applied) == ["b.sql"]
    await nothing_left(database)


def test_a_loop_that_is_interrupted_from_outside() -> None:
    """A session whose coroutine is closed in mid-statement ends its connection (faults 6)."""

    class Silent:
        """A connection that never answers, since its loop is gone."""

        closed = False

        def add_log_listener(self, _listener: object) -> None:
            pass

        @types.coroutine
        def execute(self, _message: str, **_: object) -> Generator[None]:
            yield

        def remove_log_listener(self, _listener: object) -> None:
            pass

        def is_closed(self) -> bool:
            return self.closed

        def terminate(self) -> None:
            self.closed = True

    connection: Any = Silent()
    sending = Session(AsyncpgConnection(connection), kimbledb.Options()).send("SELECT 1")
    sending.send(None)

    sending.close()

    assert connection.closed
