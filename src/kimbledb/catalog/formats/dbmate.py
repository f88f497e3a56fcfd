"""dbmate: ``20240101120000_create_users.sql`` with ``-- migrate:up``, and what takes it back below ``-- migrate:down``.

The order is that of the files' names. ``transaction:false`` is heeded.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from kimbledb.catalog import sections
from kimbledb.catalog.drafts import Draft, migrations_of
from kimbledb.catalog.named_files import NamedFile, named_files
from kimbledb.catalog.naming import title_of
from kimbledb.catalog.reading import Folder
from kimbledb.catalog.sections import Mark
from kimbledb.model.fault import Fault
from kimbledb.model.migration import Migration

_FILE = re.compile(r"(?P<number>[0-9]+)(?P<name>.*)\.sql")
_MARK = re.compile(r"^--[ \t]*migrate:((?:up|down)\b.*)$", re.MULTILINE)


def matches(folder: Folder) -> bool:
    """Return whether the scripts of a folder are dbmate's."""
    return folder.owner is None and folder.dialect == "dbmate"


def read(folder: Folder) -> tuple[list[Migration], list[Fault]]:
    """Return the migrations of a folder of dbmate, and all faults in it."""
    faults: list[Fault] = []
    # Entries are sorted by name.
    return migrations_of(
        folder, [_draft_of(file, faults) for file in named_files(folder, _FILE, faults, mark=_MARK)], faults
    ), faults


def _draft_of(file: NamedFile, faults: list[Fault]) -> Draft:
    marks = sections.marks_in(file.script, _MARK)
    faults += _faults_of(file, marks)
    down = next((mark.start for mark in marks if _words(mark)[0] == "down"), None)
    apply, rollback = sections.parted(sections.divided(file.script, marks), down)
    return Draft(
        name=file.name,
        number=file.number,
        title=title_of(file["name"]),
        apply=apply,
        rollback=rollback,
        transactional=not any(_words(mark) == ["up", "transaction:false"] for mark in marks),
    )


def _words(mark: Mark) -> list[str]:
    return mark.word.split()


def _faults_of(file: NamedFile, marks: Sequence[Mark]) -> list[Fault]:
    """Return the faults of a file's marks."""
    found: list[Fault] = []
    for mark in marks:
        for option in _words(mark)[1:]:
            if option not in ("transaction:false", "transaction:true"):
                found.append(file.fault(f"there is no option {option}", "write transaction:false", mark.start))
    ways = [_words(mark)[0] for mark in marks]
    if ways not in (["up"], ["up", "down"]):
        message = f"its blocks are {', '.join(ways)}" if ways else "it has no `-- migrate:up`"
        found.append(file.fault(message, "write one `-- migrate:up`, and below it one `-- migrate:down`"))
    elif sections.holds_sql(sections.up_to(file.script, marks[0].start)):
        found.append(file.fault("SQL stands above `-- migrate:up`", "move it below", marks[0].start))
    return found
