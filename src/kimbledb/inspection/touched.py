"""Brings a snapshot up to date with what the open transaction did, at a cost in line with the transaction.

The server finds what was touched (``sql/queries/touched.sql``), and a snapshot of these objects replaces that of before.
All others are the same objects, so that a comparison passes over them. Where others may read otherwise, as after a rename,
none is made, and the caller takes a snapshot of all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import frozen

from kimbledb.inspection import snapshot
from kimbledb.model.names import quote_array
from kimbledb.model.objects import Facts, Key, parts_of
from kimbledb.model.reach import home_of
from kimbledb.model.snapshot import Snapshot
from kimbledb.server import queries

#: The address of an object's owner, or of itself: a catalog, and the OID of a row.
Home = tuple[str, int]
#: The kinds that are only touched with many others: a snapshot of all is taken then.
_RARE = frozenset(
    {
        *("schema", "collation", "operator", "operator family", "operator class", "conversion", "default privilege"),
        *("text search parser", "text search template", "text search dictionary", "text search configuration"),
    }
)
#: The kinds whose facts the forms of other objects may show. Of a column that is its type alone.
_SHOWN = frozenset({"column", "function", "type"})
#: The kinds whose names decide what a name in a form means.
_NAMED = frozenset({"table", "view", "sequence", "function", "type"})
#: The kinds that have the identity of the object that they are about.
_ABOUT_OTHERS = frozenset({"comment", "privilege"})


@frozen(eq=False)
class Held:
    """A snapshot of all objects, with what each is a part of."""

    snapshot: Snapshot
    #: The objects of each home.
    groups: Mapping[Home, Sequence[Key]]
    #: The home of each part that has an identity of its own.
    parts: Mapping[Home, Home]
    #: A hash of the names of all roles.
    roles: str

    @classmethod
    def of(cls, head: Mapping[str, Any], answer: Mapping[str, Any]) -> Held:
        """Return the snapshot of all objects that the function answered with.

        Args:
            head: Its first answer.
            answer: Its second one.
        """
        found, homes = snapshot.snapshot_of(answer), _homes(answer)
        return cls(found, _groups(homes), _parts(found, homes), head["roles"])


def function(schema: str, reached: Iterable[str], path: str, *, kinds: Iterable[str], sources: bool) -> str:
    """Return the body of the function that answers with what the open transaction touched, and with a snapshot.

    Its argument ``everything`` says that the snapshot is to hold all objects.

    Args:
        schema: The target schema.
        reached: Objects of other schemas to look at besides, as in ``reaches``.
        path: The search_path by which the server prints, as a text constant.
        kinds: The kinds of objects.
        sources: Whether the snapshot holds the statements that make functions, views and rules.
    """
    reached, kinds = tuple(reached), tuple(kinds)
    common = tuple(kind for kind in kinds if kind not in _RARE)
    some = snapshot.query(
        schema, common, reached=reached, identities=True, sources=sources, homes=True, wanted="named_names"
    )
    return queries.fill(
        snapshot.spelled(queries.text_of("touched")),
        schemas=quote_array(dict.fromkeys((schema, *map(home_of, reached)))),
        all=snapshot.query(schema, kinds, reached=reached, identities=True, sources=sources, homes=True),
        some=some,
        path=path,
    )


@frozen(eq=False)
class Change:
    """The objects of a snapshot that a transaction touched, as far as the server shows it."""

    before: Held
    #: The touched objects, as they are now.
    found: Snapshot
    homes: Mapping[Key, Home]
    touched: frozenset[Home]
    #: The touched ones that the forms of others may show.
    shown: frozenset[Home]
    #: A hash of the names of all roles.
    roles: str

    @classmethod
    def of(cls, before: Held, head: Mapping[str, Any], answer: Mapping[str, Any]) -> Change:
        """Return the change that the function answered with.

        Args:
            before: The objects before the transaction.
            head: Its first answer.
            answer: Its second one.
        """
        touched, shown = (frozenset((name, oid) for name, oid in head[each] or ()) for each in ("touched", "shown"))
        # The names of touched objects may be those of others, too.
        rows = [row for row in answer["objects"] if tuple(row[-1]) in touched]
        answer = {**answer, "objects": rows}
        return cls(before, snapshot.snapshot_of(answer), _homes(answer), touched, shown, head["roles"])

    @property
    def gone(self) -> list[Key]:
        """The objects of before that are not there any more."""
        groups = self.before.groups
        return [key for each in self.touched for key in groups.get(each, ()) if key not in self.found.objects]

    @property
    def names_given_up(self) -> list[str]:
        """The names of objects that are gone. Where another object has one, the server may print that one otherwise."""
        return [parts_of(name)[-1] for kind, name in self.gone if kind in _NAMED]

    @property
    def is_local(self) -> bool:
        """Whether all other objects are, and read, as before."""
        return self.roles == self.before.roles and not (self._moves or self._renames or self._alters_shown)

    @property
    def _moves(self) -> bool:
        """Whether a part of something untouched was touched, such as a sequence that had another owner."""
        return any(self.before.parts.get(each, each) not in self.touched for each in self.touched)

    @property
    def _renames(self) -> bool:
        identities = self.before.snapshot.identities
        gone = {(key[0], identities[key]) for key in self.gone if key[0] not in _ABOUT_OTHERS}
        return any((key[0], identity) in gone for key, identity in self.found.identities.items())

    @property
    def _alters_shown(self) -> bool:
        now = _groups(self.homes)
        for home in self.shown & self.before.groups.keys():
            before, after = (
                {key: _shown(key, held.objects[key]) for key in keys if key[0] in _SHOWN}
                for held, keys in ((self.before.snapshot, self.before.groups[home]), (self.found, now.get(home, ())))
            )
            if before != after:
                return True
        return False

    @property
    def after(self) -> Held:
        """The objects after the transaction."""
        before = self.before.snapshot
        objects, identities, sources = dict(before.objects), dict(before.identities), dict(before.sources)
        groups, parts = dict(self.before.groups), dict(self.before.parts)
        for key in self.gone:
            del objects[key], identities[key]
        for key, facts in self.found.objects.items():
            if objects.get(key) != facts:
                objects[key] = facts
        identities.update(self.found.identities)
        sources.update(self.found.sources)
        for each in self.touched:
            groups.pop(each, None)
            parts.pop(each, None)
        groups.update(_groups(self.homes))
        parts.update(_parts(self.found, self.homes))
        return Held(
            Snapshot(objects, identities=identities, sources=sources, inherited=self.found.inherited),
            groups,
            parts,
            self.roles,
        )


def _shown(key: Key, facts: Facts) -> object:
    return facts["type"] if key[0] == "column" else facts


def _homes(answer: Mapping[str, Any]) -> dict[Key, Home]:
    return {(row[0], row[1]): (row[-1][0], row[-1][1]) for row in answer["objects"]}


def _groups(homes: Mapping[Key, Home]) -> dict[Home, list[Key]]:
    groups: dict[Home, list[Key]] = {}
    for key, home in homes.items():
        groups.setdefault(home, []).append(key)
    return groups


def _parts(found: Snapshot, homes: Mapping[Key, Home]) -> dict[Home, Home]:
    """Return the home of each part that has an identity of its own."""
    identities = {key: (catalog, number) for key, (catalog, number, _) in found.identities.items()}
    return {
        identity: homes[key]
        for key, identity in identities.items()
        if identity != homes[key] and key[0] not in _ABOUT_OTHERS
    }
