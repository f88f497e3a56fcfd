"""The rows that are copied out of tables which are set aside: those that fit, as far as queries can tell before.

A row is left out here only where it is sure not to be copied: its values do not convert, or it breaks NOT NULL, a check, a
key to another row, or the only uniqueness that its table did not have before. The others are taken for copied: whether
they are is known when it runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kimbledb.model.completion import Copy
from kimbledb.model.objects import DatabaseObject, Facts, Key, parts_of
from kimbledb.planning.breaking_rows import first_of_alike, keeps
from kimbledb.planning.completion.scope import Scope
from kimbledb.planning.completion.types import Types
from kimbledb.planning.fold import relation_of, split
from kimbledb.planning.later_rows import LaterRows
from kimbledb.planning.set_aside import copies
from kimbledb.planning.writer.constraints import refers_to
from kimbledb.planning.writer.names import identifier, own_name

#: The number of a row among those that a uniqueness takes for the same.
_PLACE = "kimbledb_place"


def with_copies(rows: LaterRows, scope: Scope, types: Types) -> LaterRows:
    """Return the rows after those that fit were copied.

    Args:
        rows: The rows before.
        scope: The migration.
        types: Its conversions.
    """
    declared = {key: item.each.facts or {} for key, item in scope.fold.objects.items()}
    for copy in copies(scope.aside, declared, types.copied):
        table = copy.table
        rows = _converted(rows, copy, declared)
        if table in scope.fills:
            continue  # its rules are made once it is filled
        rules = [
            DatabaseObject(*key, facts)
            for key, facts in declared.items()
            if key[0] in ("column", "constraint", "index") and relation_of(key, facts) == table
        ]
        targets = {each.key: refers_to(each.facts or {}) for each in rules}
        rows = _accepted(rows, table, (each for each in rules if targets[each.key] is None))
        if scope.has_begun:  # a script may insert the rows that these refer to, ahead of the copies
            rows = _accepted(rows, table, (each for each in rules if targets[each.key] is not None))
        if table not in targets.values():
            rows = _first_of_alike(rows, table, [each for each in rules if not _was_there(each, scope, copy)])
    return rows


def _converted(rows: LaterRows, copy: Copy, declared: Mapping[Key, Facts]) -> LaterRows:
    """Return the rows of which each value can be converted, with their later values and those of further columns."""
    names = {f"{copy.table}.{own}": value for own, value in copy.values.items()}
    fits = {name: copy.fits[own_name(name)] for name in names if own_name(name) in copy.fits}
    if fits:
        condition = " AND ".join(f"({own_name(name)} IS NULL OR ({each}))" for name, each in fits.items())
        rows = rows.with_those(copy.table, condition, [parts_of(name)[-1] for name in fits])
    # The server may compute a value before it looks whether its row counts.
    rows = rows.with_values(
        {
            name: f"CASE WHEN {fits[name]} THEN {value} END" if name in fits else value
            for name, value in names.items()
            if value != own_name(name)
        }
    )
    return rows.with_columns(
        {
            name: facts
            for (kind, name), facts in declared.items()
            if kind == "column" and split(name)[0] == copy.table and name not in names
        }
    )


def _accepted(rows: LaterRows, table: str, rules: Iterable[DatabaseObject]) -> LaterRows:
    """Return the rows that rules accept, each of which looks at a row alone."""
    found = [each for rule in rules if (each := keeps(rule, rows)) is not None]
    if not found:
        return rows
    reads = dict.fromkeys(column for columns, _ in found for column in columns)
    return rows.with_those(table, " AND ".join(condition for _, condition in found), reads)


def _first_of_alike(rows: LaterRows, table: str, rules: Iterable[DatabaseObject]) -> LaterRows:
    """Return the rows that a uniqueness accepts: of those that are the same the first. Which ones two accept is not known."""
    found = [each for rule in rules if (each := first_of_alike(rule, rows)) is not None]
    if len(found) != 1:
        return rows
    columns, place, alone = found[0]
    rows = rows.with_values({f"{table}.{_PLACE}": place})
    return rows.with_those(table, f"{identifier(_PLACE)} = 1 OR {alone}", [_PLACE, *columns])


def _was_there(rule: DatabaseObject, scope: Scope, copy: Copy) -> bool:
    """Return whether the table that was set aside has a key or an index that says the same."""
    said = _said(rule.facts or {})
    return any(
        kind == rule.kind and relation_of((kind, name), facts) == copy.source and _said(facts) == said
        for (kind, name), facts in scope.aside.found.objects.items()
    )


def _said(facts: Facts) -> list[object]:
    return [facts.get(fact) for fact in ("key", "unique", "columns", "where", "nulls_not_distinct")]
