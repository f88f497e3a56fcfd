"""Targets of other libraries: SQLAlchemy's URL, engine and connection, and psycopg's connection and pools."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

import kimbledb
from kimbledb.server import runner
from kimbledb.server.targets import target_of
from tests.support.databases import sql
from tests.support.folders import Folder, names
from tests.support.waiting import eventually

try:
    import psycopg
    import psycopg_pool
    import sqlalchemy
    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
    from sqlalchemy.pool import StaticPool
except ImportError as absent:
    if os.environ.get("CI") == "true":
        raise
    pytest.skip(f"{absent}; pip install -e '.[dev]'", allow_module_level=True)

CANARY = "kanarienvogel"
KINDS = (
    *("key=value", "URL", "engine", "engine of psycopg", "connection", "connection of psycopg"),
    *("psycopg's connection", "psycopg's pool", "psycopg's pool of callables"),
)


def url_of(dsn: str, driver: str = "asyncpg") -> sqlalchemy.URL:
    """The URL of a DSN for a driver."""
    return sqlalchemy.make_url(dsn).set(drivername=f"postgresql+{driver}")


@asynccontextmanager
async def engine_of(dsn: str | sqlalchemy.URL, driver: str = "asyncpg", **arguments: Any) -> AsyncIterator[AsyncEngine]:
    """An engine, disposed of at the end."""
    url = url_of(dsn, driver) if isinstance(dsn, str) else dsn
    engine = create_async_engine(url, **arguments)
    try:
        yield engine
    finally:
        await engine.dispose()


@asynccontextmanager
async def target(kind: str, dsn: str) -> AsyncIterator[kimbledb.TargetLike]:
    """A target of each kind, as its library makes it by default."""
    parts = urlsplit(dsn)
    pairs = {"host": parts.hostname, "port": parts.port, "user": parts.username, "dbname": parts.path[1:]}
    async with AsyncExitStack() as stack:
        driver = "psycopg" if kind.endswith("of psycopg") else "asyncpg"
        if kind == "key=value":
            yield " ".join(f"{key}='{value}'" for key, value in {**pairs, "password": parts.password}.items())
        elif kind == "URL":
            yield url_of(dsn)
        elif kind.startswith("engine"):
            yield await stack.enter_async_context(engine_of(dsn, driver))
        elif kind.startswith("connection"):
            engine = await stack.enter_async_context(engine_of(dsn, driver))
            yield await stack.enter_async_context(engine.connect())
        elif kind == "psycopg's connection":
            yield await stack.enter_async_context(await psycopg.AsyncConnection.connect(dsn))
        elif kind == "psycopg's pool":
            pool = psycopg_pool.AsyncConnectionPool(
                "", kwargs={**pairs, "password": parts.password, "autocommit": True}, open=False
            )
            yield await stack.enter_async_context(pool)
        else:

            async def arguments() -> dict[str, Any]:
                return {"password": parts.password}

            conninfo = f"host={parts.hostname} port={parts.port} user={parts.username} dbname={parts.path[1:]}"
            pool = psycopg_pool.AsyncConnectionPool(lambda: conninfo, kwargs=arguments, open=False)
            yield await stack.enter_async_context(pool)


@pytest.mark.parametrize("kind", KINDS)
async def test_every_call_works(database: str, folder: Folder, kind: str) -> None:
    """Each kind of target migrates, sees that nothing is to be done, verifies, and takes back."""
    folder.table(1, "a")
    folder.table(2, "b")

    async with target(kind, database) as given:
        assert len((await kimbledb.plan(given, catalog=folder.catalog)).pending) == 2
        assert names((await kimbledb.migrate(given, catalog=folder.catalog)).applied) == ["a.sql", "b.sql"]
        assert (await kimbledb.migrate(given, catalog=folder.catalog)).applied == ()
        assert (await kimbledb.verify(given, catalog=folder.catalog)).ok
        assert (await kimbledb.status(given, catalog=folder.catalog)).log
        many = await kimbledb.plan_many(given, catalog=folder.catalog)
        assert [result.ok for result in many.results] == [True]
        back = await kimbledb.rollback(given, "b.sql", catalog=folder.catalog, allow_data_loss=True)
        assert names(back.rolled_back) == ["b.sql"]
    # A server process may end a moment after its client has gone.
    others = """SELECT count(*) = 0 FROM pg_stat_activity
        WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()"""
    assert await eventually(lambda: sql(database, others))


async def test_an_engine_is_used_through_its_own_connections(database: str) -> None:
    """What the engine gives its connections holds: credentials that its URL has not, and settings."""
    url = url_of(database)
    arguments = {"password": url.password, "server_settings": {"application_name": "shop"}}
    async with engine_of(url.set(password=CANARY), connect_args=arguments) as engine:
        async with target_of(engine).session(kimbledb.Options()) as session:
            [[name]] = await session.connection.fetch("SELECT current_setting('application_name')")

        assert name == "shop"
        assert "checked out connections: 0" in engine.pool.status().lower()
        assert f"{url.host}:{url.port}/{url.database}" == target_of(engine).label

    async with engine_of(url.set(password=CANARY), "psycopg", connect_args={"password": url.password}) as engine:
        assert (await kimbledb.status(engine)).database == url.database


@pytest.mark.parametrize("kind", ["begun", "asyncpg", "psycopg", "psycopg's own"])
async def test_an_open_transaction_is_refused(database: str, folder: Folder, kind: str) -> None:
    """A connection in a transaction of the caller's is refused with the cure, as asyncpg's is, and works after it."""
    folder.table(1, "a")
    async with AsyncExitStack() as stack:
        given: Any
        if kind == "psycopg's own":
            given = await stack.enter_async_context(await psycopg.AsyncConnection.connect(database))
            await given.execute("SELECT 1")
        else:
            engine = await stack.enter_async_context(engine_of(database, "psycopg" if kind == "psycopg" else "asyncpg"))
            given = await stack.enter_async_context(engine.connect())
            await (given.begin() if kind == "begun" else given.execute(sqlalchemy.text("SELECT 1")))

        with pytest.raises(kimbledb.ConfigurationError, match="transaction of its own") as caught:
            await kimbledb.migrate(given, catalog=folder.catalog)
        assert "end yours before the call" in str(caught.value.hint)

        await given.rollback()
        assert names((await kimbledb.migrate(given, catalog=folder.catalog)).applied) == ["a.sql"]


@pytest.mark.parametrize("kind", ["engine", "connection"])
async def test_a_cancelled_call_spoils_no_connection(database: str, folder: Folder, kind: str) -> None:
    """A connection of the engine's that was cut short is thrown away, and the engine lends another."""
    folder.add(1, "a", "SELECT pg_sleep(60);")
    async with engine_of(database, pool_size=1, max_overflow=0) as engine, engine.connect() as connection:
        if kind == "engine":
            await connection.close()
        task = asyncio.create_task(kimbledb.migrate(engine if kind == "engine" else connection, catalog=folder.catalog))
        asleep = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
        await eventually(lambda: sql(database, asleep))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        if kind == "connection":
            assert connection.invalidated or connection.closed
            await connection.close()
        async with engine.connect() as another:
            assert (await another.execute(sqlalchemy.text("SELECT 1"))).scalar() == 1


async def test_what_an_engine_cannot_do_is_told(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong password, no server and no free connection are told as for a DSN, and no password is shown."""
    monkeypatch.setattr(runner, "_LOSSES", 1)  # one attempt is enough
    url = url_of(database)
    for driver in ("asyncpg", "psycopg"):
        async with engine_of(url_of(database, driver).set(password=CANARY)) as engine:
            with pytest.raises(kimbledb.KimbleDBError, match="password authentication failed") as refused:
                await kimbledb.status(engine)
        async with engine_of(url_of(database, driver).set(password=CANARY, port=1)) as engine:
            with pytest.raises(kimbledb.ConnectionLostError) as absent:
                await kimbledb.status(engine)
        for caught in (refused, absent):
            assert CANARY not in "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    async with engine_of(url, pool_size=1, max_overflow=0, pool_timeout=0.01) as engine, engine.connect():
        with pytest.raises(kimbledb.DeadlineExceededError, match="no connection of the engine's pool is free"):
            await kimbledb.status(engine, options=kimbledb.Options(deadline=0.3))
    async with engine_of(url, poolclass=StaticPool) as engine:
        assert not target_of(engine).can_reconnect
    async with engine_of(url) as engine:
        connection = engine.connect()
        with pytest.raises(kimbledb.ConfigurationError, match="the connection is not open yet"):
            await kimbledb.status(connection)
        await connection
        await connection.close()
        with pytest.raises(kimbledb.ConnectionLostError, match="the connection is closed"):
            await kimbledb.status(connection)
    own = await psycopg.AsyncConnection.connect(database)
    await own.close()
    with pytest.raises(kimbledb.ConnectionLostError, match="the connection is closed"):
        await kimbledb.status(own)


async def test_what_is_no_target_is_told_with_what_is(database: str) -> None:
    """An object of such a library that is no target gets the name of one that is; no password is shown."""
    engine = sqlalchemy.create_engine(url_of(database, "psycopg").set(password=CANARY))
    pool = psycopg_pool.ConnectionPool(f"password={CANARY}", open=False)
    session = AsyncSession()
    wrong: dict[str, Any] = {"engine.url": engine, "pool.conninfo": pool, "session.bind": session}
    for cure, given in wrong.items():
        with pytest.raises(kimbledb.ConfigurationError) as caught:
            await kimbledb.plan(given)
        assert cure in str(caught.value.hint)
        assert CANARY not in repr(caught.value)
    with pytest.raises(kimbledb.ConfigurationError, match="the URL is for mysql"):
        await kimbledb.plan(sqlalchemy.make_url(f"mysql+aiomysql://u:{CANARY}@h/db"))


def test_a_url_is_read_as_sqlalchemy_means_it() -> None:
    """Several hosts with ports, a space in a value, and a password with any character arrive as they are."""
    url = sqlalchemy.URL.create(
        "postgresql+asyncpg",
        *("u@x", "p/#?%+ "),
        database="a b",
        query={"host": ("one:1", "two:2"), "application_name": "my shop", "ssl": "require"},
    )

    for found in (target_of(url).address, target_of(url.render_as_string(hide_password=False)).address):
        assert found is not None
        assert (found.hosts, found.ports, found.database) == (("one", "two"), (1, 2), "a b")
        assert (found.user, found.password, found.tls) == ("u@x", "p/#?%+ ", {"sslmode": "require"})
    assert target_of(url).address.application_name == "my shop"  # type: ignore[union-attr]
    assert "p/#" not in f"{target_of(url)!r} {target_of(url).source!r}"


def test_no_library_is_imported() -> None:
    """A call without an object of a library imports none: neither a DSN nor asyncpg's own targets need one."""
    program = (
        "import sys, kimbledb; from kimbledb.server.targets import target_of; "
        "target_of('postgresql+asyncpg://h/db'); target_of('host=h'); kimbledb.migrate; "
        "print({each.partition('.')[0] for each in sys.modules} & {'sqlalchemy', 'psycopg', 'psycopg_pool'})"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert run.stdout.strip() == "set()"
