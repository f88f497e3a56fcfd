"""The plugin's fixtures of SQLAlchemy and psycopg, as a project sees them: runs of pytest in processes of their own."""

from __future__ import annotations

import pytest

from tests.support.folders import Folder
from tests.support.plugin_projects import ini, project_of

pytest.importorskip("sqlalchemy")
pytest.importorskip("psycopg")

pytest_plugins = ["pytester"]


@pytest.fixture
def project(pytester: pytest.Pytester, folder: Folder, server: str, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project with a catalog of its own."""
    return project_of(pytester, folder, server, monkeypatch)


#: The model of the project's table.
MODEL = """
import pytest
from sqlalchemy import event, func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

class Base(DeclarativeBase):
    pass

class Person(Base):
    __tablename__ = "people"
    id: Mapped[int] = mapped_column(primary_key=True)

COUNT = select(func.count()).select_from(Person)
LEFT = [
    "a row", "a commit", "a rollback", "a savepoint", "an error", "a column", "a setting", "a lock", "a statement",
    "a type", "the end of the transaction", "nothing",
]
"""

#: Each kind of trace twice, so that the second test finds what the first has left.
ASYNC_SESSIONS = """
@pytest.mark.parametrize("what", [each for some in zip(LEFT, LEFT) for each in some])
async def test_session(kimbledb_session, what):
    session = kimbledb_session
    print("backend", await session.scalar(text("SELECT pg_backend_pid()")))
    await session.rollback()
    assert await session.scalar(COUNT) == 0
    if what != "a column":
        assert (await session.execute(text("SELECT * FROM people"))).all() == []
    assert await session.scalar(text("SHOW statement_timeout")) == "0"
    assert await session.scalar(text("SELECT count(*) FROM pg_prepared_statements WHERE from_sql")) == 0
    person = Person(id=1)
    if what == "a row":
        session.add(person)
        await session.flush()
    elif what == "a commit":
        session.add(person)
        await session.commit()
        assert person.id == 1  # not expired
        session.add(Person(id=2))
        await session.commit()
        await session.rollback()
        assert await session.scalar(COUNT) == 2
    elif what == "a rollback":
        session.add(person)
        await session.commit()
        session.add(Person(id=2))
        await session.flush()
        await session.rollback()
        assert await session.scalar(COUNT) == 1
    elif what == "a savepoint":
        session.add(person)
        with pytest.raises(IntegrityError):
            async with session.begin_nested():
                await session.execute(text("INSERT INTO people VALUES (1), (1)"))
        assert await session.scalar(COUNT) == 1
    elif what == "an error":
        with pytest.raises(DBAPIError):
            await session.execute(text("SELECT 1 / 0"))
    elif what == "a column":
        await session.execute(text("ALTER TABLE people ADD COLUMN more text"))
        assert (await session.execute(text("SELECT * FROM people"))).all() == []
        await session.commit()
    elif what == "a setting":
        await session.execute(text("SET statement_timeout = '7s'"))
        await session.commit()
    elif what == "a lock":
        assert await session.scalar(text("SELECT pg_try_advisory_lock(7)"))
        assert await session.scalar(text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7 AND pid = pg_backend_pid()")) == 1
    elif what == "a statement":
        await session.execute(text("PREPARE left_behind AS SELECT 1"))
    elif what == "a type":
        await session.execute(text("CREATE TYPE colour AS ENUM ('red')"))
        assert await session.scalar(text("SELECT 'red'::colour")) == "red"
    elif what == "the end of the transaction":
        await session.execute(text("INSERT INTO people VALUES (1)"))
        await session.execute(text("COMMIT"))
"""


def test_sessions_of_one_loop_share_a_connection(project: pytest.Pytester) -> None:
    """A session's commit works in its test, and no trace of any kind reaches the next test on the same connection."""
    ini(project, scope="session")
    project.makepyfile(MODEL + ASYNC_SESSIONS)

    run = project.runpytest_subprocess("-q", "-rP")

    run.assert_outcomes(passed=24)
    backends = [line for line in run.outlines if line.startswith("backend ")]
    # Two PREPAREs and two COMMITs by hand ended their connections.
    assert len(set(backends)) == 5
    assert backends[0] == backends[16]


def test_sessions_of_loops_of_their_own(project: pytest.Pytester) -> None:
    """The same holds where each test has an event loop of its own, with either driver of asynchronous engines."""
    project.makepyfile(MODEL + ASYNC_SESSIONS)
    for driver in ("asyncpg", "psycopg"):
        ini(project, more=f"kimbledb_engine_driver = {driver}\n")

        project.runpytest_subprocess("-q").assert_outcomes(passed=24)


def test_plain_tests(project: pytest.Pytester) -> None:
    """Tests that are not asynchronous have the same of SQLAlchemy's plain session and engine, and need no other plugin."""
    session = ASYNC_SESSIONS.replace("await ", "").replace("async ", "").replace("kimbledb_", "kimbledb_sync_")
    project.makeini("[pytest]\nfilterwarnings = error\n")
    project.makepyfile(
        MODEL
        + session
        + """
@pytest.mark.parametrize("turn", range(2))
def test_engine(kimbledb_sync_engine, turn):
    with kimbledb_sync_engine.begin() as one, kimbledb_sync_engine.begin() as other:
        assert one.scalar(COUNT) == 0
        one.execute(text("INSERT INTO people VALUES (1)"))
        assert other.scalar(COUNT) == 0

@pytest.mark.parametrize("turn", range(2))
def test_one_database(kimbledb_sync_engine, kimbledb_sync_session, kimbledb_sync_connection, turn):
    with kimbledb_sync_engine.begin() as connection:
        connection.execute(text("INSERT INTO people VALUES (1)"))
    assert kimbledb_sync_session.scalar(COUNT) == 1
    assert kimbledb_sync_connection.execute("SELECT count(*) FROM people").fetchone() == (1,)
"""
    )

    run = project.runpytest_subprocess("-q", "-rP", "-p", "no:asyncio")

    run.assert_outcomes(passed=28)
    backends = [line for line in run.outlines if line.startswith("backend ")]
    assert backends[0] == backends[16]


def test_engines_commit(project: pytest.Pytester) -> None:
    """An engine has several connections to a database of its test, and what it commits other fixtures of the test see."""
    project.makepyfile(
        MODEL
        + """
import asyncpg, kimbledb

@pytest.mark.parametrize("turn", range(2))
async def test_engine(kimbledb_engine, kimbledb_database, turn):
    async with kimbledb_engine.begin() as one, kimbledb_engine.begin() as other:
        assert await one.scalar(COUNT) == 0
        await one.execute(text("INSERT INTO people VALUES (1)"))
        assert await other.scalar(COUNT) == 0
    connection = await asyncpg.connect(kimbledb_database)
    assert await connection.fetchval("SELECT count(*) FROM people") == 1
    await connection.close()
    # The URL is that of the database, for code that reads it.
    url = kimbledb_engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    assert url == kimbledb_database

@pytest.mark.parametrize("turn", range(2))
async def test_one_database(kimbledb_engine, kimbledb_session, kimbledb_connection, kimbledb_psycopg_connection, turn):
    async with kimbledb_engine.begin() as connection:
        await connection.execute(text("INSERT INTO people VALUES (1)"))
    assert await kimbledb_session.scalar(COUNT) == 1
    assert await kimbledb_connection.fetchval("SELECT count(*) FROM people") == 1
    found = await kimbledb_psycopg_connection.execute("SELECT count(*) FROM people")
    assert await found.fetchone() == (1,)
"""
    )
    for driver in ("asyncpg", "psycopg"):
        ini(project, more=f"kimbledb_engine_driver = {driver}\n")

        project.runpytest_subprocess("-q").assert_outcomes(passed=4)


PSYCOPG = """
import psycopg, pytest
from psycopg.rows import dict_row

@pytest.mark.parametrize("what", ["a row", "a block", "a commit", "COMMIT", "an error", "an end", "a factory", "a column", "nothing"])
async def test_connection(kimbledb_psycopg_connection, what):
    connection = kimbledb_psycopg_connection
    found = await connection.execute("SELECT count(*) FROM people")
    assert await found.fetchone() == (0,)
    await connection.execute("INSERT INTO people VALUES (1)")
    if what == "a block":
        async with connection.transaction():
            await connection.execute("INSERT INTO people VALUES (2)")
    elif what == "a commit":
        with pytest.raises(psycopg.ProgrammingError, match="commit"):
            await connection.commit()
    elif what == "COMMIT":
        await connection.execute("COMMIT")
    elif what == "an error":
        with pytest.raises(psycopg.errors.UniqueViolation):
            await connection.execute("INSERT INTO people VALUES (1)")
    elif what == "an end":
        await connection.close()
    elif what == "a factory":
        connection.row_factory = dict_row
    elif what == "a column":
        await connection.execute("ALTER TABLE people ADD COLUMN more text")
"""


def test_connections_of_psycopg(project: pytest.Pytester) -> None:
    """Each test finds psycopg's connection and the database as they were, whatever the one before it did."""
    plain = PSYCOPG.replace("await ", "").replace("async ", "").replace("psycopg_connection", "sync_connection")
    project.makepyfile(test_asynchronous=PSYCOPG, test_plain=plain)

    project.runpytest_subprocess("-q").assert_outcomes(passed=18)


def test_options(project: pytest.Pytester) -> None:
    """Engines and sessions take the project's options; a driver that is none is said."""
    project.makepyfile(
        MODEL
        + """
from sqlalchemy.ext.asyncio import AsyncSession

class Session(AsyncSession):
    pass

@pytest.fixture(scope="session")
def kimbledb_engine_options():
    return {"connect_args": {"server_settings": {"application_name": "shop"}}, "pool_size": 3}

@pytest.fixture(scope="session")
def kimbledb_session_options():
    return {"class_": Session, "expire_on_commit": True}

@pytest.mark.parametrize("turn", range(2))
async def test_session(kimbledb_session, turn):
    assert type(kimbledb_session) is Session
    assert await kimbledb_session.scalar(text("SHOW application_name")) == "shop"

@pytest.fixture(scope="session")
def kimbledb_sync_engine_options():
    return {"connect_args": {"application_name": "plain"}}

@pytest.fixture(scope="session")
def kimbledb_sync_session_options():
    return {"autoflush": False}

def test_plain(kimbledb_sync_session):
    assert not kimbledb_sync_session.autoflush
    assert kimbledb_sync_session.scalar(text("SHOW application_name")) == "plain"

async def test_engine(kimbledb_engine):
    assert kimbledb_engine.pool.size() == 3
    async with kimbledb_engine.connect() as connection:
        assert await connection.scalar(text("SHOW application_name")) == "shop"
"""
    )

    project.runpytest_subprocess("-q").assert_outcomes(passed=4)
    run = project.runpytest_subprocess("-q", "-o", "kimbledb_engine_driver=pg8000", "-k", "test_engine")
    run.assert_outcomes(errors=1)
    run.stdout.fnmatch_lines(["*kimbledb_engine_driver = pg8000: expected asyncpg or psycopg*"])


def test_a_missing_library_is_said(project: pytest.Pytester) -> None:
    """A fixture whose library is not installed says how to install it, and the others need none of them."""
    project.makeconftest(
        project.path.joinpath("conftest.py").read_text(encoding="utf-8")
        + """
import importlib.util, sys

find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name in ("sqlalchemy", "psycopg") else find(name, *more)
sys.modules["sqlalchemy"] = sys.modules["psycopg"] = None
"""
    )
    project.makepyfile(
        """
        async def test_session(kimbledb_session): ...
        def test_engine(kimbledb_sync_engine): ...
        async def test_connection(kimbledb_psycopg_connection): ...
        async def test_another(kimbledb_connection): ...
        """
    )

    run = project.runpytest_subprocess("-q")

    run.assert_outcomes(passed=1, errors=3)
    run.stdout.fnmatch_lines(
        [
            "*kimbledb_session needs sqlalchemy, which is not installed: pip install 'sqlalchemy?asyncio?>=2.0'",
            "*kimbledb_sync_engine needs sqlalchemy, which is not installed: pip install *",
            "*kimbledb_psycopg_connection needs psycopg, which is not installed: pip install 'psycopg?binary?'",
        ]
    )
