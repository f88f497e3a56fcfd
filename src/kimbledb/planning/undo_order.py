"""The order in which a rollback takes effects back: in reverse, but no object goes before those that need it. Pure."""

from __future__ import annotations

import enum
import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence

from attrs import define, evolve, field

from kimbledb.model.objects import PARTS, DatabaseObject, Key, parts_of, without
from kimbledb.planning.mentions import NOT_NEEDED, mentioned, needs, word_of

#: Kinds that share their names: tables, what is like a table, and the indexes behind keys.
_RELATIONS = frozenset({"table", "view", "sequence", "index", "type", "constraint"})
#: Kinds in the order in which they go where one statement made several.
_GOING = (
    *("default privilege", "privilege", "comment", "policy", "rule", "trigger", "view", "statistics", "index"),
    *("constraint", "column", "table", "sequence", "operator class", "operator family", "operator", "conversion"),
    *("function", "type", "text search configuration", "text search dictionary", "text search template"),
    *("text search parser", "collation", "schema"),
)
_RANKS = {kind: rank for rank, kind in enumerate(_GOING)}
#: Parts of a table that can go before it.
_DETACHABLE = frozenset({"policy", "rule", "trigger", "statistics", "index", "constraint"})


class Way(enum.IntEnum):
    """The kind of an act."""

    #: It drops an object, and with it all that belongs to it.
    DROP = 0
    #: It gives objects their earlier names.
    RENAME = 1
    #: It gives an object its earlier facts.
    ALTER = 2
    #: It makes an object again, and with it all that belonged to it.
    CREATE = 3


@define(eq=False)
class Act:
    """One act of a rollback."""

    way: Way
    #: The number of the statement whose effect it takes back.
    place: int
    #: The objects as they are before it: the one that goes and those that go with it, or the one that changes.
    gone: tuple[DatabaseObject, ...] = ()
    #: The objects as they are after it.
    made: tuple[DatabaseObject, ...] = ()
    #: For renames: the later name of each object, by the kind and name before the migration.
    renames: Mapping[Key, str] = field(factory=dict)

    @property
    def changes_type(self) -> bool:
        """Whether it gives a column another type, which the server refuses while a view or a policy needs the column."""
        return (
            self.way is Way.ALTER
            and self.gone[0].kind == "column"
            and (self.gone[0].facts or {}).get("type") != (self.made[0].facts or {}).get("type")
        )

    @property
    def rank(self) -> int:
        """Its place among the acts of one statement and one way."""
        return _RANKS[self.gone[0].kind] if self.way is Way.DROP else 0


def ordered(acts: Iterable[Act]) -> list[Act]:
    """Return acts in an order in which each can be done.

    Where objects need each other in a circle, a part that closes it (a foreign key, a trigger, a default) gets an act
    of its own, before the table that it belongs to goes.

    Args:
        acts: The acts. Without dependence those of later statements come first.
    """
    return _Ordering(list(acts)).run()


class _Ordering:
    def __init__(self, acts: Sequence[Act]) -> None:
        self._acts = acts
        #: For each act, by number, the acts that must come before it.
        self._before: dict[int, set[int]] = {number: set() for number in range(len(acts))}
        for first, later in self._constraints():
            if first != later:
                self._before[later].add(first)
        self._after: dict[int, set[int]] = {number: set() for number in self._before}
        for later, those in self._before.items():
            for first in those:
                self._after[first].add(later)

    def run(self) -> list[Act]:
        """Return the acts in order."""
        found: list[Act] = []
        heap = [self._key(number) for number, those in self._before.items() if not those]
        heapq.heapify(heap)
        while self._before:
            while heap:
                number = heapq.heappop(heap)[-1]
                found.append(self._acts[number])
                del self._before[number]
                for later in self._after[number] & self._before.keys():
                    self._before[later].discard(number)
                    if not self._before[later]:
                        heapq.heappush(heap, self._key(later))
            if self._before:
                number, parts = self._opened()
                found += parts
                self._before[number].clear()
                heapq.heappush(heap, self._key(number))
        return found

    def _key(self, number: int) -> tuple[int, int, int, int, int]:
        act = self._acts[number]
        # Objects that one statement made go in reverse; objects that it dropped come back in order.
        turn = number if act.way is Way.CREATE else -number
        return (-act.place, act.way, act.rank, turn, number)

    def _opened(self) -> tuple[int, list[Act]]:
        """Return an act within a circle that is done next, and the acts on parts that must come before it."""
        number = min(self._before, key=lambda each: (self._acts[each].way is not Way.DROP, self._key(each)))
        going = self._acts[number].gone
        parts = [
            part
            for first in sorted(self._before[number], key=self._key)
            for each in self._acts[first].gone
            if self._acts[first].way is Way.DROP and any(needs(each, other) for other in going)
            for part in _detached(each, self._acts[number].place)
        ]
        return number, parts

    def _constraints(self) -> Iterator[tuple[int, int]]:
        """Yield pairs of acts by their numbers, of which the first must come before the second."""
        gone, made = self._named("gone"), self._named("made")
        for first, act in enumerate(self._acts):
            for each in act.gone:
                for later, other in _needed(each, gone):
                    if self._acts[later].way is Way.DROP:
                        if act.way is Way.DROP or not any(needs(former, other) for former in act.made):
                            yield first, later
                    elif act.way is Way.DROP and self._acts[later].changes_type:
                        yield first, later
            for each in act.made:
                for earlier, _ in _needed(each, made):
                    if Way.CREATE in (act.way, self._acts[earlier].way):
                        yield earlier, first
        yield from self._clashes()
        yield from self._around_renames()

    def _named(self, which: str) -> dict[str, list[tuple[int, DatabaseObject]]]:
        """Return the acts and their objects, by the word that names the object elsewhere."""
        found: dict[str, list[tuple[int, DatabaseObject]]] = {}
        for number, act in enumerate(self._acts):
            for each in getattr(act, which):
                if each.kind not in NOT_NEEDED:
                    found.setdefault(word_of(each), []).append((number, each))
        return found

    def _clashes(self) -> Iterator[tuple[int, int]]:
        """Yield the acts that free a name, each with the act that gives it to another object."""
        leaving: dict[tuple[str, str], list[int]] = {}
        for number, act in enumerate(self._acts):
            if act.way is Way.DROP:
                for each in act.gone:
                    leaving.setdefault(_place_of_name(each.key), []).append(number)
        for number, act in enumerate(self._acts):
            taken = [each.key for each in act.made] if act.way is Way.CREATE else list(act.renames)
            for key in taken:
                for first in leaving.get(_place_of_name(key), ()):
                    yield first, number

    def _around_renames(self) -> Iterator[tuple[int, int]]:
        """Yield the renames with the acts that say the earlier names."""
        for first, renaming in enumerate(self._acts):
            if renaming.way is not Way.RENAME:
                continue
            old = {parts_of(name)[-1] for _, name in renaming.renames}
            for number, act in enumerate(self._acts):
                if act.way is Way.CREATE or (act.way is Way.ALTER and old & mentioned(act.made[0])):
                    yield first, number


def _needed(
    each: DatabaseObject, named: Mapping[str, Sequence[tuple[int, DatabaseObject]]]
) -> Iterator[tuple[int, DatabaseObject]]:
    """Yield the acts with an object that another object needs, with that object."""
    for word in sorted(mentioned(each) & named.keys()) + [word for word in named if not word[:1].isidentifier()]:
        for number, other in named[word]:
            if needs(each, other):
                yield number, other


def _place_of_name(key: Key) -> tuple[str, str]:
    """Return the group of kinds whose names must differ from an object's, and that name."""
    kind, name = key
    if kind == "constraint":
        return "relation", parts_of(name)[-1]
    return ("relation", name) if kind in _RELATIONS and kind not in PARTS else (kind, name)


def _detached(each: DatabaseObject, place: int) -> Iterator[Act]:
    """Yield the act by which a part goes before the table that it belongs to."""
    facts = each.facts or {}
    if each.kind in _DETACHABLE:
        yield Act(Way.DROP, place, gone=(each,))
    elif each.kind == "column" and "default" in facts:
        yield Act(Way.ALTER, place, gone=(each,), made=(evolve(each, facts=without(facts, "default")),))
