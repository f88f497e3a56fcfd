"""Rows before scripts: which rows break what the script of a migration declares for tables that are there. Pure.

The script of a migration that is not begun runs as it is. A key, a uniqueness, a check or NOT NULL that it gives to a table
that holds rows fails where one breaks it. The rows are foreseen through the script as far as its statements show what
they do to them. Nothing is asked of rows that an UPDATE, a block or a function of the script may correct before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property

from attrs import define, field

from kimbledb.catalog import statements
from kimbledb.model.migration import Migration
from kimbledb.model.objects import DatabaseObject, quoted
from kimbledb.model.snapshot import Snapshot
from kimbledb.planning.breaking_rows import Breaking, breaking_of
from kimbledb.planning.fold import relation_of, split
from kimbledb.planning.later_rows import LaterRows, primary_key_of
from kimbledb.planning.mentions import in_order
from kimbledb.planning.writer.constraints import refers_to

_NAME = r'(?:(?:"(?:[^"]|"")*"|[\w$]+)\s*\.\s*)*(?:"(?:[^"]|"")*"|[\w$]+)'
#: Statements that change the rows of the tables that they name.
_OF_TABLES = re.compile(
    r"(?:INSERT\s+INTO|UPDATE(?:\s+ONLY)?|DELETE\s+FROM(?:\s+ONLY)?|MERGE\s+INTO(?:\s+ONLY)?|COPY"
    r"|TRUNCATE(?:\s+TABLE)?(?:\s+ONLY)?|DROP\s+TABLE(?:\s+IF\s+EXISTS)?"
    rf"|CREATE\s+(?:UNLOGGED\s+)?TABLE(?:\s+IF\s+NOT\s+EXISTS)?(?=[^(]*(?:\([^)]*\))?[^(]*\bAS\b))\s+(?P<tables>{_NAME}(?:\s*,\s*{_NAME})*)",
    re.IGNORECASE,
)
#: Changes of a table that give its rows other values, or other rows.
_REMAKES = re.compile(
    rf"ALTER\s+(?:FOREIGN\s+)?TABLE(?:\s+IF\s+EXISTS)?(?:\s+ONLY)?\s+(?P<tables>{_NAME})(?=.*(?:\bTYPE\b|\bATTACH\b|\bDETACH\b|\bINHERIT\b"
    r"|\bSET\s+EXPRESSION\b|\bDROP\s+(?!CONSTRAINT\b|DEFAULT\b|NOT\s+NULL\b|EXPRESSION\b|IDENTITY\b)))",
    re.IGNORECASE | re.DOTALL,
)
#: Changes of a table after which its columns are declared with other defaults than their rows got.
_OF_DEFAULTS = re.compile(
    rf"ALTER\s+(?:FOREIGN\s+)?TABLE(?:\s+IF\s+EXISTS)?(?:\s+ONLY)?\s+(?P<tables>{_NAME})"
    r"(?=.*\b(?:SET|DROP|ADD)\s+(?:DEFAULT|GENERATED|EXPRESSION|IDENTITY)\b)",
    re.IGNORECASE | re.DOTALL,
)
#: Statements that change no row.
_HARMLESS = re.compile(
    r"(?:CREATE|ALTER|DROP(?!\s+(?:SCHEMA|OWNED)\b)|COMMENT|GRANT|REVOKE|SET|RESET|LOCK|ANALY[SZ]E|SECURITY|REINDEX|CLUSTER|REFRESH|NOTIFY)\b",
    re.IGNORECASE,
)
_OF_SETTINGS = re.compile(
    r"SELECT\s+(?:pg_catalog\s*\.\s*)?(?:set_config|setval)\s*\((?!.*\bFROM\b)", re.IGNORECASE | re.DOTALL
)
#: A block that holds none of these words changes no row.
_CHANGES = re.compile(
    r"\b(?:INSERT|UPDATE|DELETE|MERGE|TRUNCATE|COPY|SELECT|PERFORM|CALL|EXECUTE|TYPE|DROP|ATTACH|INHERIT)\b",
    re.IGNORECASE,
)
#: A part of a statement that changes rows, too.
_WITHIN = re.compile(r"\(\s*(?:INSERT|UPDATE|DELETE|MERGE)\b", re.IGNORECASE)
_UPSERT = re.compile(r"\bDO\s+UPDATE\b", re.IGNORECASE)
#: By the first word of a statement: the events by which triggers fire.
_EVENTS = {
    "INSERT": frozenset({"INSERT"}),
    "COPY": frozenset({"INSERT"}),
    "UPDATE": frozenset({"UPDATE"}),
    "DELETE": frozenset({"DELETE"}),
    "TRUNCATE": frozenset({"TRUNCATE"}),
    "MERGE": frozenset({"INSERT", "UPDATE", "DELETE"}),
}
_BLOCK = re.compile(r"DO\b", re.IGNORECASE)


def looks_at_rows(migration: Migration, found: Snapshot, *, hosted: bool) -> bool:
    """Return whether a migration may add a key, a check or the like to a table that is there.

    Args:
        migration: The migration.
        found: The objects of the schema before any pending migration.
        hosted: Whether the database has the roles of a hosted platform.
    """
    declared = migration.declarations.on(hosted=hosted)
    tables = {name for kind, name in found.objects if kind == "table"}
    tables |= {name for each in declared for (kind, _), name in each.renames.items() if kind == "table"}
    return any(
        each.kind in ("constraint", "index", "column") and relation_of(each.key, each.facts) in tables
        for statement in declared
        for each in (*statement.creates, *statement.changes)
    )


@define(slots=False, eq=False)
class ScriptRows:
    """A migration that is not begun, beside the schema in which its script will run."""

    #: The migration.
    migration: Migration
    #: The objects of the schema before it.
    found: Snapshot
    #: The rows before it.
    rows_before: LaterRows
    hosted: bool = field(kw_only=True)

    @cached_property
    def breaking_asked(self) -> dict[str, Breaking]:
        """The rows that would break what the script adds to tables that are there, each by the name of what they break."""
        asked: dict[str, Breaking] = {}
        for each, place in self._rules:
            if breaking := breaking_of(each.key, each.facts or {}, self.rows_after, place):
                asked[str(each)] = breaking
        # A primary key brings NOT NULL along, and asks for NULL itself.
        for each, _ in self._rules:
            for column in primary_key_of(each.facts or {}) if each.kind == "constraint" else ():
                asked.pop(f"column {split(each.name)[0]}.{quoted(column)}", None)
        return asked

    @cached_property
    def _rules(self) -> list[tuple[DatabaseObject, str]]:
        """What the script gives to tables that are there and that rows may break, each with its place."""
        found = []
        for statement in self.migration.declarations.on(hosted=self.hosted):
            for each in (*statement.creates, *statement.changes):
                if self._looks_at_rows(each):
                    found.append((each, f"{self.migration.file(statement.part)}:{statement.line}"))
        return found

    def _looks_at_rows(self, each: DatabaseObject) -> bool:
        facts, there = each.facts, self.found.objects.get(each.key)
        if facts is None or facts == there:
            return False
        table = self._names_now.get(relation_of(each.key, facts) or "")
        if table is None or ("table", table) not in self.found.objects:
            return False
        if each.kind == "column":
            return bool(facts.get("not_null")) and not (there or {}).get("not_null")
        return each.kind == "constraint" or (each.kind == "index" and bool(facts.get("unique")))

    @cached_property
    def _names_now(self) -> dict[str, str]:
        """The present name of each table that is there, by its later name."""
        tables = {name: name for kind, name in self.found.objects if kind == "table"}
        for statement in self.migration.declarations.on(hosted=self.hosted):
            tables |= {name: old for (kind, old), name in statement.renames.items() if kind == "table"}
        return tables

    @cached_property
    def rows_after(self) -> LaterRows:
        """The rows when the script has run."""
        if not self.migration.is_declared:
            return self.rows_before.unknown()
        rows = self.rows_before
        declared = self.migration.declarations.on(hosted=self.hosted)
        rows = rows.renamed({key: name for statement in declared for key, name in statement.renames.items()})
        made = [each for statement in declared for each in statement.creates]
        changed = [each for statement in declared for each in statement.changes]
        rows = rows.with_functions(each.name for each in (*made, *changed) if each.kind == "function")
        rows = rows.with_tables([each.name for each in made if each.kind == "table"])
        try:
            touched, otherwise = self._touched
        except _Anything:
            return rows.unknown()
        columns = [each for each in made if each.kind == "column" and each.facts]
        new = {each.name: each.facts or {} for each in columns if _last(split(each.name)[0]) not in otherwise}
        rows = rows.with_columns(new)
        rows = rows.with_values({each.name: None for each in columns if each.name not in new})
        return rows.unknown(touched)

    @cached_property
    def _touched(self) -> tuple[frozenset[str], set[str]]:
        """The tables whose rows the script may change, and the last names of those whose columns get other defaults.

        Raises:
            _Anything: It may change those of any table.
        """
        events: dict[str, set[str]] = {}
        otherwise: set[str] = set()
        for script in self.migration.applied_scripts(hosted=self.hosted).values():
            try:
                for statement in statements.split(script.text):
                    shown = statements.with_names(statement.text).strip()
                    for name, those in _changes_of(shown, statement.text):
                        events.setdefault(name, set()).update(those)
                    if found := _OF_DEFAULTS.match(shown):
                        otherwise.add(_last(found["tables"]))
            except ValueError:
                raise _Anything from None  # where its statements end is not known
        return self._with_dependent(events) if events else frozenset(), otherwise

    def _with_dependent(self, events: Mapping[str, set[str]]) -> frozenset[str]:
        """Return tables with those that their keys change along. What triggers and rules change is not known.

        Args:
            events: The events that happen to tables, by their last names.
        """
        objects = {**self.found.objects, **{each.key: each.facts or {} for each in self.migration.creates}}
        touched = {name: events[_last(name)] for kind, name in objects if kind == "table" and _last(name) in events}
        ends = [(split(name)[0], refers_to(facts)) for (kind, name), facts in objects.items() if kind == "constraint"]
        cascading = {name for name, those in touched.items() if those - {"INSERT"}}
        while more := {own for own, other in ends if other in cascading} - cascading:
            cascading |= more
        touched |= {name: {*touched.get(name, ()), "UPDATE", "DELETE"} for name in cascading - touched.keys()}
        for (kind, name), facts in objects.items():
            those = touched.get(split(name)[0], set())
            fires = kind == "trigger" and not those.isdisjoint(str(facts.get("event", "")).partition(" ON ")[0].split())
            if fires or (kind == "rule" and those):
                raise _Anything
        return frozenset(touched)


class _Anything(Exception):
    """A script may change the rows of any table."""


def _last(name: str) -> str:
    """Return the last identifier of a name, in lower case unless quoted."""
    return list(in_order(name))[-1]


def _changes_of(shown: str, text: str) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield the last names of the tables whose rows a statement may change, each with the events by which triggers fire.

    Args:
        shown: The statement, without comments, strings and bodies.
        text: The statement.

    Raises:
        _Anything: It may change those of any table.
    """
    if found := _OF_TABLES.match(shown) or _REMAKES.match(shown):
        if _WITHIN.search(shown):
            raise _Anything
        word = shown.split(None, 1)[0].upper()
        events = _EVENTS.get(word, frozenset())
        if word == "INSERT" and _UPSERT.search(shown):
            events |= {"UPDATE"}
        for name in re.findall(_NAME, found["tables"]):
            yield _last(name), events
    elif _BLOCK.match(shown):
        if _CHANGES.search(text):
            raise _Anything
    elif not (_HARMLESS.match(shown) or _OF_SETTINGS.match(shown)):
        raise _Anything
