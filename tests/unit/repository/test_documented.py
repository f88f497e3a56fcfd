from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

import kimbledb
from kimbledb import events

#: The classes that the reference shows, by name.
SHOWN = {
    name: value
    for module, names in ((kimbledb, kimbledb.__all__), (events, dir(events)))
    for name in names
    if inspect.isclass(value := getattr(module, name)) and value.__module__.startswith("kimbledb.")
}


def fields(node: ast.ClassDef) -> Iterator[tuple[str, int]]:
    """Give each field of a class with its line: one declared in its body, or assigned by the constructor of an error."""
    for each in ast.walk(node):
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name) and each in node.body:
            yield each.target.id, each.lineno
        elif isinstance(each, ast.FunctionDef) and each.name == "__init__" and node.name.endswith("Error"):
            for inner in ast.walk(each):
                if isinstance(inner, ast.Attribute) and isinstance(inner.ctx, ast.Store):
                    yield inner.attr, inner.lineno


def undocumented(node: ast.ClassDef, lines: list[str]) -> Iterator[str]:
    """Give the public fields that neither a comment `#:` nor the docstring describes, and the methods without one."""
    text = ast.get_docstring(node) or ""
    for name, line in fields(node):
        if not name.startswith("_") and f"    {name}: " not in text and not lines[line - 2].strip().startswith("#:"):
            yield name
    methods = (each for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef))
    for each in methods:
        if not each.name.startswith("_") and not ast.get_docstring(each):
            yield each.name


@pytest.mark.parametrize("name", SHOWN)
def test_every_attribute_and_method_is_documented(name: str) -> None:
    """The reference shows a meaning for each attribute and method of a public class."""
    source = Path(inspect.getsourcefile(SHOWN[name]) or "").read_text("utf-8")
    [node] = [
        each
        for each in ast.walk(ast.parse(source))
        if isinstance(each, ast.ClassDef) and each.name == SHOWN[name].__name__
    ]

    assert ast.get_docstring(node)
    assert not list(undocumented(node, source.splitlines()))
