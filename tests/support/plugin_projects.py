"""Projects whose tests use the pytest plugin, in runs of their own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import kimbledb
from tests.support.folders import Folder

#: A catalog of one table, so that the runs are short.
CONFTEST = """
    import pytest
    import kimbledb

    @pytest.fixture(scope="session")
    def kimbledb_catalog():
        return kimbledb.Catalog.from_directory({folder!r})
"""


def project_of(
    pytester: pytest.Pytester, folder: Folder, server: str, monkeypatch: pytest.MonkeyPatch
) -> pytest.Pytester:
    """Return a project with a catalog of one table, whose tests run on a server."""
    folder.table(1, "people")
    pytester.makeconftest(CONFTEST.format(folder=str(folder.path)))
    ini(pytester)
    monkeypatch.setenv("KIMBLEDB_TEST_DSN", server)
    apart(monkeypatch)
    return pytester


def apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs of pytest be fresh ones, and no workers of ours, with the package that this process has imported."""
    package = str(Path(kimbledb.__file__).parent.parent)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")])))
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_TESTRUNUID", "PYTEST_ADDOPTS"):
        monkeypatch.delenv(name, raising=False)


def ini(pytester: pytest.Pytester, mode: str = "auto", scope: str = "function", more: str = "") -> None:
    """Have the project's runs use a mode and a scope of loops of pytest-asyncio, and take every warning for an error."""
    pytester.makeini(
        f"[pytest]\nasyncio_mode = {mode}\nasyncio_default_fixture_loop_scope = {scope}\n"
        f"asyncio_default_test_loop_scope = {scope}\nfilterwarnings = error\n{more}"
    )
