"""Rehearsed rows: which rows of a database a statement would fail on that changed the schema of its clone. Pure.

The clone shows what a statement adds to tables that are there: a key, a uniqueness, a check, NOT NULL, another type. The
rows are those of the target, as far as the statements before leave them as they are.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from attrs import evolve, frozen

from kimbledb.model.names import split_list, words_in
from kimbledb.model.objects import DatabaseObject, Facts, Key, parts_of, quoted
from kimbledb.model.snapshot import Snapshot
from kimbledb.planning.breaking_rows import Breaking, breaking_of, with_values
from kimbledb.planning.doors import wants_value
from kimbledb.planning.effects import Effect, effect_of
from kimbledb.planning.fold import relation_of, split
from kimbledb.planning.later_rows import LaterRows, TableRows, primary_key_of
from kimbledb.planning.writer.constraints import refers_to
from kimbledb.planning.writer.names import identifier, texts

#: A type that cuts a value by a cast, and refuses it where it is assigned.
_SHORT = re.compile(r"character(?: varying)?\((?P<most>\d+)\)")
#: The action of a foreign key on the rows that refer to it.
_FOLLOWS = re.compile(r"\bON (?:DELETE|UPDATE) (?:CASCADE|SET)\b")
_VALUE = re.compile(r"\bVALUE\b")
_ALTERS = re.compile(r"alter\b", re.IGNORECASE)
_BLOCK = re.compile(r"do\b", re.IGNORECASE)
_ANY_USING = re.compile(r"\busing\b", re.IGNORECASE)
#: The types of which each value has one in the other type.
_ALWAYS = frozenset(
    {
        ("smallint", "integer"),
        ("smallint", "bigint"),
        ("smallint", "numeric"),
        ("integer", "bigint"),
        ("integer", "numeric"),
        ("integer", "double precision"),
        ("bigint", "numeric"),
        ("real", "double precision"),
        ("character varying", "text"),
        ("date", "timestamp without time zone"),
        ("date", "timestamp with time zone"),
        ("timestamp without time zone", "timestamp with time zone"),
        ("timestamp with time zone", "timestamp without time zone"),
    }
)
_ACTION = r"alter\s+(?:column\s+)?(?P<column>{name})\s+(?:set\s+data\s+)?type\b.*?\busing\b(?P<using>.*)"
_USING = re.compile(_ACTION.format(name=r'"(?:[^"]|"")*"|[\w$]+'), re.IGNORECASE | re.DOTALL)


@frozen
class Asked:
    """A question to the rows of the target."""

    breaking: Breaking
    #: The converted expression, if an error of the query itself says that a value is not convertible; else empty.
    converts: str = ""


@frozen
class RowsSoFar:
    """The objects of the clone's schema, and the rows of the target as they would be by then."""

    found: Snapshot
    rows: LaterRows

    @classmethod
    def of(cls, found: Snapshot) -> RowsSoFar:
        """Return the rows as they are.

        Args:
            found: The objects, with their identities.
        """
        return cls(found, LaterRows.of(found))

    def changed(self, tables: Iterable[str]) -> RowsSoFar:
        """Return the rows after some of these tables were changed.

        Args:
            tables: The tables by their present names: their rows cannot be foreseen any more, nor those of tables that
                follow them by a key, and none where a trigger may have changed others.
        """
        touched = set(tables)
        if not touched:
            return self
        objects = self.found.objects
        follows = {
            (split(name)[0], refers_to(facts))
            for (kind, name), facts in objects.items()
            if kind == "constraint" and _FOLLOWS.search(str(facts.get("key", "")))
        }
        while more := {own for own, other in follows if other in touched} - touched:
            touched |= more
        triggered = any(kind in ("trigger", "rule") and split(name)[0] in touched for kind, name in objects)
        return evolve(self, rows=self.rows.unknown(None if triggered else touched))

    def after(
        self, found: Snapshot, statement: str, rewritten: Collection[str]
    ) -> tuple[RowsSoFar, dict[str, Asked], list[str]]:
        """Return what follows a statement, what it asks of the rows, and what cannot be asked.

        Args:
            found: The objects after it, with their identities.
            statement: The statement, with its names and without comments and strings; of a block this says nothing.
            rewritten: The tables that it wrote anew, by their present names.
        """
        effect = effect_of(self.found, found)
        before = self.rows.renamed(effect.renames)
        asked: dict[str, Asked] = {}
        unknown: list[str] = []
        converted = dict(self._converted(effect))
        later = before.with_functions(
            key[1] for key in (*effect.creates, *effect.changes) if key[0] == "function"
        ).with_tables([name for kind, name in effect.creates if kind == "table"])
        later = later.with_columns({key[1]: facts for key, facts in effect.creates.items() if key[0] == "column"})
        later = later.with_values({name: None for name in converted if split(name)[0] in rewritten})
        for name, (old, new) in converted.items():
            using = _using(statement, name)
            is_sure = using is None and ((old.partition("(")[0], new) in _ALWAYS or new == "text")
            if not is_sure and (split(name)[0] in rewritten or _SHORT.fullmatch(new)):
                each = _conversion(name, old, new, using, before)
                if each is None:
                    unknown.append(f"whether each value of {name} becomes {new}")
                else:
                    asked[f"column {name} to {new}"] = each
        for key, facts in self._rules(effect, found):
            rule = breaking_of(key, facts, later)
            table = relation_of(key, facts) or split(key[1])[0]
            if rule is not None:
                asked[str(DatabaseObject(*key))] = Asked(rule)
            elif _is_hazy(facts, later.of_table(table)):
                unknown.append(f"whether rows break {DatabaseObject(*key)}, since a statement before changes them")
            for column in primary_key_of(facts) if key[0] == "constraint" else ():
                asked.pop(f"column {split(key[1])[0]}.{quoted(column)}", None)
        asked |= dict(_of_domains(self._domains(effect), found, later))
        return RowsSoFar(found, later), asked, unknown

    def _rules(self, effect: Effect, found: Snapshot) -> Iterator[tuple[Key, Facts]]:
        """Yield what a statement demands of rows that are there: of columns first, since a primary key has its own."""
        back = {(kind, new): old for (kind, old), new in effect.renames.items()}
        for key, facts in (*effect.creates.items(), *effect.changes.items()):
            if key[0] == "column" and facts.get("not_null"):
                was = self.found.objects.get(key, {})
                if key in effect.creates and not wants_value(facts):
                    continue  # whatever the rows are, each gets a value, or the clone's server refuses it as well
                if not was.get("not_null") or ("not_null_options" in was and "not_null_options" not in facts):
                    yield key, facts
        for key, facts in (*effect.creates.items(), *effect.changes.items()):
            if key[0] == "constraint" or (key[0] == "index" and facts.get("unique")):
                old = (key[0], back.get(key, key[1]))
                # One that is as before reads otherwise where what it names has another name.
                is_other = self.found.identities.get(old) != found.identities.get(key)
                if is_other or "not_valid" in self.found.objects.get(old, {}):
                    yield key, facts

    def _converted(self, effect: Effect) -> Iterator[tuple[str, tuple[str, str]]]:
        """Yield the columns that have another type, each with that of before and that of now."""
        back = {(kind, new): old for (kind, old), new in effect.renames.items()}
        for key, facts in effect.changes.items():
            if key[0] == "column":
                was = self.found.objects.get((key[0], back.get(key, key[1])), {})
                if was and was.get("type") != facts.get("type"):
                    yield key[1], (str(was.get("type")), str(facts["type"]))

    def _domains(self, effect: Effect) -> Iterator[tuple[str, str]]:
        """Yield each condition that a domain gets, with the name of the domain."""
        for key, facts in effect.changes.items():
            if key[0] == "type" and "base" in facts:
                was = self.found.objects.get(key, {})
                if facts.get("not_null") and not was.get("not_null"):
                    yield key[1], "VALUE IS NOT NULL"
                for check in texts(facts, "checks"):
                    if check not in texts(was, "checks") and not check.endswith("NOT VALID"):
                        yield key[1], check.partition(" CHECK ")[2]


def _is_hazy(facts: Facts, own: TableRows) -> bool:
    """Return whether a rule reads rows or values that cannot be foreseen."""
    if own.present is None:
        return False
    read = own.columns and own.columns & {word for text in map(str, facts.values()) for word in words_in(text)}
    return not own.is_known or any(own.source([column]) is None for column in read or ())


def _of_domains(conditions: Iterable[tuple[str, str]], found: Snapshot, rows: LaterRows) -> Iterator[tuple[str, Asked]]:
    for domain, condition in conditions:
        for (kind, name), facts in found.objects.items():
            if kind == "column" and facts.get("type") == domain and ("table", split(name)[0]) in found.objects:
                column = identifier(parts_of(name)[-1])
                words = f"with values that it refuses, against domain {domain}"
                held = f"NOT ({_VALUE.sub(lambda _, column=column: column, condition)})"  # type: ignore[misc]
                if each := with_values(name, held, words, rows):
                    yield f"domain {domain} of column {name}: {condition}", Asked(each)


def _conversion(name: str, old: str, new: str, using: str | None, rows: LaterRows) -> Asked | None:
    """Return what tells whether each value can be converted: rows that are listed, or an error."""
    column = identifier(parts_of(name)[-1])
    short = _SHORT.fullmatch(new)
    if using == "" or rows.calls_later(using or ""):
        return None
    if short is not None and using is None:
        words = f"with a value that is too long for {new}"
        each = with_values(
            name, f"pg_catalog.length(pg_catalog.rtrim({column}::text, ' ')) > {short['most']}", words, rows
        )
        return None if each is None else Asked(each)
    value = f"({column})::{new}" if using is None else f"({using})"
    # No row is listed: the value is computed, and an error says that it cannot be.
    each = with_values(name, f"pg_catalog.num_nulls({value}) > 1", f"with a value that does not become {new}", rows)
    return None if each is None else Asked(each, converts=f"{name} from {old} to {new}")


def _using(statement: str, name: str) -> str | None:
    """Return the expression by which a statement converts a column, None without one, or an empty text where it is hidden."""
    if _ALTERS.match(statement):
        for action in split_list(statement):
            found = _USING.search(action)
            if (
                found is not None
                and found["column"].strip('"').replace('""', '"').lower() == parts_of(name)[-1].lower()
            ):
                return found["using"].strip()
        return None
    return None if _BLOCK.match(statement) and not _ANY_USING.search(statement) else ""
