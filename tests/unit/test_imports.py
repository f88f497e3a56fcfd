from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import kimbledb

ROOT = Path(kimbledb.__file__).parent

#: The layers of the design, lowest first: a module imports none of a layer above its own,
#: neither by itself nor by way of the modules that it imports.
LAYERS = [
    {"errors", "version"},
    {"model", "names", "options", "drawing"},
    {"statements", "queries", "locks", "plan", "scripts"},
    {"events", "reports", "state"},
    {"watching"},
    {"facts", "folders", "shipped"},
    {"catalog", "history", "evidence", "snapshot", "security"},
    {"planner"},
    {"drift", "hazards", "backup"},
    {"verifier", "applying", "executor"},
    {"_rollback", "_adoption", "_render", "_reset", "_status"},
    {"api"},
    {"testing", "cli", "__main__"},
]


def modules() -> dict[str, Path]:
    """The package's modules by their dotted names, without that of the package itself."""
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name:
            found[f"kimbledb.{name}"] = path
    return found


def run_time_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """All that is under a node, without what stands there for type checkers alone."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield from (other, *run_time_nodes(other))
        else:
            yield child
            yield from run_time_nodes(child)


def imports_of(name: str, path: Path, known: set[str]) -> set[str]:
    """The modules of the package that a module imports, at its top or in a function."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found = set()
    for node in run_time_nodes(ast.parse(path.read_text("utf-8"))):
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


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    """Each module with those that it imports."""
    found = modules()
    known = set(found)
    return {name: imports_of(name, path, known) for name, path in found.items()}


def reach(graph: dict[str, set[str]], name: str) -> set[str]:
    """All that comes with a module."""
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        for each in graph.get(waiting.pop(), ()):
            if each not in seen:
                seen.add(each)
                waiting.append(each)
    return seen


def test_the_imports_are_read(graph: dict[str, set[str]]) -> None:
    """Imports of a module, of its members, and those in functions are all seen; those for type checkers are not."""
    assert graph["kimbledb.planner"] >= {"kimbledb.catalog", "kimbledb.errors", "kimbledb.plan"}
    assert "kimbledb.statements" in graph["kimbledb.folders"]
    assert "kimbledb._embedded.server" in graph["kimbledb._embedded"]
    assert not graph["kimbledb.errors"]


def test_imports_make_no_circle(graph: dict[str, set[str]]) -> None:
    """No module comes back to itself by way of those that it imports, late imports included."""
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(f"modules import each other: {' <- '.join(error.args[1])}; move what both need below them")


def test_no_module_imports_the_package_itself(graph: dict[str, set[str]]) -> None:
    """The package's table of contents stands on top: nothing below it looks there."""
    assert not [name for name, imported in graph.items() if "kimbledb" in imported]


def test_every_import_is_of_a_module_that_exists(graph: dict[str, set[str]]) -> None:
    """An import in a function that few calls reach names a module that is there, too."""
    assert not {
        f"{name} imports {each}, which is not there"
        for name, imported in graph.items()
        for each in imported
        if each not in graph and each != "kimbledb"
    }


def test_imports_go_one_way(graph: dict[str, set[str]]) -> None:
    """By the layers of the design, no module reaches one of a layer above its own."""
    height = {f"kimbledb.{name}": layer for layer, names in enumerate(LAYERS) for name in names}
    wrong = [
        f"{name} reaches {each}, which stands above it"
        for name in graph
        for each in reach(graph, name)
        if name in height and each in height and height[each] > height[name]
    ]

    assert not wrong


@pytest.mark.parametrize(
    "module",
    ["sqlparse", "rich", "importlib.metadata", "importlib.resources", "pytest", "kimbledb.events", "kimbledb.folders"],
)
def test_an_import_of_the_package_brings_no_more_than_a_start_needs(module: str) -> None:
    """`import kimbledb` leaves what few calls need to those calls."""
    program = (
        f"import sys; before = {module!r} in sys.modules; import kimbledb; print(before, {module!r} in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)

    before, after = run.stdout.split()
    assert after == before, f"import {module} in the function that needs it"
