"""tern: ``001_create_users.sql``, and what takes it back below ``---- create above / drop below ----``.

The order is that of the numbers. ``---- tern: disable-tx ----`` is heeded. Templates are faults: tern fills them in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from kimbledb.catalog import sections
from kimbledb.catalog.drafts import Draft, migrations_of
from kimbledb.catalog.named_files import NamedFile, named_files
from kimbledb.catalog.naming import title_of
from kimbledb.catalog.reading import Folder
from kimbledb.model.fault import Fault
from kimbledb.model.migration import Migration

_FILE = re.compile(r"(?P<number>[0-9]+)_(?P<name>.+)\.sql")
_MARK = re.compile(r"^----[ \t]*(create above / drop below|tern: disable-tx)[ \t]*----[ \t]*$", re.MULTILINE)
_TEMPLATE = re.compile(r"\{\{.*?\}\}")


def matches(folder: Folder) -> bool:
    """Return whether the scripts of a folder are tern's."""
    owned = folder.owner is not None and folder.owner.name == "tern"
    return (owned and any(_FILE.fullmatch(entry.name) for entry in folder.entries)) or (
        folder.owner is None and folder.dialect == "tern"
    )


def read(folder: Folder) -> tuple[list[Migration], list[Fault]]:
    """Return the migrations of a folder of tern, and all faults in it."""
    faults: list[Fault] = []
    files = sorted(named_files(folder, _FILE, faults, mark=_MARK), key=lambda file: (file.number, file.name))
    for file in files:
        faults += _templates(file)
    return migrations_of(folder, list(map(_draft_of, files)), faults), faults


def _draft_of(file: NamedFile) -> Draft:
    marks = sections.marks_in(file.script, _MARK)
    below = next((mark.start for mark in marks if mark.word.startswith("create")), None)
    apply, rollback = sections.parted(sections.divided(file.script, marks), below)
    return Draft(
        name=file.name,
        number=file.number,
        title=title_of(file["name"]),
        apply=apply,
        rollback=rollback,
        transactional=not any(mark.word.startswith("tern") for mark in marks),
    )


def _templates(file: NamedFile) -> Iterator[Fault]:
    for match in _TEMPLATE.finditer(file.script.text):
        message = f"tern puts a text in place of {match[0][:80]}, which is no part of the migration"
        yield file.fault(message, "write the text into the script", match.start())
