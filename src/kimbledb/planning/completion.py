"""Completion: the statements that bring the rest of a migration to a schema that holds a part of it. Pure.

Nothing is replayed. What the applied migrations and this one together declare, and what is not there, is written from the
declarations. An object of another form is given the declared one where that loses nothing and nobody's choice: indexes,
checks, functions, views, triggers, policies, grants. What a database had before stays as it was: defaults, and keys of
the declared names. A column that must not be NULL, gets no value by itself and is not declared so becomes nullable. A column
of another type is converted by a rule, with the columns that foreign keys tie to it and with all that hangs on them. What
another hand left open in a closed catalog is closed (``kimbledb.planning.doors``). What no statement reaches is a conflict,
and is named with the statement that declares it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from attrs import define, evolve, field, frozen

from kimbledb.catalog import statements
from kimbledb.model.completion import Completion, Conversion, Copy
from kimbledb.model.evidence import Evidence
from kimbledb.model.forms import Forms
from kimbledb.model.migration import Migration
from kimbledb.model.objects import PARTS, DatabaseObject, Fact, Facts, Key, parts_of, quoted
from kimbledb.model.snapshot import Snapshot
from kimbledb.planning import ids, writer
from kimbledb.planning.breaking_rows import Breaking, breaking_of, with_values, with_values_of_another
from kimbledb.planning.closed import CLOSED_TO, is_known, without_counter
from kimbledb.planning.comparison import compare, same_type
from kimbledb.planning.conversions import default_of
from kimbledb.planning.derived_rollback import objects_after
from kimbledb.planning.doors import Closing, Doors, Others, wanting_values, wants_value, without_null
from kimbledb.planning.fills import by_table, filling
from kimbledb.planning.fold import (
    NAMED_ALIKE,
    Fold,
    FoldedObject,
    fold,
    fold_of_all,
    key_under_new_names,
    relation_of,
    renamed,
    split,
    under_former_names,
    under_new_names,
)
from kimbledb.planning.later_rows import LaterRows
from kimbledb.planning.mentions import mentioned, needs_among, word_of, words_in
from kimbledb.planning.set_aside import Aside, as_before, copies, keeping, set_aside, target_of
from kimbledb.planning.writer.fates import Fates
from kimbledb.planning.writer.names import own_name, texts, written

#: The facts of a table that tell what it is. No statement changes them and keeps the rows where they are.
_NATURE = frozenset({"partition_by", "partition_of", "bound", "inherits", "of_type", "foreign_server", "kind"})
#: The facts of a column that say where its values come from.
_ORIGIN = frozenset({"generated", "virtual", "identity"})
#: The types of which two values have no later value in common.
_ONE_TO_ONE = ("smallint", "integer", "bigint", "uuid", "date", "boolean")
#: The kinds that get their declared form also where nothing here shows whether an expression of theirs differs: an old
#: policy or check would go on otherwise.
_MADE_AGAIN = frozenset({"constraint", "index", "policy", "rule", "trigger", "view"})
#: The kinds that an expression may name.
_NAMED_IN_FILLS = frozenset({"function", "type", "table", "view", "sequence"})
#: The first words of statements that make no object.
_OF_ROWS = re.compile(r"(INSERT|UPDATE|DELETE|MERGE|TRUNCATE|WITH|SELECT|CALL|DO|COPY)\b", re.IGNORECASE)


@frozen
class Rows:
    """What the rows of a schema allow."""

    #: The tables that hold rows.
    filled: frozenset[str] = frozenset()
    #: The columns in which some row will have NULL.
    null: frozenset[str] = frozenset()
    #: The materialized views that are filled.
    populated: frozenset[str] = frozenset()
    #: How many rows break what is declared, by the name in ``Unfinished.breaking_asked``; those without any are left out.
    breaking: Mapping[str, int] = field(factory=dict)
    #: What of ``Unfinished.breaking_asked`` the rows cannot be asked now, each with the reason.
    undecided: Mapping[str, str] = field(factory=dict)


def is_begun(migration: Migration, shown: Evidence) -> bool:
    """Return whether a migration is completed in place of running its script, or before it.

    A part of it is there, a repair has work, or another hand's function has the name of one of its functions.

    Args:
        migration: A pending migration.
        shown: The evidence.
    """
    finding = shown.findings.get(migration.name)
    if finding is None or not migration.is_declared or not migration.transactional:
        return False
    return finding.begun or finding.in_the_way or (migration.is_repair and bool(finding.missing))


def with_declared(found: Snapshot, migration: Migration, *, hosted: bool) -> Snapshot:
    """Return a schema after the script of a migration, by what it declares.

    Args:
        found: The objects of the schema.
        migration: The migration.
        hosted: Whether the database is a hosted one.
    """
    before = {each.key: each for each in found}
    after = objects_after(before, migration, hosted=hosted)
    return evolve(
        found,
        objects={key: each.facts or {} for key, each in after.items()},
        sources={key: each.source for key, each in after.items() if each.source is not None},
    )


# Without slots: the properties below are computed once.
@define(slots=False, eq=False, kw_only=True)
class Unfinished:
    """A migration that is there in part, beside the schema."""

    #: The migration.
    migration: Migration
    #: The migrations that are applied, and this one, in the order of the plan.
    migrations: Sequence[Migration]
    #: The objects of the schema, with what each needs and the statements that make them.
    found: Snapshot
    #: The forms that history records.
    forms: Forms
    hosted: bool
    #: Whether a part of the migration's own objects is there. Otherwise its script runs after what is written here.
    begun: bool = True
    #: The tables that are set aside, if they are there.
    aside: Collection[str] = ()
    #: The rows before it, where migrations before it in the plan change some; None for those that are there.
    rows_before: LaterRows | None = None
    #: All migrations of the catalog: what one of them declares is nobody else's. None for those above.
    catalog: Sequence[Migration] | None = None

    def __attrs_post_init__(self) -> None:
        self._left: dict[Key, str] = {}
        self._conflicts: list[str] = []
        #: The tables that hold what is in conflict.
        self._conflicting: set[str] = set()

    @cached_property
    def _fold(self) -> Fold:
        return fold(self.migrations, hosted=self.hosted)

    @cached_property
    def _whole(self) -> Fold:
        """What all migrations of the catalog declare."""
        return self._fold if self.catalog is None else fold_of_all(tuple(self.catalog), hosted=self.hosted)

    @cached_property
    def _aside(self) -> Aside:
        tables = [each for each in self._tables_made if each in self.aside]
        return set_aside(self.found, tables, self._fold.objects, closed=self.migration.closed)

    @cached_property
    def _tables_made(self) -> list[str]:
        """The tables that the migration makes."""
        declared = self.migration.declarations.on(hosted=self.hosted)
        return sorted(each.name for statement in declared for each in statement.creates if each.kind == "table")

    @cached_property
    def _has_begun(self) -> bool:
        """Whether a part of the migration's own objects is there once tables are set aside."""
        if not self._aside.names:
            return self.begun
        declared = self.migration.declarations.on(hosted=self.hosted)
        return any(each.key in self._aside.found.objects for statement in declared for each in statement.creates)

    @cached_property
    def _renames(self) -> dict[Key, str]:
        """The later name of each object that gets another, by its kind and earlier name."""
        return dict(self._all_renames())

    @cached_property
    def _named(self) -> Snapshot:
        """The schema under its later names."""
        return renamed(self._aside.found, self._renames)

    @cached_property
    def _names_now(self) -> dict[Key, str]:
        """The name that each object has now, by its kind and later name."""
        later = (under_new_names(DatabaseObject(*key), self._renames) for key in self.found.objects)
        return {each.key: name for each, (_, name) in zip(later, self.found.objects, strict=True)}

    @cached_property
    def _scope(self) -> dict[Key, FoldedObject]:
        """The objects of the migration, in the form that the applied migrations together give them.

        A repair looks after what the migrations before it make: what had to wait for it belongs to it.
        """
        if any(
            (there := self._aside.found.objects.get(("column", name))) is not None
            and not same_type(there, {"type": kind})
            for name, kind in self.migration.expects.items()
        ):
            return {
                key: item
                for key, item in self._fold.objects.items()
                if self._has_begun or item.migration is not self.migration
            }
        found = {
            key: self._fold.objects[key]
            for key in self._aside.gone
            if self._fold.objects[key].migration is not self.migration
        }
        if not self._has_begun:
            return found
        for statement in self.migration.declarations.on(hosted=self.hosted):
            keys = [each.key for each in (*statement.creates, *statement.changes)]
            keys += [(kind, name) for (kind, _), name in statement.renames.items()]
            for key in keys:
                if not self._fold.is_gone(self.migration, key) and (forms := self._fold.since(self.migration, key)):
                    item = self._fold.objects.get(forms[-1].key)
                    if item is not None:
                        found[item.key] = item
        return found

    # What the rows must be asked.

    @cached_property
    def columns_asked(self) -> dict[str, Breaking]:
        """The rows with NULL in columns that would be NOT NULL if no row has NULL there, by column: as they will be."""
        asked = {}
        for item in self._scope.values():
            column, there = item.each.name, self._named.objects.get(item.key)
            if item.key[0] != "column" or not (item.each.facts or {}).get("not_null"):
                continue
            if column in self.migration.fills if there is None else not there.get("not_null"):
                found = breaking_of(item.key, {"not_null": True}, self.rows_after)
                asked.update({} if found is None else {column: found})
        return asked

    @cached_property
    def tables_asked(self) -> dict[str, str]:
        """The tables that get a column which must not be NULL and has no value of its own, and those that are filled.

        Each has its name now with it.
        """
        wanting = (
            split(item.each.name)[0]
            for item in self._scope.values()
            if item.key[0] == "column"
            and item.key not in self._named.objects
            and ("table", split(item.each.name)[0]) in self._named.objects
            and wants_value(item.each.facts or {})
        )
        rows = {table: self._rows_renamed.of_table(table) for table in (*wanting, *self._fills)}
        return {table: each.present for table, each in rows.items() if each.present is not None}

    @cached_property
    def _fills(self) -> dict[str, dict[str, str]]:
        """The expressions of values, by table and column, for tables that are there."""
        fills = by_table(self.migration.fills) if self._has_begun else {}
        return {table: each for table, each in fills.items() if ("table", table) in self._named.objects}

    @cached_property
    def views_asked(self) -> dict[str, str]:
        """The materialized views, each with its name now: they may have to be made again, and then hold nothing."""
        return {
            name: self._names_now[kind, name]
            for (kind, name), facts in self._named.objects.items()
            if kind == "view" and "materialized" in facts
        }

    @cached_property
    def breaking_asked(self) -> dict[str, Breaking]:
        """The rows that would break what is added to tables that are there, each by the name of what they break."""
        asked: dict[str, Breaking] = {}
        for key, item in self._scope.items():
            if key[0] not in ("constraint", "index") or self._is_copied(item):
                continue
            there = self._named.objects.get(key)
            facts = self._new(item, self._named, Rows()) if there is None else self._changed(item, there, Rows())
            if facts is None or facts == there:
                continue
            if breaking := breaking_of(key, facts, self.rows_after, self._place_of(item)):
                asked[str(item.each)] = breaking
        for each in self._conversions.values():
            asked.update(self._unconvertible(each))
        return {**dict(self._standing()), **asked}

    def _standing(self) -> Iterator[tuple[str, Breaking]]:
        """Yield the rows that would break what stands already, once columns are converted and filled."""
        alone = set(ids.keys_of_one(self._named.objects))
        columns = {column for each in self._fills.values() for column in each}
        columns |= {
            each.column
            for each in self._conversions.values()
            if each.column not in alone and not each.before.startswith(_ONE_TO_ONE)
        }
        tables = {split(column)[0] for column in columns}
        for key, facts in self._named.objects.items():
            if key[0] not in ("constraint", "index") or relation_of(key, facts) not in tables:
                continue
            item = self._fold.objects.get(key)
            found = breaking_of(key, facts, self.rows_after, "" if item is None else self._place_of(item))
            if found is not None and columns & {f"{found.table}.{quoted(each)}" for each in found.columns}:
                yield f"{key[0]} {key[1]}", found

    def _is_copied(self, item: FoldedObject) -> bool:
        """Return whether the rows of an object's table are copied, and only those that fit."""
        return relation_of(item.key, item.each.facts) in self._aside.names

    @cached_property
    def _copied(self) -> list[Conversion | tuple[str, str]]:
        """The conversions of the rows that are copied."""
        if not self._aside.names:
            return []
        wanted = {
            item.each.name: str((item.each.facts or {})["type"])
            for item in self._fold.objects.values()
            if item.key[0] == "column" and split(item.key[1])[0] in self._aside.names
        }
        before = as_before(self._aside).objects
        converting = ids.conversions(wanted, before, declared=self._foreign_keys, enums=self._enums)
        return [
            each
            for each in converting
            if split(each.column if isinstance(each, Conversion) else each[0])[0] in self._aside.names
        ]

    def _unconvertible(self, conversion: Conversion) -> Iterator[tuple[str, Breaking]]:
        """Yield the rows that keep a column from its later type."""
        column, item = conversion.column, self._fold.objects.get(conversion.key)
        place = "" if item is None else self._place_of(item)
        if conversion.fits is not None:
            words = f"with a value that cannot become {conversion.after}"
            if found := with_values(
                column, f"{own_name(column)} IS NOT NULL AND NOT ({conversion.fits})", words, self._rows_renamed, place
            ):
                yield f"{conversion}", found
        if column in ids.keys_of_one(self._named.objects) and not conversion.before.startswith(_ONE_TO_ONE):
            words = f"with a value that becomes the same {conversion.after} as another"
            if found := with_values_of_another(column, words, self.rows_after, place):
                yield f"{conversion}, one to one", found

    @property
    def tables_held(self) -> list[str]:
        """The tables whose rows must stay as they are from the question on: columns of theirs are converted."""
        tables = dict.fromkeys(split(each.column)[0] for each in self._conversions.values())
        return [self._names_now["table", table] for table in tables if ("table", table) in self._names_now]

    @cached_property
    def cuts_asked(self) -> dict[str, Breaking]:
        """The rows of which a conversion cuts something, by column."""
        asked = {}
        for each in self._conversions.values():
            if each.cuts is not None and (found := with_values(each.column, each.cuts, "", self._rows_renamed)):
                asked[each.column] = found
        return asked

    @cached_property
    def _rows_renamed(self) -> LaterRows:
        return (self.rows_before or LaterRows.of(self.found)).renamed(self._renames)

    @cached_property
    def rows_after(self) -> LaterRows:
        """The rows before constraints are made: tables and columns renamed, columns converted, added and filled."""
        functions = {key: item.each.facts for key, item in self._scope.items() if key[0] == "function"}
        rows = self._rows_renamed.with_functions(
            name for (kind, name), facts in functions.items() if self._named.objects.get((kind, name)) != facts
        )
        new = [item.each for key, item in self._scope.items() if key not in self._named.objects]
        rows = rows.with_values({each.column: each.value for each in self._conversions.values()})
        rows = rows.with_values({each.column: each.value for each in self._copied if isinstance(each, Conversion)})
        new = [each for each in new if (relation_of(each.key) or each.name) not in self._aside.names]
        rows = rows.with_tables([each.name for each in new if each.kind == "table"])
        rows = rows.with_columns({each.name: each.facts for each in new if each.kind == "column" and each.facts})
        return rows.with_values({name: value for each in self._fills.values() for name, value in each.items()})

    # What is done.

    def complete(self, rows: Rows) -> Completion:
        """Return the completion.

        Args:
            rows: What the rows allow, for all that is asked.
        """
        self._left, self._conflicts, self._conflicting = {}, [], set()
        self._refuse_what_rows_break(rows)
        kept = self._kept(rows)
        conversions = {**self._conversions, **{each.key: each for each in kept.values()}}
        columns: dict[Key, Facts] = {each.key: {"type": each.before} for each in kept.values()}
        found = evolve(self._named, objects={**self._named.objects, **columns})
        objects: dict[Key, Facts] = dict(found.objects)
        for each in conversions.values():
            objects[each.key] = self._converted(found.objects[each.key], each)
        for key in self._counters_of_ids(found):
            del objects[key]
        made, changed = self._bring(objects, found, rows)
        nullable = self._made_nullable(found, objects)
        closing = self._closed(found, objects)
        for why in self._removals(found):
            self._refuse(None, why)
        after = self._after(found, objects, [*made, *changed])
        copied = self._copies(after)
        fills = {table: each for table, each in self._fills.items() if table in rows.filled}
        way = _Way(found, conversions, closed=self.migration.closed)
        if copied:
            way.lead(self._before_copies(found, after, copied, fills))
        elif fills:
            way.lead(self._between(found, conversions, _early(made, fills), objects))
        before_copies = len(way.statements)
        way.statements += [
            step for table, each in fills.items() for step in filling(table, each, way.now.objects, after.objects)
        ]
        way.lead(after)
        if not copied:
            before_copies = len(way.statements)
        for table, why in self._lost(found, after):
            self._refuse(table, why)
        reached = not self._conflicts
        return Completion(
            statements=(*self._ahead(kept.values()), *way.statements[:before_copies]) if reached else (),
            afterwards=(*way.statements[before_copies:], *self._filled_again(way, objects, rows)) if reached else (),
            set_aside=copied,
            could_set_aside=() if reached else tuple(self._could_set_aside),
            made=tuple(each.each for each in made),
            changed=tuple(each.each for each in changed),
            renamed=tuple((old, DatabaseObject(kind, name)) for (kind, old), name in self._renames.items()),
            converted=tuple(self._conversions.values()),
            kept=tuple((column, each.column, rows.breaking[column]) for column, each in kept.items()),
            made_nullable=nullable,
            taken_away=tuple(DatabaseObject(*key) for key in closing.dropped),
            revoked=tuple(DatabaseObject(*key) for key in (*closing.revoked, *closing.changed)),
            filled=tuple(column for each in fills.values() for column in each),
            left=dict(self._left),
            left_forms={
                item.declared_as: after.objects[key]
                for key, item in self._scope.items()
                if key in self._left
                and key in after.objects
                and key[0] in ("column", "constraint")
                and item.migration is self.migration
            },
            not_run=tuple(self._not_run()) if self._has_begun else (),
            runs_script=not self._has_begun,
            conflicts=tuple(dict.fromkeys(self._conflicts)),
            unproven=frozenset(self._unproven()),
            undecided=dict(rows.undecided),
            after=after,
        )

    def _refuse_what_rows_break(self, rows: Rows) -> None:
        for name, breaking in self.breaking_asked.items():
            if name in rows.breaking:
                self._refuse(breaking.table, breaking.conflict(rows.breaking[name]))
        for column, why in self._unconverted.items():
            self._refuse(split(column)[0], self._unconverted_at(column, why))

    def _kept(self, rows: Rows) -> dict[str, Conversion]:
        """Return the columns that keep whole values, each as a conversion, by the column whose conversion cuts them."""
        return {
            each.column: _keeping(each, self._named)
            for each in self._conversions.values()
            if each.column in self.cuts_asked and rows.breaking.get(each.column)
        }

    def _bring(
        self, objects: dict[Key, Facts], found: Snapshot, rows: Rows
    ) -> tuple[list[FoldedObject], list[FoldedObject]]:
        """Bring objects to their declared forms, and return those that are made and those that are changed."""
        made: list[FoldedObject] = []
        changed: list[FoldedObject] = []
        for key, item in self._scope.items():
            there = objects.get(key)
            facts = self._new(item, found, rows) if there is None else self._changed(item, there, rows)
            if facts is not None and facts != there:
                objects[key] = facts
                (made if there is None else changed).append(item)
        return made, changed

    def _ahead(self, kept: Iterable[Conversion]) -> Iterator[str]:
        """Yield the statements ahead of all others."""
        yield from self._aside.statements
        # A part is renamed before its table, by which it is named.
        for key, name in sorted(self._renames.items(), key=lambda item: item[0][0] not in PARTS):
            yield writer.rename(DatabaseObject(*key), parts_of(name)[-1])
        yield from ids.keeping(self._conversions.values())
        yield from keeping(self._aside, (each for each in self._copied if isinstance(each, Conversion)))
        for each in kept:
            yield f"ALTER TABLE {written(split(each.column)[0])} ADD COLUMN {own_name(each.column)} {each.before}"

    def _filled_again(self, way: _Way, objects: Mapping[Key, Facts], rows: Rows) -> Iterator[str]:
        """Yield the statements that fill materialized views which were made again."""
        for name in self.views_asked:
            if ("view", name) in way.gone and ("view", name) in objects and name in rows.populated:
                yield f"REFRESH MATERIALIZED VIEW {written(name)}"

    def _copies(self, after: Snapshot) -> tuple[Copy, ...]:
        """Return what is copied of tables that are set aside, into tables that are made here or by the script."""
        declared = {key: item.each.facts or {} for key, item in self._fold.objects.items()}
        return tuple(copies(self._aside, after.objects if self._has_begun else declared, self._copied))

    @staticmethod
    def _before_copies(found: Snapshot, after: Snapshot, copied: Sequence[Copy], fills: Collection[str]) -> Snapshot:
        """Return the schema in which rows are copied and then filled: no table refers to what is copied, or is held to rules."""
        tables = {each.table for each in copied}
        objects: dict[Key, Facts] = {}
        for key, facts in after.objects.items():
            table = split(key[1])[0]
            waits = table in fills or (table not in tables and target_of(facts) in tables)
            if key[0] == "constraint" and waits and key not in found.objects:
                continue
            was_free = key[0] == "column" and table in fills and not found.objects.get(key, {}).get("not_null")
            objects[key] = _without(facts, "not_null", "not_null_name") if was_free else facts
        return evolve(after, objects=objects)

    @property
    def _could_set_aside(self) -> Iterator[str]:
        """Yield the tables that hold what is in conflict, and that the migration makes."""
        for table in self._tables_made:
            if ("table", table) in self._aside.found.objects and table in self._conflicting:
                yield table

    def _between(
        self,
        found: Snapshot,
        conversions: Mapping[Key, Conversion],
        early: Sequence[FoldedObject],
        objects: Mapping[Key, Facts],
    ) -> Snapshot:
        """Return the schema in which rows are filled: columns and functions are there, and no new constraint."""
        between: dict[Key, Facts] = dict(found.objects)
        for each in conversions.values():
            between[each.key] = self._converted(between[each.key], each)
        for item in early:
            between[item.key] = _without(objects[item.key], "not_null", "not_null_name")
        return self._after(found, between, early)

    @staticmethod
    def _place_of(item: FoldedObject) -> str:
        return f"{item.migration.file(item.statement.part)}:{item.statement.line}"

    def _at(self, item: FoldedObject, words: str) -> str:
        return f"{words} ({self._place_of(item)})"

    def _unproven(self) -> Iterator[Key]:
        """Yield what the migration declares, and a later one that is applied has renamed, dropped or made again."""
        for statement in self.migration.declarations.on(hosted=self.hosted):
            keys = [each.key for each in (*statement.creates, *statement.changes)]
            for key in (*keys, *((kind, name) for (kind, _), name in statement.renames.items())):
                forms = self._fold.since(self.migration, key)
                if self._fold.is_gone(self.migration, key) or (forms and forms[-1].key != key):
                    yield key
            for key in (*(each.key for each in statement.drops), *statement.renames):
                if key in self._fold.objects:
                    yield key

    # Names.

    def _all_renames(self) -> Iterator[tuple[Key, str]]:
        """Yield the later names of objects that have the earlier one, or that of nobody."""
        objects = self._aside.found.objects
        for statement in self.migration.declarations.on(hosted=self.hosted):
            for (kind, old), name in statement.renames.items():
                if (kind, old) in objects and (kind, name) not in objects and (kind, old) not in self._fold.objects:
                    yield (kind, old), name
        former = under_former_names(self.migration, self._aside.found, self._fold)
        yield from former.items()
        yield from self._twins(former)

    def _twins(self, former: Mapping[Key, str]) -> Iterator[tuple[Key, str]]:
        """Yield the constraints and indexes that say the same as a missing one, and are nobody's, with its name."""
        others: dict[tuple[str, str, str], list[Key]] = {}
        for (kind, name), facts in self._aside.found.objects.items():
            if kind in ("constraint", "index") and (kind, name) not in self._fold.objects:
                each = under_new_names(DatabaseObject(kind, name, key_under_new_names(name, facts, former)), former)
                others.setdefault(_twin_of(kind, each.name, each.facts or {}), []).append((kind, name))
        for (kind, name), item in self._scope.items():
            if kind not in ("constraint", "index") or (kind, name) in self._aside.found.objects:
                continue
            if same := others.get(_twin_of(kind, name, item.each.facts or {})):
                yield same.pop(0), name

    # Types.

    @cached_property
    def _conversions(self) -> dict[Key, Conversion]:
        """The conversions of all columns that have another type than is declared or expected."""
        return {each.key: each for each in self._converting if isinstance(each, Conversion)}

    @cached_property
    def _unconverted(self) -> dict[str, str]:
        """The columns that no rule converts, each with the reason."""
        return dict(each for each in self._converting if not isinstance(each, Conversion))

    @cached_property
    def _converting(self) -> list[Conversion | tuple[str, str]]:
        wanted: dict[str, str] = {
            item.each.name: str((item.each.facts or {})["type"])
            for item in self._scope.values()
            if item.key[0] == "column" and not self._is_of_view(item.key)
        }
        objects = self._named.objects
        wanted = {
            column: kind
            for column, kind in {**wanted, **self.migration.expects}.items()
            if (there := objects.get(("column", column))) is not None and not same_type(there, {"type": kind})
        }
        return list(ids.conversions(wanted, objects, declared=self._foreign_keys, enums=self._enums))

    @cached_property
    def _foreign_keys(self) -> list[tuple[str, Facts]]:
        return [(key[1], item.each.facts or {}) for key, item in self._fold.objects.items() if key[0] == "constraint"]

    @cached_property
    def _enums(self) -> dict[str, list[str]]:
        """The labels of the enums, as they are afterwards."""
        declared = {key: item.each.facts or {} for key, item in self._fold.objects.items()}
        return {
            key[1]: [
                *dict.fromkeys(
                    (*texts(self._named.objects.get(key, {}), "labels"), *texts(declared.get(key, {}), "labels"))
                )
            ]
            for key in {**self._named.objects, **declared}
            if key[0] == "type" and ("labels" in self._named.objects.get(key, {}) or "labels" in declared.get(key, {}))
        }

    def _unconverted_at(self, column: str, why: str) -> str:
        item = self._fold.objects.get(("column", column))
        return why if item is None else self._at(item, why)

    def _converted(self, facts: Facts, conversion: Conversion) -> Facts:
        """Return the facts of a column after its conversion."""
        later = _without(facts, "default", "collation") | {"type": conversion.after}
        if conversion.ids_of is not None:
            later = _without(later, "identity")
        if "default" in facts and (default := default_of(conversion, str(facts["default"]), enums=self._enums)):
            later["default"] = default
        return later

    def _counters_of_ids(self, found: Snapshot) -> Iterator[Key]:
        """Yield the sequences that gave values to columns of ids which become uuids, and to no other."""
        columns = {each.key for each in self._conversions.values() if each.ids_of is not None}
        for key, facts in found.objects.items():
            if key[0] == "sequence" and columns & {("column", owner) for owner in texts(facts, "owned_by")}:
                users = {each for each, needs in found.needs.items() if key in needs}
                if users <= columns:
                    yield key

    def _is_of_view(self, key: Key) -> bool:
        return key[0] == "column" and ("view", split(key[1])[0]) in self._fold.objects

    # Objects.

    def _new(self, item: FoldedObject, found: Snapshot, rows: Rows) -> Facts | None:
        """Return the facts of a missing object, or None if it is not made."""
        kind, name = item.key
        facts = item.each.facts
        if facts is None:
            self._refuse(
                relation_of(item.key, item.each.facts),
                self._at(item, f"{item.each} is missing, and only its name is declared"),
            )
            return None
        if kind in NAMED_ALIKE and (
            other := next((each for each in NAMED_ALIKE if (each, name) in found.objects), None)
        ):
            self._refuse(name, self._at(item, f"{item.each} cannot be made: {other} {name} has its name"))
            return None
        if kind == "constraint" and (standing := self._key_in_place_of(name, facts, found)):
            self._left[item.key] = f"{standing} stands in its place"
            return None
        if kind == "privilege" and (column := without_counter(name, self._fold, found.objects)):
            self._left[item.key] = f"column {column} has no sequence of its own"
            return None
        if (
            kind == "column"
            and wants_value(facts)
            and split(name)[0] in rows.filled
            and (name not in self.migration.fills or name in rows.null)
        ):
            why = (
                "some row has NULL there"
                if name in rows.null
                else "the table holds rows, and no value is declared for them"
            )
            self._left[item.key] = f"it may be NULL: {why}"
            return _without(facts, "not_null", "not_null_name")
        return facts

    @staticmethod
    def _key_in_place_of(name: str, facts: Facts, found: Snapshot) -> str | None:
        """Return the primary key that serves in place of a missing key, in words, or None."""
        key = str(facts.get("key", ""))
        if not key.startswith(("PRIMARY KEY", "UNIQUE")):
            return None
        table = split(name)[0]
        keys = (
            str(there.get("key", ""))
            for (kind, other), there in found.objects.items()
            if kind == "constraint" and split(other)[0] == table
        )
        standing = next((each for each in keys if each.startswith("PRIMARY KEY")), None)
        serves = key.startswith("PRIMARY KEY") or key.replace("UNIQUE", "PRIMARY KEY", 1) == standing
        return standing if serves else None

    def _changed(self, item: FoldedObject, there: Facts, rows: Rows) -> Facts | None:
        """Return the later facts of an object that is there, or None if it stays as it is."""
        declared = item.each.facts
        if declared is None or self._is_of_view(item.key):
            return None
        kind = item.each.kind
        comparison = compare(
            declared,
            there,
            form=self._named.forms.get(item.key),
            recorded=self.forms.of(item.migration.name, item.declared_as),
        )
        as_before = any(compare(each.each.facts or {}, there).is_right for each in self._earlier(item))
        made_again = kind in _MADE_AGAIN and "materialized" not in there
        if comparison.is_right or (comparison.is_unknown and not as_before and not made_again):
            return None
        if kind == "column":
            return self._changed_column(item, there, rows)
        if kind == "constraint" and not comparison.declared and comparison.found.keys() == {"not_valid"}:
            return _without(there, "not_valid")
        if (
            kind == "constraint"
            and not ("check" in declared and "check" in there)
            and not any(there == each.each.facts for each in self._earlier(item))
            and not self._is_taken_over(item)
        ):
            self._left[item.key] = f"it is {there.get('key') or there.get('exclude') or there.get('check')}"
            return None
        if kind == "table":
            if _NATURE & (comparison.declared.keys() | comparison.found.keys()):
                self._refuse(
                    item.each.name,
                    self._at(item, f"{item.each} is {comparison.found_words} instead of {comparison.expected_words}"),
                )
                return None
            return {**there, **comparison.declared}
        if kind == "privilege" and not self.migration.closed:
            return _with_more(there, comparison.declared)
        if kind == "type" and "labels" in declared and "labels" in there:
            return {**there, "labels": _with_labels(texts(there, "labels"), texts(declared, "labels"))}
        return {**_without(there, *comparison.found), **comparison.declared}

    def _changed_column(self, item: FoldedObject, there: Facts, rows: Rows) -> Facts:
        declared = item.each.facts or {}
        if any(declared.get(fact) != there.get(fact) for fact in _ORIGIN & declared.keys()):
            self._left[item.key] = "it holds values of its own"
        facts = dict(there)
        earlier = [each.each.facts or {} for each in self._earlier(item)]
        # What an earlier migration declares is nobody's choice; and with another default a new row would get a value
        # that the migration then fills.
        if (
            "default" not in there
            or self._is_taken_over(item)
            or ("default" in declared and item.key in self._checked_anew)
            or any(each.get("default") == there["default"] for each in earlier)
            or ("default" not in declared and item.each.name in self.migration.fills)
        ):
            facts = _without(facts, "default") | ({"default": declared["default"]} if "default" in declared else {})
        if there.get("not_null") and not declared.get("not_null"):
            whole = self._whole.objects.get(item.key, item).each.facts or {}
            demanded = wants_value(there) and not whole.get("not_null") and item.each.name not in self._never_null
            if demanded or any(each.get("not_null") for each in earlier):
                facts = _nullable(facts)
        if declared.get("not_null") and not there.get("not_null"):
            if item.each.name in rows.null:
                self._left[item.key] = "it may be NULL: some row has NULL there"
            else:
                facts |= {fact: declared[fact] for fact in ("not_null", "not_null_name") if fact in declared}
        return facts

    @cached_property
    def _never_null(self) -> frozenset[str]:
        """The columns that a key keeps from being NULL, one that is there or one that is declared."""
        declared = {item.key: item.each.facts or {} for item in self._whole}
        return without_null(self._named.objects) | without_null(declared)

    @cached_property
    def _checked_anew(self) -> frozenset[Key]:
        """The columns that get a check: it may refuse the default from before."""
        found = set()
        for key, item in self._scope.items():
            check = (item.each.facts or {}).get("check")
            if key[0] == "constraint" and check is not None and self._named.objects.get(key) != item.each.facts:
                found |= {("column", f"{split(key[1])[0]}.{quoted(word)}") for word in words_in(str(check))}
        return frozenset(found)

    def _is_taken_over(self, item: FoldedObject) -> bool:
        """Return whether an object gets the name by which it is declared: what it was before it was nobody's choice for that."""
        return self._names_now.get(item.key, item.each.name) != item.each.name

    def _earlier(self, item: FoldedObject) -> list[FoldedObject]:
        """Return the forms that earlier migrations give an object."""
        return self._fold.before(item.migration, item.declared_as)

    # What another hand left.

    def _made_nullable(self, found: Snapshot, objects: dict[Key, Facts]) -> tuple[str, ...]:
        """Let columns be NULL that are not declared NOT NULL and get no value by themselves; return their names."""
        tables = {name for kind, name in self._scope if kind == "table" and ("table", name) in found.objects}
        for name in wanting_values(found.objects, tables, self._whole.objects):
            objects["column", name] = _nullable(objects["column", name])
        free = {
            key
            for key, facts in objects.items()
            if key[0] == "column" and not facts.get("not_null") and wants_value(found.objects.get(key, {}))
        }
        # What has it from the table above follows.
        for key, facts in found.objects.items() if free else ():
            if key[0] == "column" and facts.get("inherited") and not free.isdisjoint(_above(key, found.objects)):
                objects[key] = _nullable(objects[key])
        return tuple(sorted(name for _, name in free))

    def _closed(self, found: Snapshot, objects: dict[Key, Facts]) -> Closing:
        """Close what another hand left open in a closed catalog, and return what that takes."""
        every = self.catalog or self.migrations
        if not self.migration.closed or not all(is_known(each, hosted=self.hosted) for each in every):
            return Closing()
        names = {each.name for each in every}
        statements_of = self.migration.declarations.on(hosted=self.hosted)
        own = [each.key for statement in statements_of for each in (*statement.creates, *statement.changes)]
        doors = Doors(
            objects=objects,
            declared=self._whole.objects,
            homes=self._scope or own,
            people=CLOSED_TO | found.inherited,
            others=Others.of(self.forms, names),
            hosted=self.hosted,
        )
        closing = doors.closing(found.needs)
        for key in (*closing.dropped, *closing.along, *closing.revoked):
            del objects[key]
        objects.update(closing.changed)
        objects.update(closing.granted)
        self._left |= closing.left
        for key, users in closing.needed.items():
            shown = ", ".join(f"{kind} {name}" for kind, name in users)
            words = f"{key[0]} {key[1]} has the name of a declared one, is another hand's, and {shown} needs it"
            self._conflicts.append(words)
        return closing

    # What cannot be reached.

    def _removals(self, found: Snapshot) -> Iterator[str]:
        """Yield what the migration drops or renames and what is still there: no such statement runs on what is there in part."""
        if not self._has_begun:
            return
        for statement in self.migration.declarations.on(hosted=self.hosted):
            place = f"{self.migration.file(statement.part)}:{statement.line}"
            for (kind, old), name in statement.renames.items():
                if (
                    (kind, old) in found.objects
                    and (kind, name) not in found.objects
                    and (kind, old) in self._fold.objects
                ):
                    yield f"{kind} {old} becomes {name} and gives its name to another only where nothing of the migration is ({place})"
            for each in statement.drops:
                if (
                    each.key in found.objects
                    and each.key not in self._fold.objects
                    and each.kind not in ("comment", "privilege")
                ):
                    yield f"{each} is still there, and is dropped only where nothing of the migration is ({place})"

    def _refuse(self, table: str | None, why: str) -> None:
        """Note a conflict, with the table that holds it."""
        self._conflicts.append(why)
        if table is not None:
            self._conflicting.add(table)

    def _lost(self, found: Snapshot, after: Snapshot) -> Iterator[tuple[str, str]]:
        """Yield the objects with data that would have to be dropped, each with its table."""
        idle = set(self._counters_of_ids(found))
        for kind, name in writer.lost(found, after):
            if (kind, name) in idle:
                continue
            item = self._fold.objects.get((kind, name))
            words = f"{kind} {name} cannot get its declared form and keep what it holds"
            yield split(name)[0] or name, words if item is None else self._at(item, words)

    def _not_run(self) -> Iterator[str]:
        """Yield the statements of the script that make no object."""
        script = self.migration.script("apply")
        declared = {(each.line, each.column) for each in self.migration.declarations.statements}
        for statement in statements.split(script.text):
            place = script.line_and_column(statement.start)
            word = _OF_ROWS.match(statement.text)
            if word and place not in declared and (place[0], 1) not in declared:
                yield f"{script.path}:{place[0]} {word[1].upper()}"

    # The schema afterwards.

    def _after(self, found: Snapshot, objects: Mapping[Key, Facts], items: Sequence[FoldedObject]) -> Snapshot:
        """Return the schema afterwards. What its new objects need is known by the names that they hold."""
        known = {key: each for key, each in found.needs.items() if key in objects}
        sources = {**found.sources, **{item.key: item.each.source for item in items if item.each.source is not None}}
        sources = {key: source for key, source in sources.items() if key in objects}
        after = Snapshot(objects, sources=sources, given=found.given, inherited=found.inherited)
        return evolve(after, needs={**known, **needs_among([after.get(item.key) for item in items], after)})


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


@define(eq=False)
class _Way:
    """The statements from one schema to the next."""

    #: The schema that the statements so far lead to.
    now: Snapshot
    conversions: Mapping[Key, Conversion]
    closed: bool = field(kw_only=True)
    statements: list[str] = field(factory=list)
    #: The objects that are dropped on the way, some of them to be made again.
    gone: set[Key] = field(factory=set)

    def lead(self, to: Snapshot) -> None:
        """Go on to a later schema."""
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


def _without(facts: Facts, *names: str) -> dict[str, Fact]:
    return {name: fact for name, fact in facts.items() if name not in names}


def _nullable(facts: Facts) -> dict[str, Fact]:
    """Return the facts of a column that may be NULL."""
    return _without(facts, "not_null", "not_null_name", "not_null_options")


def _above(column: Key, objects: Mapping[Key, Facts]) -> Iterator[Key]:
    """Yield the column of that name in each of the tables above."""
    table, own = split(column[1])
    facts = objects.get(("table", table), {})
    for parent in (*texts(facts, "partition_of"), *texts(facts, "inherits")):
        yield "column", f"{parent}.{own}"
        yield from _above(("column", f"{parent}.{own}"), objects)


def _with_more(there: Facts, declared: Facts) -> Facts:
    """Return the privileges of a role with the declared ones."""
    may, more = (tuple(each) if isinstance(each := facts.get("may"), tuple) else () for facts in (there, declared))
    return {**there, **declared, "may": tuple(dict.fromkeys((*may, *more)))} if may or more else {**there, **declared}


def _with_labels(there: Sequence[str], declared: Sequence[str]) -> tuple[str, ...]:
    """Return the labels of an enum with the declared ones that it lacks, each after the one before it. None goes."""
    found = list(there)
    for place, label in enumerate(declared):
        if label not in found:
            found.insert(found.index(declared[place - 1]) + 1 if place else 0, label)
    return tuple(found)


def _keeping(conversion: Conversion, found: Snapshot) -> Conversion:
    """Return the conversion of an empty column to one that keeps the whole values of which another conversion cuts something."""
    table, own = split(conversion.column)[0], parts_of(conversion.column)[-1]
    ends = itertools.chain(["_before"], (f"_before_{place}" for place in itertools.count(2)))
    name = next(each for end in ends if ("column", each := f"{table}.{quoted(own + end)}") not in found.objects)
    value = own_name(conversion.column)
    return Conversion(name, "boolean", conversion.before, f"CASE WHEN {conversion.cuts} THEN {value} END")


def _twin_of(kind: str, name: str, facts: Facts) -> tuple[str, str, str]:
    """Return what two constraints or indexes of one table have in common that say the same."""
    return kind, split(name)[0] if kind == "constraint" else "", repr(sorted(facts.items()))
