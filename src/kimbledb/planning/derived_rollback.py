"""Derives the rollback of a migration from its declarations and from those of the migrations before it. Pure.

The rollback takes the effects back in the reverse order of the statements: it drops what the migration made, gives back
the earlier facts of what it changed, makes again what it dropped, and gives back names. The names in facts and in
statements show what needs what (``kimbledb.planning.mentions``). What is derived here is proven on a server: when
``kimbledb declare`` records it, and in the try run of each rollback.

Extensions stay. Rows and values cannot be made again: where a migration takes some, none is derived, and the reason names
the line (``kimbledb.planning.irrecoverable``, ``kimbledb.planning.script_effects``).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from attrs import evolve, frozen

from kimbledb.model.migration import Migration
from kimbledb.model.objects import OBJECT_KINDS, DatabaseObject, Fact, Facts, Key, parts_of
from kimbledb.model.script import Part, Script
from kimbledb.planning import writer
from kimbledb.planning.fold import Belongings, owners_of, split, under_new_names
from kimbledb.planning.irrecoverable import loss_by_change, loss_by_drop
from kimbledb.planning.mentions import needs, needs_among
from kimbledb.planning.names_given_back import is_relabelled, relabelled, renames_back
from kimbledb.planning.script_effects import Around, takings
from kimbledb.planning.undo_order import Act, Way, ordered

#: Kinds that are made again around an object that they need, where that is made again.
_REMADE = frozenset({"view", "rule", "policy", "trigger", "index", "constraint", "statistics", "function"})
#: Kinds of which the statements on others must know more than the name.
_HOMES = frozenset({"table", "view", "type", "function"})
#: Kinds that keep the server from giving a column another type.
_HOLD_TYPES = frozenset({"view", "rule", "policy", "trigger", "function"})
#: Kinds of which a statement takes back a part.
GRANTED = frozenset({"privilege", "default privilege"})
#: The words of a statement after which IF EXISTS can stand.
_DROP = re.compile(
    r"DROP (?:FOREIGN TABLE|MATERIALIZED VIEW|OPERATOR (?:CLASS|FAMILY)|TEXT SEARCH \w+|\w+)(?= )|"
    r"ALTER TABLE .* DROP (?:COLUMN|CONSTRAINT)(?= )"
)
_WORD = re.compile(r'"(?:[^"]|"")*"|[^\W\d][\w$]*')


class NotDerivableError(ValueError):
    """No rollback can be derived for a migration.

    Attributes:
        reason: The reason in one sentence, with the file and the line.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@frozen
class DerivedRollback:
    """The derived rollback of a migration."""

    #: The SQL, with a path for messages.
    script: Script
    #: The reasons against it that hold unless sample rows show that the migration leaves rows of older tables alone.
    doubts: tuple[str, ...] = ()
    #: The statements that run after it and grant what roles had before.
    grants: tuple[str, ...] = ()


#: Objects by their kind and name.
Objects = Mapping[Key, DatabaseObject]


def objects_after(before: Objects, migration: Migration, *, hosted: bool) -> dict[Key, DatabaseObject]:
    """Return the objects after a migration, as a fold has them.

    Args:
        before: The objects before it.
        migration: The migration, with its declarations.
        hosted: Whether the database has the roles of a hosted platform.
    """
    statements = migration.declarations.on(hosted=hosted)
    after = dict(before)
    if drops := [each.key for statement in statements for each in statement.drops]:
        for key in (*Belongings({key: each.facts for key, each in before.items()}).of(drops), *drops):
            after.pop(key, None)
    if renames := {key: name for statement in statements for key, name in statement.renames.items()}:
        after = {each.key: each for each in (under_new_names(each, renames) for each in after.values())}
    after |= {each.key: each for statement in statements for each in (*statement.creates, *statement.changes)}
    return after


def derive(migration: Migration, before: Objects, *, hosted: bool, staying: Collection[Key] = ()) -> DerivedRollback:
    """Derive the rollback of a migration.

    Args:
        migration: The migration, with its declarations.
        before: The objects that the migrations before it declare, without those that are rolled back already.
        hosted: Whether the database has the roles of a hosted platform.
        staying: Objects that the migration declares to make, and that existed before it here: they stay.

    Raises:
        NotDerivableError: None can be derived.
    """
    return _Derivation(migration, before, hosted=hosted, staying=frozenset(staying)).rollback


class _Derivation:
    def __init__(self, migration: Migration, before: Objects, *, hosted: bool, staying: frozenset[Key]) -> None:
        self._migration = migration
        self._hosted = hosted
        self._statements = sorted(
            migration.declarations.on(hosted=hosted), key=lambda each: (each.part, each.line, each.column)
        )
        self._renames = {key: name for each in self._statements for key, name in each.renames.items()}
        self._names_before = {(kind, name): old for (kind, old), name in self._renames.items()}
        self._before = before
        self._after = objects_after(before, migration, hosted=hosted)
        #: The numbers of the statements that make, change and drop objects, by the name after or before it.
        self._made = {
            each.key: number
            for number, statement in enumerate(self._statements)
            for each in statement.creates
            if each.key not in staying
        }
        self._changed = {
            each.key: number for number, statement in enumerate(self._statements) for each in statement.changes
        }
        self._dropped = self._all_dropped()
        self._known: dict[tuple[bool, bool], dict[Key, Facts]] = {}

    def _all_dropped(self) -> dict[Key, int]:
        """Return the objects of before that are dropped, with those that go along, and the number of the statement."""
        roots = {each.key: number for number, statement in enumerate(self._statements) for each in statement.drops}
        if not roots:
            return {}
        along = Belongings({key: each.facts for key, each in self._before.items()}).of(roots)
        return {**roots, **{key: roots[root] for key, root in along.items()}}

    @property
    def rollback(self) -> DerivedRollback:
        """The rollback."""
        reasons: list[tuple[Part, int, str]] = list(self._losses())
        doubts: list[str] = []
        around = Around(before=self._before, after=self._after, own=frozenset(self._made), renames=self._renames)
        for part, script in self._migration.applied_scripts(hosted=self._hosted).items():
            for each in takings(script, around):
                if each.doubtful:
                    doubts.append(self._at(part, each.line, each.words))
                else:
                    reasons.append((part, each.line, each.words))
        if reasons:
            raise NotDerivableError(self._at(*min(reasons)))
        try:
            acts = ordered(self._acts())
            text = _Emission(self, acts).text
        except ValueError as error:  # the writer does not know a statement
            if isinstance(error, NotDerivableError):
                raise
            raise NotDerivableError(str(error)) from error
        return DerivedRollback(Script(self._path, text), tuple(doubts))

    @property
    def _path(self) -> str:
        folder = self._migration.location or self._migration.name
        return (
            f"{folder} (derived rollback)" if self._migration.is_flat else f"{folder}/declared.toml (derived rollback)"
        )

    def _at(self, part: Part, line: int, words: str) -> str:
        return f"{self._migration.script(part).file_name or f'{part}.sql'}:{line} {words}"

    # Objects that cannot be recreated.

    def _losses(self) -> Iterator[tuple[Part, int, str]]:
        """Yield what the declared objects show to be gone, each with the script and the line of its statement."""
        for key, number in self._dropped.items():
            each = self._before.get(key)
            place = self._place(number)
            if each is None:
                yield *place, f"drops {DatabaseObject(*key)}, which no migration declares"
            # With a table go its columns and its sequences.
            elif not any(owner in self._dropped for owner in owners_of(key, each.facts)):
                words = loss_by_drop(each, in_view=self._is_of_view(key, self._before))
                yield from [(*place, words)] if words else ()
        for key, number in self._changed.items():
            former = self._former(key)
            place = self._place(number)
            if former is None:
                yield *place, f"changes {DatabaseObject(*key)}, whose earlier form no migration declares"
            elif not self._is_of_view(key, self._after) and (words := loss_by_change(former, self._after[key])):
                yield *place, words

    def _place(self, number: int) -> tuple[Part, int]:
        """Return the script and the line of a statement."""
        return self._statements[number].part, self._statements[number].line

    def _former(self, key: Key) -> DatabaseObject | None:
        """Return the form before the migration of an object, under the name after it."""
        old = under_new_names(DatabaseObject(*key), self._names_before).key if self._renames else key
        before = self._before.get(old)
        return None if before is None else under_new_names(before, self._renames)

    @staticmethod
    def _is_of_view(key: Key, objects: Objects) -> bool:
        return key[0] == "column" and ("view", split(key[1])[0]) in objects

    # The acts.

    def _acts(self) -> list[Act]:
        acts = [*self._drops(), *self._creations()]
        remade: dict[Key, int] = dict(self._views_with_other_columns())
        for key, number in self._changed.items():
            if key in remade or self._is_inherited(key) or self._is_of_view(key, self._after):
                continue
            former, now = self._former(key), self._after[key]
            assert former is not None  # a reason otherwise
            if self._follows_names(former, now) or _follows_table(former, now):
                continue
            if self._can_be_altered(now, former):
                acts.append(Act(Way.ALTER, number, gone=(now,), made=(former,)))
            else:
                remade[key] = number
        acts += self._defaults_of_views()
        acts = self._with_remade(acts, remade)
        if self._renames:
            place = max(number for number, each in enumerate(self._statements) if each.renames)
            renames = {key: name for key, name in self._renames.items() if not self._is_renamed_above(key)}
            acts.append(Act(Way.RENAME, place, renames=renames))
        return acts

    def _drops(self) -> Iterator[Act]:
        """Yield a drop for each object that the migration made and that goes with no other."""
        belongings = Belongings({key: self._after[key].facts for key in self._made if key in self._after})
        for key, number in self._made.items():
            each = self._after.get(key)
            if each is None or self._is_of_view(key, self._after) or self._is_inherited(key):
                continue
            if any(owner in self._made for owner in owners_of(key, each.facts)):
                continue
            along = (self._after[other] for other in belongings.of([key]))
            yield Act(Way.DROP, number, gone=(each, *along))

    def _creations(self) -> Iterator[Act]:
        """Yield a creation for each object that the migration dropped and that goes with no other."""
        belongings = Belongings({key: self._before[key].facts for key in self._dropped if key in self._before})
        for key, number in self._dropped.items():
            each = self._before[key]
            if any(owner in self._dropped for owner in owners_of(key, each.facts)):
                continue
            if self._is_of_view(key, self._before) or (each.facts or {}).get("inherited"):
                continue
            group = {key, *belongings.of([key])}
            yield Act(Way.CREATE, number, made=tuple(self._before[other] for other in self._before if other in group))

    def _is_inherited(self, key: Key) -> bool:
        """Return whether a part follows that of the table above, whose act changes it, too."""
        facts = self._after[key].facts or {}
        if not facts.get("inherited"):
            return False
        own = parts_of(key[1])[-1]
        acted = {*self._made, *self._changed}
        return any(kind == key[0] and name != key[1] and parts_of(name)[-1] == own for kind, name in acted)

    def _follows_names(self, former: DatabaseObject, now: DatabaseObject) -> bool:
        """Return whether an object differs by the names alone that others get, and so changes back with them."""
        if not self._renames:
            return False
        if now.kind == "view" and (former.facts or {}).get("query") != (now.facts or {}).get("query"):
            return False  # a hash shows no names
        return _without_names(self._renamed_within(former.facts or {})) == _without_names(now.facts or {})

    def _is_renamed_above(self, key: Key) -> bool:
        """Return whether an object has its name from a part of its table's parents, and cannot be renamed by itself."""
        facts = self._before[key].facts or {} if key in self._before else {}
        return "inherited" in facts and (key[0] == "column" or "check" in facts)

    def _renamed_within(self, facts: Facts) -> Facts:
        words = {parts_of(old)[-1]: parts_of(new)[-1] for (_, old), new in self._renames.items()}
        return {name: _with_words(value, words) for name, value in facts.items()}

    def _can_be_altered(self, now: DatabaseObject, former: DatabaseObject) -> bool:
        if is_relabelled(now, former):
            return True
        return writer.alter(now, former, beside=self.beside(renamed_back=False)) is not None

    # Views, and what is made again around another object.

    def _views_with_other_columns(self) -> Iterator[tuple[Key, int]]:
        """Yield the older views whose columns the migration changed: CREATE OR REPLACE takes no column away."""
        touched: dict[str, int] = {}
        for numbers in (self._made, self._changed, self._dropped):
            for key, number in numbers.items():
                if self._is_of_view(key, self._after) or self._is_of_view(key, self._before):
                    view = split(key[1])[0]
                    touched[view] = max(number, touched.get(view, 0))
        for view, number in touched.items():
            key = ("view", view)
            if key in self._made or key in self._dropped or (former := self._former(key)) is None:
                continue
            if self._columns_of(former, self._before) != self._columns_of(self._after[key], self._after):
                yield key, self._changed.get(key, number)

    def _columns_of(self, view: DatabaseObject, objects: Objects) -> set[tuple[str, Fact]]:
        names = {view.name, under_new_names(view, self._names_before).name}
        return {
            (parts_of(name)[-1], (each.facts or {}).get("type", ""))
            for (kind, name), each in objects.items()
            if kind == "column" and split(name)[0] in names
        }

    def _defaults_of_views(self) -> Iterator[Act]:
        """Yield the acts on columns of views that stay: their defaults, and nothing else, are the view's own."""
        for key, number in self._changed.items():
            former = self._former(key)
            if not self._is_of_view(key, self._after) or former is None:
                continue
            if (former.facts or {}).get("type") == (self._after[key].facts or {}).get("type"):
                yield Act(Way.ALTER, number, gone=(self._after[key],), made=(former,))

    def _with_remade(self, acts: list[Act], remade: dict[Key, int]) -> list[Act]:
        """Return acts with those that make objects again: these, and what needs them or keeps a column's type."""
        waiting = list(remade)
        for act in acts:
            if act.changes_type:
                waiting += self._in_the_way(act.gone[0], act.place, remade, holding_type=True)
        while waiting:
            key = waiting.pop()
            waiting += self._in_the_way(self._after[key], remade[key], remade, holding_type=False)
        if not remade:
            return acts
        after, before = (
            Belongings({key: each.facts for key, each in objects.items()}) for objects in (self._after, self._before)
        )
        covered = after.of(remade)
        former = {under_new_names(DatabaseObject(*key), self._names_before).key for key in remade}
        # A dependent part of a recreated object needs no act of its own: it comes back with the object.
        going, coming = {*remade, *covered}, {*former, *before.of(former)}
        found = [
            act
            for act in acts
            if (act.made[0].key not in coming if act.way is Way.CREATE else act.gone[0].key not in going)
        ]
        for key, number in remade.items():
            if key not in covered:
                found += self._remaking(key, number, after, before)
        return found

    def _in_the_way(
        self, obstacle: DatabaseObject, number: int, remade: dict[Key, int], *, holding_type: bool
    ) -> list[Key]:
        """Add the older objects that need another one, which cannot change while they stand, to those that are made again."""
        found = []
        for key, each in self._after.items():
            kinds = _HOLD_TYPES if holding_type else _REMADE
            if key in remade or key in self._made or not (key[0] in kinds or "generated" in (each.facts or {})):
                continue
            if not needs(each, obstacle):
                continue
            if key[0] == "function" and "sql_body" not in (each.facts or {}):
                continue  # the server keeps no record of what a text needs
            remade[key] = number
            found.append(key)
        return found

    def _remaking(self, key: Key, number: int, after: Belongings, before: Belongings) -> Iterator[Act]:
        former, now = self._former(key), self._after[key]
        if former is None or (reason := loss_by_drop(now, in_view=False)) is not None:
            shown = reason if former is not None else f"changes {now}"
            place = self._place(number)
            raise NotDerivableError(
                self._at(*place, f"changes {now} in a way that only dropping it takes back: {shown}")
            )
        yield Act(Way.DROP, number, gone=(now, *(self._after[other] for other in after.of([key]))))
        old = under_new_names(DatabaseObject(*key), self._names_before).key
        group = {old, *before.of([old])}
        yield Act(Way.CREATE, number, made=tuple(self._before[other] for other in self._before if other in group))

    # For the emission.

    def as_before(self, each: DatabaseObject) -> DatabaseObject:
        """Return an object with the name that it has once names are given back."""
        return under_new_names(each, self._names_before)

    def beside(self, *, renamed_back: bool, whole: bool = False) -> dict[Key, Facts]:
        """Return the facts of the objects that may exist.

        Args:
            renamed_back: Whether they have their names of before the migration.
            whole: Whether all are wanted, or those alone that have parts of their own or a kind of their own in SQL.
        """
        if (known := self._known.get((renamed_back, whole))) is None:
            kinds = OBJECT_KINDS if whole else _HOMES
            found: Iterable[DatabaseObject] = self._after.values()
            if renamed_back:
                found = (*map(self.as_before, self._after.values()), *self._before.values())
            elif self._renames or self._dropped:
                found = (*(under_new_names(each, self._renames) for each in self._before.values()), *found)
            known = {each.key: each.facts or {} for each in found if each.kind in kinds}
            self._known[renamed_back, whole] = known
        return known

    @property
    def heading(self) -> str:
        """The first line of the script."""
        return f"-- Takes back {self._migration.name}: derived from what its statements declare.\n"


class _Emission:
    """Writes the statements of acts."""

    def __init__(self, derivation: _Derivation, acts: Iterable[Act]) -> None:
        self._derivation = derivation
        self._acts = acts
        self._renamed_back = False

    @property
    def text(self) -> str:
        """The script."""
        found: list[str] = []
        bodies = False
        for act in self._acts:
            found += self._of(act)
            bodies = bodies or any(each.kind == "function" for each in act.made)
        # A body may name what stands only afterwards.
        ahead = ["SET LOCAL check_function_bodies = off"] if bodies else []
        return self._derivation.heading + "".join(f"{each};\n" for each in (*ahead, *found))

    def _of(self, act: Act) -> list[str]:
        if act.way is Way.RENAME:
            statements = list(renames_back(act.renames))
            self._renamed_back = True
            return statements
        beside = self._derivation.beside(renamed_back=self._renamed_back)
        if act.way is Way.DROP:
            going = self._now(act.gone[0])
            if going.kind in GRANTED:
                # Grants by other roles stay.
                return writer.alter(going, evolve(going, facts={}), beside=beside) or []
            return [_if_exists(writer.drop(going, beside=beside))]
        if act.way is Way.ALTER:
            now, former = self._now(act.gone[0]), act.made[0]
            if self._renamed_back:
                former = self._derivation.as_before(former)
            return relabelled(now, former) or writer.alter(now, former, beside=beside) or []
        beside = self._derivation.beside(renamed_back=self._renamed_back, whole=True)
        return writer.create(act.made, needs_among(act.made, act.made), beside=beside)

    def _now(self, each: DatabaseObject) -> DatabaseObject:
        return self._derivation.as_before(each) if self._renamed_back else each


def _if_exists(statement: str) -> str:
    """Return a statement that drops an object, and does nothing where it is gone already."""
    return _DROP.sub(r"\g<0> IF EXISTS", statement, count=1)


def _follows_table(former: DatabaseObject, now: DatabaseObject) -> bool:
    """Return whether a part changes back by itself when its table is detached from a parent, or attached again."""
    old, new = former.facts or {}, now.facts or {}
    if old.get("inherited"):
        return True
    changed = {fact for fact in {*old, *new} if old.get(fact) != new.get(fact)}
    return now.kind in ("index", "constraint", "column") and changed <= {"partition_of", "inherited", "not_null_name"}


def _without_names(facts: Facts) -> dict[str, Fact]:
    """Return the facts of a column without the names that follow that of its table."""
    left = dict(facts)
    left.pop("not_null_name", None)
    if isinstance(sequence := left.pop("sequence", None), str):
        words = sequence.split(" ")
        rest = " ".join(words[3:] if words[:2] == ["sequence", "name"] else words)
        if rest:
            left["sequence"] = rest
    return left


def _with_words(value: Fact, words: Mapping[str, str]) -> Fact:
    def new(text: str) -> str:
        return _WORD.sub(lambda found: words.get(found[0], found[0]), text)

    if isinstance(value, tuple):
        return tuple(map(new, value))
    return new(value) if isinstance(value, str) else value
