"""The values that the writers of kinds share: a piece of a schema with its place in the order, and what is around it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from enum import IntEnum, auto
from functools import cached_property

from attrs import evolve, field, frozen

from kimbledb.model.objects import PARTS, DatabaseObject, Facts, Key, parts_of, quoted
from kimbledb.planning.writer.names import relation_of, texts, usual_name

_CREATE = re.compile(r"\s*CREATE\s+(?!OR\s+REPLACE)", re.IGNORECASE)
#: Kinds that stand before each table, unless a dependence says otherwise.
BEFORE_TABLES = frozenset({"type", "sequence", "collation", "table", "column"})


class Rank(IntEnum):
    """The order of pieces where no dependence decides."""

    SCHEMA = auto()
    BASE = auto()
    TYPE = auto()
    SEQUENCE = auto()
    TABLE = auto()
    COLUMN = auto()
    SETTING = auto()
    ROUTINE = auto()
    OPERATOR = auto()
    DEFAULT = auto()
    KEY = auto()
    INDEX = auto()
    PARTITION = auto()
    CHECK = auto()
    REFERENCE = auto()
    VIEW = auto()
    STATISTICS = auto()
    MARK = auto()
    RULE = auto()
    TRIGGER = auto()
    SECURITY = auto()
    POLICY = auto()
    COMMENT = auto()
    REVOKE = auto()
    GRANT = auto()
    DEFAULT_PRIVILEGE = auto()


def _keys(keys: Iterable[Key]) -> frozenset[Key]:
    return frozenset(keys)


@frozen
class Piece:
    """A statement, with what it makes and what must be made before it."""

    statement: str
    rank: Rank
    #: The objects that exist after it. Nothing waits for a statement that makes no object.
    makes: tuple[Key, ...] = ()
    #: The objects that must exist before it. Those that no piece makes are there already.
    needs: frozenset[Key] = field(default=(), converter=_keys)
    #: A statement that makes a stand-in, which needs types alone, where a circle leaves no other way.
    stand_in: str | None = None

    def twice(self) -> tuple[Piece, Piece]:
        """Return the stand-in, which makes the objects, and the statement that replaces it."""
        assert self.stand_in is not None
        types = {key for key in self.needs if key[0] in ("type", "table")}
        return (
            evolve(self, statement=self.stand_in, needs=types, stand_in=None),
            evolve(
                self, statement=or_replace(self.statement), makes=(), needs={*self.needs, *self.makes}, stand_in=None
            ),
        )


def or_replace(statement: str) -> str:
    """Return a CREATE statement as CREATE OR REPLACE."""
    return _CREATE.sub("CREATE OR REPLACE ", statement, count=1)


# Without slots: the properties below are computed once.
@frozen(slots=False, eq=False)
class Surroundings:
    """The objects among which statements are written."""

    #: All objects, those that are made and those that exist, by kind and name, in order.
    objects: Mapping[Key, Facts]
    #: Those that are made. None where all are there already.
    made: frozenset[Key] = frozenset()
    #: The objects that each object needs, by the server's record.
    needs: Mapping[Key, Collection[Key]] = field(factory=dict)
    #: The tables that exist and are attached to a parent, or inherit, only later.
    apart: Collection[str] = ()
    #: The columns that exist and get another default, or lose theirs, at a time that no other statement waits for.
    with_other_defaults: Collection[Key] = ()

    @cached_property
    def _parts(self) -> Mapping[tuple[str, str], list[DatabaseObject]]:
        found: dict[tuple[str, str], list[DatabaseObject]] = {}
        for (kind, name), facts in self.objects.items():
            if kind in PARTS:
                found.setdefault((kind, relation_of(name)), []).append(DatabaseObject(kind, name, facts))
        return found

    @cached_property
    def _children(self) -> Mapping[str, list[str]]:
        found: dict[str, list[str]] = {}
        for kind, name in self.objects:
            if kind == "table":
                for parent in self.above(name):
                    found.setdefault(parent, []).append(name)
        return found

    @cached_property
    def _indexes(self) -> Mapping[str, list[DatabaseObject]]:
        found: dict[str, list[DatabaseObject]] = {}
        for (kind, name), facts in self.objects.items():
            if kind == "index":
                found.setdefault(str(facts.get("on")), []).append(DatabaseObject(kind, name, facts))
        return found

    def facts(self, kind: str, name: str) -> Facts:
        """Return the facts of an object; none if there is no such object."""
        return self.objects.get((kind, name)) or {}

    def has(self, kind: str, name: str) -> bool:
        """Return whether there is such an object."""
        return (kind, name) in self.objects

    def parts(self, kind: str, relation: str) -> list[DatabaseObject]:
        """Return the parts of a relation of a kind, in order."""
        return self._parts.get((kind, relation), [])

    def children(self, table: str) -> list[str]:
        """Return the names of the partitions and of the tables that inherit from a table."""
        return self._children.get(table, [])

    def above(self, table: str) -> tuple[str, ...]:
        """Return the names of the tables that a table is a partition of or inherits from."""
        facts = self.facts("table", table)
        return (*texts(facts, "partition_of"), *texts(facts, "inherits"))

    def all_above(self, table: str) -> Iterator[str]:
        """Yield the names of all tables above a table, the nearest first."""
        for each in self.above(table):
            yield each
            yield from self.all_above(each)

    def has_from_above(self, table: str) -> bool:
        """Return whether a table that exists gets what is made of the table above."""
        above = [("table", each) for each in self.above(table)]
        return ("table", table) not in self.made and table not in self.apart and self.made.isdisjoint(above)

    def counter(self, column: Key) -> str | None:
        """Return the name of the sequence of an identity column, or None if it is none."""
        facts = self.objects.get(column, {})
        if "identity" not in facts:
            return None
        named = re.match(r'sequence name ("(?:[^"]|"")*"|[^ ]+)', str(facts.get("sequence", "")))
        return ".".join(map(quoted, parts_of(named[1]))) if named else quoted(usual_name(column[1], "seq"))

    def indexes(self, relation: str) -> list[DatabaseObject]:
        """Return the indexes of a table or a view, in order."""
        return self._indexes.get(relation, [])

    def below(self, relation: str, index: str) -> list[DatabaseObject]:
        """Return the indexes of the partitions of a table that belong to an index of the table.

        Args:
            relation: The table.
            index: Its index.
        """
        return [
            each
            for child in self.children(relation)
            for each in self.indexes(child)
            if (each.facts or {}).get("partition_of") == index
        ]

    def needs_of(self, *keys: Key) -> set[Key]:
        """Return the objects that objects need by the server's record, without themselves."""
        return {need for key in keys for need in self.needs.get(key, ())} - set(keys)

    def leads_to(self, key: Key, others: Collection[Key]) -> bool:
        """Return whether an object needs one of some others, by way of any that are made."""
        seen: set[Key] = set()
        waiting = [key]
        while waiting:
            each = waiting.pop()
            if each in others:
                return True
            if each not in seen:
                seen.add(each)
                waiting += [need for need in self.needs.get(each, ()) if need in self.made or need in others]
        return False

    def only(self, table: str) -> str:
        """Return the word that keeps a statement from the tables below a table, if there are any."""
        return "ONLY " if self.children(table) else ""


def attachment_of(partition: str) -> Key:
    """Return what a statement needs that comes after a partition is attached to its parent.

    Args:
        partition: The name of the partition.
    """
    return ("attachment", partition)


def needs_nothing_late(key: Key, around: Surroundings) -> bool:
    """Return whether all that an object needs stands before the tables.

    A constraint or a default for which it holds may stand in its table's own statement.

    Args:
        key: The object.
        around: The objects around it.
    """
    return all(kind in BEFORE_TABLES for kind, name in around.needs_of(key) if (kind, name) in around.made)


#: Writes the statements that make an object.
Create = Callable[[DatabaseObject, Surroundings], Iterable[Piece]]
#: Writes the statement that drops an object.
Drop = Callable[[DatabaseObject, Surroundings], str]
#: Writes the statements that give an object its later facts, or None if it must be dropped and made again.
Alter = Callable[[DatabaseObject, DatabaseObject, Surroundings], Iterator[str] | None]


def facts_of(each: DatabaseObject) -> Facts:
    """Return the facts of an object; none if they are not known."""
    return each.facts or {}
