"""The pytest plugin, as a project sees it that has kimbledb installed: runs of pytest in processes of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from tests.support.databases import own_server
from tests.support.folders import Folder
from tests.support.plugin_projects import ini, project_of

pytest_plugins = ["pytester"]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The DSN of a server that these tests have for themselves: they look at all databases of it."""
    with own_server() as dsn:
        yield dsn


@pytest.fixture
def project(pytester: pytest.Pytester, folder: Folder, server: str, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project with a catalog of its own, whose tests run on the server of these tests."""
    return project_of(pytester, folder, server, monkeypatch)


async def left(server: str) -> list[str]:
    """The databases that a run has left, but templates."""
    connection = await asyncpg.connect(server)
    rows = await connection.fetch(r"SELECT datname FROM pg_database WHERE datname ~ '^kimbledb_(test|making)_'")
    await connection.close()
    return [row[0] for row in rows]


FIXTURES = """
    import asyncpg, pytest

    @pytest.mark.asyncio
    @pytest.mark.parametrize("turn", range(3))
    async def test_database(kimbledb_database, turn):
        connection = await asyncpg.connect(kimbledb_database)
        assert await connection.fetchval("SELECT count(*) FROM people") == 0
        await connection.execute("INSERT INTO people VALUES (1)")
        await connection.close()

    @pytest.mark.asyncio
    async def test_schema(kimbledb_schema):
        assert kimbledb_schema.name != "public"
        connection = await asyncpg.connect(kimbledb_schema.dsn)
        assert await connection.fetchval(f"SELECT count(*) FROM {kimbledb_schema.name}.people") == 0
        await connection.close()

    @pytest.mark.asyncio
    @pytest.mark.parametrize("what", ["changes", "commits", "fails", "closes", "nests", "changes"])
    async def test_connection(kimbledb_connection, what):
        connection = kimbledb_connection
        assert await connection.fetchval("SELECT count(*) FROM people") == 0
        await connection.execute("INSERT INTO people VALUES (1)")
        if what == "commits":
            await connection.execute("COMMIT")
        elif what == "fails":
            with pytest.raises(asyncpg.DivisionByZeroError):
                await connection.execute("SELECT 1 / 0")
        elif what == "closes":
            await connection.close()
        elif what == "nests":
            async with connection.transaction():
                await connection.execute("INSERT INTO people VALUES (2)")

    def test_without_a_loop(kimbledb_database, kimbledb_server):
        assert kimbledb_database.rpartition("/")[0] == kimbledb_server.rpartition("/")[0]
"""


@pytest.mark.parametrize("mode", ["strict", "auto"])
async def test_each_test_gets_a_fresh_and_migrated_database(project: pytest.Pytester, server: str, mode: str) -> None:
    """Each test finds what it asked for fresh and migrated, whatever the one before did, in both modes of pytest-asyncio."""
    ini(project, mode)
    project.makepyfile(FIXTURES)

    project.runpytest_subprocess("-q").assert_outcomes(passed=11)
    assert await left(server) == []


async def test_one_loop_has_one_connection(project: pytest.Pytester, server: str) -> None:
    """Tests that share an event loop share a connection, on which none finds what another left there."""
    ini(project, scope="session")
    project.makepyfile(
        """
        import asyncpg, pytest

        LEFT = ["a row", "a column", "a setting", "a lock", "a statement", "a codec", "a listener", "a type", "nothing"]

        @pytest.mark.parametrize("what", [each for some in zip(LEFT, LEFT) for each in some])
        async def test_connection(kimbledb_connection, what):
            connection = kimbledb_connection
            print("backend", await connection.fetchval("SELECT pg_backend_pid()"))
            assert await connection.fetchval("SELECT count(*) FROM people") == 0
            if what != "a column":
                assert await connection.fetch("SELECT * FROM people") == []
            assert await connection.fetchval("SELECT '{}'::jsonb") == "{}"
            assert await connection.fetchval("SHOW statement_timeout") == "0"
            own = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
            assert await connection.fetchval(own) == 0
            if what == "a row":
                await connection.execute("INSERT INTO people VALUES (1)")
            elif what == "a column":
                await connection.execute("ALTER TABLE people ADD COLUMN more text")
                assert await connection.fetch("SELECT * FROM people") == []
            elif what == "a setting":
                await connection.execute("SET statement_timeout = '7s'")
            elif what == "a lock":
                await connection.execute("SELECT pg_advisory_lock(7)")
            elif what == "a statement":
                await connection.execute("PREPARE left_behind AS SELECT 1")
            elif what == "a codec":
                await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=str, decoder=str.upper)
            elif what == "a listener":
                await connection.add_listener("left", print)
            elif what == "a type":
                await connection.execute("CREATE TYPE colour AS ENUM ('red')")
                assert await connection.fetchval("SELECT 'red'::colour") == "red"
        """
    )
    run = project.runpytest_subprocess("-q", "-rP")

    run.assert_outcomes(passed=18)
    backends = [line for line in run.outlines if line.startswith("backend ")]
    # What cannot be taken back ended the connection: two statements, two codecs, two listeners.
    assert len(set(backends)) == 7
    assert backends[0] == backends[8] != backends[9]
    assert await left(server) == []


async def test_without_pytest_asyncio(project: pytest.Pytester) -> None:
    """Fixtures that are no connection need no plugin for asynchronous tests."""
    project.makeini("[pytest]\nfilterwarnings = error\n")
    project.makepyfile("def test_it(kimbledb_database, kimbledb_schema): assert kimbledb_database")

    project.runpytest_subprocess("-q", "-p", "no:asyncio").assert_outcomes(passed=1)


def test_the_plugin_is_light(pytester: pytest.Pytester) -> None:
    """A run that uses none of the fixtures imports neither kimbledb nor asyncpg."""
    pytester.makepyfile(
        """
        import sys

        def test_it(pytestconfig):
            assert pytestconfig.pluginmanager.hasplugin("kimbledb")
            assert not {"kimbledb", "asyncpg", "attrs", "sqlalchemy", "psycopg"} & set(sys.modules)
        """
    )
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n")

    # The plugin of pytest-postgresql, where it is installed, imports psycopg.
    pytester.runpytest_subprocess("-q", "-p", "no:pytest_postgresql").assert_outcomes(passed=1)


def test_many_tests_on_one_template(project: pytest.Pytester) -> None:
    """Eighty tests in three workers see no trace of each other, on clones of a template that was made once."""
    project.makepyfile(
        """
        import pytest, asyncpg

        async def use(connection):
            assert await connection.fetchval("SELECT count(*) FROM people") == 0
            await connection.execute("INSERT INTO people VALUES (1)")
            # It says in which template the migration was applied.
            print("applied", await connection.fetchval("SELECT applied_at FROM migration_history"))

        @pytest.mark.parametrize("number", range(20))
        async def test_database(kimbledb_database, number):
            print("clone", kimbledb_database)
            connection = await asyncpg.connect(kimbledb_database)
            await use(connection)
            await connection.close()

        @pytest.mark.parametrize("number", range(60))
        async def test_connection(kimbledb_connection, number):
            await use(kimbledb_connection)
        """
    )
    run = project.runpytest_subprocess("-q", "-n", "3", "-rP")

    run.assert_outcomes(passed=80)
    assert len({line for line in run.outlines if line.startswith("applied ")}) == 1
    assert len({line for line in run.outlines if line.startswith("clone ")}) == 20


def test_workers_share_an_embedded_server(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a server of theirs all workers of a run use one embedded server, which ends with the run."""
    monkeypatch.delenv("KIMBLEDB_TEST_DSN")
    project.makepyfile(
        """
        import os, pytest

        @pytest.mark.parametrize("number", range(4))
        def test_it(kimbledb_server, kimbledb_database, number):
            print("server", kimbledb_server)
        """
    )
    run = project.runpytest_subprocess("-q", "-n", "2", "-rP")

    run.assert_outcomes(passed=4)
    [server] = {line.removeprefix("server ") for line in run.outlines if line.startswith("server ")}
    with pytest.raises(OSError, match="onnect"):
        asyncio.run(asyncpg.connect(server, timeout=5))


def test_a_kept_server_has_the_template_again(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With a folder for the embedded server's data the next run finds the template of the one before."""
    monkeypatch.delenv("KIMBLEDB_TEST_DSN")
    project.makepyfile(
        """
        import asyncpg

        async def test_it(kimbledb_connection):
            print("applied", await kimbledb_connection.fetchval("SELECT applied_at FROM migration_history"))
        """
    )
    data = f"--kimbledb-data-dir={tmp_path / 'data'}"
    first, second = (
        [line for line in project.runpytest_subprocess("-q", "-rP", data).outlines if line.startswith("applied ")]
        for _ in range(2)
    )
    assert first == second != []


def test_a_server_of_ones_own(project: pytest.Pytester, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The option names a server before the environment does; one that is not there is said, without the password."""
    monkeypatch.setenv("KIMBLEDB_TEST_DSN", "postgresql://a:hushhush@127.0.0.1:1/none")
    project.makepyfile("def test_it(kimbledb_database): assert kimbledb_database")

    project.runpytest_subprocess("-q", f"--kimbledb-dsn={server}").assert_outcomes(passed=1)
    run = project.runpytest_subprocess("-q", "--tb=short", "--show-capture=no")
    run.assert_outcomes(errors=1)
    run.stdout.fnmatch_lines(["*127.0.0.1:1/none cannot be reached*"])
    run.stdout.no_fnmatch_line("*hushhush*")
