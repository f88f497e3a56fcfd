"""Calls whose COMMIT reaches the server and whose reply is lost: each finds out in the log what it did."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar
from urllib.parse import urlsplit

import asyncpg
import pytest

import kimbledb
from kimbledb.events import Done, Event, RolledBack
from tests.support.databases import sql
from tests.support.folders import Folder, names
from tests.support.invariant import OPTIONS
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

T = TypeVar("T")

#: What a message of each operation holds that writes history.
MESSAGES = {"adopt": b"kimbledb.adopted", "rollback": b"DELETE FROM", "reset": b"kimbledb.step"}


async def without_reply(
    proxy: Proxy, database: str, event: str, call: Coroutine[Any, Any, T], *, meanwhile: kimbledb.Catalog | None = None
) -> T:
    """Run a call, and cut its connection when the server has committed the event and before it can say so.

    Args:
        proxy: Through which the call goes.
        database: The DSN past it.
        event: The name of the event in the log.
        call: The call.
        meanwhile: A catalog that another process applies before the connection is cut.
    """
    message = proxy.hold(MESSAGES[event], toward="server")
    task = asyncio.create_task(call)
    await message.reach(task)
    reply = proxy.hold(b"COMMIT", toward="client")
    message.release()
    link = await reply.reach(task)
    await eventually(lambda: sql(database, f"SELECT count(*) FROM migration_log WHERE event = '{event}'"))
    if meanwhile is not None:
        await kimbledb.migrate(database, catalog=meanwhile)
    link.cut()
    return await task


def name_of(dsn: str) -> str:
    """The name of a DSN's database."""
    return urlsplit(dsn).path[1:]


async def test_an_adoption_reports_what_it_recorded(database: str, proxy: Proxy, folder: Folder) -> None:
    """adopt() reports what its first try recorded, and the plan as it was before (faults 3)."""
    folder.table(1, "a")
    await folder.declared(database)
    await sql(database, "CREATE TABLE a (id integer PRIMARY KEY)")

    report = await without_reply(
        proxy, database, "adopt", kimbledb.adopt(proxy.dsn, catalog=folder.catalog, options=OPTIONS)
    )

    assert [step.name for step in report.adopted] == ["a.sql"]
    assert report.plan.step("a.sql").state is kimbledb.StepState.ADOPTABLE
    assert await sql(database, "SELECT count(*) FROM migration_log WHERE event = 'adopt'") == 1


async def test_an_adoption_that_finds_nothing_looks_once(database: str, proxy: Proxy, folder: Folder) -> None:
    """adopt() writes one entry to the log where it found nothing to record, too (faults 3)."""
    folder.table(1, "a")
    await folder.declared(database)

    report = await without_reply(
        proxy, database, "adopt", kimbledb.adopt(proxy.dsn, catalog=folder.catalog, options=OPTIONS)
    )

    assert report.adopted == ()
    assert await sql(database, "SELECT count(*) FROM migration_log WHERE event = 'adopt'") == 1


async def test_a_reset_takes_nothing_that_came_after_it(database: str, proxy: Proxy, folder: Folder) -> None:
    """reset() that was done leaves alone what another process has made since (faults 3)."""
    folder.table(1, "a")
    await kimbledb.migrate(database, catalog=folder.catalog)

    report = await without_reply(
        proxy,
        database,
        "reset",
        kimbledb.reset(proxy.dsn, confirm=name_of(database), options=OPTIONS),
        meanwhile=folder.catalog,
    )

    assert ("table", "a") in [each.key for each in report.objects]
    assert await sql(database, "SELECT to_regclass('a') IS NOT NULL")
    assert await sql(database, "SELECT count(*) FROM migration_log WHERE event = 'reset'") == 1


async def test_a_rollback_takes_nothing_back_twice(database: str, proxy: Proxy, folder: Folder) -> None:
    """rollback() that was done leaves alone what another process has applied since, and is told as done (faults 3)."""
    folder.table(1, "a")
    await kimbledb.migrate(database, catalog=folder.catalog)
    told: list[Event] = []

    report = await without_reply(
        proxy,
        database,
        "rollback",
        kimbledb.rollback(proxy.dsn, "a.sql", catalog=folder.catalog, options=OPTIONS, progress=told.append),
        meanwhile=folder.catalog,
    )

    assert names(report.rolled_back) == ["a.sql"]
    assert [event.migration.name for event in told if isinstance(event, RolledBack)] == ["a.sql"]
    assert await sql(database, "SELECT to_regclass('a') IS NOT NULL")
    assert await sql(database, "SELECT count(*) FROM migration_log WHERE event = 'rollback'") == 1


@pytest.mark.parametrize(("event", "named"), [("adopt", "the adoption"), ("reset", "the reset"), ("rollback", "a.sql")])
async def test_a_lone_connection_cannot_ask(
    database: str, proxy: Proxy, folder: Folder, event: str, named: str
) -> None:
    """With a connection as target a lost reply is an unknown outcome, whatever the operation (faults 3, 7)."""
    folder.table(1, "a")
    await folder.declared(database)
    if event == "adopt":
        await sql(database, "CREATE TABLE a (id integer PRIMARY KEY)")
    else:
        await kimbledb.migrate(database, catalog=folder.catalog)
    connection = await asyncpg.connect(proxy.dsn)
    calls: dict[str, Coroutine[Any, Any, object]] = {
        "adopt": kimbledb.adopt(connection, catalog=folder.catalog, options=OPTIONS),
        "reset": kimbledb.reset(connection, confirm=name_of(database), options=OPTIONS),
        "rollback": kimbledb.rollback(connection, "a.sql", catalog=folder.catalog, options=OPTIONS),
    }
    call = calls.pop(event)
    for other in calls.values():
        other.close()

    with pytest.raises(kimbledb.OutcomeUnknownError) as caught:
        await without_reply(proxy, database, event, call)

    assert caught.value.migration == named


async def test_an_adoption_tells_its_end(database: str, folder: Folder) -> None:
    """Who watches an adoption hears of its end, as of a run's (faults 27)."""
    folder.table(1, "a")
    told: list[object] = []

    report = await kimbledb.Adoption(database, catalog=folder.catalog, progress=told.append).run()

    assert told == [Done(report.seconds, report)]
