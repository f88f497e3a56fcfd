"""A dump of pg_dump, alone in its folder: the schema that was there before any migration, as the first one.

The dump holds the schema only (``pg_dump --schema-only``). In the other formats a script may be a dump as well.
"""

from __future__ import annotations

from kimbledb.catalog.drafts import Draft, migrations_of
from kimbledb.catalog.naming import title_of
from kimbledb.catalog.reading import Folder, script_of
from kimbledb.model.fault import Fault
from kimbledb.model.migration import Migration


def matches(folder: Folder) -> bool:
    """Return whether the only script of a folder is a dump."""
    return folder.owner is None and folder.dialect == "pg_dump"


def read(folder: Folder) -> tuple[list[Migration], list[Fault]]:
    """Return the migration of a dump, and all faults in it."""
    faults: list[Fault] = []
    [entry] = [entry for entry in folder.entries if entry.is_script]
    path = f"{folder.shown}/{entry.name}"
    title = title_of(entry.name.removesuffix(".sql"))
    draft = Draft(name=entry.name, title=title, apply=script_of(entry, path, faults))
    return migrations_of(folder, [draft], faults), faults
