"""Rows before scripts: which rows break what the script of a migration declares for tables that are there. Pure.

The script of a migration that is not begun runs as it is. A key, a uniqueness, a check or NOT NULL that it gives to a table
that holds rows fails where one breaks it. The rows are foreseen through the script as far as its statements show what
they do to them. Nothing is asked of rows that an UPDATE, a block or a function of the script may correct before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property

from attrs import define, evolve, field, frozen

from kimbledb.catalog import statements
from kimbledb.model.declarations import DeclaredStatement
from kimbledb.model.migration import Migration
from kimbledb.model.names import words_of
from kimbledb.model.objects import DatabaseObject, Facts, Key, quoted
from kimbledb.model.snapshot import Snapshot
from kimbledb.planning.breaking_rows import Breaking, breaking_of
from kimbledb.planning.derived_rollback import objects_after
from kimbledb.planning.fold import Fold, fold, relation_of, split
from kimbledb.planning.later_rows import LaterRows, primary_key_of
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
_NOT_VALID = re.compile(r"\bNOT\s+VALID\b", re.IGNORECASE)
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


#: The number of a script, and the line and column of a statement in it.
_Place = tuple[int, int, int]


@frozen
class _Change:
    """The changes of a statement."""

    place: _Place
    #: The tables whose rows it changes, by their last names, with the events by which triggers fire; None for any table.
    tables: Mapping[str, frozenset[str]] | None
    #: Whether it gives a table other rows or columns, so that what is declared after it says nothing of those before.
    remakes: bool = False


@define(slots=False, eq=False)
class ScriptRows:
    """A migration that is not begun, beside the schema in which its script will run."""

    #: The migration.
    migration: Migration
    #: The migrations that are applied by then, and this one, in the order of the plan.
    migrations: Sequence[Migration]
    #: The objects of the schema before it.
    found: Snapshot
    #: The rows before it.
    rows_before: LaterRows
    hosted: bool = field(kw_only=True)

    @cached_property
    def breaking_asked(self) -> dict[str, Breaking]:
        """The rows that would break what the script adds to tables that are there, each by the name of what they break."""
        asked: dict[str, Breaking] = {}
        for each, statement in self._rules:
            place = f"{self.migration.file(statement.part)}:{statement.line}"
            if breaking := breaking_of(each.key, each.facts or {}, self._rows_at(self._place_of(statement)), place):
                asked[str(each)] = breaking
        # A primary key brings NOT NULL along, and asks for NULL itself.
        for each, _ in self._rules:
            for column in primary_key_of(each.facts or {}) if each.kind == "constraint" else ():
                asked.pop(f"column {split(each.name)[0]}.{quoted(column)}", None)
        return asked

    @property
    def found_after(self) -> Snapshot:
        """The objects of the schema when the script has run, by what it declares."""
        after = objects_after({each.key: each for each in self.found}, self.migration, hosted=self.hosted)
        return evolve(
            self.found,
            objects={key: each.facts or {} for key, each in after.items()},
            sources={key: each.source for key, each in after.items() if each.source is not None},
        )

    @cached_property
    def rows_after(self) -> LaterRows:
        """The rows when the script has run."""
        return self._rows_at(None)

    # Which rules look at rows.

    @cached_property
    def _rules(self) -> list[tuple[DatabaseObject, DeclaredStatement]]:
        """The constraints that the script adds to existing tables and that rows may violate, each with its statement."""
        return [
            (each, statement)
            for statement in self.migration.declarations.on(hosted=self.hosted)
            for each, is_new in (
                *((each, True) for each in statement.creates),
                *((each, False) for each in statement.changes),
            )
            if self._looks_at_rows(each, is_new=is_new)
        ]

    def _looks_at_rows(self, each: DatabaseObject, *, is_new: bool) -> bool:
        facts = each.facts
        if facts is None or relation_of(each.key, facts) not in self._there:
            return False
        if each.kind == "column":
            fact: Facts = {"not_null": facts.get("not_null", False)}
        elif each.kind == "constraint" or (each.kind == "index" and facts.get("unique")):
            fact = facts
        else:
            return False
        # Columns of earlier migrations and of unknown origin keep their state: no statement looks at them.
        return is_new or all(
            any(before.get(name) != value for name, value in fact.items())
            or before.keys() - facts.keys() >= {"not_valid"}
            for before in self._earlier(each)
        )

    def _earlier(self, each: DatabaseObject) -> list[Facts]:
        """Return the last form that earlier migrations give an object, if they do."""
        return [item.each.facts or {} for item in self._fold.before(self.migration, each.key)[-1:]]

    @cached_property
    def _fold(self) -> Fold:
        return fold(self.migrations, hosted=self.hosted)

    @cached_property
    def _renames(self) -> dict[Key, str]:
        declared = self.migration.declarations.on(hosted=self.hosted)
        return {key: name for statement in declared for key, name in statement.renames.items()}

    @cached_property
    def _there(self) -> frozenset[str]:
        """The tables that are there, by their later names."""
        return frozenset(self._renames.get(key, key[1]) for key in self.found.objects if key[0] == "table")

    # Effects of statements on rows.

    def _rows_at(self, place: _Place | None) -> LaterRows:
        """Return the rows as a statement meets them, or when the script has run.

        Args:
            place: The place of the statement, or None for the end.
        """
        if not self.migration.is_declared:
            return self.rows_before.unknown()
        rows = self._rows_declared
        tables: dict[str, set[str]] = {}
        for change in self._changes:
            if not change.remakes and place is not None and change.place > place:
                continue
            if change.tables is None:
                return rows.unknown()
            for name, events in change.tables.items():
                tables.setdefault(name, set()).update(events)
        touched = self._with_dependent(tables)
        return rows.unknown() if touched is None else rows.unknown(touched)

    @cached_property
    def _rows_declared(self) -> LaterRows:
        """The rows when the script has run, but for those that its statements change."""
        rows = self.rows_before.renamed(self._renames)
        declared = self.migration.declarations.on(hosted=self.hosted)
        made = [each for statement in declared for each in statement.creates]
        changed = [each for statement in declared for each in statement.changes]
        rows = rows.with_functions(each.name for each in (*made, *changed) if each.kind == "function")
        rows = rows.with_tables([each.name for each in made if each.kind == "table"])
        columns = [each for each in made if each.kind == "column" and each.facts]
        new = {each.name: each.facts or {} for each in columns if _last(split(each.name)[0]) not in self._with_defaults}
        rows = rows.with_columns(new)
        return rows.with_values({each.name: None for each in columns if each.name not in new})

    @cached_property
    def _statements(self) -> list[tuple[_Place, str, str]] | None:
        """The statements of the scripts: the place, the text without comments, strings and bodies, and the text.

        None where it is not known where one ends.
        """
        found = []
        try:
            for number, script in enumerate(self.migration.applied_scripts(hosted=self.hosted).values()):
                lines: set[int] = set()
                for statement in statements.split(script.text):
                    line, column = script.line_and_column(statement.start)
                    # The first statement of a line is declared at its beginning.
                    place = (number, line, column if line in lines else 1)
                    lines.add(line)
                    found.append((place, statements.with_names(statement.text).strip(), statement.text))
        except ValueError:
            return None
        return found

    def _place_of(self, statement: DeclaredStatement) -> _Place | None:
        """Return the place at which a rule of a declared statement looks at rows; None where a later statement proves it."""
        place = (int(statement.part == "hosted"), statement.line, statement.column)
        shown = next((shown for at, shown, _ in self._statements or () if at == place), None)
        return None if shown is None or _NOT_VALID.search(shown) else place

    @cached_property
    def _changes(self) -> list[_Change]:
        """The effects of its statements on the rows of tables."""
        if self._statements is None:
            return [_Change((0, 0, 0), None)]
        changes = (_change_of(*statement) for statement in self._statements)
        return [each for each in changes if each is not None]

    @cached_property
    def _with_defaults(self) -> set[str]:
        """The last names of the tables whose columns get other defaults on the way."""
        return {
            _last(found["tables"]) for _, shown, _ in self._statements or () if (found := _OF_DEFAULTS.match(shown))
        }

    def _with_dependent(self, events: Mapping[str, set[str]]) -> frozenset[str] | None:
        """Return tables with those that their keys change along; None for all, where a trigger or a rule may change any.

        Args:
            events: The events that happen to tables, by their last names before or after the script.
        """
        if not events:
            return frozenset()
        objects = {**self.found.objects, **{each.key: each.facts or {} for each in self.migration.creates}}
        tables = {name: self._renames.get(("table", name), name) for kind, name in objects if kind == "table"}
        touched = {
            name: {event for each in {_last(name), _last(later)} for event in events.get(each, ())}
            for name, later in tables.items()
            if not events.keys().isdisjoint((_last(name), _last(later)))
        }
        ends = [(split(name)[0], refers_to(facts)) for (kind, name), facts in objects.items() if kind == "constraint"]
        cascading = {name for name, those in touched.items() if those - {"INSERT"}}
        while more := {own for own, other in ends if other in cascading} - cascading:
            cascading |= more
        touched |= {name: {*touched.get(name, ()), "UPDATE", "DELETE"} for name in cascading - touched.keys()}
        for (kind, name), facts in objects.items():
            those = touched.get(split(name)[0], set())
            fires = kind == "trigger" and not those.isdisjoint(str(facts.get("event", "")).partition(" ON ")[0].split())
            if fires or (kind == "rule" and those):
                return None
        return frozenset(tables.get(name, name) for name in touched)


def _last(name: str) -> str:
    """Return the last identifier of a name, in lower case unless quoted."""
    return list(words_of(name))[-1]


def _change_of(place: _Place, shown: str, text: str) -> _Change | None:
    """Return what a statement does to the rows of tables, or None for nothing.

    Args:
        place: Its place.
        shown: The statement, without comments, strings and bodies.
        text: The statement.
    """
    if found := _OF_TABLES.match(shown) or _REMAKES.match(shown):
        if _WITHIN.search(shown):
            return _Change(place, None)
        word = shown.split(None, 1)[0].upper()
        events = _EVENTS.get(word, frozenset())
        if word == "INSERT" and _UPSERT.search(shown):
            events |= {"UPDATE"}
        names = map(_last, re.findall(_NAME, found["tables"]))
        return _Change(place, dict.fromkeys(names, events), remakes=word not in _EVENTS)
    if _BLOCK.match(shown):
        return _Change(place, None) if _CHANGES.search(text) else None
    return None if _HARMLESS.match(shown) or _OF_SETTINGS.match(shown) else _Change(place, None)
