"""The pages of docs/reference that are made from the code: what the code must hold for them."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from kimbledb import events
from kimbledb.cli.environment import VARIABLES
from kimbledb.cli.main import parser_of
from kimbledb.errors import DOCUMENTATION
from kimbledb.server.address import ENVIRONMENT
from tools.reference import errors, examples, sources

ROOT = Path(__file__).parents[3]
SOURCES = ROOT / "src"
#: A text of the sources that names an environment variable.
NAME = re.compile(
    r"PG[A-Z]{3,}(?:_TIMEOUT)?|KIMBLEDB_[A-Z_]+|DATABASE_URL|XDG_\w+|OTEL_\w+|CI|NO_COLOR|COLUMNS|HOME|TE?MP(?:DIR)?"
)
#: The variables that libraries read for us (shutil, rich), and that no source of ours names.
READ_BY_OTHERS = {"COLUMNS", "NO_COLOR"}
#: Those that are set for a child process.
SET_FOR_CHILDREN = {"PGOPTIONS", "PGSSLMODE"}


def variables() -> Iterator[str]:
    """Each text of the sources that is the name of an environment variable, or is looked up in the environment."""
    for file in SOURCES.rglob("*.py"):
        if file.name == "environment.py":
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and NAME.fullmatch(node.value):
                yield node.value
            elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("os.environ.get", "os.getenv"):
                yield from (str(each.value) for each in node.args[:1] if isinstance(each, ast.Constant))


@pytest.mark.parametrize("name", errors.classes())
def test_an_error_has_causes_and_a_cure(name: str) -> None:
    """The docstring of each error lists its causes, and its cure step by step."""
    _, sections = sources.docstring(errors.classes()[name])

    assert sources.lines_of(sections["Causes"])
    assert sources.lines_of(sections["Cure"])


def test_each_error_that_is_raised_has_an_example() -> None:
    """Only the classes of which no error is made themselves have none, and an example is of its class."""
    assert set(errors.classes()) - set(examples.EXAMPLES) == {"KimbleDBError", "PlanningError"}
    assert [name for name, make in examples.EXAMPLES.items() if type(make()).__name__ != name] == []


@pytest.mark.parametrize("module", examples.WORDS)
def test_the_words_of_an_example_are_those_of_the_code(module: str) -> None:
    """An example that the code does not make itself has its words."""
    text = (SOURCES / "kimbledb" / module).read_text(encoding="utf-8")

    assert [words for words in examples.WORDS[module] if words not in text] == []


def test_the_address_of_an_error_leads_to_its_section() -> None:
    """The page that an error names is in the docs, with a heading for each class; the address is that of the site."""
    page = (ROOT / "docs" / "reference" / "errors.md").read_text(encoding="utf-8")
    headings = set(re.findall(r"^## (\w+)$", page, re.MULTILINE))
    site = re.search(r"^site_url: (.+)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)

    assert set(errors.classes()) <= headings
    for name, make in examples.EXAMPLES.items():
        assert make().url == f"{DOCUMENTATION}reference/errors/#{name.lower()}"
    assert site is not None
    assert site[1] == DOCUMENTATION
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["urls"]["Documentation"] == DOCUMENTATION


def test_the_help_of_a_command_leads_to_its_section() -> None:
    """The help of each command names the address of its section in the page of commands."""
    page = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")

    for name, parser in parser_of(["--help"]).get_default("parsers").items():
        assert f"\n{DOCUMENTATION}reference/commands/#kimbledb-{name}\n" in parser.format_help()
        assert f"\n## kimbledb {name}\n" in page


def test_each_environment_variable_is_documented() -> None:
    """The tables of variables hold each that the sources read, and no other."""
    documented = {name for subject in VARIABLES.values() for name in subject} | set(ENVIRONMENT.values())

    assert set(variables()) - documented - SET_FOR_CHILDREN == set()
    assert documented - set(variables()) == READ_BY_OTHERS


def test_each_warning_of_the_log_is_documented() -> None:
    """The table of records that are no events holds each name under which the sources log one."""
    found = {
        name
        for file in SOURCES.rglob("*.py")
        for name in re.findall(r'\b(?:_?log|_unharmed)\(\s*(?:[\w.]+,\s*)?"(\w+)"', file.read_text(encoding="utf-8"))
    }

    assert found == set(events.WARNINGS)
