"""The files that ship with the package, wherever it lies: in a folder, as always, or in a zip."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

# By names and not by Path: at a start each millisecond counts.
_ROOT = os.path.dirname(__file__)  # noqa: PTH120 - as above
#: The errors of a path that leads into a zip: the second one on Windows.
_IN_A_ZIP = (NotADirectoryError, FileNotFoundError)


def names_in(folder: str) -> list[str]:
    """Return the names of what lies in a folder under ``sql/``, in no order."""
    try:
        return os.listdir(f"{_ROOT}/{folder}")  # noqa: PTH208 - as above
    except _IN_A_ZIP:
        return [entry.name for entry in _zipped().joinpath(folder).iterdir()]


def read(file: str) -> bytes:
    """Return a file under ``sql/``.

    Raises:
        FileNotFoundError: There is none.
    """
    try:
        with open(f"{_ROOT}/{file}", "rb") as opened:  # noqa: PTH123 - as above
            return opened.read()
    except _IN_A_ZIP:
        return _zipped().joinpath(file).read_bytes()


@cache
def _zipped() -> Traversable:
    from importlib import resources  # late: few run from a zip

    return resources.files("kimbledb.sql")
