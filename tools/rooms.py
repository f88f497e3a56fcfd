"""The rooms of the package: their ranks, who imports whom, and the table of them in CONTRIBUTING.md.

``nox -s order`` writes that table from the docstrings; ``nox -s order -- --check`` only says whether it is in step.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "kimbledb"
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
    "testing",
    "cli",
    "__main__",
)


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
    """Give all that is under a node, without what stands there for type checkers alone."""
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
        name: The module, by its dotted name.
        path: Its file.
        known: The names of all modules.
        typing: Whether to count what is imported for type checkers alone, too.
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
    """Return each module with those that it imports."""
    found = modules()
    known = set(found)
    return {name: imports_of(name, path, known, typing=typing) for name, path in found.items()}


def table() -> str:
    """Return the rooms as a table in Markdown: each with the first paragraph of its docstring, lowest first."""
    lines = ["| room | what it is for |", "| --- | --- |"]
    for name in RANKS:
        path = PACKAGE / name / "__init__.py"
        path = path if path.exists() else PACKAGE / f"{name}.py"
        sentence = " ".join((ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").partition("\n\n")[0].split())
        shown = f"{name}/" if path.name == "__init__.py" else f"{name}.py"
        lines.append(f"| `{shown}` | {re.sub('``', '`', sentence)} |")
    return "\n".join(lines)


def page() -> str:
    """Return CONTRIBUTING.md with the table as it must be."""
    text = PAGE.read_text("utf-8")
    return re.sub(
        r"(?s)(<!-- rooms: .*? -->\n).*?(?=<!-- end of rooms -->)", lambda head: f"{head[1]}{table()}\n", text, count=1
    )


def main(*, check: bool) -> int:
    """Write the table, or with ``check`` only compare it; return whether it was out of step."""
    text = page()
    stale = text != PAGE.read_text("utf-8")
    if stale and not check:
        PAGE.write_text(text, encoding="utf-8")
    print(f"{PAGE.name}: {'in step' if not stale else 'out of step' if check else 'written'}")
    return int(stale)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tools.rooms", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; end with 1 where the table is out of step")
    given = parser.parse_args()
    out_of_step = main(check=given.check)
    sys.exit(out_of_step if given.check else 0)
