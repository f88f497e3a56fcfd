"""Drizzle: ``0000_calm_hulk.sql`` and its like, in the order of ``meta/_journal.json``.

Drizzle applies what its journal names, and nothing else: a script that is not in it is a fault, and so is an entry
without a script. Newer folders of Drizzle, without a journal, are read as those of Prisma.
"""

from __future__ import annotations

import json
from typing import Any

from kimbledb.catalog import reading, sections
from kimbledb.catalog.drafts import Draft, migrations_of
from kimbledb.catalog.formats.prisma import BREAKPOINT
from kimbledb.catalog.naming import title_of
from kimbledb.catalog.reading import Folder, read_script, script_of
from kimbledb.model.fault import Fault
from kimbledb.model.migration import Migration

_META, _JOURNAL = "meta", "_journal.json"
_DIALECTS = ("postgresql", "pg")


def matches(folder: Folder) -> bool:
    """Return whether a folder has a journal of Drizzle."""
    return folder.owner is not None and folder.owner.name == "Drizzle"


def read(folder: Folder) -> tuple[list[Migration], list[Fault]]:
    """Return the migrations of a folder of Drizzle, and all faults in it."""
    faults: list[Fault] = []
    scripts = {entry.name: entry for entry in folder.entries if entry.is_script}
    drafts: list[Draft] = []
    for tag in _tags(folder, faults):
        name = f"{tag}.sql"
        path = f"{folder.shown}/{name}"
        entry = scripts.pop(name, None)
        if entry is None:
            faults.append(Fault(path, "the journal names it, and it is missing", "generate the migrations anew"))
            continue
        script = script_of(entry, path, faults)
        number, _, title = tag.partition("_")
        drafts.append(
            Draft(
                name=name,
                number=int(number) if number.isdigit() else None,
                title=title_of(title or tag),
                apply=sections.divided(script, sections.marks_in(script, BREAKPOINT)),
            )
        )
    for name in scripts:
        message = "the journal does not name it, so that Drizzle does not apply it"
        faults.append(Fault(f"{folder.shown}/{name}", message, "remove it, or generate the migrations anew"))
    return migrations_of(folder, drafts, faults), faults


def _tags(folder: Folder, faults: list[Fault]) -> list[str]:
    """Return the names of the migrations in the journal, in its order."""
    path = f"{folder.shown}/{_META}/{_JOURNAL}"
    meta = next(entry for entry in folder.entries if entry.name == _META)
    inside = reading.list_entries(meta.where, f"{folder.shown}/{_META}", faults, folder.home)
    script = read_script(next(each for each in inside if each.name == _JOURNAL), path, faults)
    try:
        journal: Any = json.loads(script.text if script is not None else "{}")
        tags = [(int(entry["idx"]), str(entry["tag"])) for entry in journal.get("entries", ())]
        dialect = journal.get("dialect", "postgresql")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        faults.append(Fault(path, f"it is no journal of Drizzle: {error!r}", "restore it, or generate it anew"))
        return []
    if dialect not in _DIALECTS:
        faults.append(Fault(path, f"its migrations are for {dialect}", "give the folder of those for postgresql"))
    return [tag for _, tag in sorted(tags)]
