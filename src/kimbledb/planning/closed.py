"""Closed catalogs: the privileges that nobody but the declared roles may have. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from kimbledb.model.objects import Facts, Key
from kimbledb.planning.fold import granted, split

#: The roles to which a closed catalog grants only what it declares.
_ROLES = frozenset({"public", "anon", "authenticated", "service_role"})
#: Kinds whose privileges a closed catalog declares whole.
_HOMES = ("table", "view", "sequence", "function")


def undeclared(found: Mapping[Key, Facts], declared: Collection[Key], homes: Iterable[Key]) -> Iterator[Key]:
    """Yield the privileges on some objects, or on columns of them, that are there and not declared.

    Args:
        found: The objects of the schema, each with its facts.
        declared: The objects that the migrations declare.
        homes: The objects whose privileges are wanted, among others of other kinds.
    """
    ours = {f"{kind} {name}" for kind, name in homes if kind in _HOMES}
    for key in found:
        if key[0] == "privilege" and key not in declared and "may" in found[key]:
            described, role = granted(key[1])
            kind, _, name = described.partition(" ")
            home = f"table {split(name)[0]}" if kind == "column" else described
            if role in _ROLES and home in ours:
                yield key
