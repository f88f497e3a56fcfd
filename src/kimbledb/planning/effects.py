"""The effect of a migration by snapshots: what it creates, changes, renames and drops, and which statement does it. Pure.

The effect is the difference that the fold (``kimbledb.planning.fold``) adds to the objects of before: folded onto them
it gives the objects of after. An object keeps its identity under another name, so a rename is told from a drop and a
create. What the fold derives is left out: the parts of a renamed table, the indexes of a dropped one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

from attrs import evolve, field, frozen

from kimbledb.model.declarations import DeclaredStatement
from kimbledb.model.objects import OBJECT_KINDS, PARTS, SAID_OF_OTHERS, DatabaseObject, Facts, Key, rank_of
from kimbledb.model.script import Part
from kimbledb.model.snapshot import Identity, Snapshot
from kimbledb.planning.comparison import compare
from kimbledb.planning.fold import RELATIONS, Belongings, under_new_names

#: Kinds that one statement makes whole, and that it also replaces: the last one counts.
_MADE_WHOLE = frozenset({"comment", "function", "privilege", "default privilege", "rule", "trigger", "view"})
_ORDER = {kind: place for place, kind in enumerate(OBJECT_KINDS)}


@frozen
class Effect:
    """The effect of a migration, or of one of its statements, on the objects of a schema."""

    #: The objects that exist only afterwards, with their facts.
    creates: Mapping[Key, Facts] = field(factory=dict)
    #: The objects that existed before, also under another name, with their facts afterwards.
    changes: Mapping[Key, Facts] = field(factory=dict)
    #: The objects that existed before and not afterwards, by the names of before.
    drops: tuple[Key, ...] = ()
    #: The new name of each renamed object, by the kind and name of before.
    renames: Mapping[Key, str] = field(factory=dict)

    def __bool__(self) -> bool:
        return bool(self.creates or self.changes or self.drops or self.renames)

    @classmethod
    def declared(cls, statements: Iterable[DeclaredStatement], *, hosted: bool) -> Effect:
        """Return the effect that statements declare for a platform.

        Args:
            statements: The statements of a migration's declarations.
            hosted: Whether the platform is the hosted one.
        """
        here = [each for each in statements if each.hosted in (None, hosted)]
        return cls(
            {made.key: made.facts or {} for each in here for made in each.creates},
            {changed.key: changed.facts or {} for each in here for changed in each.changes},
            tuple(sorted(gone.key for each in here for gone in each.drops)),
            {key: name for each in here for key, name in each.renames.items()},
        )

    def resembles(self, declared: Effect) -> bool:
        """Return whether this is a declared effect, as far as a server of another version can tell.

        Args:
            declared: The declared effect.
        """
        if (self.drops, self.renames) != (declared.drops, declared.renames):
            return False
        return all(
            found.keys() == wanted.keys() and not any(compare(wanted[key], found[key]).differs for key in wanted)
            for found, wanted in ((self.creates, declared.creates), (self.changes, declared.changes))
        )

    def keys(self) -> list[Key]:
        """Return the kinds and names of its objects, under their old and their new names, as scoped snapshots take them."""
        renamed = ((kind, name) for (kind, _), name in self.renames.items())
        return [*self.creates, *self.changes, *self.drops, *self.renames, *renamed]


class UnknownRenameError(ValueError):
    """A migration states a rename that its script does not do."""


def effect_of(before: Snapshot, after: Snapshot, stated: Mapping[Key, str] | None = None) -> Effect:
    """Return the effect of what happened between two snapshots.

    Args:
        before: The objects before, with their identities.
        after: The objects afterwards, with their identities.
        stated: The new names of objects whose identity does not show it, by the kind and name of before.

    Raises:
        UnknownRenameError: An object of ``stated`` exists under its old name, or not under the new one.
    """
    apart = _apart(before, after)
    if not (stated or _renames(*apart)):
        before, after = apart
    renames = _renames(before, after)
    for key, name in (stated or {}).items():
        _check_stated(before, after, key, name)
        renames[key] = name
    drops = _roots(before, _gone(before, after, renames))
    left = _folded(before, drops, renames)
    different = {key: after.objects[key] for key in _in_order(after) if left.get(key) != after.objects[key]}
    return Effect(
        creates={key: facts for key, facts in different.items() if key not in left},
        changes={key: facts for key, facts in different.items() if key in left},
        drops=tuple(sorted(drops)),
        renames=renames,
    )


def _apart(before: Snapshot, after: Snapshot) -> tuple[Snapshot, Snapshot]:
    """Return two snapshots without the objects that they share, as far as that makes no difference.

    A later snapshot that was brought up to date shares the facts of what was not touched.
    """
    if before.objects.keys() - after.objects.keys():
        return before, after  # what is gone has taken others along
    apart = {
        key
        for key, facts in after.objects.items()
        if before.objects.get(key) is not facts or before.identities.get(key) != after.identities.get(key)
    }
    one, other = (
        Snapshot(
            {key: facts for key, facts in each.objects.items() if key in apart},
            identities={key: each.identities[key] for key in apart if key in each.identities},
        )
        for each in (before, after)
    )
    return one, other


def _in_order(snapshot: Snapshot) -> list[Key]:
    """Return the objects of a snapshot, the columns of each table in their order."""
    nowhere = ("", 0, 0)
    return sorted(
        snapshot.objects, key=lambda key: snapshot.identities.get(key, nowhere) if key[0] == "column" else nowhere
    )


def _renames(before: Snapshot, after: Snapshot) -> dict[Key, str]:
    """Return the new names of the objects whose identity is there under another name, without those that follow."""
    names = _names_by_identity(after)
    moved = [
        (key, name)
        for key, identity in _identities(before).items()
        if (name := names.get((key[0], identity), key[1])) != key[1]
    ]
    renames: dict[Key, str] = {}
    # A part follows its relation, which must be known before.
    for key, name in sorted(moved, key=lambda item: (item[0][0] in PARTS, item[0])):
        if _renamed(key, renames) != (key[0], name):
            renames[key] = name
    return renames


def _identities(snapshot: Snapshot) -> dict[Key, Identity]:
    """Return the identities of the objects that have one of their own: privileges and comments have that of their object."""
    return {key: identity for key, identity in snapshot.identities.items() if key[0] not in SAID_OF_OTHERS}


def _names_by_identity(snapshot: Snapshot) -> dict[tuple[str, Identity], str]:
    return {(kind, identity): name for (kind, name), identity in _identities(snapshot).items()}


def _renamed(key: Key, renames: Mapping[Key, str]) -> Key:
    return under_new_names(DatabaseObject(*key), renames).key if renames else key


def _check_stated(before: Snapshot, after: Snapshot, key: Key, name: str) -> None:
    shown = DatabaseObject(*key)
    if key not in before.objects:
        raise UnknownRenameError(f"{shown} does not exist before it")
    if key in after.objects:
        raise UnknownRenameError(f"{shown} still exists after it")
    if (key[0], name) not in after.objects:
        raise UnknownRenameError(f"{DatabaseObject(key[0], name)} does not exist after it")


def _gone(before: Snapshot, after: Snapshot, renames: Mapping[Key, str]) -> list[Key]:
    """Return the objects of before that are not there afterwards, or whose name another one has taken."""
    names = _names_by_identity(after)
    kept: dict[Key, Key] = {}
    for key, identity in _identities(before).items():
        if (name := names.get((key[0], identity))) is not None:
            kept[key[0], name] = key
    gone = []
    for key in before.objects:
        now = _renamed(key, renames)
        if now not in after.objects or kept.get(now, key) != key:
            gone.append(key)
    return gone


def _roots(before: Snapshot, gone: Iterable[Key]) -> list[Key]:
    """Return those of some objects that must be named, so that the others go with them."""
    gone = list(gone)
    if not gone:
        return []  # most migrations drop nothing, and the relations of all objects take time
    belongings = Belongings(before.objects)
    covered: set[Key] = set()
    roots: list[Key] = []
    for key in sorted(gone, key=_by_rank):
        if key not in covered:
            roots.append(key)
            covered.update(belongings.of([key]))
    return roots


def _by_rank(key: Key) -> tuple[int, int, Key]:
    """Order relations before columns, and these before all else: what belongs to another object comes after it."""
    kind = key[0]
    rank = 0 if kind in RELATIONS else 1 if kind == "column" else 3 if kind in SAID_OF_OTHERS else 2
    return rank, _ORDER[kind], key


def _folded(before: Snapshot, drops: Sequence[Key], renames: Mapping[Key, str]) -> dict[Key, Facts]:
    """Return the objects of before as the fold leaves them after drops and renames."""
    left = dict(before.objects)
    for key in (*Belongings(left).of(drops), *drops) if drops else ():
        left.pop(key, None)
    if not renames:
        return left
    return {
        each.key: each.facts or {}
        for each in (under_new_names(DatabaseObject(*key, facts), renames) for key, facts in left.items())
    }


# Attribution.


@frozen(slots=False)
class Attribution:
    """Finds the statement that has each part of a migration's effect, by snapshots before and after each statement."""

    #: The snapshot before the first statement and those after each one. They hold at least what the effect names.
    snapshots: Sequence[Snapshot]

    def statements_of(self, effect: Effect) -> dict[int, Effect]:
        """Return the effect of each statement that has one, by its number, counted from 0.

        Args:
            effect: The effect of all statements together.

        Raises:
            LookupError: No statement has a part of it: the statements did something else than before.
        """
        parts: dict[int, Effect] = {}

        def add(number: int, part: Effect) -> None:
            known = parts.get(number, Effect())
            parts[number] = Effect(
                {**known.creates, **part.creates},
                {**known.changes, **part.changes},
                (*known.drops, *part.drops),
                {**known.renames, **part.renames},
            )

        for key in effect.drops:
            add(self._dropper(key), Effect(drops=(key,)))
        # An object that did not change, and whose owner in the fold is dropped, stands with the drop.
        dropping = max(parts, default=None)
        for key, facts in effect.creates.items():
            add(self._maker(key, dropping, whole=key[0] in _MADE_WHOLE), Effect(creates={key: facts}))
        for key, facts in effect.changes.items():
            add(self._maker(key, dropping, whole=True), Effect(changes={key: facts}))
        for key, name in effect.renames.items():
            add(self._renamer(key, name), Effect(renames={key: name}))
        return dict(sorted(parts.items()))

    def _maker(self, key: Key, otherwise: int | None, *, whole: bool) -> int:
        """Return the statement that makes an object, or the last one that changes it where it is made whole."""
        identity = self._last.get(key)
        states = [self._state(number, key, identity) for number in range(len(self.snapshots))]
        for number in range(len(states) - 1, 0, -1):
            earlier = states[number - 1]
            if earlier is None or (whole and earlier != states[-1]):
                if states[number] is None:
                    break
                return number - 1
        if otherwise is None:
            raise LookupError(f"no statement makes or changes {DatabaseObject(*key)}")
        return otherwise

    def _state(self, number: int, key: Key, identity: Identity | None) -> Facts | None:
        """Return the facts of an object after a number of statements, whatever its name was then; None without it."""
        snapshot = self.snapshots[number]
        if identity is None:
            return snapshot.objects.get(key)
        name = self._names[number].get((key[0], identity))
        return None if name is None else snapshot.objects.get((key[0], name))

    def _dropper(self, key: Key) -> int:
        identity = self._first.get(key)
        for number in range(1, len(self.snapshots)):
            if identity is None:
                present = key in self.snapshots[number].objects
            else:
                present = (key[0], identity) in self._names[number]
            if not present:
                return number - 1
        raise LookupError(f"no statement drops {DatabaseObject(*key)}")

    def _renamer(self, key: Key, name: str) -> int:
        identity = self._last.get((key[0], name))
        for number in range(len(self.snapshots) - 1, 0, -1):
            if identity is None:
                earlier = name if (key[0], name) in self.snapshots[number - 1].objects else None
            else:
                earlier = self._names[number - 1].get((key[0], identity))
            if earlier != name and (key[0], name) in self.snapshots[number].objects:
                return number - 1
        raise LookupError(f"no statement renames {DatabaseObject(*key)}")

    @cached_property
    def _first(self) -> dict[Key, Identity]:
        return _identities(self.snapshots[0])

    @cached_property
    def _last(self) -> dict[Key, Identity]:
        return _identities(self.snapshots[-1])

    @cached_property
    def _names(self) -> list[dict[tuple[str, Identity], str]]:
        return [_names_by_identity(each) for each in self.snapshots]


# The statements of both platforms.


def statements_with(
    parts: Iterable[tuple[Part, int, int, Effect, Mapping[Key, str | None]]],
) -> tuple[DeclaredStatement, ...]:
    """Return the statements of a migration with their effects, as declarations hold them.

    Args:
        parts: For each statement the script, the line, the column, the effect, and the statement that makes each object
            that facts alone cannot make.
    """
    return tuple(
        DeclaredStatement(
            part,
            line,
            column,
            creates=_objects(effect.creates, sources),
            changes=_objects(effect.changes, sources),
            drops=_sorted(DatabaseObject(*key) for key in effect.drops),
            renames=dict(effect.renames),
        )
        for part, line, column, effect, sources in parts
    )


def _objects(found: Mapping[Key, Facts], sources: Mapping[Key, str | None]) -> tuple[DatabaseObject, ...]:
    return _sorted(DatabaseObject(*key, facts, sources.get(key)) for key, facts in found.items())


def of_platform(statements: Iterable[DeclaredStatement], *, hosted: bool) -> tuple[DeclaredStatement, ...]:
    """Return the statements that declarations hold for a platform, as if there were no other.

    Args:
        statements: The statements of a migration's declarations.
        hosted: Whether the platform is the hosted one.
    """
    return _joined(evolve(each, hosted=None) for each in statements if each.hosted in (None, hosted))


def merged(bare: Iterable[DeclaredStatement], hosted: Iterable[DeclaredStatement]) -> tuple[DeclaredStatement, ...]:
    """Return the statements for both platforms: what both share once, and what only one has marked so.

    Args:
        bare: The statements on a bare server.
        hosted: The statements on a hosted one.
    """
    one, other = (
        {(each.part, each.line, each.column): each for each in _joined(statements)} for statements in (bare, hosted)
    )
    found = []
    for place in one.keys() | other.keys():
        here, there = one.get(place), other.get(place)
        empty = DeclaredStatement(*place)
        here, there = here or empty, there or empty
        found += [_shared(here, there), _only(here, there, hosted=False), _only(there, here, hosted=True)]
    return tuple(sorted(filter(_has_effect, found), key=_place_of))


def _has_effect(each: DeclaredStatement) -> bool:
    return bool(each.creates or each.changes or each.drops or each.renames)


def _place_of(each: DeclaredStatement) -> tuple[Part, int, int, int]:
    return each.part, each.line, each.column, (None, False, True).index(each.hosted)


def _joined(statements: Iterable[DeclaredStatement]) -> tuple[DeclaredStatement, ...]:
    """Return statements with those of the same place as one."""
    found: dict[tuple[Part, int, int], DeclaredStatement] = {}
    for each in statements:
        place = (each.part, each.line, each.column)
        known = found.get(place)
        found[place] = (
            each
            if known is None
            else evolve(
                known,
                creates=_sorted((*known.creates, *each.creates)),
                changes=_sorted((*known.changes, *each.changes)),
                drops=_sorted((*known.drops, *each.drops)),
                renames={**known.renames, **each.renames},
            )
        )
    return tuple(found.values())


def _sorted(objects: Iterable[DatabaseObject]) -> tuple[DatabaseObject, ...]:
    return tuple(sorted(objects, key=rank_of))


def _shared(one: DeclaredStatement, other: DeclaredStatement) -> DeclaredStatement:
    return evolve(
        one,
        hosted=None,
        creates=tuple(each for each in one.creates if _holds(other.creates, each)),
        changes=tuple(each for each in one.changes if _holds(other.changes, each)),
        drops=tuple(each for each in one.drops if _holds(other.drops, each)),
        renames={key: name for key, name in one.renames.items() if other.renames.get(key) == name},
    )


def _only(one: DeclaredStatement, other: DeclaredStatement, *, hosted: bool) -> DeclaredStatement:
    return evolve(
        one,
        hosted=hosted,
        creates=tuple(each for each in one.creates if not _holds(other.creates, each)),
        changes=tuple(each for each in one.changes if not _holds(other.changes, each)),
        drops=tuple(each for each in one.drops if not _holds(other.drops, each)),
        renames={key: name for key, name in one.renames.items() if other.renames.get(key) != name},
    )


def _holds(objects: Iterable[DatabaseObject], wanted: DatabaseObject) -> bool:
    return any(
        each.key == wanted.key and each.facts == wanted.facts and each.source == wanted.source for each in objects
    )
