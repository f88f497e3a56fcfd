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

#: The layers of the design, lowest first, by module or package: a module imports none of a layer above
#: its own, neither by itself nor by way of the modules that it imports. Those up to the planner know no server.
WITHOUT_A_SERVER = [
    {"text", "version", "clock", "sql"},
    {"errors", "names", "script"},
    {"model", "schemas", "options", "tables", "drawing", "presentation", "queries", "redaction"},
    {"plan", "state", "snapshots", "statements", "scripts", "locks"},
    {"events", "reports", "operator_reports", "facts", "tools"},
    {"folders", "shipped"},
    {"catalog"},
    {"planner", "evidence", "hazards"},
]
LAYERS = [
    *WITHOUT_A_SERVER,
    {"server", "session", "diagnosis", "dsn", "siblings", "watching", "progress"},
    {"_embedded"},
    {"history", "foreign", "preflight", "security", "snapshot", "refusals", "targets"},
    {"runner", "inspection"},
    {"data_loss", "backup", "drift"},
    {"operations"},
    {"preparation", "verifier", "transaction"},
    {"nontransactional"},
    {"applying"},
    {"executor"},
    {"_rollback", "_adoption", "_render", "_reset", "_status"},
    {"api"},
    {"many", "testing", "display", "scaffold"},
    {"cli"},
    {"__main__"},
]
#: What speaks to a server, or to another program.
SPEAKING = {"asyncio", "asyncpg", "http", "multiprocessing", "select", "selectors", "socket", "ssl", "subprocess"}


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
    assert graph["kimbledb.errors"] == {"kimbledb.text"}


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


def room(name: str) -> str:
    """The module or package directly under the package that a module is, or is in."""
    return name.split(".")[1]


def test_every_module_has_one_layer(graph: dict[str, set[str]]) -> None:
    """A new module gets its place among the layers, and one that is gone gives it up."""
    placed = [name for layer in LAYERS for name in layer]

    assert sorted(placed) == sorted({room(name) for name in graph}), "give it its place in LAYERS"


def test_imports_go_one_way(graph: dict[str, set[str]]) -> None:
    """By the layers of the design, no module reaches one of a layer above its own."""
    height = {name: layer for layer, names in enumerate(LAYERS) for name in names}
    wrong = [
        f"{name} reaches {each}, which stands above it"
        for name in graph
        for each in reach(graph, name)
        if each != "kimbledb" and height[room(each)] > height[room(name)]
    ]

    assert not wrong


def test_planning_needs_no_server(graph: dict[str, set[str]]) -> None:
    """The planner, and all that stands below it, imports nothing that could speak to a server."""
    pure = {name for layer in WITHOUT_A_SERVER for name in layer}
    wrong = [
        f"{name} imports {package}"
        for name, path in modules().items()
        if room(name) in pure
        for node in run_time_nodes(ast.parse(path.read_text("utf-8")))
        for package in imported_packages(node)
        if package in SPEAKING
    ]

    assert {"kimbledb.planner", "kimbledb.catalog"} <= {name for name in graph if room(name) in pure}
    assert not wrong


def imported_packages(node: ast.AST) -> set[str]:
    """The first parts of the names that an import is of, but for those of this package."""
    if isinstance(node, ast.Import):
        return {alias.name.split(".")[0] for alias in node.names}
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return {node.module.split(".")[0]}
    return set()


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


def test_one_module_imports_the_driver() -> None:
    """Only the driver's module imports asyncpg, at run time or for type checkers: the rest knows a protocol."""
    found = {
        name
        for name, path in modules().items()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if "asyncpg" in imported_packages(node)
    }

    assert found == {"kimbledb.server.drivers.asyncpg"}
