"""A network that swallows packets, and a server that is not there."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

import kimbledb
from kimbledb.events import Applied, Planned
from tests.support.folders import Steps, names
from tests.support.invariant import holds
from tests.support.programs import free_port
from tests.support.proxy import Proxy

#: Seconds that a call may take, and what it may take longer on a busy machine.
DEADLINE, GRACE = 1.0, 30.0

CALLS: dict[str, Callable[..., Awaitable[Any]]] = {
    "migrate": kimbledb.migrate,
    "plan": kimbledb.plan,
    "status": kimbledb.status,
    "verify": kimbledb.verify,
    "adopt": kimbledb.adopt,
    "rollback": lambda *given, **options: kimbledb.rollback(*given, to=0, **options),
}


@pytest.mark.parametrize("call", CALLS)
async def test_nobody_answers_a_connection(proxy: Proxy, steps: Steps, call: str) -> None:
    """Every call ends by its deadline where the server does not answer at all (faults 5)."""
    folder = steps("a")
    proxy.swallow()
    begun = time.monotonic()

    with pytest.raises(kimbledb.DeadlineExceededError, match="while connecting"):
        await CALLS[call](proxy.dsn, catalog=folder.catalog, options=kimbledb.Options(deadline=DEADLINE))

    assert time.monotonic() - begun < DEADLINE + GRACE


@pytest.mark.parametrize("target", ["dsn", "pool", "connection"])
@pytest.mark.parametrize("moment", ["the first question", "a script", "the reply"])
async def test_packets_are_swallowed(database: str, proxy: Proxy, steps: Steps, target: str, moment: str) -> None:
    """A call ends by its deadline at whatever moment packets are lost, whatever the target, closing included (faults 5)."""
    folder = steps("a", "b")
    where = {
        "the first question": ("schema_exists", "server"),
        "a script": ("INSERT INTO b", "server"),
        "the reply": ("CKD102", "client"),
    }
    pattern, toward = where[moment]
    options = kimbledb.Options(deadline=DEADLINE, client_check_interval=0.2)
    pool = await asyncpg.create_pool(proxy.dsn, min_size=1, max_size=2)
    connection = await asyncpg.connect(proxy.dsn)
    given: Any = {"dsn": proxy.dsn, "pool": pool, "connection": connection}[target]
    proxy.hold(pattern.encode(), toward=toward)  # never to be released
    begun = time.monotonic()

    with pytest.raises(kimbledb.DeadlineExceededError) as caught:
        await kimbledb.migrate(given, catalog=folder.catalog, options=options)

    assert time.monotonic() - begun < DEADLINE + GRACE
    # The server got nothing of the message of both scripts, or no answer came from it.
    doing = "reading the history" if moment == "the first question" else "applying a.sql"
    assert doing in str(caught.value)
    assert connection.is_closed() == (target == "connection")
    connection.terminate()
    pool.terminate()
    proxy.cut()
    await holds(database, folder.catalog)


@pytest.mark.parametrize("target", ["dsn", "pool"])
async def test_a_goodbye_is_swallowed(database: str, proxy: Proxy, steps: Steps, target: str) -> None:
    """Where only the closing hangs the call succeeds, and soon (faults 5)."""
    folder = steps("a")
    pool = await asyncpg.create_pool(proxy.dsn, min_size=1, max_size=1)

    def watch(event: object) -> None:
        if isinstance(event, Applied):
            proxy.swallow()

    begun = time.monotonic()
    report = await kimbledb.migrate(
        proxy.dsn if target == "dsn" else pool,
        catalog=folder.catalog,
        progress=watch,
        options=kimbledb.Options(deadline=120),
    )

    assert names(report.applied) == ["a.sql"]
    assert time.monotonic() - begun < GRACE
    pool.terminate()
    proxy.cut()
    await holds(database, folder.catalog)


async def test_a_pools_own_limit_for_a_command_is_not_ours(database: str, steps: Steps) -> None:
    """A migration may take longer than the time that a caller's pool gives a command (faults 5, 18)."""
    folder = steps("a", after={"a": "SELECT pg_sleep(1);"})
    async with asyncpg.create_pool(database, min_size=1, max_size=1, command_timeout=0.3) as pool:
        report = await kimbledb.migrate(pool, catalog=folder.catalog, options=kimbledb.Options(deadline=20))

    assert names(report.applied) == ["a.sql"]
    await holds(database, folder.catalog)


async def test_nobody_listens(steps: Steps) -> None:
    """A wrong port is told at once by host and port, with what to look at, and not after the deadline (faults 8, 28)."""
    folder = steps("a")
    port = free_port()
    begun = time.monotonic()

    with pytest.raises(kimbledb.ConnectionLostError) as caught:
        await kimbledb.migrate(f"postgresql://u:canary@127.0.0.1:{port}/d", catalog=folder.catalog)

    assert time.monotonic() - begun < GRACE
    assert f"127.0.0.1:{port}/d cannot be reached" in str(caught.value)
    assert "check host and port" in str(caught.value)
    assert isinstance(caught.value.__cause__, OSError)


async def test_connections_are_reset_now_and_then(database: str, proxy: Proxy, steps: Steps) -> None:
    """A few connections that are reset as they come do not stop a run (faults 4)."""
    folder = steps("a", "b")

    def watch(event: object) -> None:
        if isinstance(event, Planned):
            proxy.turn_away(3)
            proxy.cut()

    report = await kimbledb.migrate(proxy.dsn, catalog=folder.catalog, progress=watch)

    assert names(report.applied) == ["a.sql", "b.sql"]
    await holds(database, folder.catalog)


async def test_a_slow_network(database: str, proxy: Proxy, steps: Steps) -> None:
    """A distant server costs time, and nothing else (faults 5)."""
    folder = steps("a", "b")
    proxy.delay = 0.02

    report = await kimbledb.migrate(proxy.dsn, catalog=folder.catalog)

    assert names(report.applied) == ["a.sql", "b.sql"]
    await holds(database, folder.catalog)
