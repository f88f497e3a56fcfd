"""Runs of pytest that are killed: nothing of them is left, or the next run clears it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from tests.support.folders import Folder
from tests.support.plugin_projects import project_of

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes through /proc")

#: A test that says that it has its database, and ends only where it is killed.
TEST = """
import os, pathlib, threading

def test_it(kimbledb_database):
    pathlib.Path(os.environ["READY"], f"{os.getpid()} {kimbledb_database.rpartition('/')[2]}").touch()
    threading.Event().wait()
"""


class Run:
    """A run of the project's tests, with a temporary folder of its own, as a user starts it."""

    def __init__(self, project: pytest.Pytester, *arguments: str) -> None:
        self.temporary = project.mkdir("temporary")
        self.ready = project.mkdir("ready")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
            cwd=project.path,
            env={**os.environ, "TMPDIR": str(self.temporary), "READY": str(self.ready)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # A shell that starts it in the background would have it ignore Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
        )
        until(lambda: bool(list(self.ready.iterdir())) or self.process.poll() is not None)
        assert self.process.poll() is None, self.process.communicate()[0].decode()

    @property
    def tester(self) -> tuple[int, str]:
        """The process that runs the test, and the test's database."""
        [file] = self.ready.iterdir()
        number, database = file.name.split()
        return int(number), database

    def processes(self) -> list[str]:
        """The command lines of all processes that have anything of the run's temporary folder."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                command = (process / "cmdline").read_bytes()
                words = command + (process / "environ").read_bytes() + os.fsencode((process / "cwd").readlink())
            except OSError:
                continue  # it has ended, or is somebody else's
            if bytes(self.temporary) in words:
                found.append(command.replace(b"\0", b" ").decode(errors="replace"))
        return found

    def leftovers(self) -> list[str]:
        """The files of the run but pytest's own, which it keeps for who looks for a failure."""
        return [each.name for each in self.temporary.iterdir() if not each.name.startswith("pytest-of-")]


def until(condition: Callable[[], bool]) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it has not become true"
        time.sleep(0.02)


@pytest.fixture
def project(pytester: pytest.Pytester, folder: Folder, server: str, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project with a test that does not end."""
    project = project_of(pytester, folder, server, monkeypatch)
    project.makepyfile(TEST)
    return project


@pytest.mark.parametrize(
    ("arguments", "whom", "how"),
    [
        ((), "the run", signal.SIGTERM),
        ((), "the run", signal.SIGINT),
        ((), "the run", signal.SIGKILL),
        (("-n", "1"), "the run", signal.SIGTERM),
        (("-n", "1"), "the run", signal.SIGKILL),
        (("-n", "1"), "the worker", signal.SIGKILL),
    ],
    ids=lambda value: value.name if isinstance(value, signal.Signals) else "".join(value).replace(" ", "_"),
)
def test_nothing_is_left(
    project: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    whom: str,
    how: signal.Signals,
) -> None:
    """However a run or its worker ends, neither a process nor a file of its server is left."""
    monkeypatch.delenv("KIMBLEDB_TEST_DSN")
    run = Run(project, *arguments, f"--kimbledb-data-dir={project.path / 'kept'}")
    assert any("postgres" in each for each in run.processes())
    assert any(each.startswith("kimbledb-server-") for each in run.leftovers())

    os.kill(run.process.pid if whom == "the run" else run.tester[0], how)
    run.process.communicate()

    until(lambda: not run.processes() and not run.leftovers())
    # What is kept is whole, or is not there yet.
    assert [each.name for each in (project.path / "kept").iterdir()] in ([], ["kimbledb-test-server.tar"])


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_the_next_run_clears_a_server_of_ones_own(
    project: pytest.Pytester, server: str, how: signal.Signals
) -> None:
    """On a server that goes on, the databases of a run that was killed go with the next run."""
    run = Run(project)
    _, database = run.tester
    run.process.send_signal(how)
    run.process.communicate()
    connection = await asyncpg.connect(server)
    there = "SELECT count(*) FROM pg_database WHERE datname = $1"
    assert await connection.fetchval(there, database) == 1

    project.makepyfile("def test_it(kimbledb_connection): pass\n\ndef test_plain(kimbledb_database): pass\n")
    project.runpytest_subprocess("-q")

    assert await connection.fetchval(there, database) == 0
    await connection.close()
