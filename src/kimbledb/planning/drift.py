"""Drift: the difference between the declarations of the applied migrations and the objects of a snapshot. Pure.

The declarations are folded in the order of the plan. Each object that they create or change must exist in its last
form, and each object that they drop must be gone. Objects without a declaration belong to the application. Comments
are not compared, because they affect nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from attrs import frozen

from kimbledb.model.check import Check
from kimbledb.model.migration import Migration
from kimbledb.model.names import quote_identifier
from kimbledb.model.objects import DatabaseObject
from kimbledb.model.snapshot import Snapshot
from kimbledb.planning.evidence import hangs_on, making, table_of, type_of

#: Kinds that are not compared.
_LEFT_OUT = frozenset({"comment"})
#: The suffix of a privilege that its role may grant to others.
_GRANTABLE = " with grant option"


@frozen
class _Declared:
    """An object in the form that the applied migrations give it."""

    each: DatabaseObject
    #: The last migration that created or changed it.
    migration: Migration
    #: The forms that pending migrations give it. They are accepted: a newer version may have run.
    later: frozenset[str | None] = frozenset()


def checks(
    applied: Sequence[Migration],
    pending: Iterable[Migration],
    found: Snapshot,
    *,
    kept: Mapping[str, str],
    hosted: bool,
    informative: bool = False,
) -> list[Check]:
    """Compare a schema with the declarations.

    Args:
        applied: The migrations that history records as applied, in the order of the plan.
        pending: The other migrations of the catalog, without the alternatives that are not used.
        found: The objects of the schema.
        kept: The forms that objects had before kimbledb, as adopt() recorded them, by ``str()`` of the object.
        hosted: Whether the roles of the declared privileges exist.
        informative: Whether drift may be the work of a newer version, and so no failure.

    Returns:
        One failed check for each object that drifted, or one passed check.
    """
    pending = tuple(pending)
    declared, dropped = _folded(applied, pending)
    # A newer version may have dropped these already.
    going = [each for migration in pending for each in migration.drops]
    drifted = [
        _check(item, there, cure, informative)
        for item, there, cure in _drifted(declared, going, found, kept=kept, hosted=hosted)
    ]
    for each, migration in dropped:
        if each.kind not in _LEFT_OUT and each.kind != "privilege" and each.key in found.objects:
            drifted.append(
                Check(
                    migration.name,
                    str(each),
                    passed=False,
                    expected="gone",
                    found=found.objects[each.key],
                    hint=_dropping(each),
                    informative=informative,
                )
            )
    return drifted or [
        Check(
            None,
            "drift",
            passed=True,
            expected="every object in its declared form",
            found=f"{len(declared)} objects in their declared form",
        )
    ]


def _drifted(
    declared: Mapping[tuple[str, str], _Declared],
    going: Sequence[DatabaseObject],
    found: Snapshot,
    *,
    kept: Mapping[str, str],
    hosted: bool,
) -> Iterator[tuple[_Declared, str | None, str]]:
    """Yield each declared object that is missing or has another form, with its form or None, and the cure."""
    lost = {
        item.each.name
        for item in declared.values()
        if item.each.kind in ("table", "view") and item.each.key not in found.objects
    }
    views = {item.each.name for item in declared.values() if item.each.kind == "view"}
    makers: dict[str | None, list[Migration]] = {}
    for item in declared.values():
        makers.setdefault(table_of(item.each), []).append(item.migration)
    for item in declared.values():
        each = item.each
        if each.kind in _LEFT_OUT or (each.kind == "privilege" and not hosted):
            continue
        if each.kind == "column" and table_of(each) in views:
            continue  # the view's own definition covers its columns
        there = found.objects.get(each.key)
        if there is None:
            if any(each.key == gone.key or hangs_on(item.each, item.migration, gone) for gone in going):
                continue
            if each.kind in ("table", "view") or (table_of(each) not in lost and not _stands_in(each, found)):
                yield item, None, _cure_of_missing(item, makers.get(each.name, ()))
        elif not _is_right(item, there, kept.get(str(each))):
            yield item, there, _cure_of_changed(item, there)


def _folded(
    applied: Sequence[Migration], pending: Sequence[Migration]
) -> tuple[dict[tuple[str, str], _Declared], list[tuple[DatabaseObject, Migration]]]:
    ahead: dict[tuple[str, str], set[str | None]] = {}
    for migration in pending:
        for each in migration.creates + migration.changes:
            ahead.setdefault(each.key, set()).add(each.definition)
        for each in migration.drops:
            ahead.setdefault(each.key, set()).add(None)
    declared: dict[tuple[str, str], _Declared] = {}
    dropped: dict[tuple[str, str], tuple[DatabaseObject, Migration]] = {}
    for migration in applied:
        for each in migration.drops:
            _take_out(each, declared)
            dropped[each.key] = (each, migration)
        for each in migration.creates + migration.changes:
            dropped.pop(each.key, None)
            declared[each.key] = _Declared(each, migration, frozenset(ahead.get(each.key, ())))
    return declared, [gone for key, gone in dropped.items() if key not in ahead]


def _take_out(gone: DatabaseObject, declared: dict[tuple[str, str], _Declared]) -> None:
    """Remove an object that is dropped or renamed, and all objects that depend on it, from the declared objects."""
    declared.pop(gone.key, None)
    hanging = [item.each for item in declared.values() if hangs_on(item.each, item.migration, gone)]
    for each in hanging:
        declared.pop(each.key, None)
    for each in hanging:
        if each.kind == "table":  # a partition
            _take_out(each, declared)


def _is_right(item: _Declared, there: str, kept: str | None) -> bool:
    wanted = item.each.definition
    if wanted is None or there == wanted or there in item.later:
        return True
    if kept is None:
        return False
    # The form from before kimbledb is accepted: a constraint's own wording, a column's default and NOT NULL.
    return type_of(there) == type_of(wanted) if item.each.kind == "column" else there == kept


def _stands_in(each: DatabaseObject, found: Snapshot) -> bool:
    """Return whether a primary key on the same columns serves as a declared unique constraint."""
    if each.kind != "constraint" or not (each.definition or "").startswith("UNIQUE ("):
        return False
    primary = (each.definition or "").replace("UNIQUE", "PRIMARY KEY", 1)
    table = table_of(each)
    return any(
        kind == "constraint" and definition == primary and name.partition(".")[0] == table
        for (kind, name), definition in found.objects.items()
    )


def _check(item: _Declared, there: str | None, hint: str, informative: bool) -> Check:
    return Check(
        item.migration.name,
        str(item.each),
        passed=False,
        expected=item.each.definition or "exists",
        found="missing" if there is None else there,
        hint=hint,
        informative=informative,
    )


# The cures. Each is a statement, for a search_path with the target schema and the schemas of the extensions.


def _cure_of_missing(item: _Declared, of_it: Iterable[Migration]) -> str:
    """Return the cure of a missing object. For a table, the migrations that make its parts must run again as well."""
    each, definition = item.each, item.each.definition
    table, own = (quote_identifier(part) for part in _parted(each))
    if each.kind == "table":
        return _rerun(item.migration, *of_it)
    if definition is not None:
        if each.kind == "column":
            return f"ALTER TABLE {table} ADD COLUMN {own} {definition}"
        if each.kind == "constraint":
            return f"ALTER TABLE {table} ADD CONSTRAINT {own} {definition}"
        if each.kind == "index":
            return _index(each.name, definition)
        if each.kind == "policy":
            return _policy(table, own, definition)
        if each.kind == "trigger":
            return _trigger(own, definition)
        if each.kind == "privilege":
            return _grant(each, definition)
    return _from_script(item)


def _cure_of_changed(item: _Declared, there: str) -> str:
    each, wanted = item.each, item.each.definition or ""
    table, own = (quote_identifier(part) for part in _parted(each))
    if each.kind == "table":
        if "row level security" in wanted and "row level security" not in there:
            return f"ALTER TABLE {quote_identifier(each.name)} ENABLE ROW LEVEL SECURITY"
    elif each.kind == "column":
        return _column(table, own, wanted, there)
    elif each.kind == "constraint":
        return f"ALTER TABLE {table} DROP CONSTRAINT {own}, ADD CONSTRAINT {own} {wanted}"
    elif each.kind == "index":
        return _recreated_index(each.name, wanted, there)
    elif each.kind == "policy":
        return f"DROP POLICY {own} ON {table}; {_policy(table, own, wanted)}"
    elif each.kind == "trigger":
        return _recreated_trigger(table, own, wanted, there)
    elif each.kind == "privilege":
        kind, name, role = _privilege(each)
        return f"REVOKE ALL{_of_column(each)} ON {kind} {name} FROM {role}; {_grant(each, wanted)}"
    return _from_script(item)


def _column(table: str, own: str, wanted: str, there: str) -> str:
    steps = []
    if type_of(wanted) != type_of(there):
        steps.append(f"ALTER COLUMN {own} TYPE {type_of(wanted)} USING {own}::{type_of(wanted)}")
    if (" not null" in wanted) != (" not null" in there):
        steps.append(f"ALTER COLUMN {own} {'SET' if ' not null' in wanted else 'DROP'} NOT NULL")
    default = wanted.partition(" default ")[2]
    if " generated " not in wanted and default != there.partition(" default ")[2]:
        steps.append(f"ALTER COLUMN {own} SET DEFAULT {default}" if default else f"ALTER COLUMN {own} DROP DEFAULT")
    if not steps:
        return f"recreate column {own} of {table} as: {wanted}"
    return f"ALTER TABLE {table} {', '.join(steps)}"


def _index(name: str, definition: str) -> str:
    unique = "UNIQUE " if definition.startswith("UNIQUE ") else ""
    return f"CREATE {unique}INDEX {quote_identifier(name)} ON {definition.removeprefix('UNIQUE ')}"


def _recreated_index(name: str, wanted: str, there: str) -> str:
    if there == f"{wanted} INVALID":
        return f"REINDEX INDEX CONCURRENTLY {quote_identifier(name)}"
    return f"DROP INDEX {quote_identifier(name)}; {_index(name, wanted)}"


def _policy(table: str, own: str, definition: str) -> str:
    restrictive = "AS RESTRICTIVE " if definition.startswith("restrictive ") else ""
    return f"CREATE POLICY {own} ON {table} {restrictive}{definition.removeprefix('restrictive ')}"


def _trigger(own: str, definition: str) -> str:
    constraint = "CONSTRAINT " if definition.startswith("CONSTRAINT ") else ""
    return f"CREATE {constraint}TRIGGER {own} {definition.removeprefix('CONSTRAINT ')}"


def _recreated_trigger(table: str, own: str, wanted: str, there: str) -> str:
    if re.sub(r" (disabled|replica|always)$", "", there) == wanted:
        return f"ALTER TABLE {table} ENABLE TRIGGER {own}"
    return f"DROP TRIGGER {own} ON {table}; {_trigger(own, wanted)}"


def _privilege(each: DatabaseObject) -> tuple[str, str, str]:
    kind, _, rest = each.name.partition(" ")
    name, _, role = rest.rpartition(" to ")
    if kind == "column":
        return "TABLE", quote_identifier(name.partition(".")[0]), role
    if kind == "function":
        return "FUNCTION", name, role
    return ("SEQUENCE" if kind == "sequence" else "TABLE"), quote_identifier(name), role


def _of_column(each: DatabaseObject) -> str:
    """Return the column of a privilege in parentheses, as GRANT wants it after each privilege, or an empty text."""
    if not each.name.startswith("column "):
        return ""
    return f" ({quote_identifier(each.name.rpartition(' to ')[0].partition('.')[2])})"


def _grant(each: DatabaseObject, definition: str) -> str:
    kind, name, role = _privilege(each)
    own = _of_column(each)
    may = definition.split(", ")
    plain = [f"{each}{own}" for each in may if not each.endswith(_GRANTABLE)]
    grantable = [f"{each.removesuffix(_GRANTABLE)}{own}" for each in may if each.endswith(_GRANTABLE)]
    return "; ".join(
        f"GRANT {', '.join(words)} ON {kind} {name} TO {role}{option}"
        for words, option in ((plain, ""), (grantable, _GRANTABLE.upper()))
        if words
    )


def _dropping(each: DatabaseObject) -> str:
    table, own = (quote_identifier(part) for part in _parted(each))
    if each.kind == "function":
        return f"DROP FUNCTION {each.name}"
    if each.kind in ("column", "constraint"):
        return f"ALTER TABLE {table} DROP {each.kind.upper()} {own}"
    if each.kind in ("trigger", "policy", "rule"):
        return f"DROP {each.kind.upper()} {own} ON {table}"
    return f"DROP {each.kind.upper()} {quote_identifier(each.name)}"


def _from_script(item: _Declared) -> str:
    """Return the statement that makes an object, or the advice to run the whole script again."""
    return making(item.each, item.migration) or _rerun(item.migration)


def _rerun(*migrations: Migration) -> str:
    files = list(dict.fromkeys(migration.file("apply") for migration in migrations))
    return f"run again (a correct object stays as it is): {', then '.join(files)}"


def _parted(each: DatabaseObject) -> tuple[str, str]:
    table, _, own = each.name.partition(".")
    return table, own
