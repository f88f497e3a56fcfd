"""Adapt objects of unknown origin: columns that nothing fills become nullable; in a closed catalog open access is closed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kimbledb.model.objects import Facts, Key
from kimbledb.model.snapshot import Snapshot
from kimbledb.planning.closed import CLOSED_TO, is_known
from kimbledb.planning.completion.forms import nullable
from kimbledb.planning.completion.noted import Noted
from kimbledb.planning.completion.scope import Scope
from kimbledb.planning.doors import Closing, Doors, Others, wanting_values, wants_value
from kimbledb.planning.fold import split
from kimbledb.planning.writer.names import texts


def let_be_null(scope: Scope, found: Snapshot, objects: dict[Key, Facts]) -> tuple[str, ...]:
    """Drop NOT NULL from columns that do not declare it and get no value by themselves; return their names.

    Args:
        scope: The migration.
        found: The schema under its later names.
        objects: The objects afterwards, which are changed.
    """
    tables = {name for kind, name in scope.objects if kind == "table" and ("table", name) in found.objects}
    for name in wanting_values(found.objects, tables, scope.declared):
        objects["column", name] = nullable(objects["column", name])
    free = {
        key
        for key, facts in objects.items()
        if key[0] == "column" and not facts.get("not_null") and wants_value(found.objects.get(key, {}))
    }
    # Inherited columns follow.
    for key, facts in found.objects.items() if free else ():
        if key[0] == "column" and facts.get("inherited") and not free.isdisjoint(_above(key, found.objects)):
            objects[key] = nullable(objects[key])
    return tuple(sorted(name for _, name in free))


def follow_above(found: Snapshot, objects: dict[Key, Facts]) -> None:
    """Make inherited columns NOT NULL together with those of the parent table.

    Args:
        found: The schema under its later names.
        objects: The objects afterwards, which are changed.
    """
    bound = {
        key
        for key, facts in objects.items()
        if key[0] == "column" and facts.get("not_null") and not found.objects.get(key, facts).get("not_null")
    }
    for key, facts in list(objects.items()) if bound else ():
        if key[0] == "column" and facts.get("inherited") and not bound.isdisjoint(_above(key, objects)):
            objects[key] = {**facts, "not_null": True}


def close(scope: Scope, found: Snapshot, objects: dict[Key, Facts], noted: Noted) -> Closing:
    """Close what another hand left open in a closed catalog, and return what that takes.

    Args:
        scope: The migration.
        found: The schema under its later names.
        objects: The objects afterwards, which are changed.
        noted: What is left, and what is in conflict, is noted here.
    """
    every = scope.catalog or scope.migrations
    if not scope.migration.closed or not all(is_known(each, hosted=scope.hosted) for each in every):
        return Closing()
    statements_of = scope.migration.declarations.on(hosted=scope.hosted)
    own = [each.key for statement in statements_of for each in (*statement.creates, *statement.changes)]
    doors = Doors(
        objects=objects,
        declared=scope.declared,
        homes=scope.objects or own,
        people=CLOSED_TO | found.inherited,
        others=Others.of(scope.forms, {each.name for each in every}),
        hosted=scope.hosted,
    )
    closing = doors.closing(found.needs)
    for key in (*closing.dropped, *closing.along, *closing.revoked):
        del objects[key]
    objects.update(closing.changed)
    objects.update(closing.granted)
    noted.left.update(closing.left)
    for key, users in closing.needed.items():
        shown = ", ".join(f"{kind} {name}" for kind, name in users)
        noted.refuse(f"{key[0]} {key[1]} has the name of a declared one, is another hand's, and {shown} needs it")
    return closing


def _above(column: Key, objects: Mapping[Key, Facts]) -> Iterator[Key]:
    """Yield the column of that name in each of the tables above."""
    table, own = split(column[1])
    facts = objects.get(("table", table), {})
    for parent in (*texts(facts, "partition_of"), *texts(facts, "inherits")):
        yield "column", f"{parent}.{own}"
        yield from _above(("column", f"{parent}.{own}"), objects)
