"""Dialects: tools whose scripts have the names of plain files, and are known by what stands in them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Final

from kimbledb.catalog import other_tools
from kimbledb.catalog.additions import is_dump

#: The tools that divide a script by directives, and that a format reads.
_DIVIDING: Final = frozenset({"goose", "dbmate", "tern"})
_DEPENDS: Final = re.compile(r"--[ \t]*depends:[ \t]*(.*)")


def dialect_of(scripts: Iterable[tuple[str, str]], names: Collection[str]) -> str | None:
    """Return the name of the tool that a folder's scripts belong to by their text, or None.

    Args:
        scripts: The first scripts of the folder, each with its name and its text.
        names: The names of all scripts of the folder.
    """
    stems = {name.removesuffix(".sql") for name in names}
    for name, text in scripts:
        found = other_tools.directive_in(text)
        if found is not None and found.tool in _DIVIDING:
            return found.tool
        if not stems.isdisjoint(depends_of(text)):
            return "yoyo"
        if len(names) == 1 and not name[0].isdigit() and is_dump(text):
            return "pg_dump"
    return None


def depends_of(text: str) -> list[str]:
    """Return the names that a script's first comments give after ``depends:``, as yoyo reads them."""
    names: list[str] = []
    for line in text.split("\n"):
        if line.strip() and not line.startswith("--"):
            break
        if (match := _DEPENDS.match(line)) is not None:
            names += match[1].split()
    return names
