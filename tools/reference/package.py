"""The package as its sources say it, read by griffe: what is public, and the address of each public thing."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import griffe

import kimbledb
from tools.reference.chapters import CHAPTERS, Chapter

SOURCES = Path(__file__).parents[2] / "src"
#: Modules whose names are all public.
MODULES = ("kimbledb.events", "kimbledb.errors")
#: The pytest plugin, whose public names are its fixtures.
FIXTURES = "_kimbledb_pytest"

#: A thing that has members or arguments, or is a value.
Thing = griffe.Class | griffe.Function | griffe.Attribute


class _Complaints(logging.Handler):
    """Takes griffe's warnings: a docstring that it cannot read, or that describes what is not there."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a warning."""
        self.found.append(record.getMessage())


@contextmanager
def warnings_are_errors() -> Iterator[None]:
    """Raise griffe's warnings of this context as one error.

    Raises:
        ValueError: There are some.
    """
    complaints, logger = _Complaints(), logging.getLogger("griffe")
    logger.addHandler(complaints)
    try:
        yield
    finally:
        logger.removeHandler(complaints)
    if complaints.found:
        raise ValueError("griffe cannot read these docstrings:\n" + "\n".join(complaints.found))


@cache
def _loaded(name: str) -> griffe.Module:
    loaded = griffe.load(
        name,
        search_paths=[SOURCES],
        extensions=griffe.load_extensions("griffe_sphinx"),  # reads the comments `#:` above attributes
        docstring_parser="google",
        # attrs makes constructors, which a reader of the source does not see; `api` compares arguments by itself.
        docstring_options={"warn_unknown_params": False, "warn_missing_types": False},
        resolve_aliases=True,
        resolve_external=False,
    )
    assert isinstance(loaded, griffe.Module)
    return loaded


def find(path: str) -> griffe.Object:
    """Return what stands at a path of the sources, such as ``kimbledb.model.plan.Plan``.

    Raises:
        KeyError: Nothing does.
    """
    package, _, rest = path.partition(".")
    found = _loaded(package)[rest] if rest else _loaded(package)
    return found.final_target if isinstance(found, griffe.Alias) else found


def thing(path: str) -> Thing:
    """Return the class, function or value at a path of the sources.

    Raises:
        KeyError: Nothing stands there.
    """
    found = find(path)
    assert isinstance(found, Thing), path
    return found


def members(module: str) -> list[str]:
    """Return the classes and the types of a module, in the order of its sources."""
    return [
        name
        for name, each in find(module).members.items()
        if not name.startswith("_")
        and (
            isinstance(each, griffe.Class)
            or (isinstance(each, griffe.Attribute) and isinstance(each.value, griffe.ExprSubscript | griffe.ExprBinOp))
        )
    ]


@cache
def public() -> dict[str, dict[str, str]]:
    """Return for each chapter its public names, each with its path in the sources.

    A name of ``kimbledb`` is documented as such (``kimbledb.Progress``), also where a chapter names its module.

    Raises:
        ValueError: A public name stands in no chapter.
    """
    found = {page: dict(_public_of(chapter)) for page, chapter in CHAPTERS.items()}
    named = {name for names in found.values() for name in names}
    for name in kimbledb.__all__:
        if f"kimbledb.{name}" not in named:
            raise ValueError(f"kimbledb.{name} stands in no chapter: add it to tools/reference/chapters.py")
    return found


def _public_of(chapter: Chapter) -> Iterator[tuple[str, str]]:
    homes = {name: f"{module}.{name}" for module, names in kimbledb.PUBLIC.items() for name in names}
    for name in chapter.names:
        if name == FIXTURES:
            yield from ((path.rpartition(".")[2], path) for path in fixtures())
        elif name in MODULES:
            for own in members(name):
                path = f"{name}.{own}"
                yield f"kimbledb.{own}" if homes.get(own) == path else path, path
        else:
            yield name, find(homes.get(name.removeprefix("kimbledb."), name)).path


def fixtures() -> Iterator[str]:
    """Yield the path of each public fixture of the pytest plugin."""
    for module in (_loaded(FIXTURES), *_loaded(FIXTURES).modules.values()):
        for name, each in module.members.items():
            is_fixture = isinstance(each, griffe.Function) and any(
                "fixture" in str(decorator.value) for decorator in each.decorators
            )
            if is_fixture and not name.startswith("_"):
                yield each.path
