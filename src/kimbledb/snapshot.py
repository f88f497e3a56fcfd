"""The canonical picture of a schema, and the difference of two.

Two schemas with the same picture behave the same, whatever their names and
whatever version of PostgreSQL they lie on; what differs between versions stands in
``sql/queries/snapshot.sql``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from attrs import frozen

from kimbledb import queries
from kimbledb.model import DatabaseObject
from kimbledb.names import quote_literal
from kimbledb.session import Session, path_of


@frozen
class Difference:
    """What changed between two snapshots."""

    #: There now and not before, in the form that it has now.
    created: tuple[DatabaseObject, ...]
    #: There before and now, in the form that it has now.
    changed: tuple[DatabaseObject, ...]
    #: There before and not now, in the form that it had.
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
    """Every object of a schema by kind and name, with its definition."""

    objects: Mapping[tuple[str, str], str]

    def __iter__(self) -> Iterator[DatabaseObject]:
        for (kind, name), definition in self.objects.items():
            yield DatabaseObject(kind, name, definition)

    def __len__(self) -> int:
        return len(self.objects)

    def since(self, before: Snapshot) -> Difference:
        """Return what was done between ``before`` and this one, in order of kind and name."""
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


async def take(session: Session, schema: str, path: Iterable[str]) -> Snapshot:
    """Take the picture of a schema.

    Args:
        session: Where to ask.
        schema: The schema.
        path: It and the schemas of extensions, whose names are left out of the picture.
    """
    seen_from = quote_literal(path_of(tuple(path)))
    rows = await session.ask(queries.printed("snapshot", seen_from, schema=quote_literal(schema)))
    return Snapshot({(kind, name): definition for kind, name, definition in rows})
