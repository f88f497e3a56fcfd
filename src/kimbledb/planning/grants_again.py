"""The grants that a rollback gives back. Pure.

In a closed catalog what a rollback makes again starts closed. The roles that it is closed to may have had privileges on it
before, which earlier migrations declare. In another catalog a role may have had by default what a migration grants it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import frozen

from kimbledb.model.migration import Migration
from kimbledb.model.objects import DatabaseObject, Facts, Key
from kimbledb.planning import writer
from kimbledb.planning.closed import CLOSED_TO
from kimbledb.planning.fold import granted, relation_of
from kimbledb.planning.writer.names import texts


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


@frozen
class Added:
    """Privileges that a migration adds to those of a role on an older object."""

    #: The object, a table, view, sequence or function.
    target: DatabaseObject
    #: The role, as the privilege's name has it.
    role: str
    may: tuple[str, ...]


def added(migration: Migration, before: Mapping[Key, DatabaseObject], *, hosted: bool) -> Iterator[Added]:
    """Yield the privileges that a migration adds on older objects, if its catalog is not closed.

    A role may have had them by default privileges: declarations hold what is granted alone.

    Args:
        migration: The migration that is rolled back, with its declarations.
        before: The objects that the migrations before it declare.
        hosted: Whether the database has the roles of a hosted platform.
    """
    for statement in () if migration.closed else migration.declarations.on(hosted=hosted):
        for each in (*statement.creates, *statement.changes):
            target, role = granted(each.name) if each.kind == "privilege" else ("schema", "")
            if target == "schema" or DatabaseObject.of(target).key not in before or role == "owner":
                continue
            former = before.get(each.key)
            may = may_of(each.facts) - may_of(None if former is None else former.facts)
            if may:
                yield Added(DatabaseObject.of(target), role, tuple(sorted(may)))


def may_of(facts: Facts | None) -> set[str]:
    """Return what the facts of a privilege allow."""
    return set(texts(facts or {}, "may"))


def _is_of(privilege: DatabaseObject, touched: set[str | None]) -> bool:
    target, role = granted(privilege.name)
    if role not in CLOSED_TO or target == "schema":
        return False
    on = DatabaseObject.of(target)
    return on.name in touched or relation_of(on.key) in touched
