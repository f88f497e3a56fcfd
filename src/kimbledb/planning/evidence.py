"""Evidence: for each migration, how many of its declared objects exist. Pure.

One snapshot of the schema is compared with the whole catalog. An object counts as present in the form of its own
migration or of a later one: a later migration may already have changed or renamed it. An object whose expressions
cannot be compared here counts as present, too. An object that is known by name alone proves nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property

from attrs import define, evolve, field

from kimbledb.catalog import statements
from kimbledb.model.evidence import AppliedMigration, Evidence, Finding, KeptObject, ObjectState
from kimbledb.model.forms import Forms
from kimbledb.model.migration import Migration
from kimbledb.model.objects import OBJECT_KINDS, SAID_OF_OTHERS, DatabaseObject, Key
from kimbledb.model.snapshot import Snapshot
from kimbledb.planning.closed import CLOSED_TO, is_known, undeclared
from kimbledb.planning.comparison import RIGHT, Comparison, compare, same_type
from kimbledb.planning.doors import Doors, Others
from kimbledb.planning.fold import NAMED_ALIKE, Fold, FoldedObject, fold, owners_of, renamed, split, under_former_names
from kimbledb.planning.writer.names import texts

#: Kinds that prove that a migration was applied. A comment or a privilege may be anybody's.
_PROVING = frozenset(OBJECT_KINDS) - {"comment", "privilege", "default privilege"}
#: Kinds that migrations do not change where an object has a form of its own.
_KEPT = frozenset({"column", "constraint"})


def as_applied(migrations: Iterable[Migration], rows: Iterable[AppliedMigration]) -> list[Migration]:
    """Return migrations with the declarations of what was applied, also where a file was edited since.

    Args:
        migrations: The migrations.
        rows: The rows of history.
    """
    checksums = {row.name: row.checksum for row in rows if row.is_applied}
    return [
        evolve(each, checksum=each.declared_checksum)
        if each.is_outdated and each.declared_checksum and each.declared_checksum == checksums.get(each.name)
        else each
        for each in migrations
    ]


def weigh(
    migrations: Iterable[Migration], found: Snapshot, *, hosted: bool, forms: Forms, extensions: Collection[str] = ()
) -> Evidence:
    """Compare the declarations of migrations with the objects of a schema. Pure.

    Args:
        migrations: The migrations of a catalog, in the order of a plan.
        found: The objects of the schema.
        hosted: Whether the database has the roles of a hosted platform.
        forms: The recorded forms of the database.
        extensions: The names of the extensions that the database has.

    Returns:
        One finding for each migration that declares objects which prove something, or does nothing else than what is
        there: extensions, privileges, default privileges.
    """
    scales = _Scales(migrations, found, hosted=hosted, forms=forms)
    findings = {}
    for migration in scales.migrations:
        if finding := scales.finding(migration):
            findings[migration.name] = finding
    scales.weigh_superseded(findings)
    # A new database of a platform has extensions and default privileges, too: they prove nothing by themselves.
    if any(each.state is ObjectState.APPLIED for each in findings.values()):
        for migration in scales.migrations:
            if migration.name not in findings and (finding := scales.of_surroundings(migration, extensions)):
                findings[migration.name] = finding
    return Evidence(hosted=hosted, gathered=True, kept=scales.kept(), findings=findings)


@define(eq=False)
class _Weighed:
    """The evidence for one migration found so far in a schema."""

    present: list[str] = field(factory=list)
    missing: list[str] = field(factory=list)
    conflicts: list[str] = field(factory=list)
    doubtful: list[str] = field(factory=list)

    def finding(self, *, begun: bool, in_the_way: bool) -> Finding:
        return Finding(
            _verdict(self.present, self.missing, self.conflicts),
            # Each of thousands of plans for schemas of one catalog holds them.
            tuple(map(sys.intern, self.present)),
            tuple(map(sys.intern, self.missing)),
            tuple(self.conflicts),
            tuple(self.doubtful),
            begun,
            in_the_way,
        )


class _Scales:
    """The fold of all migrations beside a snapshot."""

    def __init__(self, migrations: Iterable[Migration], found: Snapshot, *, hosted: bool, forms: Forms) -> None:
        self.migrations = list(migrations)
        self._hosted = hosted
        self._forms = forms
        self._fold: Fold = fold(self.migrations, hosted=hosted)
        former = {each.name: under_former_names(each, found, self._fold) for each in self.migrations}
        self._former = {name: names for name, names in former.items() if names}
        # A renamed object is looked up under its later name.
        self._found = renamed(found, {key: name for names in self._former.values() for key, name in names.items()})

    def finding(self, migration: Migration) -> Finding | None:
        """Return the finding of a migration, or None if it declares nothing that proves something."""
        weighed = _Weighed()
        proving = migration.is_repair
        taken = self._taken_names(migration)
        for each, existed in self._declared(migration):
            proving = True
            if taken and not taken.isdisjoint((each.key, *owners_of(each.key, each.facts))):
                weighed.missing.append(str(each))
            else:
                self._weigh(migration, each, weighed, existed=existed)
        for statement in migration.declarations.on(hosted=self._hosted):
            for each in statement.drops:
                if each.kind in _PROVING and each.key in self._found.objects and each.key not in self._fold.objects:
                    weighed.missing.append(f"the removal of {each}")
        if not proving and not weighed.missing:
            return None
        weighed.missing += self._later_names(migration)
        begun = bool(weighed.present or weighed.conflicts)
        doors = self._doors(migration) if migration.closed and self._all_known else None
        if begun:
            weighed.missing += self._unsaid(migration)
            if doors is not None:
                weighed.missing += self._open(migration)
                weighed.missing += [f"the removal of {each}" for each in doors.removals()]
        if migration.is_repair:
            _weigh_repair(migration, self._found, weighed)
        in_the_way = not begun and doors is not None and bool(doors.overloads())
        finding = weighed.finding(begun=begun, in_the_way=in_the_way)
        # A repair of which only the columns are there, which others make, was not applied in part.
        apart = migration.is_repair and not begun and finding.state is ObjectState.PARTIAL
        return evolve(finding, state=ObjectState.MISSING) if apart else finding

    def of_surroundings(self, migration: Migration, extensions: Collection[str]) -> Finding | None:
        """Return the finding of a migration that makes no object, where all that it does is there; else None.

        Args:
            migration: The migration.
            extensions: The names of the extensions that the database has.
        """
        declared = list(self._made_or_changed(migration))
        wanted = [each.name for each in migration.extensions]
        scripts = migration.applied_scripts(hosted=self._hosted).values()
        does_nothing_else = bool(declared) or not any(
            each.skeleton.strip("; \n") for script in scripts for each in statements.split(script.text)
        )
        if not migration.is_declared or not (declared or wanted) or not does_nothing_else:
            return None
        if not all(name in extensions for name in wanted) or not all(map(self._is_as_declared, declared)):
            return None
        present = (*(f"extension {name}" for name in wanted), *map(str, declared))
        return Finding(ObjectState.APPLIED, present, begun=True)

    def _is_as_declared(self, each: DatabaseObject) -> bool:
        """Return whether a privilege, a default privilege or a comment has its declared form."""
        there, facts = self._found.objects.get(each.key), each.facts or {}
        if there is None or each.kind in _PROVING:
            return False
        if each.kind != "privilege":
            return not compare(facts, there).differs
        may, wanted = (set(texts(one, "may")) for one in (there, facts))
        return wanted <= may and there.get("lacks") == facts.get("lacks")

    def _later_names(self, migration: Migration) -> Iterator[str]:
        """Yield the names that a migration gives to what has a former name."""
        for (kind, old), name in self._former.get(migration.name, {}).items():
            yield f"the name {name} of {kind} {old}"

    @cached_property
    def _all_known(self) -> bool:
        return all(is_known(each, hosted=self._hosted) for each in self.migrations)

    @cached_property
    def _others(self) -> Others:
        return Others.of(self._forms, {each.name for each in self.migrations})

    def _doors(self, migration: Migration) -> Doors:
        """Return what another hand may have left on what a migration declares."""
        declared = (each.key for each in self._made_or_changed(migration))
        return Doors(
            objects=self._found.objects,
            declared=self._fold.objects,
            homes=frozenset(declared),
            people=CLOSED_TO | self._found.inherited,
            others=self._others,
        )

    def _made_or_changed(self, migration: Migration) -> Iterator[DatabaseObject]:
        """Yield all that the statements of a migration make or change."""
        for statement in migration.declarations.on(hosted=self._hosted):
            yield from (*statement.creates, *statement.changes)

    def _said(self, migration: Migration) -> Iterator[tuple[DatabaseObject, FoldedObject]]:
        """Yield the comments and privileges that a migration declares, and that are to be there, each with its last form."""
        for each in self._made_or_changed(migration):
            last = self._fold.since(migration, each.key)[-1:]
            if each.kind in SAID_OF_OTHERS and last and last[0].key in self._fold.objects:
                yield each, last[0]

    def _unsaid(self, migration: Migration) -> Iterator[str]:
        """Yield the comments and privileges that objects of a migration lack: its script may have ended before them."""
        for each, last in self._said(migration):
            # Where its object is missed, that says it all. The sequence of an identity column is no object by itself.
            described = owners_of(last.key, last.each.facts)[:1]
            is_missed = any(key in self._fold.objects and key not in self._found.objects for key in described)
            if last.key not in self._found.objects and not is_missed:
                yield str(each)

    def _open(self, migration: Migration) -> Iterator[str]:
        """Yield what a migration of a closed catalog declares or takes back of privileges, and what is otherwise."""
        for each, last in self._said(migration):
            there = self._found.objects.get(last.key)
            if each.kind == "privilege" and there is not None and compare(last.each.facts or {}, there).differs:
                yield str(each)
        declared = (each.key for each in self._made_or_changed(migration))
        people = CLOSED_TO | self._found.inherited
        for key in undeclared(self._found.objects, self._fold.objects, declared, people):
            yield f"the removal of {DatabaseObject(*key)}"

    def weigh_superseded(self, findings: dict[str, Finding]) -> None:
        """Weigh the migrations of which nothing is left to look for by those that show why.

        Args:
            findings: The findings so far. Those of such migrations are replaced.
        """
        shown = {name for name, each in findings.items() if each.state is ObjectState.APPLIED and each.present}
        silent = {
            each.name: self._witnesses(each)
            for each in self.migrations
            if not each.is_repair and (each.name not in findings or not findings[each.name].has_signs)
        }
        while proved := {name for name, witnesses in silent.items() if not shown.isdisjoint(witnesses)}:
            for name in proved:
                findings[name] = Finding(ObjectState.APPLIED, begun=True, is_superseded=True)
                del silent[name]
            shown |= proved

    def _witnesses(self, migration: Migration) -> set[str]:
        """Return the migrations that dropped what a migration made, and those that made what it drops."""
        last = [self._fold.since(migration, each.key)[-1].key for each, _ in self._declared(migration)]
        dropped = {self._fold.gone[key].migration.name for key in last if key in self._fold.gone}
        makers = {
            gone.maker.name
            for key, gone in self._fold.gone.items()
            if gone.migration is migration and gone.maker is not None and key not in self._found.objects
        }
        return dropped | makers

    def kept(self) -> dict[Key, KeptObject]:
        """Return the columns and constraints that differ from every declared form."""
        kept: dict[Key, KeptObject] = {}
        declared: dict[Key, list[FoldedObject]] = {}
        for migration in self.migrations:
            for each, _ in self._declared(migration):
                if each.kind in _KEPT and each.key in self._found.objects:
                    declared.setdefault(each.key, []).append(self._fold.since(migration, each.key)[0])
        for key, items in declared.items():
            if all(self._compared(item).differs for item in items):
                names = tuple(item.migration.name for item in items)
                kept[key] = KeptObject(self._found.objects[key], names)
        return kept

    def _declared(self, migration: Migration) -> Iterator[tuple[DatabaseObject, bool]]:
        """Yield the objects that prove a migration, each with whether it was there before the migration."""
        found: dict[Key, tuple[DatabaseObject, bool]] = {}
        for statement in migration.declarations.on(hosted=self._hosted):
            for (kind, _), name in statement.renames.items():
                found |= {item.key: (item.each, True) for item in self._fold.since(migration, (kind, name))[:1]}
            for objects, before in ((statement.creates, False), (statement.changes, True)):
                found |= {each.key: (each, before) for each in objects}
        for each, before in found.values():
            if each.kind in _PROVING and each.facts is not None:
                yield each, before

    def _taken_names(self, migration: Migration) -> set[Key]:
        """Return the names that a migration gives to new objects, and that the older objects still have: it renames these."""
        return {
            key
            for statement in migration.declarations.on(hosted=self._hosted)
            for key, name in statement.renames.items()
            if key in self._found.objects and (key[0], name) not in self._found.objects
        }

    def _compared(self, item: FoldedObject) -> Comparison:
        declared, there = item.each.facts or {}, self._found.objects[item.key]
        if declared == there:
            return RIGHT  # the form is a hash, and most objects need none
        recorded = self._forms.of(item.migration.name, item.declared_as)
        return compare(declared, there, form=self._found.forms.get(item.key), recorded=recorded)

    def _weigh(self, migration: Migration, each: DatabaseObject, weighed: _Weighed, *, existed: bool) -> None:
        accepted = self._fold.since(migration, each.key)
        there = [item for item in accepted if item.key in self._found.objects]
        compared = [self._compared(item) for item in there]
        if not there:
            # The absence of an object that a later migration drops, and none creates again, proves nothing.
            if other := self._in_its_place(each):
                weighed.conflicts.append(f"{each} is a {other}")
            elif not self._fold.is_gone(migration, each.key):
                weighed.missing.append(str(each))
        elif any(item.is_right for item in compared):
            weighed.present.append(str(each))
        elif existed and self._is_as_before(migration, each.key):
            weighed.missing.append(f"the declared form of {each}")
        elif any(item.is_unknown for item in compared):
            weighed.present.append(str(each))
            weighed.doubtful.append(str(each))
        elif each.kind == "column" and not self._has_type(there):
            found = self._found.objects[there[0].key]
            weighed.missing.append(f"{each} is {found.get('type')} instead of {(each.facts or {}).get('type')}")
            before = [item for item in self._fold.before(migration, each.key) if item.key in self._found.objects]
            if not existed or not self._has_type(before):
                weighed.present.append(str(each))
        else:
            weighed.present.append(str(each))
            weighed.missing.append(f"the declared form of {each}")

    def _is_as_before(self, migration: Migration, key: Key) -> bool:
        """Return whether an object that a migration changes has its form from before the migration."""
        return any(
            item.key in self._found.objects and self._compared(item).is_right
            for item in self._fold.before(migration, key)
        )

    def _in_its_place(self, each: DatabaseObject) -> str | None:
        """Return the kind of another object that has the name of a missing table, view, sequence or index, or None."""
        if each.kind not in NAMED_ALIKE:
            return None
        return next((kind for kind in NAMED_ALIKE if (kind, each.name) in self._found.objects), None)

    def _has_type(self, items: Iterable[FoldedObject]) -> bool:
        """Return whether a column that is found has the type of one of its declared forms."""
        return any(same_type(item.each.facts or {}, self._found.objects[item.key]) for item in items)


def _weigh_repair(migration: Migration, found: Snapshot, weighed: _Weighed) -> None:
    """Weigh the columns that a repair expects: it is applied if every column has the expected type."""
    for column, kind in migration.expects.items():
        there = found.objects.get(("column", column))
        if there is None and ("table", split(column)[0]) not in found.objects:
            continue  # the table's migration makes the column with the right type
        if there is None:
            weighed.missing.append(f"column {column} does not exist")
        elif same_type(there, {"type": kind}):
            weighed.present.append(f"column {column}")
        else:
            weighed.missing.append(f"column {column} is {there.get('type')} and becomes {kind}")


def _verdict(present: Sequence[str], missing: Sequence[str], conflicts: Sequence[str]) -> ObjectState:
    if conflicts:
        return ObjectState.CONFLICTING
    if not present:
        return ObjectState.MISSING
    return ObjectState.PARTIAL if missing else ObjectState.APPLIED
