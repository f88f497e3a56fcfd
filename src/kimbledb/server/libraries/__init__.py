"""Targets of other libraries: connections, pools, engines and URLs that a caller made with them.

One module a library. It imports nothing of the library: an object of it is recognised by its class, and used by
what the library documents of that class.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kimbledb.server.sources import Source

#: The module of this package for a library, by the library's package.
_MODULES = {"sqlalchemy": "sqlalchemy", "psycopg": "psycopg", "psycopg_pool": "psycopg"}


def source_of(given: object) -> tuple[str, Source] | None:
    """Return the name in messages and the source of an object of another library, or None for any other object.

    Args:
        given: The object.

    Raises:
        ConfigurationError: The object is no target, and another one of the library is.
        ConnectionLostError: The object is a closed connection.
    """
    for each in type(given).__mro__:
        module = _MODULES.get(each.__module__.partition(".")[0])
        if module is not None:
            found: tuple[str, Source] | None = import_module(f"{__name__}.{module}").source_of(given)
            return found
    return None


def is_of(given: object, package: str, *names: str) -> bool:
    """Whether an object is of one of a library's classes, or of one derived from these.

    Args:
        given: The object.
        package: The package of the library.
        names: The names of the classes.
    """
    return any(each.__module__.partition(".")[0] == package and each.__name__ in names for each in type(given).__mro__)
