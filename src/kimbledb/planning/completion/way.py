"""The way: the statements from a schema to the next, and the schemas between in which rows are copied and filled."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from attrs import define, evolve, field

from kimbledb.model.completion import Conversion, Copy
from kimbledb.model.names import quote_literal, words_in
from kimbledb.model.objects import PARTS, DatabaseObject, Facts, Key, parts_of, without
from kimbledb.model.snapshot import Snapshot
from kimbledb.planning import ids, writer
from kimbledb.planning.completion.scope import Scope
from kimbledb.planning.completion.types import Types
from kimbledb.planning.fold import FoldedObject, split
from kimbledb.planning.mentions import mentioned, needs_among, word_of
from kimbledb.planning.set_aside import keeping
from kimbledb.planning.writer.constraints import refers_to
from kimbledb.planning.writer.fates import Fates
from kimbledb.planning.writer.names import own_name, written

#: The kinds that an expression may name.
_NAMED_IN_FILLS = frozenset({"function", "type", "table", "view", "sequence"})
#: A default that counts.
_COUNTED = re.compile(r"nextval\(('(?:[^']|'')+')::regclass\)")


@define(eq=False)
class Way:
    """The statements from one schema to the next."""

    #: The schema that the statements so far lead to.
    now: Snapshot
    conversions: Mapping[Key, Conversion]
    closed: bool = field(kw_only=True)
    statements: list[str] = field(factory=list)
    #: The objects that are dropped on the way, some of them to be made again.
    gone: set[Key] = field(factory=set)

    def lead(self, to: Snapshot) -> None:
        """Continue to a later schema.

        Args:
            to: The later schema.
        """
        using = {key: each.using for key, each in self.conversions.items() if each.using is not None}
        fates = Fates(self.now, to, using)
        fates.decide()
        self.gone |= fates.gone
        for statement in writer.difference(self.now, to, using=using, defaults_stay=not self.closed):
            self.statements += _in_utc(statement) if self._casts_times(statement) else [statement]
        self.now = to

    def _casts_times(self, statement: str) -> bool:
        """Return whether a statement casts columns that hold times of UTC."""
        return any(
            statement.startswith(f"ALTER TABLE {written(split(each.column)[0])} ")
            and f"ALTER COLUMN {own_name(each.column)} TYPE {each.after}" in statement
            for each in self.conversions.values()
            if each.using is None
        )


def _in_utc(statement: str) -> list[str]:
    """Return a statement that runs in the time zone UTC, with what sets it and sets it back."""
    return [
        "SELECT set_config('kimbledb.zone', current_setting('TimeZone'), true), set_config('TimeZone', 'UTC', true)",
        statement,
        "SELECT set_config('TimeZone', current_setting('kimbledb.zone'), true)",
    ]


def ahead(scope: Scope, types: Types, kept: Iterable[Conversion]) -> Iterator[str]:
    """Yield the statements ahead of all others: tables are set aside, names change, and what conversions lose is kept.

    Args:
        scope: The migration.
        types: Its conversions.
        kept: The columns that keep whole values, as conversions.
    """
    yield from scope.aside.statements
    # A part is renamed before its table, by which it is named.
    for key, name in sorted(scope.renames.items(), key=lambda item: item[0][0] not in PARTS):
        yield writer.rename(DatabaseObject(*key), parts_of(name)[-1])
    yield from ids.keeping(types.conversions.values())
    yield from keeping(scope.aside, (each for each in types.copied if isinstance(each, Conversion)))
    for each in kept:
        yield f"ALTER TABLE {written(split(each.column)[0])} ADD COLUMN {own_name(each.column)} {each.before}"


def afterwards(found: Snapshot, objects: Mapping[Key, Facts], items: Sequence[FoldedObject]) -> Snapshot:
    """Return the schema with later objects. What the new ones need is known by the names that they hold.

    Args:
        found: The schema before.
        objects: The later objects.
        items: Those of them that are made or changed, as they are declared.
    """
    known = {key: each for key, each in found.needs.items() if key in objects}
    sources = {**found.sources, **{item.key: item.each.source for item in items if item.each.source is not None}}
    sources = {key: source for key, source in sources.items() if key in objects}
    after = Snapshot(objects, sources=sources, given=found.given, inherited=found.inherited)
    return evolve(after, needs={**known, **needs_among([after.get(item.key) for item in items], after)})


def before_copies(found: Snapshot, after: Snapshot, copied: Sequence[Copy], fills: Collection[str]) -> Snapshot:
    """Return the schema in which rows are copied and then filled: no table refers to what is copied, or is held to rules.

    Args:
        found: The schema before.
        after: The schema afterwards.
        copied: What is copied.
        fills: The tables that are filled.
    """
    tables = {each.table for each in copied}
    objects: dict[Key, Facts] = {}
    for key, facts in after.objects.items():
        table = split(key[1])[0]
        waits = table in fills or (table not in tables and refers_to(facts) in tables)
        if key[0] == "constraint" and waits and key not in found.objects:
            continue
        was_free = key[0] == "column" and table in fills and not found.objects.get(key, {}).get("not_null")
        objects[key] = _free(facts) if was_free else facts
    return evolve(after, objects=objects)


def before_fills(
    found: Snapshot,
    converted: Mapping[Key, Facts],
    after: Mapping[Key, Facts],
    made: Sequence[FoldedObject],
    fills: Mapping[str, Mapping[str, str]],
) -> Snapshot:
    """Return the schema in which rows are filled: columns and functions are there, and no new constraint.

    Args:
        found: The schema before.
        converted: Its objects, with columns converted.
        after: The objects afterwards.
        made: The objects that are made.
        fills: The expressions of values, by table and column.
    """
    early = _early(made, fills)
    return afterwards(found, {**converted, **{each.key: _free(after[each.key]) for each in early}}, early)


def counting(scope: Scope, found: Snapshot, after: Mapping[Key, Facts]) -> Iterator[str]:
    """Yield the statements that set the sequences of columns forward where rows were given their numbers by hand.

    Args:
        scope: The migration.
        found: The schema before.
        after: The objects afterwards.
    """
    for key in scope.objects:
        facts = after.get(key, {})
        if key[0] != "column" or key not in found.objects:
            continue
        table, own = split(key[1])
        named = _COUNTED.fullmatch(str(facts.get("default", "")))
        if named is None and "identity" not in facts:
            continue
        counter = (
            named[1]
            if named
            else f"pg_get_serial_sequence({quote_literal(written(table))}, {quote_literal(parts_of(own)[-1])})"
        )
        yield (
            f"SELECT setval(counter, last) FROM (SELECT {counter}::regclass AS counter, max({own_name(key[1])}) AS last FROM {written(table)}) AS rows"
            " WHERE last > coalesce(pg_sequence_last_value(counter), (SELECT seqstart - 1 FROM pg_sequence WHERE seqrelid = counter))"
        )


def _free(facts: Facts) -> Facts:
    """Return the facts of a column that may still be NULL."""
    return without(facts, "not_null", "not_null_name")


def _early(made: Sequence[FoldedObject], fills: Mapping[str, Mapping[str, str]]) -> list[FoldedObject]:
    """Return what is made before tables are filled: their columns, and what the expressions name, with what that names."""
    words = {word for table in fills.values() for value in table.values() for word in words_in(value)}
    early: dict[Key, FoldedObject] = {}
    tables = {*fills}
    while True:
        more = [
            item
            for item in made
            if item.key not in early
            and (
                (item.key[0] == "column" and split(item.key[1])[0] in tables)
                or (item.key[0] in _NAMED_IN_FILLS and word_of(item.each) in words)
            )
        ]
        if not more:
            return list(early.values())
        for item in more:
            early[item.key] = item
            words |= mentioned(item.each) | words_in(item.each.source or "")
            if item.key[0] == "table":
                tables.add(item.each.name)
