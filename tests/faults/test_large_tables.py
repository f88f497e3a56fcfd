"""Runs that are killed while a large table gets its declared form, beside an application that works."""

from __future__ import annotations

import asyncio
import random

import asyncpg

import kimbledb
from kimbledb.events import Event, Statement
from tests.support.databases import sql, take_snapshot
from tests.support.folders import Folder, names
from tests.support.invariant import OPTIONS, drained, nothing_left
from tests.support.large import OTHER_INDEX, ROWS, at_work, plain_end, with_orders
from tests.support.processes import start_child

SESSIONS = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'kimbledb' ORDER BY pid"
)


async def ends_as_the_script(dsn: str, catalog: kimbledb.Catalog, updated: set[int]) -> None:
    """Assert that all is there once, that nothing is left over, and that no row was stamped but by the application."""
    await drained(dsn)
    assert not (await take_snapshot(dsn)).since(await plain_end(dsn, catalog))
    assert await sql(dsn, "SELECT count(*) FROM orders WHERE paid = (id % 2 = 0)") == ROWS
    connection = await asyncpg.connect(dsn)
    stamped = {each["id"] for each in await connection.fetch("SELECT id FROM orders WHERE updated_at <> '2024-01-01'")}
    assert stamped <= updated
    await connection.close()
    again = await kimbledb.migrate(dsn, catalog=catalog, options=OPTIONS)
    assert (again.applied, again.plan.pending) == ((), ())
    await nothing_left(dsn)


#: How often a run is killed.
KILLS = 4


async def test_killed_again_and_again(database: str, folder: Folder) -> None:
    """A run that is killed at any moment is continued by the next one, to the end that the script has (faults 1, 2, 15)."""
    dice = random.Random(7)
    catalog = await with_orders(database, folder)
    await sql(database, OTHER_INDEX)
    async with at_work(database) as waits:
        for _ in range(KILLS):
            async with await start_child(database, folder.path, {"client_check_interval": 0.2}) as child:
                assert await child.reaches("Statement", dice.randint(1, 4)), child.stderr
                await asyncio.sleep(dice.random() * 0.03)
                child.kill()
        report = await kimbledb.migrate(database, catalog=catalog, options=OPTIONS)
    assert names(report.applied) == ["more.sql"]
    assert waits.longest < kimbledb.Options().lock_timeout
    await ends_as_the_script(database, catalog, waits.updated)


async def test_its_sessions_are_ended_again_and_again(each_database: str, server: str, folder: Folder) -> None:
    """A run whose sessions the server ends, one or the other, goes on by itself (faults 4, 7)."""
    dice = random.Random(1)
    catalog = await with_orders(each_database, folder, server)
    await sql(each_database, OTHER_INDEX)
    ended = 0
    ending: list[asyncio.Task[None]] = []

    async def end_one() -> None:
        await asyncio.sleep(dice.random() * 0.02)
        connection = await asyncpg.connect(each_database)
        pids = [row["pid"] for row in await connection.fetch(SESSIONS)]
        if pids:
            await connection.execute("SELECT pg_terminate_backend($1)", dice.choice(pids))
        await connection.close()

    def told(event: Event) -> None:
        nonlocal ended
        if isinstance(event, Statement) and ended < 4 and dice.random() < 0.4:
            ended += 1
            ending.append(asyncio.create_task(end_one()))

    async with at_work(each_database) as waits:
        await kimbledb.migrate(each_database, catalog=catalog, options=OPTIONS, progress=told)
    await asyncio.gather(*ending)

    assert ended == 4
    await ends_as_the_script(each_database, catalog, waits.updated)
