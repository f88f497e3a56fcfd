"""Forms: hashes of the expressions of objects as a server printed them, which history records for each migration.

Each server version may print an expression otherwise, and a restored dump may hold another parse tree of the same
expression. So a form is compared only with one of the same origin.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from kimbledb.model.objects import DatabaseObject, Facts, Key, facts_of


@frozen
class Origin:
    """The server and the database in which forms were printed."""

    #: Its ``server_version_num``.
    server: int
    #: The system identifier of its cluster, from ``pg_control_system()``. A standby has that of its primary. 0 where the
    #: role may not ask for it.
    system: int
    #: The oid of ``migration_history``; 0 without one. A restored dump has another oid, a cloned database the same.
    table: int

    @property
    def version(self) -> int:
        """The major version of its server."""
        return self.server // 10000

    def prints_like(self, other: Origin) -> bool:
        """Return whether equal parse trees read the same here and there, and are the same trees.

        Args:
            other: The other origin.
        """
        return (self.version, self.system, self.table) == (other.version, other.system, other.table)


@frozen
class RecordedForms:
    """The forms that history records for one migration."""

    #: Where they were printed.
    origin: Origin
    #: A hash of the expressions of each object that has any, by the kind and name that the migration gives it.
    forms: Mapping[Key, str] = field(factory=dict, repr=False)
    #: The facts of each object that existed before kimbledb in a form of its own, and that keeps it. Its hash in
    #: ``forms`` is that of its own expressions, in each renewed record, too.
    kept: Mapping[Key, Facts] = field(factory=dict, repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Return the record as the column ``forms`` of history holds it."""
        value: dict[str, Any] = {
            "server": self.origin.server,
            "system": self.origin.system,
            "table": self.origin.table,
            "forms": {f"{kind} {name}": form for (kind, name), form in self.forms.items()},
        }
        if self.kept:
            value["kept"] = kept_as_dict(self.kept)
        return value

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> RecordedForms:
        """Return the record that the column ``forms`` of history holds.

        Args:
            value: The content of the column, as ``as_dict()`` gives it.
        """
        return cls(
            Origin(value["server"], value["system"], value["table"]),
            {DatabaseObject.of(text).key: form for text, form in value["forms"].items()},
            {DatabaseObject.of(text).key: facts_of(facts) for text, facts in value.get("kept", {}).items()},
        )


def kept_as_dict(kept: Mapping[Key, Facts]) -> dict[str, dict[str, Any]]:
    """Return kept objects as the log and the column ``forms`` of history hold them.

    Args:
        kept: The facts of each object.
    """
    return {f"{kind} {name}": dict(facts) for (kind, name), facts in kept.items()}


@frozen
class RecordedForm:
    """The recorded form of one object."""

    #: The hash of its expressions.
    form: str
    #: The reason why a difference from the form that is found proves nothing, or None where it proves a change.
    doubt: str | None


@frozen
class Forms:
    """The recorded forms of all migrations, and the place in which they are compared."""

    #: The server and the database that are compared now.
    here: Origin
    #: The record of each migration that has one, by its name.
    recorded: Mapping[str, RecordedForms] = field(factory=dict, repr=False)
    #: The schemas of the search_path that the role may not use: the server prints their objects' names otherwise.
    unseen: tuple[str, ...] = ()

    def of(self, migration: str, key: Key) -> RecordedForm | None:
        """Return the recorded form of an object, or None if history records none.

        Args:
            migration: The name of the migration that created or changed the object last.
            key: The kind and name that this migration gives the object.
        """
        record = self.recorded.get(migration)
        form = None if record is None else record.forms.get(key)
        return None if record is None or form is None else RecordedForm(form, self._doubt(record.origin))

    def kept(self, migration: str, key: Key) -> Facts | None:
        """Return the facts in which an object was there before kimbledb, or None if it has none of its own.

        Args:
            migration: The name of the migration that created or changed the object last.
            key: The kind and name that this migration gives the object.
        """
        record = self.recorded.get(migration)
        return None if record is None else record.kept.get(key)

    def is_usable(self, migration: str) -> bool:
        """Return whether history holds a record of a migration from here.

        Args:
            migration: The name of the migration.
        """
        record = self.recorded.get(migration)
        return record is not None and record.origin.prints_like(self.here)

    def _doubt(self, origin: Origin) -> str | None:
        if origin.prints_like(self.here):
            return None
        if origin.version != self.here.version:
            return f"history records it as PostgreSQL {origin.version} printed it"
        return "history records it as another database printed it, such as the one that was dumped"
