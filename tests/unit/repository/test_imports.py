from __future__ import annotations

import ast
import graphlib
import subprocess
import sys

import pytest

from tools import rooms
from tools.rooms import RANKS, WITHOUT_A_SERVER, room

#: What speaks to a server, or to another program.
SPEAKING = {"asyncio", "asyncpg", "http", "multiprocessing", "select", "selectors", "socket", "ssl", "subprocess"}
#: The only module that imports the driver's library.
DRIVER = "kimbledb.server.drivers.asyncpg"


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    """Each module with those that it imports at run time."""
    return rooms.graph()


def test_the_imports_are_read(graph: dict[str, set[str]]) -> None:
    """Imports of a module, of its members, and those in functions are all seen; those for type checkers only where asked for."""
    typing = rooms.graph(typing=True)

    assert graph["kimbledb.planning.planner"] >= {"kimbledb.catalog.catalog", "kimbledb.errors", "kimbledb.model.plan"}
    assert "kimbledb.execution.backup" in graph["kimbledb.execution.run"]
    assert "kimbledb._embedded.server" in graph["kimbledb._embedded"]
    assert "kimbledb.model.migration" in typing["kimbledb.errors"] - graph["kimbledb.errors"]


def test_every_module_has_a_rank(graph: dict[str, set[str]]) -> None:
    """A new room gets its rank, and one that is gone gives it up."""
    assert sorted(RANKS) == sorted({room(name) for name in graph}), "give it its rank in tools/rooms.py"
    assert len(RANKS) <= 20, "rooms at the top"


def test_imports_go_one_way() -> None:
    """No module imports one of a room above its own, not even for type checkers."""
    wrong = [
        f"{name} imports {each}, which stands above it"
        for name, imported in rooms.graph(typing=True).items()
        for each in imported
        if each != "kimbledb" and RANKS.index(room(each)) > RANKS.index(room(name))
    ]

    assert not wrong


def test_imports_make_no_circle() -> None:
    """No module comes back to itself by way of those that it imports, late imports and those for type checkers included."""
    try:
        graphlib.TopologicalSorter(rooms.graph(typing=True)).prepare()
    except graphlib.CycleError as error:
        pytest.fail(f"modules import each other: {' <- '.join(error.args[1])}; move what both need below them")


def test_no_chain_of_rooms_is_longer_than_ten() -> None:
    """A reader goes through ten rooms at most from the top to the ground."""
    below: dict[str, set[str]] = {}
    for name, imported in rooms.graph(typing=True).items():
        below.setdefault(room(name), set()).update(room(each) for each in imported if each != "kimbledb")
    floors: dict[str, int] = {}
    for name in graphlib.TopologicalSorter({name: each - {name} for name, each in below.items()}).static_order():
        floors[name] = 1 + max((floors[each] for each in below[name] - {name}), default=0)

    assert max(floors.values()) <= 10, floors


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


def packages_of(name: str, *, typing: bool = False) -> set[str]:
    """The other packages that a module imports."""
    tree = ast.parse(rooms.modules()[name].read_text("utf-8"))
    found = set()
    for node in ast.walk(tree) if typing else rooms.run_time_nodes(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def test_planning_needs_no_server(graph: dict[str, set[str]]) -> None:
    """The planner, and all that stands below it, imports nothing that could speak to a server."""
    wrong = [
        f"{name} imports {package}"
        for name in graph
        if room(name) in WITHOUT_A_SERVER
        for package in packages_of(name) & SPEAKING
    ]

    assert not wrong


def test_the_driver_alone_imports_its_library(graph: dict[str, set[str]]) -> None:
    """Only the driver knows asyncpg, for type checkers too."""
    assert [name for name in graph if "asyncpg" in packages_of(name, typing=True)] == [DRIVER]


@pytest.mark.parametrize(
    "module",
    [
        *("sqlparse", "rich", "importlib.metadata", "importlib.resources", "pytest"),
        *("kimbledb.events", "kimbledb.catalog.formats", "kimbledb.execution.applying"),
    ],
)
def test_an_import_of_the_package_brings_no_more_than_a_start_needs(module: str) -> None:
    """`import kimbledb` leaves what few calls need to those calls."""
    program = (
        f"import sys; before = {module!r} in sys.modules; import kimbledb; kimbledb.migrate; "
        f"print(before, {module!r} in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)

    before, after = run.stdout.split()
    assert after == before, f"import {module} in the function that needs it"
