"""yoyo: ``0001.create-users.sql`` with ``-- depends:``, and what takes it back in ``0001.create-users.rollback.sql``.

A migration comes after those that it depends on; else the order is that of the names. One that depends on none needs the
one before it. ``-- transactional: false`` is heeded. Migrations in Python are faults.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from kimbledb.catalog.dialects import depends_of
from kimbledb.catalog.drafts import Draft, migrations_of
from kimbledb.catalog.named_files import NamedFile, named_files
from kimbledb.catalog.naming import title_of
from kimbledb.catalog.reading import Folder
from kimbledb.model.fault import Fault
from kimbledb.model.migration import Migration
from kimbledb.model.names import near

_FILE = re.compile(r"(?!conftest\.py)(?P<stem>.+?)(?P<back>\.rollback)?\.(?:sql|py)")
_TRANSACTIONAL = re.compile(r"\A(?:--[^\n]*\n|[ \t]*\n)*?--[ \t]*transactional:[ \t]*false\b", re.IGNORECASE)
_AFTER = "post-apply"


def matches(folder: Folder) -> bool:
    """Return whether the scripts of a folder are yoyo's."""
    if folder.owner is not None:
        return folder.owner.name == "yoyo" and any(entry.is_script for entry in folder.entries)
    return folder.dialect == "yoyo"


def read(folder: Folder) -> tuple[list[Migration], list[Fault]]:
    """Return the migrations of a folder of yoyo, and all faults in it."""
    faults: list[Fault] = []
    files = list(named_files(folder, _FILE, faults))
    backs = {file["stem"]: file for file in files if file["back"]}
    forward: dict[str, NamedFile] = {}
    for file in files:
        if file["stem"].startswith(_AFTER):
            message = "yoyo runs it after each run, and kimbledb does not"
            faults.append(file.fault(message, "move it elsewhere"))
        elif not file["back"]:
            forward[file["stem"]] = file
    needs = {stem: _needs(file, forward, faults) for stem, file in forward.items()}
    drafts: list[Draft] = []
    for stem in _ordered(needs, folder, faults):
        drafts.append(_draft_of(forward[stem], backs.pop(stem, None), needs[stem]))
    for file in backs.values():
        faults.append(file.fault("it takes back what no script makes", "write its script, or remove it"))
    return migrations_of(folder, drafts, faults), faults


def _draft_of(file: NamedFile, back: NamedFile | None, needs: list[str]) -> Draft:
    return Draft(
        name=file.name,
        title=title_of(re.sub(r"^[0-9][0-9_]*[.-]?", "", file["stem"])) or file["stem"],
        apply=file.script,
        rollback=None if back is None else back.script,
        transactional=_TRANSACTIONAL.match(file.script.text) is None,
        requires=tuple(f"{stem}.sql" for stem in needs) or None,
    )


def _needs(file: NamedFile, known: Mapping[str, NamedFile], faults: list[Fault]) -> list[str]:
    """Return the migrations that one depends on, as far as they are there."""
    names = depends_of(file.script.text)
    for name in names:
        if name not in known:
            close = near(name, known)
            cure = f"is it {' or '.join(close)}?" if close else "name a migration of this folder, without .sql"
            faults.append(
                file.fault(f"it depends on {name}, which is not there", cure, file.script.text.find("depends:"))
            )
    return [name for name in names if name in known]


def _ordered(needs: Mapping[str, list[str]], folder: Folder, faults: list[Fault]) -> list[str]:
    """Return all names, each after those that it depends on, and else by name."""
    ordered: dict[str, None] = {}
    waiting = sorted(needs)
    while waiting:
        free = next((name for name in waiting if all(need in ordered for need in needs[name])), None)
        if free is None:
            message = f"these depend on each other: {', '.join(waiting[:5])}"
            faults.append(Fault(folder.shown, message, "remove one of the `-- depends:` among them"))
            break
        ordered[free] = None
        waiting.remove(free)
    return list(ordered)
