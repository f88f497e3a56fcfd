"""Formats of catalogs: one module reads one format, and the folder is its only registration.

A format is a module in this package with two functions (``Format``):

- ``matches(folder) -> bool`` decides by the names of the entries whether the folder is of this format;
- ``read(folder) -> (migrations, faults)`` reads every migration, and reports all faults at once.

``kimbledb.catalog.reading`` reads entries and files safely, ``kimbledb.catalog.script_checks`` finds
faults in SQL; a format uses both. ``kimbledb.catalog.directories`` chooses the format of a folder.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from kimbledb.catalog.reading import Folder
    from kimbledb.model.fault import Fault
    from kimbledb.model.migration import Migration


class Format(Protocol):
    """The functions of a format's module."""

    def matches(self, folder: Folder, /) -> bool:
        """Return whether a folder is of this format.

        At most one format may match a folder. A folder of another migration tool has an ``owner``, or a
        ``dialect``; a format that does not read that tool's files does not match.

        Args:
            folder: The folder that the caller gave, with its entries.
        """

    def read(self, folder: Folder, /) -> tuple[list[Migration], list[Fault]]:
        """Return the migrations of a folder that matches, and all faults in it.

        Args:
            folder: The folder that the caller gave, with its entries.
        """


#: The formats that are kimbledb's own. They match no folder that belongs to another tool, and at most one matches.
_OWN = ("folders", "files")


def matching(folder: Folder) -> dict[str, Format]:
    """Return the formats that match a folder, by the names of their modules.

    The own formats are asked first, and the others only where none of these matches: to import them takes 15 ms.

    Args:
        folder: The folder that the caller gave, with its entries.
    """
    for name in _OWN:
        if (each := _imported(name)).matches(folder):
            return {name: each}
    return {name: each for name, each in every().items() if each.matches(folder)}


def every() -> dict[str, Format]:
    """Return each format by the name of its module, in alphabetical order of these names.

    The modules are the files on this package's ``__path__``. They are imported here, when a folder is read, and not
    with the package: a start with the built-in catalog needs none of them.
    """
    names = {name for path in __path__ for name in _modules_in(path)}
    return {name: _imported(name) for name in sorted(names)}


def _imported(name: str) -> Format:
    return cast("Format", importlib.import_module(f"{__name__}.{name}"))


def _modules_in(path: str) -> list[str]:
    try:
        files = os.listdir(path)  # noqa: PTH208 - a start that reads a folder passes here
    except NotADirectoryError:
        import pkgutil  # late: 4 ms, and few installations run from a zip

        return [module.name for module in pkgutil.iter_modules([path])]
    names = (file.rpartition(".") for file in files)
    return [name for name, _, suffix in names if suffix in ("py", "pyc") and not name.startswith("_")]
