"""The page on test suites: its examples run, and the shop that it names."""

from __future__ import annotations

import asyncio
import importlib.util
import re
from pathlib import Path

import pytest

from tests.support.plugin_projects import apart, ini
from tests.support.transcripts import blocks_of

pytest_plugins = ["pytester"]

DOCS = Path(__file__).parent.parent.parent / "docs"
#: The sections whose examples are no tests: test_plugin_servers.py has those of the servers.
WITHOUT_TESTS = ("The server", "Your own migrations", "Without pytest")


@pytest.fixture
def run(pytester: pytest.Pytester, server: str, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder for runs on the server of these tests."""
    monkeypatch.setenv("KIMBLEDB_TEST_DSN", server)
    apart(monkeypatch)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    return pytester


def test_the_examples_run(run: pytest.Pytester, tmp_path: Path) -> None:
    """The files that a section of the page shows are a project whose tests pass."""
    run.makeini(next(each.text for each in blocks_of(DOCS / "testing.md") if each.title == "pytest.ini"))
    sections = re.split(r"^## ", (DOCS / "testing.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    absent = [name for name in ("sqlalchemy", "psycopg") if importlib.util.find_spec(name) is None]
    expected = 0
    for number, section in enumerate(sections):
        (tmp_path / "section").write_text(section, encoding="utf-8")
        blocks = [each for each in blocks_of(tmp_path / "section") if each.language == "python" and each.title]
        if section.partition("\n")[0] in WITHOUT_TESTS or any(name in section.lower() for name in absent):
            continue
        for block in blocks:
            assert block.title is not None
            folder = run.path / f"section_{number}"
            folder.mkdir(exist_ok=True)
            (folder / block.title).write_text(block.text, encoding="utf-8")
            expected += len(re.findall(r"^(?:async )?def test_", block.text, re.MULTILINE))

    assert expected >= 3
    run.runpytest_subprocess("-q", "--import-mode=importlib").assert_outcomes(passed=expected)


def test_the_example_of_own_migrations(run: pytest.Pytester) -> None:
    """The conftest.py for a project's own migrations brings these."""
    [text] = [each.text for each in blocks_of(DOCS / "testing.md") if "from_directory" in each.text]
    run.makeconftest(text)
    run.mkdir("migrations").joinpath("01_people.sql").write_text("CREATE TABLE people (id integer)", encoding="utf-8")
    ini(run)
    run.makepyfile(
        """
        async def test_it(kimbledb_connection):
            assert await kimbledb_connection.fetchval("SELECT count(*) FROM people") == 0
        """
    )

    run.runpytest_subprocess("-q").assert_outcomes(passed=1)


def test_the_example_without_pytest(server: str) -> None:
    """The context of databases works as shown."""
    [text] = [each.text for each in blocks_of(DOCS / "testing.md") if each.title == "main.py"]
    names: dict[str, object] = {}
    exec(text.replace("postgresql://postgres@localhost/postgres", server), names)  # noqa: S102

    asyncio.run(names["main"]())  # type: ignore[operator]


def test_the_shop(run: pytest.Pytester) -> None:
    """The twenty tests of the shop pass."""
    pytest.importorskip("sqlalchemy")
    pytest.importorskip("psycopg")

    run.runpytest_subprocess("-q", "-p", "no:cacheprovider", DOCS / "examples" / "shop").assert_outcomes(passed=20)
