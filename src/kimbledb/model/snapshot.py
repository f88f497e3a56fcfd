"""A snapshot of a schema as a value, and the difference of two snapshots.

Two schemas with the same snapshot behave alike. Neither the name of the schema nor the version of PostgreSQL is
part of a snapshot.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from attrs import frozen

from kimbledb.model.objects import DatabaseObject


@frozen
class Difference:
    """The difference of two snapshots."""

    #: The objects that only the later snapshot holds.
    created: tuple[DatabaseObject, ...]
    #: The objects that both hold in different forms, in the later form.
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
    """The objects of a schema."""

    #: The definition of each object, by its kind and its name.
    objects: Mapping[tuple[str, str], str]

    def __iter__(self) -> Iterator[DatabaseObject]:
        for (kind, name), definition in self.objects.items():
            yield DatabaseObject(kind, name, definition)

    def __len__(self) -> int:
        return len(self.objects)

    def since(self, before: Snapshot) -> Difference:
        """Return the changes from an earlier snapshot to this one, in order of kind and name.

        Args:
            before: The earlier snapshot.
        """
        return Difference(
            created=_objects(self.objects, self.objects.keys() - before.objects.keys()),
            changed=_objects(
                self.objects,
                (
                    key
                    for key in self.objects.keys() & before.objects.keys()
                    if self.objects[key] != before.objects[key]
                ),
            ),
            dropped=_objects(before.objects, before.objects.keys() - self.objects.keys()),
        )


def _objects(source: Mapping[tuple[str, str], str], keys: Iterable[tuple[str, str]]) -> tuple[DatabaseObject, ...]:
    return tuple(DatabaseObject(kind, name, source[kind, name]) for kind, name in sorted(keys))
