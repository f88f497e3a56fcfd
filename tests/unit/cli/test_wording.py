"""Each cure of the package, as the command line words it."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import fields

import kimbledb
from kimbledb.cli import wording
from kimbledb.cli.main import names, parser_of

SOURCES = Path(kimbledb.__path__[0])
FUNCTIONS = [getattr(kimbledb, name) for name in kimbledb.__all__ if inspect.isfunction(getattr(kimbledb, name))]
ARGUMENTS = {each for function in FUNCTIONS for each in inspect.signature(function).parameters}
ARGUMENTS |= {each.name for each in fields(kimbledb.Options)}
_CALLED = "|".join(sorted(function.__name__ for function in FUNCTIONS))
#: What names an argument, an option of the library or a function. libpq's parameter `options` is none of these.
NAMED = re.compile(
    rf"\b(?:{'|'.join(sorted(ARGUMENTS - {'options'}))})=|\b(?:set_aside|refuse_hazards)\b|\b(?:Options|Catalog)\b"
    rf"|\b(?:{_CALLED})\(\)"
)


def texts(node: ast.expr | None) -> str:
    """Return the text of an expression, with a word for each value."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values):
            return "".join(texts(each) for each in values)
        case ast.FormattedValue(_, conversion):
            return repr("x") if conversion == ord("r") else "x"
        case ast.BinOp(left, ast.Add(), right):
            return texts(left) + texts(right)
        case ast.IfExp(_, one, other):
            return f"{texts(one)} {texts(other)}"
        case _:
            return ""


def hints() -> Iterator[str]:
    """Yield each hint in the sources that names an argument, an option of the library, or a function."""
    for file in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            found = ""
            match node:
                case ast.keyword("hint", value) | ast.AnnAssign(ast.Name("hint"), _, value):
                    found = texts(value)
                case ast.Assign([ast.Name("hint") | ast.Attribute(_, "hint")], value):
                    found = texts(value)
                case ast.arguments(kwonlyargs=names, kw_defaults=defaults):
                    for name, default in zip(names, defaults, strict=True):
                        found += texts(default) if name.arg == "hint" else ""
                case _:
                    pass
            if NAMED.search(found):
                yield found


HINTS = sorted(set(hints()))


def test_there_are_hints_that_name_arguments() -> None:
    """The search finds the hints that it is about."""
    assert len(HINTS) > 15
    assert any("allow_data_loss=True" in hint for hint in HINTS)


@pytest.mark.parametrize("hint", HINTS)
def test_a_cure_is_worded_for_the_shell(hint: str) -> None:
    """No argument and no function of Python is left, and each option exists."""
    shell = wording.in_the_shell(hint) or ""

    assert not NAMED.search(re.sub(r"\[tool\.kimbledb\.options\]", "", shell)), shell
    parsers = parser_of([]).get_default("parsers")
    known = {option for parser in parsers.values() for option in re.findall(r"--[\w-]+", parser.format_help())}
    assert set(re.findall(r"(?<!\w)--[a-z][\w-]+", shell)) <= known
    assert set(re.findall(r"`kimbledb (\w+)", shell)) <= set(names())
    assert "--" not in hint.replace("--dry-run", "").replace("-----", ""), "Python is not told of options"


@pytest.mark.parametrize(
    ("hint", "shell"),
    [
        ("pass cascade=True to roll them back", "pass --cascade to roll them back"),
        ('pass confirm="shop"', "pass --confirm shop"),
        ("choose one, as by prefer=('a.sql',)", "choose one, as by --prefer a.sql"),
        ("Options(deadline=...) allows more", "--deadline SECONDS allows more"),
        (
            "to wait longer, raise Options(lock_timeout=..., attempts=...)",
            "to wait longer, raise lock_timeout and attempts in [tool.kimbledb.options] of pyproject.toml",
        ),
        ("a schema of its own (schema=...)", "a schema of its own (--schema NAME)"),
        ("then let adopt() find out", "then let `kimbledb adopt` find out"),
        ("write sslmode=require", "write sslmode=require"),
        (None, None),
    ],
)
def test_arguments_become_options(hint: str | None, shell: str | None) -> None:
    """An argument with a value becomes its option with that value, and what is not an argument stays."""
    assert wording.in_the_shell(hint) == shell
