"""The part of a migration that a schema lacks, and the existing names that it can use."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property

from attrs import frozen

from kimbledb.model.evidence import Evidence
from kimbledb.model.forms import Forms
from kimbledb.model.migration import Migration
from kimbledb.model.objects import DatabaseObject, Facts, Key
from kimbledb.model.snapshot import Snapshot
from kimbledb.planning.comparison import same_type
from kimbledb.planning.fills import by_table
from kimbledb.planning.fold import (
    Fold,
    FoldedObject,
    fold,
    key_under_new_names,
    relation_of,
    renamed,
    split,
    under_former_names,
    under_new_names,
)
from kimbledb.planning.set_aside import Aside, set_aside


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


def place_of(item: FoldedObject) -> str:
    """Return the place of the statement that declares an object, such as ``05_links/apply.sql:3``.

    Args:
        item: The object.
    """
    return f"{item.migration.file(item.statement.part)}:{item.statement.line}"


def at_place(item: FoldedObject | None, words: str) -> str:
    """Return words with the place of the statement that declares an object, where one does.

    Args:
        item: The object.
        words: The words.
    """
    return words if item is None else f"{words} ({place_of(item)})"


# Without slots: the properties below are computed once.
@frozen(slots=False, eq=False, kw_only=True)
class Scope:
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
    #: Whether a part of the migration's own objects is there. Otherwise its script runs after the completion.
    begun: bool = True
    #: The tables that are set aside, if they are there.
    set_aside: Collection[str] = ()
    #: All migrations of the catalog: what one of them declares is nobody else's. None for those above.
    catalog: Sequence[Migration] | None = None

    # Declared objects.

    @cached_property
    def fold(self) -> Fold:
        """The declarations of the applied migrations and of this one."""
        return fold(self.migrations, hosted=self.hosted)

    @cached_property
    def whole(self) -> Fold:
        """The declarations of all migrations of the catalog."""
        return self.fold if self.catalog is None else fold(self.catalog, hosted=self.hosted)

    @cached_property
    def declared(self) -> dict[Key, FoldedObject]:
        """Objects of the catalog itself: declared by any migration, or made up to this one and dropped by a later one."""
        return {**self.fold.objects, **self.whole.objects}

    @cached_property
    def tables_made(self) -> list[str]:
        """The tables that the migration makes."""
        declared = self.migration.declarations.on(hosted=self.hosted)
        return sorted(each.name for statement in declared for each in statement.creates if each.kind == "table")

    @cached_property
    def foreign_keys(self) -> list[tuple[str, Facts]]:
        """The constraints that are declared, foreign keys among them, by name."""
        return [(key[1], item.each.facts or {}) for key, item in self.fold.objects.items() if key[0] == "constraint"]

    def earlier(self, item: FoldedObject) -> list[FoldedObject]:
        """Return the forms that earlier migrations give an object.

        Args:
            item: The object.
        """
        return self.fold.before(item.migration, item.declared_as)

    def is_of_view(self, key: Key) -> bool:
        """Return whether a column is one of a view.

        Args:
            key: The kind and name of an object.
        """
        return key[0] == "column" and ("view", split(key[1])[0]) in self.fold.objects

    # Existing objects, and their names.

    @cached_property
    def aside(self) -> Aside:
        """The schema once tables are set aside."""
        tables = [each for each in self.tables_made if each in self.set_aside]
        declared = {key: item.each.facts or {} for key, item in self.declared.items()}
        return set_aside(self.found, tables, declared, closed=self.migration.closed)

    def is_copied(self, item: FoldedObject) -> bool:
        """Return whether the rows of an object's table are copied, and only those that fit.

        Args:
            item: The object.
        """
        return relation_of(item.key, item.each.facts) in self.aside.names

    @cached_property
    def has_begun(self) -> bool:
        """Whether a part of the migration's own objects is there once tables are set aside."""
        if not self.aside.names:
            return self.begun
        declared = self.migration.declarations.on(hosted=self.hosted)
        return any(each.key in self.aside.found.objects for statement in declared for each in statement.creates)

    @cached_property
    def renames(self) -> dict[Key, str]:
        """The later name of each object that gets another, by its kind and earlier name."""
        return dict(self._all_renames())

    @cached_property
    def named(self) -> Snapshot:
        """The schema under its later names."""
        return renamed(self.aside.found, self.renames)

    @cached_property
    def names_now(self) -> dict[Key, str]:
        """The name that each object has now, by its kind and later name."""
        later = (under_new_names(DatabaseObject(*key), self.renames) for key in self.found.objects)
        return {each.key: name for each, (_, name) in zip(later, self.found.objects, strict=True)}

    def is_taken_over(self, item: FoldedObject) -> bool:
        """Return whether an object gets the name by which it is declared: what it was before it was nobody's choice for that.

        Args:
            item: The object.
        """
        return self.names_now.get(item.key, item.each.name) != item.each.name

    # Objects to bring.

    @cached_property
    def objects(self) -> dict[Key, FoldedObject]:
        """The objects of the migration, in the form that the applied migrations together give them.

        A repair looks after what the migrations before it make: what had to wait for it belongs to it.
        """
        if any(
            (there := self.aside.found.objects.get(("column", name))) is not None
            and not same_type(there, {"type": kind})
            for name, kind in self.migration.expects.items()
        ):
            return {
                key: item
                for key, item in self.fold.objects.items()
                if self.has_begun or item.migration is not self.migration
            }
        found = {
            key: self.fold.objects[key]
            for key in self.aside.gone & self.fold.objects.keys()
            if self.fold.objects[key].migration is not self.migration
        }
        if not self.has_begun:
            return found
        for statement in self.migration.declarations.on(hosted=self.hosted):
            keys = [each.key for each in (*statement.creates, *statement.changes)]
            keys += [(kind, name) for (kind, _), name in statement.renames.items()]
            for key in keys:
                if not self.fold.is_gone(self.migration, key) and (forms := self.fold.since(self.migration, key)):
                    item = self.fold.objects.get(forms[-1].key)
                    if item is not None:
                        found[item.key] = item
        return found

    @cached_property
    def fills(self) -> dict[str, dict[str, str]]:
        """The expressions of values, by table and column, for tables that are there."""
        fills = by_table(self.migration.fills) if self.has_begun else {}
        return {table: each for table, each in fills.items() if ("table", table) in self.named.objects}

    def _all_renames(self) -> Iterator[tuple[Key, str]]:
        """Yield the later names of objects that have the earlier one, or that of nobody."""
        objects = self.aside.found.objects
        for statement in self.migration.declarations.on(hosted=self.hosted):
            for (kind, old), name in statement.renames.items():
                if (kind, old) in objects and (kind, name) not in objects and (kind, old) not in self.fold.objects:
                    yield (kind, old), name
        former = under_former_names(self.migration, self.aside.found, self.fold)
        yield from former.items()
        yield from self._twins(former)

    def _twins(self, former: Mapping[Key, str]) -> Iterator[tuple[Key, str]]:
        """Yield the constraints and indexes that say the same as a missing one, and are nobody's, with its name."""
        others: dict[tuple[str, str, str], list[Key]] = {}
        for (kind, name), facts in self.aside.found.objects.items():
            if kind in ("constraint", "index") and (kind, name) not in self.fold.objects:
                each = under_new_names(DatabaseObject(kind, name, key_under_new_names(name, facts, former)), former)
                others.setdefault(_twin_of(kind, each.name, each.facts or {}), []).append((kind, name))
        for (kind, name), item in self.objects.items():
            if kind not in ("constraint", "index") or (kind, name) in self.aside.found.objects:
                continue
            if same := others.get(_twin_of(kind, name, item.each.facts or {})):
                yield same.pop(0), name


def _twin_of(kind: str, name: str, facts: Facts) -> tuple[str, str, str]:
    """Return what two constraints or indexes of one table have in common that say the same."""
    return kind, split(name)[0] if kind == "constraint" else "", repr(sorted(facts.items()))
