"""Drift: the difference between the declarations of the applied migrations and the objects of a snapshot. Pure.

Each object that the fold of the applied migrations holds must exist in its last form, and each object that they drop
must be gone. Objects without a declaration belong to the application, but for privileges on what a closed catalog made.
Comments are not compared, because they affect nothing. If the declarations of an applied migration are not known, a
difference in the objects of those before it may be its work, and is no drift.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from attrs import evolve, frozen

from kimbledb.model.check import Check
from kimbledb.model.forms import Forms
from kimbledb.model.migration import Migration, folder_of
from kimbledb.model.names import quote_identifier
from kimbledb.model.objects import BY_DEFAULT, DatabaseObject, Facts, Key, quoted, words
from kimbledb.model.snapshot import Snapshot
from kimbledb.model.text import counted, few
from kimbledb.planning import drift_cures as cures
from kimbledb.planning.closed import CLOSED_TO, is_known, without_counter
from kimbledb.planning.comparison import RIGHT, Comparison, compare, same_type, without_defaults
from kimbledb.planning.fold import (
    RELATIONS,
    Belongings,
    Fold,
    FoldedObject,
    fold,
    granted,
    owners_of,
    relation_of,
    split,
)
from kimbledb.planning.writer.names import texts

#: Kinds that are not compared.
_LEFT_OUT = frozenset({"comment"})
#: Kinds whose absence is not asked for: a later grant or comment of somebody else is no remainder.
_MAY_STAY = frozenset({"comment", "privilege", "default privilege"})
#: Facts of the parts of a partition that come and go with it.
_MEMBERSHIP = frozenset({"inherited", "partition_of"})
#: The name of the check that informs of what cannot be compared.
_UNKNOWN = "cannot be compared here"
#: The most objects without a comparison that a check names. ``rows`` holds all of them.
_SHOWN = 5


def checks(
    applied: Sequence[Migration],
    pending: Sequence[Migration],
    found: Snapshot,
    *,
    forms: Forms,
    hosted: bool,
    informative: bool = False,
) -> list[Check]:
    """Compare a schema with the declarations.

    Args:
        applied: The migrations that history records as applied, in the order of the plan.
        pending: The other migrations of the catalog, without the alternatives that are not used, in the order of the
            plan. A newer version may have applied them.
        found: The objects of the schema.
        forms: The recorded forms of the database.
        hosted: Whether the database has the roles of a hosted platform.
        informative: Whether drift may be the work of a newer version, and so no failure.

    Returns:
        One failed check for each object that drifted, or one passed check; and one that informs of the objects that
        cannot be compared here.
    """
    if forms.unseen:
        return [_cannot_be_read(forms.unseen)]
    drift = _Drift(applied, pending, found, forms, hosted=hosted)
    differing = [*drift.missing(), *drift.changed(), *drift.left(), *drift.opened()]
    followed = _followed_by_unknown(applied, hosted=hosted)
    drifted = [evolve(each, informative=informative) for each in differing if each.migration not in followed]
    uncertain = [each for each in differing if each.migration in followed]
    unknown = [each for each in applied if not is_known(each, hosted=hosted)]
    passed = [] if drifted else [_no_drift(drift, uncertain, unknown)]
    return [*drifted, *passed, *_may_be_changed(uncertain, followed), *_cannot_be_compared(drift.doubtful)]


def _followed_by_unknown(applied: Sequence[Migration], *, hosted: bool) -> dict[str, Migration]:
    """Return, by the name of a migration, the next applied one whose objects are not known."""
    followed: dict[str, Migration] = {}
    unknown: Migration | None = None
    for migration in reversed(applied):
        if unknown is not None:
            followed[migration.name] = unknown
        if not is_known(migration, hosted=hosted):
            unknown = migration
    return followed


def _no_drift(drift: _Drift, uncertain: Iterable[Check], unknown: Sequence[Migration]) -> Check:
    names = {each.name for each in uncertain}
    migrations = {each.migration for each in uncertain}
    differing = [
        item
        for item in drift.wanted
        if str(item.each) in names or (item.migration.name in migrations and not drift.exists(item.key))
    ]
    right = len(drift.wanted) - len(drift.doubtful) - len(differing)
    found = f"{right} objects in their declared form"
    if unknown:
        found += f"; the declarations of {counted(unknown, 'applied migration')} are missing or outdated"
    return Check(None, "drift", passed=True, expected="every object in its declared form", found=found)


def _may_be_changed(uncertain: Sequence[Check], followed: Mapping[str, Migration]) -> list[Check]:
    """Return a check that informs of differences which a migration without declarations may have made."""
    if not uncertain:
        return []
    makers = {each.name: followed[each.migration or ""] for each in uncertain}
    names = list(dict.fromkeys(maker.name for maker in makers.values()))
    folders = dict.fromkeys(folder_of(maker) for maker in makers.values())
    return [
        Check(
            None,
            _UNKNOWN,
            passed=True,
            expected="the declarations of every applied migration",
            found=f"{counted(uncertain, 'object')} ({few([each.name for each in uncertain], _SHOWN)}): perhaps changed by "
            f"{few(names)}, whose declarations are missing or outdated",
            rows=tuple(
                {
                    "migration": each.migration,
                    "object": each.name,
                    "reason": f"{makers[each.name].name} may have changed it",
                    "expected": each.expected,
                    "found": each.found,
                }
                for each in uncertain
            ),
            hint=f"{' and '.join(f'`kimbledb declare {folder}`' for folder in folders)} records them",
            informative=True,
        )
    ]


@frozen
class _Doubtful:
    """An object that cannot be compared here."""

    item: FoldedObject
    comparison: Comparison


class _Drift:
    """The fold of the applied migrations beside a snapshot."""

    def __init__(
        self,
        applied: Sequence[Migration],
        pending: Sequence[Migration],
        found: Snapshot,
        forms: Forms,
        *,
        hosted: bool,
    ) -> None:
        self.wanted: Fold = fold(applied, hosted=hosted)
        #: With the pending migrations, whose forms are accepted.
        self._ahead: Fold = fold((*applied, *pending), hosted=hosted) if pending else self.wanted
        self._applied = applied
        self._hosted = hosted
        self._found = found
        self._forms = forms
        #: Whether it is known what each applied migration does here. Otherwise any of them may have granted.
        self._all_known = all(is_known(each, hosted=hosted) for each in applied)
        #: Filled by ``changed()``.
        self.doubtful: list[_Doubtful] = []

    def exists(self, key: Key) -> bool:
        """Return whether an object is in the snapshot."""
        return key in self._found.objects

    def missing(self) -> list[Check]:
        """Return a check for each object that does not exist.

        One check stands for a table with all its parts, for an object with its comment and its privileges, and for a part
        of a partitioned or inherited table with that of each partition or child.
        """
        absent = [item for item in self.wanted if item.key not in self._found.objects and self._is_missed(item)]
        roots = self._roots(absent)
        keys = {item.key for item in absent}
        made_above = {item.key for item in absent if not keys.isdisjoint(self._above(item))}
        along: dict[Key, list[FoldedObject]] = {}
        for item in absent:
            if item.key in roots:
                along.setdefault(roots[item.key], []).append(item)
        return [
            self._check(
                item,
                expected=item.each.definition or "exists",
                found="missing",
                hint=cures.of_missing(item, along.get(item.key, ()), self._found.objects),
            )
            for item in absent
            if item.key not in roots and item.key not in made_above and item.each.kind not in _LEFT_OUT
        ]

    def _above(self, item: FoldedObject) -> Iterator[Key]:
        """Yield the parts of parents with which an inherited part of a table is made."""
        facts = item.each.facts or {}
        if "inherited" not in facts:
            return
        relation, name = split(item.each.name)
        for parent in self._parents(relation):
            yield item.each.kind, f"{parent}.{name}"
            if "key" in facts:  # the key of a partition has a name of its own
                yield from (
                    other.key
                    for other in self.wanted
                    if other.each.kind == "constraint"
                    and split(other.each.name)[0] == parent
                    and (other.each.facts or {}).get("key") == facts["key"]
                )

    def _parents(self, table: str) -> Iterator[str]:
        """Yield the tables of which a table is a partition or a child."""
        item = self.wanted.objects.get(("table", table))
        facts = {} if item is None else item.each.facts or {}
        yield from (*texts(facts, "partition_of"), *texts(facts, "inherits"))

    def _roots(self, absent: Sequence[FoldedObject]) -> dict[Key, Key]:
        """Return the missing object with which others are missing, by the kinds and names of these others."""
        belongings = Belongings({item.key: item.each.facts for item in self.wanted}) if absent else Belongings()
        roots: dict[Key, Key] = {}
        for item in absent:
            # The indexes of partitions have names of their own: they are made with the index of the partitioned table.
            if item.key[0] in (*RELATIONS, "index") and item.key not in roots:
                roots |= belongings.of([item.key])
        keys = {item.key for item in absent}
        for item in absent:
            # A column and its sequence need each other.
            column = ("column", str((item.each.facts or {}).get("owned_by")))
            if item.each.kind == "sequence" and item.key not in roots and column in keys:
                roots[item.key] = roots.get(column, column)
        for item in absent:
            if item.key[0] in _MAY_STAY and item.key not in roots:
                owner = next((each for each in owners_of(item.key, item.each.facts) if each in keys), None)
                if owner is not None:
                    roots[item.key] = owner
        return roots

    def changed(self) -> list[Check]:
        """Return a check for each object that exists in another form. One check stands for a partition with its parts."""
        drifted: dict[Key, tuple[Comparison, Check]] = {}
        for item in self.wanted:
            there = self._found.objects.get(item.key)
            if there is None or item.each.facts is None or item.each.kind in _LEFT_OUT:
                continue
            comparison = self._compared(item)
            if comparison.is_right or self._is_covered(item) or self._is_accepted(item, comparison):
                continue
            if comparison.is_unknown:
                self.doubtful.append(_Doubtful(item, comparison))
                continue
            found = evolve(self._found.get(item.key), facts=self._facts_of(item))
            hint = cures.of_changed(item, found, comparison, self._found.objects)
            check = self._check(item, expected=comparison.expected_words, found=comparison.found_words, hint=hint)
            drifted[item.key] = (comparison, check)
        return [
            check
            for key, (comparison, check) in drifted.items()
            if ("table", relation_of(key, self._found.objects[key])) not in drifted or not _is_membership(comparison)
        ]

    def left(self) -> list[Check]:
        """Return a check for each object that must be gone and exists. One check stands for a table with all its parts."""
        there = {
            key: gone
            for key, gone in self.wanted.gone.items()
            if key[0] not in _MAY_STAY and gone.along is None and key in self._found.objects and key in self._ahead.gone
        }
        return [
            Check(
                gone.migration.name,
                str(gone.each),
                passed=False,
                expected="gone",
                found=words(self._found.objects[key]) or "exists",
                hint=cures.of_left(self._found.get(key), self._found.objects),
                file=gone.migration.file(gone.statement.part),
                line=gone.statement.line,
            )
            for key, gone in there.items()
            if there.keys().isdisjoint(owners_of(key, self._found.objects[key]))
        ]

    def opened(self) -> list[Check]:
        """Return a check for each privilege that a role has on an object of a closed catalog and that no migration grants."""
        checks: list[Check] = []
        if not self._all_known:
            return checks
        for key, facts in self._found.objects.items():
            if key[0] != "privilege" or "may" not in facts:
                continue
            if key in self.wanted.objects or key in self._ahead.objects:
                continue
            target, role = granted(key[1])
            item = self._closed(target) if role in CLOSED_TO and target != "schema" else None
            if item is not None:
                each = self._found.get(key)
                hint = cures.of_left(each, self._found.objects)
                shown = evolve(item, each=each)
                checks.append(self._check(shown, expected="none, in a closed catalog", found=words(facts), hint=hint))
        return checks

    def _closed(self, target: str) -> FoldedObject | None:
        """Return the object of a closed catalog that a privilege is on, or None if it is on another."""
        on = DatabaseObject.of(target)
        relation = split(on.name)[0] if on.kind == "column" else None
        keys = [on.key] if relation is None else [(kind, relation) for kind in RELATIONS]
        item = next((found for key in keys if (found := self.wanted.objects.get(key)) is not None), None)
        return item if item is not None and item.migration.closed else None

    def _is_missed(self, item: FoldedObject) -> bool:
        """Return whether the absence of an object is drift: no pending migration drops or renames it, and no key replaces it."""
        return not (
            self._ahead.is_gone(item.migration, item.declared_as)
            or any(later.key in self._found.objects for later in self._later(item) if later.key != item.key)
            or self._is_covered(item)
            or self._stands_in(item.each)
            or self._is_granted_to_the_owner(item.each)
            or (item.each.kind == "privilege" and without_counter(item.each.name, self.wanted, self._found.objects))
        )

    def _is_covered(self, item: FoldedObject) -> bool:
        """Return whether an object is a column of a view, whose query covers it."""
        return item.each.kind == "column" and ("view", split(item.each.name)[0]) in self.wanted.objects

    def _stands_in(self, each: DatabaseObject) -> bool:
        """Return whether a primary key on the same columns serves as a declared unique constraint."""
        key = str((each.facts or {}).get("key", ""))
        if each.kind != "constraint" or not key.startswith("UNIQUE ("):
            return False
        primary = key.replace("UNIQUE", "PRIMARY KEY", 1)
        table = split(each.name)[0]
        return any(
            kind == "constraint" and facts.get("key") == primary and split(name)[0] == table
            for (kind, name), facts in self._found.objects.items()
        )

    def _later(self, item: FoldedObject) -> list[FoldedObject]:
        """Return the forms that pending migrations give an object."""
        applied = len(self.wanted.since(item.migration, item.declared_as))
        return self._ahead.since(item.migration, item.declared_as)[applied:]

    def _is_granted_to_the_owner(self, each: DatabaseObject) -> bool:
        """Return whether a privilege was granted to the role that owns its object here, and that may do all anyway."""
        if each.kind != "privilege":
            return False
        role = granted(each.name)[1]
        owned = (self._found.owners.get(owner) for owner in owners_of(each.key, each.facts))
        return any(owner is not None and quoted(owner) == role for owner in owned)

    def _compared(self, item: FoldedObject) -> Comparison:
        declared, there = item.each.facts or {}, self._facts_of(item)
        if declared == there:
            return RIGHT  # the form is a hash, and most objects need none
        return compare(
            declared,
            there,
            form=self._found.forms.get(item.key),
            recorded=self._forms.of(item.migration.name, item.declared_as),
        )

    def _facts_of(self, item: FoldedObject) -> Facts:
        """Return the facts of an object that is there; of a privilege without what the platform gives by default."""
        there = self._found.objects[item.key]
        if item.each.kind != "privilege" or item.migration.closed:
            return there
        target, role = granted(item.each.name)
        kind = target.partition(" ")[0]
        given = self._found.given_by_default(item.key, kind, role)
        if self._is_from_before_other_defaults(item, kind, role):
            given = may if isinstance(may := there.get("may"), tuple) else given
        return without_defaults(item.each.facts or {}, there, given)

    def _is_from_before_other_defaults(self, item: FoldedObject, kind: str, role: str) -> bool:
        """Return whether a migration changed default privileges after the object of a privilege was made.

        What they gave before belongs to the platform, and no declaration holds it.
        """
        changed = self._changed_defaults.get((BY_DEFAULT.get(kind, ""), role))
        if changed is None:
            return False
        on = self.wanted.objects.get(DatabaseObject.of(granted(item.each.name)[0]).key)
        first = [] if on is None else [*self.wanted.before(on.migration, on.declared_as), on]
        return not first or self._places[first[0].migration.name] < changed

    @cached_property
    def _places(self) -> dict[str, int]:
        """The place of each applied migration, by its name."""
        return {each.name: place for place, each in enumerate(self._applied)}

    @cached_property
    def _changed_defaults(self) -> dict[tuple[str, str], int]:
        """The place of the last migration that changes or drops default privileges, by the class of objects and the role."""
        return {
            (each.name.partition(" of ")[0], each.name.partition(" to ")[2]): place
            for place, migration in enumerate(self._applied)
            for statement in migration.declarations.on(hosted=self._hosted)
            for each in (*statement.changes, *statement.drops)
            if each.kind == "default privilege"
        }

    def _is_accepted(self, item: FoldedObject, comparison: Comparison) -> bool:
        """Return whether an object has the form of a pending migration, or one that it had before kimbledb."""
        later = [self._compared(each) for each in self._later(item) if each.key == item.key]
        if any(each.is_right or (each.is_unknown and comparison.differs) for each in later):
            return True
        kept = self._forms.kept(item.migration.name, item.declared_as)
        if kept is None:
            return False
        there = self._found.objects[item.key]
        # The form from before kimbledb is accepted: a constraint's own wording, a column's default and NOT NULL, and the
        # type that a key gives it.
        if item.each.kind == "column":
            return same_type(item.each.facts or {}, there) or same_type(kept, there)
        return not compare(
            kept,
            there,
            form=self._found.forms.get(item.key),
            recorded=self._forms.of(item.migration.name, item.declared_as),
        ).differs

    @staticmethod
    def _check(item: FoldedObject, *, expected: str, found: str, hint: str) -> Check:
        return Check(
            item.migration.name,
            str(item.each),
            passed=False,
            expected=expected,
            found=found,
            hint=hint,
            file=item.migration.file(item.statement.part),
            line=item.statement.line,
        )


def _is_membership(comparison: Comparison) -> bool:
    """Return whether a part differs only as its table is, or is not, a partition or a child of another."""
    return _MEMBERSHIP.issuperset((*comparison.declared, *comparison.found))


def _cannot_be_read(unseen: Sequence[str]) -> Check:
    schemas = ", ".join(map(quote_identifier, unseen))
    return Check(
        None,
        _UNKNOWN,
        passed=True,
        expected="a role that may use each schema of the search_path",
        found=f"no object: this role lacks USAGE on {schemas}, and the server prints names otherwise for it",
        hint=f"GRANT USAGE ON SCHEMA {schemas} TO this role",
        informative=True,
    )


def _cannot_be_compared(doubtful: Sequence[_Doubtful]) -> list[Check]:
    if not doubtful:
        return []
    reasons = Counter(each.comparison.doubt or "" for each in doubtful)
    return [
        Check(
            None,
            _UNKNOWN,
            passed=True,
            expected="a form of each expression that this server recorded in history",
            found=f"{counted(doubtful, 'object')}: "
            + "; ".join(_with_examples(reason, doubtful) for reason in reasons),
            rows=tuple(
                {
                    "migration": each.item.migration.name,
                    "object": str(each.item.each),
                    "reason": each.comparison.doubt,
                    "expected": each.comparison.expected_words,
                    "found": each.comparison.found_words,
                }
                for each in doubtful
            ),
            hint="`kimbledb adopt` renews the record of forms in history, and so does a run that applies a migration",
            informative=True,
        )
    ]


def _with_examples(reason: str, doubtful: Iterable[_Doubtful]) -> str:
    names = [str(each.item.each) for each in doubtful if each.comparison.doubt == reason]
    return f"{reason} ({few(names, _SHOWN)})"
