"""Writes SQL from objects: the statements that make, change, drop and rename them, in the order of their dependence. Pure.

No statement names the target schema or ends with a semicolon. They are meant for a search_path with the target schema
first, and for ``check_function_bodies = off``, since the server records no dependence of a function whose body is a text.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from kimbledb.model.objects import DatabaseObject, Facts, Key
from kimbledb.planning.writer.changes import difference, lost
from kimbledb.planning.writer.kinds import KINDS
from kimbledb.planning.writer.names import identifier
from kimbledb.planning.writer.order import arranged
from kimbledb.planning.writer.pieces import Surroundings

__all__ = ["alter", "create", "difference", "drop", "lost", "rename"]


def create(
    objects: Iterable[DatabaseObject],
    needs: Mapping[Key, Collection[Key]] | None = None,
    *,
    beside: Mapping[Key, Facts] | None = None,
) -> list[str]:
    """Return the statements that make objects, in order.

    Args:
        objects: The objects, with their facts. Columns stand in their table in this order, and elsewhere it decides
            where no dependence does.
        needs: The objects that each object needs, as a snapshot has them. What a name or a fact says is known without.
        beside: The other objects that exist, by kind and name.

    Raises:
        ValueError: The statement that makes a function, a view or a rule is not known.
    """
    made = {each.key: each for each in objects}
    around = Surroundings(
        {**(beside or {}), **{key: each.facts or {} for key, each in made.items()}}, frozenset(made), needs or {}
    )
    return arranged(piece for each in made.values() for piece in KINDS[each.kind].create(each, around))


def alter(
    before: DatabaseObject, after: DatabaseObject, *, beside: Mapping[Key, Facts] | None = None
) -> list[str] | None:
    """Return the statements that give an object its later facts, or None if it must be dropped and made again.

    Args:
        before: The object as it is.
        after: The object as it is to be.
        beside: The other objects that exist, by kind and name.
    """
    steps = KINDS[after.kind].alter(before, after, _around(after, beside))
    return None if steps is None else list(steps)


def drop(each: DatabaseObject, *, beside: Mapping[Key, Facts] | None = None) -> str:
    """Return the statement that drops an object.

    Args:
        each: The object.
        beside: The other objects that exist, by kind and name.
    """
    return KINDS[each.kind].drop(each, _around(each, beside))


def rename(each: DatabaseObject, to: str, *, beside: Mapping[Key, Facts] | None = None) -> str:
    """Return the statement that gives an object another name.

    Args:
        each: The object.
        to: Its later name: the identifier alone, without quotes.
        beside: The other objects that exist, by kind and name.

    Raises:
        ValueError: Objects of its kind have no name of their own: operators, comments, privileges.
    """
    renaming = KINDS[each.kind].rename
    if renaming is None:
        raise ValueError(f"{each} has no name of its own")
    return renaming(each, identifier(to), _around(each, beside))


def _around(each: DatabaseObject, beside: Mapping[Key, Facts] | None) -> Surroundings:
    known = dict(beside or {})
    if each.facts is not None:
        known[each.key] = each.facts
    return Surroundings(known)
