"""Objects of a schema, as a declaration or a snapshot names them."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from kimbledb.model.text import one_line

#: The kinds of objects in declarations and snapshots.
OBJECT_KINDS = (
    "type",
    "sequence",
    "table",
    "column",
    "constraint",
    "index",
    "function",
    "view",
    "trigger",
    "rule",
    "policy",
    "statistics",
    "comment",
    "privilege",
)


@frozen(order=True)
class DatabaseObject:
    """One object of a schema, in a declaration or a snapshot.

    ``str()`` gives the form of messages and files: ``column users.email``.
    """

    #: One of ``OBJECT_KINDS``.
    kind: str
    #: Its name without the schema: ``users``, ``users.email``,
    #: ``search_knowledge_base(vector,double precision,integer)``.
    name: str
    #: Its definition in canonical form, as in a snapshot, or None if a declaration
    #: states only that the object exists.
    definition: str | None = field(default=None, order=False)

    @property
    def key(self) -> tuple[str, str]:
        """Kind and name, which identify the object."""
        return (self.kind, self.name)

    def __str__(self) -> str:
        return f"{self.kind} {one_line(self.name)}"


@frozen
class Declarations:
    """The objects that a migration creates, changes and drops by its own declaration, and the types of a repair."""

    #: The objects that exist only after the migration.
    creates: tuple[DatabaseObject, ...] = ()
    #: The objects that the migration changes, in their new form.
    changes: tuple[DatabaseObject, ...] = ()
    #: The objects that the migration drops.
    drops: tuple[DatabaseObject, ...] = ()
    #: For a repair: the type of each column after it, by ``table.column``.
    expects: Mapping[str, str] = field(factory=dict)
