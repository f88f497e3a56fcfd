"""Where the package lies, and what runs it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

import kimbledb
from kimbledb.errors import ConfigurationError

NOWHERE = "postgresql://u@127.0.0.1:1/db"


def test_the_package_runs_from_a_zip(tmp_path: Path) -> None:
    """The migrations and the SQL that is sent are read where the package lies in a zip, too."""
    archive = tmp_path / "package.zip"
    package = Path(kimbledb.__file__).parent
    with zipfile.ZipFile(archive, "w") as packed:
        for file in package.rglob("*"):
            if file.suffix in (".py", ".sql", ".toml", ".typed"):
                packed.write(file, f"kimbledb/{file.relative_to(package)}")
    program = (
        f"import sys; sys.path.insert(0, {str(archive)!r}); import kimbledb; catalog = kimbledb.Catalog.builtin(); "
        "print(kimbledb.__file__); print(len(catalog)); print(len(kimbledb.render())); "
        "print(sum(len(each.verification_queries) + len(each.rollback_sql) + len(each.online_sql) for each in catalog))"
    )

    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert run.stderr == ""
    where, *found = run.stdout.split()
    catalog = kimbledb.Catalog.builtin()
    size = sum(len(each.verification_queries) + len(each.rollback_sql) + len(each.online_sql) for each in catalog)
    assert where.startswith(str(archive))
    assert [str(len(catalog)), str(len(kimbledb.render())), str(size)] == found


def test_the_library_needs_no_posix() -> None:
    """Where no module of POSIX is, as on Windows, everything but the embedded server can be imported, and plans."""
    program = """
import pkgutil, sys
sys.modules |= dict.fromkeys(("fcntl", "grp", "pwd", "resource", "termios"))
import kimbledb, _kimbledb_pytest
from kimbledb.cli.main import main
own = [*pkgutil.walk_packages(kimbledb.__path__, "kimbledb."), *pkgutil.iter_modules(_kimbledb_pytest.__path__, "_kimbledb_pytest.")]
names = [each.name for each in own if not each.name.startswith(("kimbledb._embedded.", "kimbledb.__main__"))]
for name in names:
    __import__(name)
assert "kimbledb.server.targets" in names
sys.exit(main(["plan", "--empty", "--quiet"]))
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert run.stderr == ""
    assert run.returncode == 0


CALLS: dict[str, Callable[[], Coroutine[Any, Any, Any]]] = {
    "migrate": lambda: kimbledb.migrate(NOWHERE),
    "plan": lambda: kimbledb.plan(NOWHERE),
    "status": lambda: kimbledb.status(NOWHERE),
    "verify": lambda: kimbledb.verify(NOWHERE),
    "rollback": lambda: kimbledb.rollback(NOWHERE, to=0),
    "adopt": lambda: kimbledb.adopt(NOWHERE),
    "reset": lambda: kimbledb.reset(NOWHERE, confirm="db"),
    "restore": lambda: kimbledb.restore("file", NOWHERE),
    "migrate_many": lambda: kimbledb.migrate_many([NOWHERE]),
    "embedded": lambda: kimbledb.embedded().__aenter__(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_another_loop_than_that_of_asyncio_is_told(call: Callable[[], Coroutine[Any, Any, Any]]) -> None:
    """Run by something else, as trio, a call says what it needs and how to have it there."""
    coroutine = call()

    with pytest.raises(ConfigurationError, match="needs asyncio") as caught:
        coroutine.send(None)  # as another library's loop does

    coroutine.close()
    assert "trio.to_thread.run_sync" in str(caught.value.hint)
