"""The servers of other plugins and the plugin's own, as a project sees them: runs of pytest in processes of their own."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from _kimbledb_pytest.broker import Broker, ask
from tests.support.folders import Folder
from tests.support.plugin_projects import project_of
from tests.support.transcripts import blocks_of

pytest_plugins = ["pytester"]

#: Debian 12's PostgreSQL.
PG_CTL = Path("/usr/lib/postgresql/15/bin/pg_ctl")
PAGE = Path(__file__).parent.parent.parent / "docs" / "testing.md"


@pytest.fixture
def project(pytester: pytest.Pytester, folder: Folder, server: str, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project with a catalog of its own, which has no server but those that its fixtures name."""
    project = project_of(pytester, folder, server, monkeypatch)
    monkeypatch.delenv("KIMBLEDB_TEST_DSN")
    return project


def shown(word: str) -> str:
    """Return the conftest.py with a word that the page on tests shows."""
    [text] = [each.text for each in blocks_of(PAGE) if each.title == "conftest.py" and word in each.text]
    return text


TEST = """
import asyncpg

async def test_it(kimbledb_connection, kimbledb_schema, {executor}):
    assert await kimbledb_connection.fetchval("SELECT count(*) FROM people") == 0
    assert kimbledb_connection._addr[1] == {executor}.port
    assert f":{{{executor}.port}}/" in kimbledb_schema.dsn

def test_plain(kimbledb_sync_session):
    assert kimbledb_sync_session.bind.engine.url.database.startswith("kimbledb_test_")
"""


def add(project: pytest.Pytester, text: str) -> str:
    """Add a text to the project's conftest.py, and return the whole."""
    conftest = project.path / "conftest.py"
    whole = f"{conftest.read_text(encoding='utf-8')}\n{text}"
    conftest.write_text(whole, encoding="utf-8")
    return whole


def test_a_server_that_pytest_postgresql_names(project: pytest.Pytester, server: str) -> None:
    """The server of pytest-postgresql's postgresql_noproc is taken by a fixture of one line."""
    pytest.importorskip("pytest_postgresql")
    place = urlsplit(server)
    add(project, re.sub(r"\bpostgresql_proc\b", "postgresql_noproc", shown("return postgresql_proc")))
    project.makepyfile(TEST.format(executor="postgresql_noproc"))

    run = project.runpytest_subprocess(
        *("-q", f"--postgresql-host={place.hostname}", f"--postgresql-port={place.port}"),
        *(f"--postgresql-user={place.username}", f"--postgresql-password={place.password}"),
    )
    run.assert_outcomes(passed=2)


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="needs another user, and Linux")
def test_another_user_gets_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that workers ask for the server's DSN, in which a password is, answers its own user alone."""
    monkeypatch.setattr(Broker, "_find_answer", lambda _: {"dsn": "postgresql://"})
    broker = Broker(None)
    program = (
        "import socket, sys\nwith socket.socket(socket.AF_UNIX) as asking:\n"
        "    asking.connect(chr(0) + sys.argv[1][1:])\n    print(asking.recv(100))"
    )
    try:
        assert ask(broker.address) == "postgresql://"
        run = subprocess.run(
            [_program_for_another_user(), "-c", program, broker.address],
            user="nobody",
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        broker.stop()

    assert (run.stdout, run.stderr) == ("b''\n", "")


#: Docker is not needed: a stand-in for the container, whose address is that of the tests' server.
WITHOUT_DOCKER = """
from unittest import mock
from urllib.parse import urlsplit

import testcontainers.core.container
from testcontainers.community.postgres import PostgresContainer

place = urlsplit({server!r})
testcontainers.core.container.DockerClient = mock.Mock()

def start(self):
    self._container = mock.Mock()
    self.username, self.password, self.dbname = place.username, place.password, place.path[1:]
    return self

PostgresContainer.start = start
PostgresContainer.stop = lambda self: None
PostgresContainer.get_container_host_ip = lambda self: place.hostname
PostgresContainer.get_exposed_port = lambda self, port: place.port
"""


def test_a_server_of_testcontainers(project: pytest.Pytester, server: str) -> None:
    """A started container of testcontainers is taken as it is, here with a stand-in for Docker's part."""
    pytest.importorskip("testcontainers.community.postgres")
    add(project, WITHOUT_DOCKER.format(server=server) + shown("testcontainers"))
    project.makepyfile(
        """
        async def test_it(kimbledb_connection, kimbledb_schema, kimbledb_server):
            assert "+psycopg2:" in kimbledb_server.get_connection_url()
            assert await kimbledb_connection.fetchval("SELECT count(*) FROM people") == 0
        """
    )

    project.runpytest_subprocess("-q", "-W", "default").assert_outcomes(passed=1)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users may enter; pytest's own is closed to them."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_a_server_that_pytest_postgresql_starts(project: pytest.Pytester, folder: Folder, open_folder: Path) -> None:
    """The server that pytest-postgresql's postgresql_proc starts is taken by a fixture of one line."""
    pytest.importorskip("pytest_postgresql")
    if not PG_CTL.exists():
        pytest.skip(f"{PG_CTL} is not installed")
    program, user = sys.executable, None
    if os.geteuid() == 0:  # PostgreSQL does not run as root
        program, user = _program_for_another_user(), "nobody"
    text = add(project, shown("return postgresql_proc"))
    home = open_folder / "project"
    shutil.copytree(folder.path, home / "migrations")
    (home / "conftest.py").write_text(text.replace(str(folder.path), str(home / "migrations")), encoding="utf-8")
    (home / "test_it.py").write_text(TEST.format(executor="postgresql_proc"), encoding="utf-8")
    shutil.copy(project.path / "tox.ini", home)
    temporary = open_folder / "temporary"
    temporary.mkdir()
    if user is not None:
        shutil.chown(temporary, user)

    run = subprocess.run(
        [program, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--postgresql-exec={PG_CTL}"],
        cwd=home,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            **dict.fromkeys(("HOME", "TMPDIR", "PYTEST_DEBUG_TEMPROOT"), str(temporary)),
        },
        user=user,
        capture_output=True,
        text=True,
        check=False,
    )

    assert "2 passed" in run.stdout, run.stdout + run.stderr


def _program_for_another_user() -> str:
    """Return a Python of this version that the user nobody may run; that of the tests may be in root's home."""
    wanted = f"{sys.version_info.major}.{sys.version_info.minor}"
    for program in (sys.executable, f"/usr/bin/python{wanted}"):
        try:
            subprocess.run([program, "-c", ""], user="nobody", cwd="/", capture_output=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return program
    pytest.skip(f"{pwd.getpwnam('nobody').pw_name} may run no Python {wanted} here")
