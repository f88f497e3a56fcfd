"""Queries of an application: read from a file, and their placeholders as PostgreSQL numbers them. Pure but for the file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from kimbledb.catalog import statements
from kimbledb.errors import ConfigurationError

#: What may hold no placeholder, and the placeholders of libraries: ``:name``, ``%(name)s`` and ``%s``.
_TOKEN = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$|::|:="
    r"|(?<![\w\]]):(?P<colon>[A-Za-z_]\w*)|%\((?P<named>\w+)\)s|(?P<next>%s)|(?P<percent>%%)",
    re.DOTALL,
)
_NUMBERED = re.compile(r"\$\d")


def texts_of(queries: str | os.PathLike[str] | Iterable[str]) -> list[str]:
    """Return the texts of queries.

    Args:
        queries: The queries, or the path of a file of SQL that holds them.

    Raises:
        ConfigurationError: The file cannot be read, or its statements cannot be told apart.
    """
    if not isinstance(queries, str | os.PathLike):
        return list(queries)
    try:
        text = Path(queries).read_text(encoding="utf-8")
        return [each.text for each in statements.split(text)]
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"the queries cannot be read from {os.fspath(queries)}: {error}",
            hint="name a file of SQL, or pass a list of queries",
        ) from error


def numbered(query: str) -> str:
    """Return a query with PostgreSQL's own placeholders, ``$1`` and so on, in place of those of a library.

    Args:
        query: The query. One with numbered placeholders stays as it is.
    """
    if _NUMBERED.search(query):
        return query
    names: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        if found["percent"]:
            return "%"
        if found["next"]:
            names[f"%{len(names)}"] = place = len(names) + 1
            return f"${place}"
        name = found["colon"] or found["named"]
        return found[0] if name is None else f"${names.setdefault(name, len(names) + 1)}"

    return _TOKEN.sub(number, query)
