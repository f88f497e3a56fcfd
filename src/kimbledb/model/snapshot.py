"""A snapshot of a schema as a value, and the difference of two snapshots.

Two schemas with the same snapshot behave alike. Neither the name of the schema nor the version of PostgreSQL is
part of a snapshot.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from attrs import field, frozen

from kimbledb.model.objects import DatabaseObject, Facts, Key

#: The identity of an object in its database: the catalog that holds it, its oid, and the number of a column or 0.
Identity = tuple[str, int, int]
#: The classes of objects in default privileges, by the kind of object.
_CLASSES: Final = {"table": "r", "view": "r", "sequence": "S", "function": "f", "type": "T"}


@frozen
class Difference:
    """The difference of two snapshots."""

    #: The objects that only the later snapshot holds.
    created: tuple[DatabaseObject, ...]
    #: The objects that both hold with different facts, with the later facts.
    changed: tuple[DatabaseObject, ...]
    #: The objects that only the earlier snapshot holds.
    dropped: tuple[DatabaseObject, ...]

    def __bool__(self) -> bool:
        return bool(self.created or self.changed or self.dropped)

    def __str__(self) -> str:
        lines = [f"+ {each}: {each.definition}" for each in self.created]
        lines += [f"~ {each}: {each.definition}" for each in self.changed]
        lines += [f"- {each}: {each.definition}" for each in self.dropped]
        return "\n".join(lines) or "no difference"


@frozen
class Snapshot:
    """The objects of a schema. Two snapshots are equal if their objects have equal facts."""

    #: The facts of each object, by its kind and its name.
    objects: Mapping[Key, Facts]
    #: A hash of the expressions of each object that has any, as this server prints them.
    forms: Mapping[Key, str] = field(factory=dict, eq=False, repr=False)
    #: The identity of each object; empty unless it was asked for.
    identities: Mapping[Key, Identity] = field(factory=dict, eq=False, repr=False)
    #: The statement that makes each function, view, rule and the like; empty unless it was asked for.
    sources: Mapping[Key, str] = field(factory=dict, eq=False, repr=False)
    #: The objects that each object depends on, by the server's own record; empty unless it was asked for.
    needs: Mapping[Key, Collection[Key]] = field(factory=dict, eq=False, repr=False)
    #: The name of the role that owns each object; empty unless it was asked for.
    owners: Mapping[Key, str] = field(factory=dict, eq=False, repr=False)
    #: The default privileges: the class of objects as the server has it, their owner, and the role; with the owners.
    defaults: Mapping[tuple[str, str, str], Collection[str]] = field(factory=dict, eq=False, repr=False)
    #: Those that the migrating role gives to others: the class of objects and the role; with the owners.
    given: Mapping[tuple[str, str], Collection[str]] = field(factory=dict, eq=False, repr=False)
    #: The roles whose rights ``anon`` and ``authenticated`` have as members, as the names of privileges have them.
    inherited: frozenset[str] = field(default=frozenset(), eq=False, repr=False)

    def __iter__(self) -> Iterator[DatabaseObject]:
        for key in self.objects:
            yield self.get(key)

    def __len__(self) -> int:
        return len(self.objects)

    def get(self, key: Key) -> DatabaseObject:
        """Return an object of the snapshot by its kind and name.

        Args:
            key: Kind and name.

        Raises:
            KeyError: The snapshot has no such object.
        """
        return DatabaseObject(*key, self.objects[key], self.sources.get(key))

    def given_by_default(self, key: Key, target: str, role: str) -> Collection[str]:
        """Return what default privileges give a role on such an object, where the snapshot holds owners.

        Args:
            key: The kind and name of the privilege.
            target: The kind of the object that it is on.
            role: The role, as in the privilege's name.
        """
        return self.defaults.get((_CLASSES.get(target, ""), self.owners.get(key, ""), role), ())

    def since(self, before: Snapshot) -> Difference:
        """Return the changes from an earlier snapshot to this one, in order of kind and name.

        Args:
            before: The earlier snapshot.
        """
        return Difference(
            created=_objects(self, self.objects.keys() - before.objects.keys()),
            changed=_objects(
                self,
                (
                    key
                    for key in self.objects.keys() & before.objects.keys()
                    # Untouched objects keep the same value.
                    if self.objects[key] is not before.objects[key] and self.objects[key] != before.objects[key]
                ),
            ),
            dropped=_objects(before, before.objects.keys() - self.objects.keys()),
        )


def _objects(source: Snapshot, keys: Iterable[Key]) -> tuple[DatabaseObject, ...]:
    return tuple(source.get(key) for key in sorted(keys))
