"""The sessions of this project: ``nox`` runs the checks that every change must pass, ``nox -l`` lists all sessions."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nox

nox.options.sessions = ["lint", "typing", "tests", "package", "docs"]
nox.options.error_on_missing_interpreters = False
nox.options.reuse_existing_virtualenvs = True
if hasattr(nox.options, "allow_parallel"):  # since nox 2026.10: `nox -j 2`, for runs that nobody watches
    nox.options.allow_parallel = True

# A session imports a small part of what is installed for it; Python compiles that part when it is first imported.
os.environ.setdefault("PIP_NO_COMPILE", "1")

ROOT = Path(__file__).parent
#: Bytes that a file system in memory must have free.
FREE = 6 * 1024**3
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]


def _has(python: str) -> bool:
    """Return whether an interpreter runs: the shim of a version manager may be found without one."""
    program = shutil.which(f"python{python}")
    if program is None:
        return False
    answer = subprocess.run([program, "-c", "import venv"], capture_output=True, check=False)
    return answer.returncode == 0


@contextmanager
def _temporary() -> Iterator[dict[str, str]]:
    """Yield the environment in which throwaway servers keep their data in memory, if enough memory is free.

    Such servers mostly create and drop databases, and most of that time goes into files.
    """
    memory = Path("/dev/shm")  # noqa: S108 - only a folder of our own is used
    if not memory.is_dir() or shutil.disk_usage(memory).free < FREE:
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="kimbledb-nox-", dir=memory) as folder:
        Path(folder).chmod(0o1777)  # like /tmp: if root runs the tests, the servers run as another user
        yield {"TMPDIR": folder}


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format with ruff, by the rules in pyproject.toml."""
    session.install("ruff>=0.9")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def typing(session: nox.Session) -> None:
    """Check the types of all code with mypy, strictly."""
    session.install("-e", ".[dev]")
    session.run("mypy")


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests on this Python, on every core, against the embedded PostgreSQL."""
    _test(session)


@nox.session(python=[python for python in PYTHONS if _has(python)] or [sys.executable])
def tests_all(session: nox.Session) -> None:
    """Run the tests on each Python that is installed."""
    _test(session)


def _test(session: nox.Session) -> None:
    session.install("-e", ".[dev]")
    with _temporary() as environment:
        session.run("pytest", "-n", "auto", "--dist", "loadgroup", *session.posargs, env=environment)


@nox.session
def unit(session: nox.Session) -> None:
    """Run the tests that need no server, on any operating system."""
    session.install("-e", ".[dev]")
    # Those of the repository look at its own files, on the developers' kind of machine.
    ignored = "--ignore=tests/unit/repository"
    session.run("pytest", "-q", "-n", "auto", "tests/unit", ignored, *session.posargs)


@nox.session
def explore(session: nox.Session) -> None:
    """Run the property tests from new seeds with more examples, for an hour: ``-- --minutes 60``."""
    session.install("-e", ".[dev]")
    with _temporary() as environment:
        session.run("python", "-m", "tools.explore", *session.posargs, env=environment)


@nox.session
def mutants(session: nox.Session) -> None:
    """Make each change of tests/mutants/mutants.toml on a copy, and check that a test fails: ``-- lock`` for some of them."""
    session.install("-e", ".[dev]")
    with _temporary() as environment:
        session.run("python", "-m", "tools.mutants", *session.posargs, env=environment)


@nox.session
def servers(session: nox.Session) -> None:
    """Run the integration tests on PostgreSQL 15, 16, 17 and 18, and print a table: ``-- 16 18`` for some of them."""
    session.install("-e", ".[dev]")
    with _temporary() as environment:
        every = environment | {"KIMBLEDB_TEST_SERVERS": "all"}
        session.run("pytest", "-q", "-n", "auto", "--dist", "loadgroup", "tests/servers", env=every)
        session.run("python", "-m", "tools.servers", *session.posargs, env=environment)


@nox.session
def rollbacks(session: nox.Session) -> None:
    """Roll every built-in migration back beside rows and objects of somebody, which it must not take."""
    session.install("-e", ".[dev]")
    with _temporary() as environment:
        environment |= {"KIMBLEDB_TEST_ROLLBACKS": "all"}
        session.run(
            "pytest", "-n", "auto", "tests/integration/test_builtin_rollbacks.py", *session.posargs, env=environment
        )


@nox.session
def prove(session: nox.Session) -> None:
    """Prove the built-in migrations with an interruption after every statement, on a bare and on a hosted server."""
    session.install("-e", ".[dev]")
    with _temporary() as environment:
        environment |= {"KIMBLEDB_TEST_PROVE": "all"}
        session.run("pytest", "-n", "2", "tests/integration/test_prove.py", *session.posargs, env=environment)


@nox.session
def bases(session: nox.Session) -> None:
    """Bring every database of tests/data/bases to the whole schema with its rows."""
    session.install("-e", ".[dev]")
    with _temporary() as environment:
        environment |= {"KIMBLEDB_TEST_BASES": "all"}
        files = [f"tests/integration/test_{name}.py" for name in ("real_databases", "largest_databases")]
        session.run("pytest", "-n", "auto", *files, *session.posargs, env=environment)


def _build(session: nox.Session, folder: Path) -> tuple[Path, Path]:
    """Build the sdist, and the wheel from it, into an empty folder; check metadata and contents of both."""
    shutil.rmtree(folder, ignore_errors=True)
    session.install("build>=1.2", "twine>=6.1", "check-wheel-contents>=0.6")
    session.run("python", "-m", "build", "--quiet", "--outdir", str(folder), str(ROOT))
    [sdist], [wheel] = folder.glob("*.tar.gz"), folder.glob("*.whl")
    session.run("twine", "check", "--strict", str(sdist), str(wheel))
    session.run("check-wheel-contents", "--config", str(ROOT / "pyproject.toml"), str(wheel))
    return sdist, wheel


@nox.session
def package(session: nox.Session) -> None:
    """Build and check the sdist and the wheel, and test the wheel where the sources cannot be imported."""
    built = Path(session.create_tmp()).resolve() / "dist"
    sdist, wheel = _build(session, built)
    # The library alone, as `pip install kimbledb` leaves it.
    bare = built.with_name("bare")
    session.run("python", "-m", "venv", "--clear", str(bare))
    session.run(str(bare / "bin" / "pip"), "install", "--quiet", str(wheel), external=True)
    for arguments in (("--version",), ("plan", "--empty", "--quiet")):
        session.run(str(bare / "bin" / "kimbledb"), *arguments, external=True, silent=True)
    session.install("--force-reinstall", f"kimbledb[cli,testing] @ {wheel.as_uri()}", "hypothesis", "pytest-xdist")
    session.run("kimbledb", "migrate", "--embedded", "--quiet")
    # The tests of the sdist, without its sources: they import the installed wheel.
    elsewhere = built.with_name("elsewhere")
    shutil.rmtree(elsewhere, ignore_errors=True)
    shutil.unpack_archive(sdist, elsewhere)  # of our own making; `filter` is no argument before Python 3.11.4
    [elsewhere] = elsewhere.iterdir()
    shutil.rmtree(elsewhere / "src")
    session.chdir(elsewhere)
    # The first looks at the sources; the others need libraries that the wheel does not bring.
    ignored = ["unit/repository", "unit/test_otel.py"]
    ignored += [f"integration/test_{name}.py" for name in ("alembic", "otel", "recipes", "targets")]
    ignored = [f"--ignore=tests/{name}" for name in ignored]
    session.run("pytest", "-q", "-n", "auto", "-m", "wheel", *ignored, *session.posargs)


@nox.session
def platforms(session: nox.Session) -> None:
    """Ask the package index on which platforms and Pythons the core and each extra can be installed."""
    session.install("uv>=0.9")
    session.run("python", "-m", "tools.platforms", *session.posargs)


@nox.session
def licences(session: nox.Session) -> None:
    """List the licences of what an installation adds, and fail at one that is not permissive: ``-- --write``."""
    session.install(".[cli,otel,embedded,testing]")
    session.run("python", "-m", "tools.licences", *session.posargs)


@nox.session
def sbom(session: nox.Session) -> None:
    """Write dist/sbom/kimbledb.cdx.json: what an installation with the extras of users consists of, as CycloneDX."""
    session.install("cyclonedx-bom>=7")
    installed = Path(session.create_tmp()).resolve() / "installed"
    session.run("python", "-m", "venv", "--clear", str(installed))
    session.run(str(installed / "bin" / "pip"), "install", "-q", ".[cli,otel,embedded,testing]", external=True)
    session.run(str(installed / "bin" / "pip"), "uninstall", "-q", "-y", "pip", "setuptools", external=True)
    output = ROOT / "dist" / "sbom" / "kimbledb.cdx.json"
    output.parent.mkdir(parents=True, exist_ok=True)
    options = ("--pyproject", "pyproject.toml", "--mc-type", "library", "--output-reproducible", "-o", str(output))
    python = str(installed / "bin" / "python")
    session.run("cyclonedx-py", "environment", *options, python)
    # Its version is dynamic in pyproject.toml, where the tool looks.
    asked = "from importlib.metadata import version; print(version('kimbledb'))"
    version = str(session.run(python, "-c", asked, external=True, silent=True)).strip()
    bill = json.loads(output.read_text("utf-8"))
    bill["metadata"]["component"] |= {"version": version, "purl": f"pkg:pypi/kimbledb@{version}"}
    output.write_text(json.dumps(bill, indent=2) + "\n", "utf-8")


@nox.session
def release(session: nox.Session) -> None:
    """Make in dist what a tag publishes, after a check that the files name its version: ``-- v1.0.0``."""
    _build(session, ROOT / "dist")
    session.install("-e", ".")
    session.run("python", "-m", "tools.release", *session.posargs, "dist/notes.md")
    session.notify("sbom")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site of the documentation into ``site``, and check it: each link, file and search."""
    session.install("-e", ".[docs]")
    session.run("zensical", "build", "--clean", "--strict")
    session.run("python", "-m", "tools.check_site", "site")


@nox.session
def screenshots(session: nox.Session) -> None:
    """Build the site, and take pictures of pages in a wide window and on a phone, light and dark: ``-- tutorial/`` for some."""
    session.install("-e", ".[docs]")
    session.run("zensical", "build", "--clean", "--strict")
    session.run("python", "-m", "tools.screenshots", *session.posargs)


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Run the benchmarks: each figure is a ratio to a floor that the same run measures."""
    session.install("-e", ".[dev]")
    with _temporary() as environment:
        session.run("python", "-m", "tests.benchmarks", *session.posargs, env=environment)


@nox.session
def declare(session: nox.Session) -> None:
    """Record from a server what each built-in migration does, into its declared.toml: ``-- --check`` compares."""
    session.install("-e", ".[dev]")
    session.run("kimbledb", "declare", "src/kimbledb/sql/migrations", *session.posargs)


@nox.session
def order(session: nox.Session) -> None:
    """Write the files that are made from the code, such as docs/migration-order.md: ``-- --check`` compares."""
    session.install("-e", ".[dev]")
    session.run("python", "-m", "tools.order", *session.posargs)


@nox.session
def notebook(session: nox.Session) -> None:
    """Execute docs/notebooks/tour.ipynb, and write the outputs that have changed: ``-- --check`` compares."""
    session.install("-e", ".[dev]")
    session.run("python", "-m", "tools.notebook", *session.posargs)


@nox.session
def new(session: nox.Session) -> None:
    """Make the folder of a new built-in migration: ``nox -s new -- add-invoices``."""
    session.install("-e", ".[cli]")
    session.run("kimbledb", "new", "--directory", "src/kimbledb/sql/migrations", *session.posargs)
