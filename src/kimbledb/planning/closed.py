"""Closed catalogs: the privileges that nobody but the declared roles may have. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from kimbledb.model.migration import Migration
from kimbledb.model.objects import Facts, Key
from kimbledb.planning.fold import FoldedObject, granted, split
from kimbledb.planning.writer.pieces import Surroundings

#: The roles to which a closed catalog grants only what it declares.
CLOSED_TO: Final = frozenset({"public", "anon", "authenticated", "service_role"})
#: Kinds whose privileges a closed catalog declares whole.
_HOMES = ("table", "view", "sequence", "function")


def is_known(migration: Migration, *, hosted: bool) -> bool:
    """Return whether the objects of a migration are known: by its declarations, or as those of a repair.

    Args:
        migration: The migration.
        hosted: Whether the database is a hosted one, where hosted.sql runs.
    """
    if migration.is_declared and migration.hosted_sql and hosted:
        return migration.declarations.recorded_on != "bare"
    return migration.is_declared or migration.is_repair


def undeclared(
    found: Mapping[Key, Facts],
    declared: Collection[Key],
    homes: Iterable[Key],
    people: Collection[str] = CLOSED_TO,
) -> Iterator[Key]:
    """Yield the privileges on some objects, or on columns of them, that are there and not declared.

    Args:
        found: The objects of the schema, each with its facts.
        declared: The objects that the migrations declare.
        homes: The objects whose privileges are wanted, among others of other kinds.
        people: The roles, each as a privilege names it.
    """
    ours = {f"{kind} {name}" for kind, name in homes if kind in _HOMES}
    for key in found:
        if key[0] == "privilege" and key not in declared and "may" in found[key]:
            described, role = granted(key[1])
            kind, _, name = described.partition(" ")
            relation = split(name)[0]
            where = {f"table {relation}", f"view {relation}"} if kind == "column" else {described}
            if role in people and not where.isdisjoint(ours):
                yield key


def opened(found: Mapping[Key, Facts], tables: Collection[str]) -> Iterator[Key]:
    """Yield the privileges of these roles on tables and on columns of them.

    Args:
        found: The objects of the schema, each with its facts.
        tables: The names of the tables.
    """
    for key, facts in found.items():
        if key[0] == "privilege" and "may" in facts:
            described, role = granted(key[1])
            kind, _, name = described.partition(" ")
            if (
                role in CLOSED_TO
                and (split(name)[0] if kind == "column" else name) in tables
                and kind in ("table", "column")
            ):
                yield key


def without_counter(privilege: str, declared: Iterable[FoldedObject], found: Mapping[Key, Facts]) -> str | None:
    """Return the column of which a privilege is on the sequence, where the column is there and has none; else None.

    A column that had a default of its own before is no identity.

    Args:
        privilege: The name of the privilege.
        declared: What the migrations declare.
        found: The objects of the schema, each with its facts.
    """
    kind, _, sequence = granted(privilege)[0].partition(" ")
    if kind != "sequence" or ("sequence", sequence) in found:
        return None
    for item in declared:
        facts = item.each.facts or {}
        is_other = "identity" in facts and item.key in found and "identity" not in found[item.key]
        if is_other and Surroundings({item.key: facts}).counter(item.key) == sequence:
            return item.each.name
    return None
