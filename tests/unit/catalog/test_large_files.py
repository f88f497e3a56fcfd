"""Reading is linear in the size of any file, and a file that holds nothing but faults makes a short message."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kimbledb.catalog import facts, other_tools, script_problems, statements, toml
from kimbledb.catalog.catalog import Catalog
from kimbledb.catalog.named_queries import read_named_queries
from kimbledb.errors import CatalogError
from kimbledb.model.script import Script


class Work:
    """Counts the characters that patterns look at, and where they stop."""

    def __init__(self) -> None:
        self.characters = 0

    def counted(self, pattern: re.Pattern[str]) -> Any:
        """Return a pattern that counts."""
        return _Counted(pattern, self)


class _Counted:
    def __init__(self, pattern: re.Pattern[str], work: Work) -> None:
        self._pattern, self._work = pattern, work
        self.pattern = pattern.pattern

    def search(self, text: str, position: int = 0, end: int | None = None) -> re.Match[str] | None:
        stop = len(text) if end is None else end
        found = self._pattern.search(text, position, stop)
        self._work.characters += (stop if found is None else found.end()) - position + 1
        return found

    def match(self, text: str, position: int = 0) -> re.Match[str] | None:
        found = self._pattern.match(text, position)
        self._work.characters += 1 if found is None else found.end() - position + 1
        return found

    def fullmatch(self, text: str) -> re.Match[str] | None:
        self._work.characters += len(text)
        return self._pattern.fullmatch(text)

    def finditer(self, text: str, position: int = 0, end: int | None = None) -> Iterator[re.Match[str]]:
        stop = len(text) if end is None else end
        self._work.characters += stop - position + 1
        return self._pattern.finditer(text, position, stop)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    """The work of the patterns by which files are read."""
    counting = Work()
    for module in (statements, script_problems, facts, toml):
        for name, value in list(vars(module).items()):
            if isinstance(value, re.Pattern):
                monkeypatch.setattr(module, name, counting.counted(value))
    pattern, owners = other_tools._directives()
    monkeypatch.setattr(other_tools, "_INSTRUCTION", counting.counted(other_tools._INSTRUCTION))
    monkeypatch.setattr(other_tools, "_directives", lambda: (counting.counted(pattern), owners))
    return counting


#: Lines that make work, each repeated many times.
LINES = {
    "rows from a client": "COPY t FROM STDIN;\n",
    "rows from a client, ended once": "COPY t FROM STDIN;\n\\.\n",
    "commands of psql": "\\x\n",
    "transactions": "COMMIT;\n",
    "no-break spaces": "SELECT\u00a01;\n",
    "no-break spaces in one statement": "SELECT\u00a01,\n",
    "no-break spaces in strings": "SELECT '\u00a0';\n",
    "typographic quotes": "SELECT \u2018it's\u2019,\n",
    "marks": "-- +goose Up\n",
    "marks in strings": "SELECT '\n-- +goose Up\n';\n",
    "ways back of nothing": "-- down\n",
    "ways back for readers": "-- down\n\n\n-- drop table t;\nSELECT 1;\n",
    "checks": "-- name: x\nSELECT 1;\n",
    "comments": "/* x */ -- y\n",
}


def read(text: str) -> None:
    """Read a script in every way in which one is."""
    script = Script("apply.sql", text)
    problems = [*script_problems.find_problems(text, transactional=True), *read_named_queries(script)[1]]
    assert all(script.line_and_column(problem.offset) for problem in problems)
    other_tools.directive_in(text)


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_the_work_grows_with_the_text(line: str, work: Work) -> None:
    """Four times the text is four times the work, whatever stands in it: nothing is searched for again and again."""
    read(line * 400)
    little = work.characters
    read(line * 1600)

    assert work.characters - little <= 5 * little


@pytest.mark.parametrize(
    "many",
    [
        lambda count: "".join(f"k{number} = 1\n" for number in range(count)),
        lambda count: "".join(f"k{number} = 1\n\n\n" for number in range(count)),
        lambda count: "a" + ".a" * count + " = 1\n",
    ],
    ids=["unknown keys", "unknown keys apart", "a deep key"],
)
def test_the_work_grows_with_the_facts(many: Callable[[int], str], work: Work) -> None:
    """Four times the keys are four times the work."""

    def read_facts(count: int) -> int:
        before = work.characters
        facts.read(many(count), "01_a", [])
        return work.characters - before

    assert read_facts(1600) <= 5 * read_facts(400)


def test_a_key_of_very_many_parts_is_refused(tmp_path: Path) -> None:
    """What a reader of TOML would take the square of its parts for is told before it is read."""
    folder = tmp_path / "01_a"
    folder.mkdir()
    (folder / "migration.toml").write_text("title = 'a'\n" + '"a" .' * 20_000 + " a = 1\n", encoding="utf-8")
    (folder / "apply.sql").touch()
    (folder / "verify.sql").write_text("-- name: a\nSELECT true AS passed", encoding="utf-8")

    with pytest.raises(CatalogError, match=r"migration\.toml:2: a key has more than 50 parts; write a plain key"):
        Catalog.from_directory(tmp_path)


@pytest.mark.parametrize("line", ["\\x\n", "COMMIT;\n", "COPY t FROM STDIN;\n", "SELECT\u00a01;\n"])
def test_faults_shown_are_capped(tmp_path: Path, line: str) -> None:
    """A message lists the first 20 faults and says how many more there are; the error holds them."""
    (tmp_path / "1_a.sql").write_text(line * 300, encoding="utf-8")

    with pytest.raises(CatalogError) as caught:
        Catalog.from_directory(tmp_path)

    lines = caught.value.text.splitlines()
    assert lines[0] == "300 faults in the migrations; nothing was run:"
    assert (len(lines), lines[-1]) == (22, "  and 280 more")
    assert len(caught.value.faults) == 300


def test_a_file_of_nothing_but_faults_is_not_read_to_its_end(tmp_path: Path) -> None:
    """Of one file no more faults are looked for than anybody would read, and the last of them says so."""
    (tmp_path / "1_a.sql").write_text("\\x\n" * 100_000, encoding="utf-8")

    with pytest.raises(CatalogError) as caught:
        Catalog.from_directory(tmp_path)

    assert len(caught.value.faults) == script_problems.MOST_PROBLEMS
    assert caught.value.faults[-1].message == "the search for faults stopped here"


def test_what_a_fault_quotes_is_cut(tmp_path: Path) -> None:
    """A value as long as its file is shown by its beginning."""
    folder = tmp_path / "01_a"
    folder.mkdir()
    (folder / "migration.toml").write_text(f"title = [{'1, ' * 100_000}]\n", encoding="utf-8")
    (folder / "apply.sql").touch()
    (folder / "verify.sql").write_text("-- name: a\nSELECT true AS passed", encoding="utf-8")

    with pytest.raises(CatalogError) as caught:
        Catalog.from_directory(tmp_path)

    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize(
    "text", ['"\\' * 1000 + '"', "'" + "a" * 1000, '"""' + '\\"""a' * 1000, "'''" + "'a" * 1000], ids=range(4)
)
def test_a_text_that_is_never_closed_is_passed_over_once(text: str) -> None:
    """The place of a fact is looked for in one pass, whatever is never closed before it."""
    assert [match.span() for match in toml._KEY.finditer(text)] == [(0, len(text))]
