"""Evidence: for each migration, how many of its declared objects exist. Pure.

One snapshot of the schema is compared with the whole catalog. An object counts as present in the form of its own
migration or of a later one: a later migration may already have changed it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from kimbledb.catalog import statements
from kimbledb.catalog.catalog import Catalog
from kimbledb.model.evidence import Evidence, Finding, ObjectState
from kimbledb.model.migration import Migration
from kimbledb.model.objects import OBJECT_KINDS, DatabaseObject
from kimbledb.model.snapshot import Snapshot

#: Kinds that prove that a migration was applied. Comments and privileges prove nothing: they are often missing in a
#: schema that was made by hand.
_PROVING = frozenset(OBJECT_KINDS) - {"comment", "privilege"}
#: Kinds whose name begins with a table's name, and which are dropped with the table.
_PARTS = frozenset({"column", "constraint", "trigger", "policy", "rule"})
#: The words before the table's name in the statement that makes an object of this kind.
_BEFORE_TABLE = {"index": r"on(?:\s+only)?", "statistics": "from", "table": r"partition\s+of"}
#: Kinds that migrations do not change where an object has a form of its own.
_KEPT = frozenset({"column", "constraint"})


def weigh(catalog: Catalog, found: Snapshot, *, hosted: bool) -> Evidence:
    """Compare the declarations of a catalog with the objects of a schema. Pure.

    Args:
        catalog: The migrations.
        found: The objects of the schema.
        hosted: Whether the database has the roles of a hosted platform.

    Returns:
        One finding for each migration that declares objects which prove something.
    """
    migrations = list(catalog)
    forms = _acceptable_forms(migrations)
    removals = [(migration.number, gone) for migration in migrations for gone in migration.drops]
    repaired = {(column, kind) for migration in migrations for column, kind in migration.expects.items()}
    return Evidence(
        hosted=hosted,
        gathered=True,
        kept={
            str(DatabaseObject(kind, name)): found.objects[kind, name]
            for (kind, name), accepted in forms.items()
            if kind in _KEPT
            and (kind, name) in found.objects
            and None not in (accepted_forms := {form for _, form in accepted})
            and found.objects[kind, name] not in accepted_forms
        },
        findings={
            migration.name: _finding(migration, found.objects, forms, removals, repaired)
            for migration in migrations
            if migration.is_repair or any(each.kind in _PROVING for each in migration.creates + migration.changes)
        },
    )


def type_of(definition: str) -> str:
    """Return the type at the start of a column's definition: ``numeric(10,2) not null`` is ``numeric(10,2)``."""
    for end in (" not null", " default ", " generated ", " collate "):
        definition = definition.partition(end)[0]
    return definition


def hangs_on(each: DatabaseObject, maker: Migration, gone: DatabaseObject) -> bool:
    """Return whether an object disappears together with a table, a view or a column.

    Args:
        each: The object.
        maker: The migration that declares the object. Its script names the table where the object's name does not.
        gone: The table, view or column that is dropped or renamed.
    """
    table, _, column = gone.name.partition(".")
    if gone.kind in ("table", "view"):
        return _home_of(each, maker) == table or (each.kind == "sequence" and _is_counter(each.name, table))
    if gone.kind != "column":
        return False
    if each.kind == "privilege":
        return each.name.startswith(f"column {gone.name} to ")
    if each.kind == "sequence":
        return each.name == f"{table}_{column}_seq"
    # A constraint or an index is dropped with any of its columns (manual, ALTER TABLE, "DROP COLUMN").
    if each.kind not in ("constraint", "index") or _home_of(each, maker) != table:
        return False
    definition = each.definition or (making(each, maker) or "").partition("(")[2]
    return re.search(rf'(?<![\w"$]){re.escape(column)}(?![\w"$])|"{re.escape(column)}"', definition) is not None


def table_of(each: DatabaseObject) -> str | None:
    """Return the table that an object belongs to, by its name or its definition, or None."""
    if each.kind in _PARTS:
        return each.name.partition(".")[0]
    if each.kind == "index" and each.definition:
        return each.definition.removeprefix("UNIQUE ").partition(" ")[0].strip('"')
    if each.kind == "privilege":
        return each.name.split(" ")[1].partition(".")[0]
    return None


def _home_of(each: DatabaseObject, maker: Migration) -> str | None:
    """Return the table that an object belongs to, by its name, its definition or the statement that makes it."""
    known = table_of(each)
    before = _BEFORE_TABLE.get(each.kind)
    if known is not None or before is None:
        return known
    found = re.search(rf'\s{before}\s+"?([^\s"(;]+)', making(each, maker) or "", re.IGNORECASE)
    return None if found is None else found[1].rpartition(".")[2]


def _is_counter(name: str, table: str) -> bool:
    """Return whether a sequence has the name that the server gives to the sequence of a column of a table."""
    return name.startswith(f"{table}_") and name.endswith("_seq")


def making(each: DatabaseObject, maker: Migration) -> str | None:
    """Return the statement of a migration's script that makes an object, or None if none is found."""
    name = re.escape(each.name.partition("(")[0])
    pattern = re.compile(
        rf"create\s+(?:or\s+replace\s+)?(?:unique\s+)?(?:materialized\s+)?{each.kind}\s+(?:concurrently\s+)?"
        rf"(?:if\s+not\s+exists\s+)?\"?{name}(?![\w$])",
        re.IGNORECASE,
    )
    return next((text for text in _statements_of(maker) if pattern.match(text)), None)


@lru_cache(256)
def _statements_of(migration: Migration) -> tuple[str, ...]:
    try:
        return tuple(statement.text for statement in statements.split(migration.apply_sql))
    except ValueError:
        return ()  # the script was sent whole, and need not be splittable


def _acceptable_forms(migrations: Sequence[Migration]) -> dict[tuple[str, str], list[tuple[int, str | None]]]:
    """Return for each object its forms: the number of each migration that creates or changes it, and the form after it."""
    forms: dict[tuple[str, str], list[tuple[int, str | None]]] = {}
    for migration in migrations:
        for each in migration.creates + migration.changes:
            forms.setdefault(each.key, []).append((migration.number, each.definition))
    return forms


def _goes_with(each: DatabaseObject, maker: Migration, gone: DatabaseObject) -> bool:
    return each.key == gone.key or hangs_on(each, maker, gone)


def _finding(
    migration: Migration,
    found: Mapping[tuple[str, str], str],
    forms: Mapping[tuple[str, str], Sequence[tuple[int, str | None]]],
    removals: Sequence[tuple[int, DatabaseObject]],
    repaired: set[tuple[str, str]],
) -> Finding:
    if migration.is_repair:
        return _repair_finding(migration, found)
    present: list[str] = []
    missing: list[str] = []
    conflicts: list[str] = []
    for each in _proving(migration.creates + migration.changes):
        there = found.get(each.key)
        accepted = [form for number, form in forms[each.key] if number >= migration.number]
        if there is None:
            # The absence of an object that a later migration drops, and none creates again, proves nothing.
            made = max(number for number, _ in forms[each.key])
            if not any(number > made and _goes_with(each, migration, gone) for number, gone in removals):
                missing.append(str(each))
        elif None in accepted or there in accepted:
            present.append(str(each))
        elif each.kind == "column" and not _same_type(there, accepted):
            wanted = type_of(each.definition or "")
            shown = f"{each} is {type_of(there)} instead of {wanted}"
            # A type that a repair, or this migration itself, will change is no conflict.
            before = [form for number, form in forms[each.key] if number < migration.number]
            awaited = (each.name, wanted) in repaired or (each in migration.changes and _same_type(there, before))
            (missing if awaited else conflicts).append(shown)
        else:
            present.append(str(each))
            missing.append(f"the declared form of {each}")
    for each in _proving(migration.drops):
        made_again = any(number > migration.number for number, _ in forms.get(each.key, ()))
        if each.key in found and not made_again:
            missing.append(f"the removal of {each}")
    return Finding(_verdict(present, missing, conflicts), tuple(present), tuple(missing), tuple(conflicts))


def _repair_finding(migration: Migration, found: Mapping[tuple[str, str], str]) -> Finding:
    """Return the finding of a repair, which is applied if every column that it expects has the expected type."""
    right: list[str] = []
    wrong: list[str] = []
    for column, kind in migration.expects.items():
        there = found.get(("column", column))
        if there is None and ("table", column.partition(".")[0]) not in found:
            continue  # the table's migration makes the column with the right type
        if there is None:
            wrong.append(f"column {column} does not exist")
        elif type_of(there) == kind:
            right.append(f"column {column}")
        else:
            wrong.append(f"column {column} is {type_of(there)} and becomes {kind}")
    # A repair creates no objects, so it is never applied in part. Where none of its columns exists, it was not applied.
    done = right and not wrong
    return Finding(ObjectState.APPLIED if done else ObjectState.MISSING, tuple(right), tuple(wrong))


def _verdict(present: Sequence[str], missing: Sequence[str], conflicts: Sequence[str]) -> ObjectState:
    if conflicts:
        return ObjectState.CONFLICTING
    if not present:
        return ObjectState.MISSING
    return ObjectState.PARTIAL if missing else ObjectState.APPLIED


def _same_type(there: str, accepted: Iterable[str | None]) -> bool:
    return type_of(there) in {type_of(form) for form in accepted if form is not None}


def _proving(objects: Iterable[DatabaseObject]) -> list[DatabaseObject]:
    return [each for each in objects if each.kind in _PROVING]
