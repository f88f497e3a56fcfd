"""golang-migrate and sqlx: ``000001_create_users.up.sql``, and what takes it back in ``000001_create_users.down.sql``.

The order is that of the numbers. A migration is called by the name of its first file. A script whose first line is
``-- no-transaction`` (sqlx), and one with a statement that the server refuses in a transaction, runs outside of one.
A script without ``up`` or ``down`` in its name is a migration of sqlx, and is read as such.
"""

from __future__ import annotations

import re

from kimbledb.catalog.drafts import NO_TRANSACTION, Draft, migrations_of
from kimbledb.catalog.named_files import NamedFile, named_files
from kimbledb.catalog.naming import title_of
from kimbledb.catalog.reading import Folder
from kimbledb.model.fault import Fault
from kimbledb.model.migration import Migration

_FILE = re.compile(r"(?P<number>[0-9]+)_(?P<name>.*?)\.(?:tx\.)?(?P<way>up|down)\.(?:sql|go)")
_ONE_WAY = re.compile(r"(?P<number>[0-9]+)_(?P<name>.+)(?<!\.up)(?<!\.down)(?P<way>)\.sql")


def matches(folder: Folder) -> bool:
    """Return whether a folder holds pairs of scripts."""
    return any(_FILE.fullmatch(entry.name) for entry in folder.entries if entry.is_script)


def read(folder: Folder) -> tuple[list[Migration], list[Fault]]:
    """Return the migrations of a folder of pairs, and all faults in it."""
    faults: list[Fault] = []
    files = [*named_files(folder, _FILE, faults), *named_files(folder, _ONE_WAY, faults)]
    downs = {(file.number, file["name"]): file for file in files if file["way"] == "down"}
    ups = sorted((file for file in files if file["way"] != "down"), key=lambda file: (file.number, file.name))
    drafts = [_draft_of(up, downs.pop((up.number, up["name"]), None)) for up in ups]
    for down in downs.values():
        faults.append(down.fault("it takes back what no script makes", "write its .up.sql, or remove it"))
    return migrations_of(folder, drafts, faults), faults


def _draft_of(up: NamedFile, down: NamedFile | None) -> Draft:
    return Draft(
        name=up.name,
        number=up.number,
        title=title_of(up["name"]),
        apply=up.script,
        rollback=None if down is None else down.script,
        transactional=False if up.script.text.startswith(NO_TRANSACTION) else None,
        remarks=() if up["way"] else ("a script without `up` in its name: sqlx runs it, and golang-migrate does not",),
    )
