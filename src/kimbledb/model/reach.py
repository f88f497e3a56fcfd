"""The objects outside of the target schema that a migration may change: the entries of ``reaches``.

An entry is an object (``auth.users``), the name of a schema for every object in it (``audit``), or a schema of one's own:
``schema private`` is that schema and everything in it.
"""

from __future__ import annotations

from collections.abc import Iterable

_OWN = "schema "


def home_of(entry: str) -> str:
    """Return the name of the schema of an entry."""
    return entry.removeprefix(_OWN).partition(".")[0]


def name_of(entry: str) -> str | None:
    """Return the name of the object of an entry, without its schema, or None for every object of the schema."""
    return entry.partition(".")[2] or None


def own(schema: str) -> str:
    """Return the entry of a schema of one's own."""
    return _OWN + schema


def is_own(entry: str) -> bool:
    """Return whether an entry is a schema of one's own: the schema itself counts, too."""
    return entry.startswith(_OWN)


def wholes(entries: Iterable[str]) -> list[str]:
    """Return the names of the schemas of which every object is reached."""
    return [home_of(each) for each in entries if name_of(each) is None]


def places(entries: Iterable[str]) -> list[str]:
    """Return the entries as the server compares them: ``schema.object``, or the name of a schema."""
    return [each.removeprefix(_OWN) for each in entries]
