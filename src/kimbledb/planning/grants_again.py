"""The grants that a rollback in a closed catalog gives back. Pure.

What a rollback makes again starts closed, as everything in such a catalog. The roles that it is closed to may have had
privileges on it before, which earlier migrations declare.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kimbledb.model.migration import Migration
from kimbledb.model.objects import DatabaseObject, Key
from kimbledb.planning import writer
from kimbledb.planning.fold import granted, relation_of

#: The roles to which what a closed catalog makes is closed.
CLOSED_TO: Final = frozenset({"public", "anon", "authenticated", "service_role"})


def granted_again(migration: Migration, before: Mapping[Key, DatabaseObject], *, hosted: bool) -> tuple[str, ...]:
    """Return the statements that grant what earlier migrations declare on the objects that a migration touches.

    Args:
        migration: The migration that is rolled back, with its declarations.
        before: The objects that the migrations before it declare.
        hosted: Whether the database has the roles of a hosted platform.
    """
    if not migration.closed:
        return ()
    touched: set[str | None] = set()
    for each in migration.declarations.on(hosted=hosted):
        for key in (*(item.key for item in (*each.changes, *each.drops)), *each.renames):
            touched |= {key[1], relation_of(key)}
    touched.discard(None)
    privileges = [each for each in before.values() if each.kind == "privilege" and _is_of(each, touched)]
    return tuple(writer.create(privileges, beside={key: each.facts or {} for key, each in before.items()}))


def _is_of(privilege: DatabaseObject, touched: set[str | None]) -> bool:
    target, role = granted(privilege.name)
    if role not in CLOSED_TO or target == "schema":
        return False
    on = DatabaseObject.of(target)
    return on.name in touched or relation_of(on.key) in touched
