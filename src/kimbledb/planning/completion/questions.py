"""The questions about rows before a completion: their values, and violations of declared constraints."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from attrs import frozen

from kimbledb.model.completion import Conversion
from kimbledb.model.objects import quoted
from kimbledb.planning import ids
from kimbledb.planning.breaking_rows import Breaking, breaking_of, with_values, with_values_of_another
from kimbledb.planning.completion.copied_rows import with_copies
from kimbledb.planning.completion.forms import LaterForms
from kimbledb.planning.completion.scope import Scope, place_of
from kimbledb.planning.completion.types import Types
from kimbledb.planning.doors import wants_value
from kimbledb.planning.fold import FoldedObject, relation_of, split
from kimbledb.planning.later_rows import LaterRows
from kimbledb.planning.writer.names import own_name

#: The types of which two values have no later value in common.
_ONE_TO_ONE = ("smallint", "integer", "bigint", "uuid", "date", "boolean")


# Without slots: the properties below are computed once.
@frozen(slots=False, eq=False)
class Questions:
    """The questions to the rows of a schema. ``Rows`` holds the answers."""

    scope: Scope
    types: Types
    #: The rows before the migration, where migrations before it in the plan change some; None for those that are there.
    rows_before: LaterRows | None = None

    @cached_property
    def null(self) -> dict[str, Breaking]:
        """The rows with NULL in columns that would be NOT NULL if no row has NULL there, by column: as they will be."""
        asked = {}
        for item in self.scope.objects.values():
            column, there = item.each.name, self.scope.named.objects.get(item.key)
            if item.key[0] != "column" or not (item.each.facts or {}).get("not_null"):
                continue
            if column in self.scope.migration.fills if there is None else not there.get("not_null"):
                found = breaking_of(item.key, {"not_null": True}, self.rows_after)
                asked.update({} if found is None else {column: found})
        return asked

    @cached_property
    def filled(self) -> dict[str, str]:
        """The tables that get a column which must not be NULL and has no value of its own, and those that are filled.

        Each has its name now with it.
        """
        objects = self.scope.named.objects
        wanting = (
            split(item.each.name)[0]
            for item in self.scope.objects.values()
            if item.key[0] == "column"
            and item.key not in objects
            and ("table", split(item.each.name)[0]) in objects
            and wants_value(item.each.facts or {})
        )
        rows = {table: self._rows_renamed.of_table(table) for table in (*wanting, *self.scope.fills)}
        return {table: each.present for table, each in rows.items() if each.present is not None}

    @cached_property
    def populated(self) -> dict[str, str]:
        """The materialized views, each with its name now: they may have to be made again, and then hold nothing."""
        return {
            name: self.scope.names_now[kind, name]
            for (kind, name), facts in self.scope.named.objects.items()
            if kind == "view" and "materialized" in facts
        }

    @cached_property
    def breaking(self) -> dict[str, Breaking]:
        """The rows that would break what is added to tables that are there, each by the name of what they break."""
        asked: dict[str, Breaking] = {}
        forms = LaterForms(self.scope, self.scope.named)
        for key, item in self.scope.objects.items():
            if key[0] not in ("constraint", "index") or self.scope.is_copied(item):
                continue
            there = self.scope.named.objects.get(key)
            facts = forms.of(item, there)
            if facts is None or facts == there:
                continue
            if breaking := breaking_of(key, facts, self.rows_after, place_of(item)):
                asked[str(item.each)] = breaking
        for each in self.types.conversions.values():
            asked.update(self._unconvertible(each))
        return {**dict(self._standing()), **asked}

    @cached_property
    def cut(self) -> dict[str, Breaking]:
        """The rows of which a conversion cuts something, by column."""
        asked = {}
        for each in self.types.conversions.values():
            if each.cuts is not None and (found := with_values(each.column, each.cuts, "", self._rows_renamed)):
                asked[each.column] = found
        return asked

    @property
    def held(self) -> list[str]:
        """The tables whose rows must stay as they are from the question on: columns of theirs are converted."""
        tables = dict.fromkeys(split(each.column)[0] for each in self.types.conversions.values())
        names = self.scope.names_now
        return [names["table", table] for table in tables if ("table", table) in names]

    @cached_property
    def rows_after(self) -> LaterRows:
        """The rows before constraints are made: tables and columns renamed, columns converted, added and filled."""
        scope, there = self.scope, self.scope.named.objects
        rows = self._rows_renamed.with_functions(
            key[1] for key, item in scope.objects.items() if key[0] == "function" and there.get(key) != item.each.facts
        )
        rows = rows.with_values({each.column: each.value for each in self.types.conversions.values()})
        new = [item.each for key, item in scope.objects.items() if key not in there]
        new = [each for each in new if (relation_of(each.key) or each.name) not in scope.aside.names]
        rows = rows.with_tables([each.name for each in new if each.kind == "table"])
        rows = rows.with_columns({each.name: each.facts for each in new if each.kind == "column" and each.facts})
        rows = with_copies(rows, scope, self.types)
        return rows.with_values({name: value for each in scope.fills.values() for name, value in each.items()})

    @cached_property
    def _rows_renamed(self) -> LaterRows:
        return (self.rows_before or LaterRows.of(self.scope.found)).renamed(self.scope.renames)

    def _standing(self) -> Iterator[tuple[str, Breaking]]:
        """Yield the rows that would break what stands already, once columns are converted and filled."""
        objects = self.scope.named.objects
        alone = set(ids.keys_of_one(objects))
        columns = {column for each in self.scope.fills.values() for column in each}
        columns |= {
            each.column
            for each in self.types.conversions.values()
            if each.column not in alone and not each.before.startswith(_ONE_TO_ONE)
        }
        tables = {split(column)[0] for column in columns}
        for key, facts in objects.items():
            if key[0] not in ("constraint", "index") or relation_of(key, facts) not in tables:
                continue
            found = breaking_of(key, facts, self.rows_after, _place(self.scope.fold.objects.get(key)))
            if found is not None and columns & {f"{found.table}.{quoted(each)}" for each in found.columns}:
                yield f"{key[0]} {key[1]}", found

    def _unconvertible(self, conversion: Conversion) -> Iterator[tuple[str, Breaking]]:
        """Yield the rows that keep a column from its later type."""
        column, place = conversion.column, _place(self.scope.fold.objects.get(conversion.key))
        if conversion.fits is not None:
            words = f"with a value that cannot become {conversion.after}"
            condition = f"{own_name(column)} IS NOT NULL AND NOT ({conversion.fits})"
            if found := with_values(column, condition, words, self._rows_renamed, place):
                yield f"{conversion}", found
        if column in ids.keys_of_one(self.scope.named.objects) and not conversion.before.startswith(_ONE_TO_ONE):
            words = f"with a value that becomes the same {conversion.after} as another"
            if found := with_values_of_another(column, words, self.rows_after, place):
                yield f"{conversion}, one to one", found


def _place(item: FoldedObject | None) -> str:
    return "" if item is None else place_of(item)
