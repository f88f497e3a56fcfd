"""Prisma and newer Drizzle: ``20240101120000_create_users/migration.sql``.

The order is that of the folders' names, which are the names of the migrations. A ``down.sql`` beside a script takes it
back. ``migration_lock.toml`` must name PostgreSQL.
"""

from __future__ import annotations

import re

from kimbledb.catalog import sections
from kimbledb.catalog.drafts import Draft, migrations_of
from kimbledb.catalog.named_folders import NamedFolder, named_folders
from kimbledb.catalog.naming import title_of
from kimbledb.catalog.reading import Folder, read_script
from kimbledb.model.fault import Fault
from kimbledb.model.migration import Migration

_APPLY, _BACK, _LOCK = "migration.sql", "down.sql", "migration_lock.toml"
_NAME = re.compile(r"([0-9]+)[_-]?(.*)")
_PROVIDER = re.compile(r'^\s*provider\s*=\s*"([^"]*)"', re.MULTILINE)
#: Parts statements; the server needs no mark.
BREAKPOINT = re.compile(r"(-->[ \t]*statement-breakpoint)")


def matches(folder: Folder) -> bool:
    """Return whether a folder holds folders with a migration.sql."""
    return folder.holds_folders_with(_APPLY)


def read(folder: Folder) -> tuple[list[Migration], list[Fault]]:
    """Return the migrations of a folder of Prisma, and all faults in it."""
    faults: list[Fault] = []
    found = named_folders(folder, (_APPLY, _BACK), faults)
    _check_provider(folder, faults)
    return migrations_of(folder, list(map(_draft_of, found)), faults), faults


def _draft_of(found: NamedFolder) -> Draft:
    match = _NAME.fullmatch(found.name)
    script = found.scripts[_APPLY]
    return Draft(
        name=found.name,
        number=int(match[1]) if match else None,
        title=title_of(match[2] if match else found.name),
        apply=sections.divided(script, sections.marks_in(script, BREAKPOINT)),
        rollback=found.scripts.get(_BACK),
        transactional=None,
    )


def _check_provider(folder: Folder, faults: list[Fault]) -> None:
    lock = folder.file(_LOCK)
    script = None if lock is None else read_script(lock, f"{folder.shown}/{_LOCK}", faults)
    match = None if script is None else _PROVIDER.search(script.text)
    if script is not None and match is not None and match[1] != "postgresql":
        line, _ = script.line_and_column(match.start(1))
        message = f"its migrations are for {match[1]}"
        faults.append(Fault(script.path, message, "give the folder of migrations for postgresql", line))
