"""The fold: what migrations together declare, in the order in which they were applied. Pure.

A migration's drops and renames name objects as they were before it, its creates and changes name objects as they are
after it. With a table, a view or a column goes what belongs to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from attrs import define, evolve, field, frozen

from kimbledb.model.declarations import DeclaredStatement
from kimbledb.model.migration import Migration
from kimbledb.model.objects import PARTS, SAID_OF_OTHERS, DatabaseObject, Facts, Key, parts_of
from kimbledb.model.snapshot import Snapshot

#: Kinds that hold columns and other parts.
RELATIONS = ("table", "view")
#: Kinds of which two objects cannot have one name.
NAMED_ALIKE = ("table", "view", "sequence", "index")
_NAME = r'(?:"(?:[^"]|"")*"|[^\s".(),]+)'
#: A name and its last identifier.
_LAST = re.compile(rf"(?P<before>.*)\.(?P<last>{_NAME})", re.DOTALL)
#: A privilege's object and role.
_GRANT = re.compile(rf"(?P<object>.+) to (?P<role>{_NAME})", re.DOTALL)
#: The beginning of a statement that makes a function or a view, up to the end of its name.
_HEAD = re.compile(
    r"(\s*CREATE\s+(?:OR\s+REPLACE\s+)?(?:(?:MATERIALIZED\s+)?VIEW|FUNCTION|PROCEDURE)\s+(?:IF\s+NOT\s+EXISTS\s+)?)"
    rf"(?:{_NAME}\s*\.\s*)?{_NAME}",
    re.IGNORECASE,
)
#: The columns of a key, and those that it includes.
_KEY_COLUMNS = re.compile(r'(?:\A[A-Z ]+|INCLUDE )\(((?:"(?:[^"]|"")*"|[^")])*)\)')
#: A key up to its columns, these, and the rest.
_FIRST_COLUMNS = re.compile(r"([A-Z ]+\()([^)]*)(\).*)", re.DOTALL)


@frozen
class FoldedObject:
    """An object in the form that the migrations together give it."""

    #: The object, under its present name.
    each: DatabaseObject
    #: The last migration that created or changed it.
    migration: Migration
    #: The statement of that migration which does so.
    statement: DeclaredStatement
    #: The kind and name that this migration gives it. A later one may have renamed it.
    declared_as: Key

    @property
    def key(self) -> Key:
        """Its present kind and name."""
        return self.each.key


@frozen
class GoneObject:
    """An object that the migrations together dropped or renamed, and that none made again."""

    #: The object under its last name, with its last facts where they are known.
    each: DatabaseObject
    #: The migration that dropped or renamed it.
    migration: Migration
    #: The statement of that migration which names it, or names the object with which it went.
    statement: DeclaredStatement
    #: The object with which it went, or None if the migration names the object itself.
    along: Key | None = None
    #: The last migration that created or changed it, or None if it is not known.
    maker: Migration | None = None


@define(eq=False)
class Lineage:
    """One object through all migrations."""

    #: Its forms, under the name of each time, in the order of the migrations.
    forms: list[FoldedObject] = field(factory=list)
    #: Whether a migration drops it, and none makes it again.
    is_gone: bool = False


@frozen
class Fold:
    """The objects that migrations together declare."""

    #: The objects that must exist, in the order in which they were first made.
    objects: Mapping[Key, FoldedObject] = field(factory=dict)
    #: The objects that must not exist.
    gone: Mapping[Key, GoneObject] = field(factory=dict)
    #: Without those of objects that have one form and are not gone, which most are.
    _places: Mapping[tuple[str, Key], tuple[Lineage, int]] = field(factory=dict, repr=False)

    def before(self, migration: Migration, key: Key) -> list[FoldedObject]:
        """Return the forms that an object has before a migration which creates, changes or renames it.

        Args:
            migration: The migration.
            key: The kind and name that the migration gives the object.
        """
        lineage, place = self._place(migration, key)
        return lineage.forms[:place]

    def since(self, migration: Migration, key: Key) -> list[FoldedObject]:
        """Return the forms that an object has after a migration which creates, changes or renames it.

        Args:
            migration: The migration.
            key: The kind and name that the migration gives the object.

        Returns:
            The forms, that of the migration first; none for an object that no migration declares.
        """
        try:
            lineage, place = self._place(migration, key)
        except KeyError:
            return []
        return lineage.forms[place:]

    def is_gone(self, migration: Migration, key: Key) -> bool:
        """Return whether a later migration drops an object that a migration makes, and none makes it again.

        Args:
            migration: The migration that creates, changes or renames the object.
            key: The kind and name that this migration gives the object.
        """
        return self._place(migration, key)[0].is_gone

    def _place(self, migration: Migration, key: Key) -> tuple[Lineage, int]:
        """Return the lineage of an object, and the number of its forms before a migration that gives it one.

        Raises:
            KeyError: The migration gives no object this name.
        """
        if (place := self._places.get((migration.name, key))) is not None:
            return place
        item = self.objects[key]
        if item.declared_as != key or item.migration.name != migration.name:
            raise KeyError(key)
        return Lineage([item]), 0

    def __iter__(self) -> Iterator[FoldedObject]:
        return iter(self.objects.values())

    def __len__(self) -> int:
        return len(self.objects)


def fold(migrations: Iterable[Migration], *, hosted: bool) -> Fold:
    """Return what migrations together declare.

    Args:
        migrations: The migrations, in the order in which they are applied.
        hosted: Whether the database is a hosted one: statements for the other platform do not count.
    """
    given = tuple(migrations)
    # Declarations that are equal on both platforms are held once.
    differs = any(each.hosted is not None for migration in given for each in migration.declarations.statements)
    return _fold(given, hosted=hosted and differs)


@lru_cache(maxsize=8)  # a call asks for those of the whole catalog and of the applied migrations several times
def _fold(migrations: tuple[Migration, ...], *, hosted: bool) -> Fold:
    folding = _Folding()
    for migration in migrations:
        statements = migration.declarations.on(hosted=hosted)
        for statement in statements:
            folding.drop(migration, statement)
        folding.rename(migration, statements)
        for statement in statements:
            for each in (*statement.creates, *statement.changes):
                folding.put(FoldedObject(each, migration, statement, each.key))
    return Fold(folding.objects, folding.gone, folding.places)


class _Folding:
    """The objects of the migrations so far."""

    def __init__(self) -> None:
        self.objects: dict[Key, FoldedObject] = {}
        self.gone: dict[Key, GoneObject] = {}
        #: The lineage of an object, and the number of its earlier forms, by the migration that gives it a form.
        self.places: dict[tuple[str, Key], tuple[Lineage, int]] = {}
        #: Those of the objects that have had several forms, or are gone.
        self._lineages: dict[Key, Lineage] = {}
        #: The dependent objects by owner, built at the first drop: most migrations drop nothing. Until then, the objects in their order.
        self._belongings: Belongings | None = None
        self._made: list[Key] = []

    def put(self, item: FoldedObject) -> None:
        """Give an object a new form."""
        key = item.declared_as
        lineage = self._lineage(key)
        self._hold(key, item)
        if lineage is not None:
            self._continue(lineage, key, item, item.migration)

    def drop(self, migration: Migration, statement: DeclaredStatement) -> None:
        """Move the objects that a statement drops, and all that belongs to them, to those that are gone."""
        if not statement.drops:
            return
        if self._belongings is None:
            latest = reversed(dict.fromkeys(reversed(self._made)))
            self._belongings = Belongings({key: self.objects[key].each.facts for key in latest})
        along = self._belongings.of(each.key for each in statement.drops)
        for each in statement.drops:
            known = self.objects.get(each.key)
            maker = known.migration if known else None
            self._remove(GoneObject(known.each if known else each, migration, statement, maker=maker))
        for key, root in along.items():
            self._remove(GoneObject(self.objects[key].each, migration, statement, along=root))

    def rename(self, migration: Migration, statements: Iterable[DeclaredStatement]) -> None:
        """Give objects the names that a migration gives them. All of its renames happen at once."""
        by_key = {key: (name, statement) for statement in statements for key, name in statement.renames.items()}
        if not by_key:
            return
        names = {key: name for key, (name, _) in by_key.items()}
        before, self.objects, self._belongings, self._made = self.objects, {}, None, []
        lineages = {key: self._lineages.pop(key) for key in before if key in self._lineages}
        left: list[GoneObject] = []
        for key, item in before.items():
            each = under_new_names(item.each, names)
            # A name that two have is the later one's.
            self._lineage(each.key)
            self._lineages.pop(each.key, None)
            if each is item.each:
                if key in lineages:
                    self._lineages[key] = lineages[key]
                self._hold(key, item)
                continue
            lineage = self._lineages[each.key] = lineages.get(key) or self._begun(item)
            self._hold(each.key, evolve(item, each=each))
            self._continue(lineage, each.key, self.objects[each.key], migration)
            if each.key != key:
                root = next(old for old in _chain(key) if old in by_key)
                left.append(GoneObject(item.each, migration, by_key[root][1], along=None if root == key else root))
        for gone in left:
            if gone.each.key not in self.objects:
                self.gone[gone.each.key] = gone

    def _hold(self, key: Key, item: FoldedObject) -> None:
        self.gone.pop(key, None)
        self.objects[key] = item
        if self._belongings is None:
            self._made.append(key)
        else:
            self._belongings.add(key, item.each.facts)

    def _lineage(self, key: Key) -> Lineage | None:
        """Return the lineage of a name, or None where no object has had it."""
        if key not in self._lineages and key in self.objects:
            self._lineages[key] = self._begun(self.objects[key])
        return self._lineages.get(key)

    def _begun(self, item: FoldedObject) -> Lineage:
        lineage = Lineage([item])
        self.places[item.migration.name, item.declared_as] = (lineage, 0)
        return lineage

    def _continue(self, lineage: Lineage, key: Key, item: FoldedObject, migration: Migration) -> None:
        self.places[migration.name, key] = (lineage, len(lineage.forms))
        lineage.forms.append(item)
        lineage.is_gone = False

    def _remove(self, gone: GoneObject) -> None:
        if (lineage := self._lineage(gone.each.key)) is not None:
            lineage.is_gone = True
        self.gone[gone.each.key] = gone
        self.objects.pop(gone.each.key, None)
        if self._belongings is not None:
            self._belongings.discard(gone.each.key)


class Belongings:
    """Which objects are dropped with which others."""

    def __init__(self, facts: Mapping[Key, Facts | None] | None = None) -> None:
        """Take in objects.

        Args:
            facts: The facts of all objects, by kind and name; None for an object that is known by name alone.
        """
        self._owners: dict[Key, list[Key]] = {}
        self._of_owner: dict[Key, dict[Key, None]] = {}
        for key, known in (facts or {}).items():
            self.add(key, known)

    def add(self, key: Key, facts: Facts | None) -> None:
        """Take in an object, in place of an earlier one of its name.

        Args:
            key: The kind and name of the object.
            facts: Its facts, or None if only its name is known.
        """
        self.discard(key)
        self._owners[key] = owners_of(key, facts)
        for owner in self._owners[key]:
            self._of_owner.setdefault(owner, {})[key] = None

    def discard(self, key: Key) -> None:
        """Take an object out."""
        for owner in self._owners.pop(key, ()):
            self._of_owner[owner].pop(key, None)

    def of(self, roots: Iterable[Key]) -> dict[Key, Key]:
        """Return the objects that go with others: those that belong to them, directly or through others.

        Args:
            roots: The objects that are dropped.

        Returns:
            For each object, without the roots themselves, the root with which it goes.
        """
        source = {root: root for root in roots}
        waiting = list(source)
        found: dict[Key, Key] = {}
        for owner in waiting:
            for key in self._of_owner.get(owner, ()):
                if key not in source:
                    source[key] = found[key] = source[owner]
                    waiting.append(key)
        return found


def under_former_names(migration: Migration, found: Snapshot, declared: Fold) -> dict[Key, str]:
    """Return what a migration declares and a schema has under a former name: the later names by kind and former name.

    The parts of a table come before it, since they are named after it. They get their later name only with a table of its
    later name.

    Args:
        migration: The migration.
        found: The objects of the schema.
        declared: The fold of all migrations. What one of these makes has no former name.
    """
    former = {
        (kind, old): name
        for (kind, old), name in migration.formerly.items()
        if (kind, old) in found.objects and (kind, name) not in found.objects and (kind, old) not in declared.objects
    }
    relations = {old: name for (kind, old), name in former.items() if kind in RELATIONS}
    parts = {
        key: name
        for key, name in former.items()
        if key[0] in PARTS and relations.get(split(key[1])[0], split(key[1])[0]) == split(name)[0]
    }
    return parts | {key: name for key, name in former.items() if key[0] not in PARTS}


def under_new_names(each: DatabaseObject, renames: Mapping[Key, str]) -> DatabaseObject:
    """Return an object under the name that it has after renames: its own, or that of the relation it belongs to.

    Of its facts, those follow that name nothing but a relation or a column: ``on``, ``owned_by`` and the like.

    Args:
        each: The object.
        renames: The new name of each renamed object, by its old kind and name.
    """
    if not renames:
        return each
    name = _new_name(each.key, renames)
    facts, source = each.facts, each.source
    if source is not None and name != each.name:
        source = _source_of_renamed(each.kind, source, name)
    if facts:
        followed = {fact: _new_reference(facts, fact, renames) for fact in _REFERENCES if fact in facts}
        if any(facts[fact] != value for fact, value in followed.items()):
            facts = {**facts, **followed}
    return each if name == each.name and facts is each.facts else evolve(each, name=name, facts=facts, source=source)


def key_under_new_names(name: str, facts: Facts, renames: Mapping[Key, str]) -> Facts:
    """Return the facts of a constraint after renames of its own columns, and of tables that it refers to.

    Args:
        name: The name of the constraint.
        facts: Its facts.
        renames: The new name of each renamed table and column, by its old kind and name.
    """
    key = str(facts.get("key", ""))
    columns = {
        split(old)[1]: split(new)[1]
        for (kind, old), new in renames.items()
        if kind == "column" and split(old)[0] == split(name)[0]
    }
    if columns and (match := _FIRST_COLUMNS.match(key)):
        inside = ", ".join(columns.get(column, column) for column in match[2].split(", "))
        key = f"{match[1]}{inside}{match[3]}"
    for (kind, old), new in renames.items():
        if kind == "table":
            key = key.replace(f" REFERENCES {old}(", f" REFERENCES {new}(")
    return facts if key == facts.get("key", "") else {**facts, "key": key}


def renamed(found: Snapshot, renames: Mapping[Key, str]) -> Snapshot:
    """Return a schema after renames.

    Args:
        found: The schema.
        renames: The new name of each renamed object, by its old kind and name.
    """
    if not renames:
        return found
    keys = {
        key: under_new_names(DatabaseObject(*key, key_under_new_names(key[1], facts, renames)), renames)
        for key, facts in found.objects.items()
    }
    return Snapshot(
        {each.key: each.facts or {} for each in keys.values()},
        {keys[key].key: form for key, form in found.forms.items() if key in keys},
        sources={keys[key].key: source for key, source in found.sources.items() if key in keys},
        needs={
            keys[key].key: {keys[need].key if need in keys else need for need in each}
            for key, each in found.needs.items()
            if key in keys
        },
        given=found.given,
        inherited=found.inherited,
    )


def _source_of_renamed(kind: str, source: str, name: str) -> str | None:
    """Return the statement that makes a function or a view under a new name, or None if it is not known.

    Args:
        kind: The kind of the object.
        source: The statement that makes it under its old name.
        name: Its new name.
    """
    from kimbledb.planning.writer.names import identifier  # late: few such objects are renamed, and the writer is large

    head = _HEAD.match(source)
    if head is None or kind not in ("function", "view"):
        return None
    return f"{head[1]}{identifier(parts_of(name)[-1])}{source[head.end() :]}"


def owners_of(key: Key, facts: Facts | None) -> list[Key]:
    """Return the kinds and names of the objects with which an object is dropped.

    Args:
        key: The kind and name of the object.
        facts: Its facts, or None if only its name is known.
    """
    kind, name = key
    facts = facts or {}
    owners = list(_owners_by_name(kind, name))
    for fact in _REFERENCES:
        if fact in facts:
            owners += _referred(kind, fact, str(facts[fact]))
    relations = [relation for owner, relation in owners if owner in RELATIONS]
    if kind in ("index", "constraint", "statistics") and relations:
        owners += [("column", f"{relations[0]}.{column}") for column in columns_of(facts)]
    return owners


def relation_of(key: Key, facts: Facts | None = None) -> str | None:
    """Return the name of the table or view that an object belongs to, or None.

    Args:
        key: The kind and name of the object.
        facts: Its facts, or None if only its name is known.
    """
    return next((name for kind, name in owners_of(key, facts) if kind in RELATIONS), None)


@lru_cache(maxsize=1 << 14)  # the names of a large schema are asked for again and again
def split(name: str) -> tuple[str, str]:
    """Return the name of the relation, and the last identifier, of the name of a part such as ``users.email``."""
    match = _LAST.fullmatch(name)
    return ("", name) if match is None else (match["before"], match["last"])


def granted(name: str) -> tuple[str, str]:
    """Return the object, such as ``table users``, and the role of a privilege's name."""
    match = _GRANT.fullmatch(name)
    return (name, "") if match is None else (match["object"], match["role"])


#: Facts that name nothing but a relation, an index or a column.
_REFERENCES = ("on", "owned_by", "partition_of")


def _owners_by_name(kind: str, name: str) -> Iterator[Key]:
    if kind in PARTS:
        relation = split(name)[0]
        for each in RELATIONS:
            yield each, relation
    elif kind in SAID_OF_OTHERS:
        described = name if kind == "comment" else granted(name)[0]
        try:
            yield DatabaseObject.of(described).key
        except ValueError:
            return  # the schema itself


def _referred(kind: str, fact: str, value: str) -> Iterator[Key]:
    if fact == "owned_by":
        yield "column", value
        for each in RELATIONS:
            yield each, split(value)[0]
    elif fact == "partition_of" and kind == "index":
        yield "index", value
    else:
        for each in RELATIONS:
            yield each, value


def columns_of(facts: Facts) -> Iterator[str]:
    """Yield the columns that a key, an index or statistics hold by name. Expressions are not read.

    Args:
        facts: The facts of the key, the index or the statistics.
    """
    for listed in _KEY_COLUMNS.findall(str(facts.get("key", ""))):
        yield from re.findall(_NAME, listed)
    for fact in ("columns", "include"):
        columns = facts.get(fact, ())
        for column in columns if isinstance(columns, tuple) else ():
            if (first := re.match(_NAME, column)) is not None:
                yield first[0]


def _chain(key: Key) -> Iterator[Key]:
    """Yield an object and those that its name holds, from the object itself to its relation."""
    yield key
    for owner in _owners_by_name(*key):
        yield from _chain(owner)


def _new_name(key: Key, renames: Mapping[Key, str]) -> str:
    kind, name = key
    if key in renames:
        return renames[key]
    if kind in PARTS:
        relation, last = split(name)
        return next((f"{renames[each, relation]}.{last}" for each in RELATIONS if (each, relation) in renames), name)
    if kind == "comment":
        return _new_description(name, renames)
    if kind == "privilege":
        described, role = granted(name)
        return f"{_new_description(described, renames)} to {role}"
    return name


def _new_description(text: str, renames: Mapping[Key, str]) -> str:
    try:
        kind, name = DatabaseObject.of(text).key
    except ValueError:
        return text  # the schema itself
    return f"{kind} {_new_name((kind, name), renames)}"


def _new_reference(facts: Facts, fact: str, renames: Mapping[Key, str]) -> str:
    value = str(facts[fact])
    kinds = ("column",) if fact == "owned_by" else (*RELATIONS, "index")
    return next((new for kind in kinds if (new := _new_name((kind, value), renames)) != value), value)
