"""The rooms of the package: their ranks, their imports, and the table of rooms in CONTRIBUTING.md.

``nox -s order`` writes the table, from the docstrings and from the folders of the tests.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "kimbledb"
TESTS = ROOT / "tests"
PAGE = ROOT / "CONTRIBUTING.md"

#: The rooms, each a module or a package directly under ``kimbledb``, lowest first. A module imports its own
#: room and those below it. Those up to ``planning`` know no server.
WITHOUT_A_SERVER = ("sql", "version", "model", "errors", "catalog", "planning")
RANKS = (
    *WITHOUT_A_SERVER,
    "events",
    "server",
    "inspection",
    "_embedded",
    "execution",
    "operations",
    "many",
    "otel",
    "testing",
    "cli",
    "__main__",
)
#: For each room the integration test that exercises most of it in little time. `tests/unit` has a folder for each
#: room that can be tested without a server.
GUARDS = {
    "events": "test_progress.py",
    "sql": "test_schema_behaviour.py",
    "server": "test_session_leftovers.py",
    "inspection": "test_security.py",
    "_embedded": "test_embedded.py::TestServer",
    "execution": "test_places.py",
    "operations": "test_adoption.py",
    "many": "test_many.py",
    "otel": "test_otel.py",
    "testing": "test_isolation.py",
    "cli": "test_cli.py",
}


def room(module: str) -> str:
    """Return the room of a module, by its dotted name."""
    return module.split(".")[1]


def modules() -> dict[str, Path]:
    """Return the modules of the package by their dotted names, without that of the package itself."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name:
            found[f"kimbledb.{name}"] = path
    return found


def run_time_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes under a node, without those under ``if TYPE_CHECKING``."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield from (other, *run_time_nodes(other))
        else:
            yield child
            yield from run_time_nodes(child)


def imports_of(name: str, path: Path, known: set[str], *, typing: bool = False) -> set[str]:
    """Return the modules of the package that a module imports, at its top or in a function.

    Args:
        name: The dotted name of the module.
        path: Its file.
        known: The names of all modules.
        typing: Whether imports under ``if TYPE_CHECKING`` count, too.
    """
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    tree = ast.parse(path.read_text("utf-8"))
    found = set()
    for node in ast.walk(tree) if typing else run_time_nodes(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.split(".")[0] == "kimbledb"}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            if source.split(".")[0] == "kimbledb":
                members = {f"{source}.{alias.name}" for alias in node.names}
                found |= members & known or {source}
                if members - known:
                    found.add(source)
    return found - {name}


def graph(*, typing: bool = False) -> dict[str, set[str]]:
    """Return each module with the modules that it imports."""
    found = modules()
    known = set(found)
    return {name: imports_of(name, path, known, typing=typing) for name, path in found.items()}


def tests_of(name: str) -> list[str]:
    """Return the tests that guard a room, by their path from ``tests/``: its unit tests, and its quick integration test."""
    unit = [path for path in (f"unit/{name}", f"unit/test_{name}.py") if (TESTS / path).exists()]
    return [*unit, *([f"integration/{GUARDS[name]}"] if name in GUARDS else [])]


def table() -> str:
    """Return the rooms as a table in Markdown, lowest first: each with the first paragraph of its docstring and its tests."""
    lines = ["| room | what it is for | its tests, under `tests/` |", "| --- | --- | --- |"]
    for name in RANKS:
        path = PACKAGE / name / "__init__.py"
        path = path if path.exists() else PACKAGE / f"{name}.py"
        sentence = " ".join((ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").partition("\n\n")[0].split())
        shown = f"{name}/" if path.name == "__init__.py" else f"{name}.py"
        tests = ", ".join(f"`{each}`" for each in tests_of(name))
        lines.append(f"| `{shown}` | {re.sub('``', '`', sentence)} | {tests} |")
    return "\n".join(lines)


def page() -> str:
    """Return the text of CONTRIBUTING.md with the table as it must be.

    Raises:
        ValueError: The page has no place for the table.
    """
    place = r"(?s)(<!-- rooms: .*? -->\n).*?(?=<!-- end of rooms -->)"
    text, count = re.subn(place, lambda head: f"{head[1]}{table()}\n", PAGE.read_text("utf-8"), count=1)
    if not count:
        raise ValueError(f"{PAGE.name} has no comments <!-- rooms: ... --> and <!-- end of rooms -->")
    return text
