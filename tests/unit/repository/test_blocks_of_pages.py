"""The pages of the docs: all in the navigation, and each block of them of the right form."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest
from ruamel.yaml import YAML

import kimbledb
from kimbledb.catalog.script_problems import find_problems
from kimbledb.cli.main import _has_stray_dsn, parser_of
from tests.support.transcripts import blocks_of
from tools import pages
from tools.pages import DOCS, ROOT, Kept

#: Every page, and the files at the root that are read as pages.
PAGES = {page: DOCS / page for page in pages.pages()} | {name: ROOT / name for name in ("README.md", "CONTRIBUTING.md")}
#: The program where it is called: in a block of commands at the begin of a line, after a prompt, `bin/` or `uvx`, or in YAML.
COMMAND = re.compile(
    r"^(?:\$ )?(?:\S+=\S+ )*(?:uvx |\S*/bin/|run: |- run: )?kimbledb (?P<arguments>(?:(?!\s\d?[<>])[^|&;#\n])*)",
    re.MULTILINE,
)
#: Commands of other tools that pages show to be answered by ours.
ANSWERED = "kimbledb: "


def commands(text: str) -> list[str]:
    """The arguments of each call of the program in a block, its lines joined where they are continued."""
    return [found["arguments"].strip() for found in COMMAND.finditer(text.replace("\\\n", " "))]


def is_answered(text: str, arguments: str) -> bool:
    """Whether a page shows that the call is refused, with the answer."""
    return f"$ kimbledb {arguments}\n{ANSWERED}" in text


@pytest.mark.parametrize("page", PAGES)
def test_each_command_is_one(page: str) -> None:
    """Each call of the program in any block of a page is one that its parser takes, unless the page shows the answer."""
    refused = []
    for block in blocks_of(PAGES[page]):
        if block.language not in ("console", "sh", "bash", "yaml"):
            continue
        for line in commands(block.text):
            given = shlex.split(line)
            if is_answered(block.text, line) or _has_stray_dsn(given):
                continue
            try:
                with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                    _, rest = parser_of(given).parse_known_args(given)
            except SystemExit as ended:
                rest = [] if ended.code in (0, None) else given
            if rest:
                refused.append(line)

    assert refused == []


@pytest.mark.parametrize("page", PAGES)
def test_each_block_is_of_its_language(page: str) -> None:
    """Each block of Python, TOML, YAML, JSON and SQL can be read, and what it takes from kimbledb is there."""
    for block in blocks_of(PAGES[page]):
        match block.language:
            case "python":
                tree = compile(block.text, page, "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
                for node in ast.walk(tree):
                    if (
                        isinstance(node, ast.Attribute)
                        and isinstance(node.value, ast.Name)
                        and node.value.id == "kimbledb"
                    ):
                        assert hasattr(kimbledb, node.attr), node.attr
            case "toml":
                tomllib.loads(block.text)
            case "yaml":
                list(YAML(typ="safe").load_all(block.text))
            case "json":
                json.loads(block.text)
            case "sql":
                problems = find_problems(block.text, transactional=False)
                assert [problem for problem in problems if "never" in problem.message] == []
            case "console" | "sh" | "bash" | "text" | "ini" | "dockerfile" | "diff":
                pass
            case other:
                pytest.fail(f"a block of an unknown language: {other}")


@pytest.mark.parametrize("page", [page for page in pages.pages() if pages.kept(page) is Kept.EXAMPLES])
def test_a_file_beside_examples_is_one(page: str) -> None:
    """A page of examples shows a file only as it lies in the repository, where tests run it."""
    text = (DOCS / page).read_text(encoding="utf-8")
    first = re.findall(r'^```(?:python|yaml) title="[^"]+"\n(.*)$', text, re.MULTILINE)

    assert [line for line in first if not line.startswith("--8<--")] == []


def test_every_page_is_in_the_navigation() -> None:
    """Each page can be reached, and each file that the navigation names is there."""
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    named = re.findall(r"(?:- |: )(\S+\.md)$", navigation, re.MULTILINE)

    assert sorted(named) == pages.pages()


def test_every_file_that_a_page_shows_is_there() -> None:
    """Each mark that puts a file into a page is one that the site's builder reads, and not as a formatter of code writes it."""
    shown = [
        (page, line) for page, path in PAGES.items() for line in path.read_text(encoding="utf-8").splitlines()
        if re.match(r"-+ ?8 ?<", line)
    ]  # fmt: skip

    assert [each for each in shown if not re.fullmatch(r'--8<--(?: "[^"]+")?', each[1])] == []
    assert not [page for page, path in PAGES.items() for block in blocks_of(path) if "--8<--" in block.text]


def test_each_test_of_a_page_is_there() -> None:
    """The tests that are named for pages are there, and so are the pages."""
    for page, test in pages.OWN_TESTS.items():
        assert (DOCS / page).is_file(), page
        assert Path(ROOT / test).is_file(), test
