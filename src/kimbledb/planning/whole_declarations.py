"""Whether the declarations of a migration say all that its script does, so that they can serve in its place. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection

from kimbledb.catalog import statements
from kimbledb.model.migration import Migration
from kimbledb.model.names import split_list
from kimbledb.model.objects import SAID_OF_OTHERS, Key
from kimbledb.planning.fold import split

_TABLE = r'(?:only\s+)?(?P<table>"(?:[^"]|"")*"|[\w$]+)'
_UPDATE = re.compile(rf"update\s+{_TABLE}\s+set\s+(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_ASSIGNED = re.compile(r'\s*("(?:[^"]|"")*"|[\w$]+)\s*=')
_ALTER_TABLE = re.compile(rf"alter\s+table\s+{_TABLE}(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_ALTER_COLUMN = re.compile(r'\balter\s+(?:column\s+)?(?!constraint\b)("(?:[^"]|"")*"|[\w$]+)', re.IGNORECASE)
#: Statements that make an object with its rows, which declarations do not hold.
_MAKES_ROWS = re.compile(
    r"(?:create\s+(?:\w+\s+){0,3}table\b[^(]*\bas\b|select\b|with\b|insert\b|delete\b|merge\b|truncate\b|do\b|call\b|copy\b)",
    re.IGNORECASE,
)
#: Statements that say something of others, and may change nothing.
_SAYS = re.compile(r"(?:comment|grant|revoke|create\s+extension)\b", re.IGNORECASE)


def is_declared_whole(migration: Migration, *, hosted: bool) -> bool:
    """Return whether what a migration does on a database is all in its declarations, so that these serve in place of its script.

    A statement that changes rows, or that changes again what another one has made, is in none, unless the migration
    ``fills`` the columns that it is about.

    Args:
        migration: The migration.
        hosted: Whether the database is a hosted one.
    """
    if not migration.is_declared or not migration.transactional or migration.is_repair:
        return False
    declared = migration.declarations.on(hosted=hosted)
    if any(each.renames or any(gone.kind not in SAID_OF_OTHERS for gone in each.drops) for each in declared):
        return False
    made = {each.key for statement in declared for each in statement.creates}
    places = {(each.part, each.line, each.column) for each in declared}
    for part, script in migration.applied_scripts(hosted=hosted).items():
        for statement in statements.split(script.text):
            line, column = script.line_and_column(statement.start)
            is_known = not places.isdisjoint({(part, line, column), (part, line, 1)})
            if not _is_declared(statement.skeleton, made, migration.fills, is_known=is_known):
                return False
    return True


def touches(migration: Migration, tables: Collection[str]) -> bool:
    """Return whether a migration declares something of the tables.

    Args:
        migration: The migration.
        tables: The names of the tables.
    """
    declared = (*migration.declarations.creates, *migration.declarations.changes)
    return any(
        str((each.facts or {}).get("on")) in tables if each.kind == "index" else split(each.name)[0] in tables
        for each in declared
        if each.kind in ("index", "column", "constraint")
    )


def _is_declared(text: str, made: Collection[Key], fills: Collection[str], *, is_known: bool) -> bool:
    """Return whether declarations say what a statement does."""
    if match := _UPDATE.match(text):
        assigned = [_ASSIGNED.match(each) for each in split_list(match["rest"])]
        return all(each is not None and f"{match['table']}.{each[1]}" in fills for each in assigned)
    if match := _ALTER_TABLE.match(text):
        if ("table", match["table"]) in made:
            return True  # it is declared as it is afterwards, and holds no row yet
        changed = [f"{match['table']}.{each[1]}" for each in _ALTER_COLUMN.finditer(match["rest"])]
        if any(("column", each) in made and each not in fills for each in changed):
            return False
        return is_known or bool(changed)
    return (is_known and _MAKES_ROWS.match(text) is None) or _SAYS.match(text) is not None
