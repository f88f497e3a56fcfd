"""goose: ``00001_create_users.sql`` with ``-- +goose Up``, and what takes it back below ``-- +goose Down``.

The order is that of the numbers. ``NO TRANSACTION`` is heeded. A statement ends at ``StatementEnd``, with a semicolon or
without one. Migrations in Go and ``ENVSUB`` are faults.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from kimbledb.catalog import sections
from kimbledb.catalog.drafts import Draft, migrations_of
from kimbledb.catalog.named_files import NamedFile, named_files
from kimbledb.catalog.naming import title_of
from kimbledb.catalog.reading import Folder
from kimbledb.catalog.sections import Mark
from kimbledb.model.fault import Fault
from kimbledb.model.migration import Migration

_FILE = re.compile(r"(?P<number>[0-9]+)_(?P<name>.+)\.(?:sql|go)")
_MARK = re.compile(r"^--[ \t]*\+goose\b(.*)$", re.IGNORECASE | re.MULTILINE)
_UP, _DOWN, _BEGIN, _END, _ALONE = "UP", "DOWN", "STATEMENTBEGIN", "STATEMENTEND", "NO TRANSACTION"
#: For each mark the marks after which it may stand.
_AFTER: Mapping[str, Sequence[str]] = {_UP: ("",), _DOWN: (_UP,), _BEGIN: (_UP, _DOWN), _END: (_BEGIN,)}


def matches(folder: Folder) -> bool:
    """Return whether the scripts of a folder are goose's."""
    return folder.owner is None and folder.dialect == "goose"


def read(folder: Folder) -> tuple[list[Migration], list[Fault]]:
    """Return the migrations of a folder of goose, and all faults in it."""
    faults: list[Fault] = []
    files = sorted(named_files(folder, _FILE, faults, mark=_MARK), key=lambda file: (file.number, file.name))
    return migrations_of(folder, [_draft_of(file, faults) for file in files], faults), faults


def _draft_of(file: NamedFile, faults: list[Fault]) -> Draft:
    script = file.script
    marks = sections.marks_in(script, _MARK)
    words = [" ".join(mark.word.upper().split()) for mark in marks]
    faults += _faults_of(file, marks, words)
    down = next((mark.start for mark, word in zip(marks, words, strict=True) if word == _DOWN), None)
    ends = [(mark.start, mark.end) for mark, word in zip(marks, words, strict=True) if word == _END]
    script = sections.without(sections.divided(script, marks), ends, semicolon=True)
    apply, rollback = sections.parted(script, down)
    return Draft(
        name=file.name,
        number=file.number,
        title=title_of(file["name"]),
        apply=apply,
        rollback=rollback,
        transactional=_ALONE not in words,
    )


def _faults_of(file: NamedFile, marks: Sequence[Mark], words: Sequence[str]) -> list[Fault]:
    """Return the faults of a file's marks: their order, and those that cannot be read."""
    found: list[Fault] = []
    inside, section = "", ""
    for mark, word in zip(marks, words, strict=True):
        if word == _ALONE or word in ("ENVSUB OFF", "ENVSUBST OFF"):
            continue
        if word in ("ENVSUB ON", "ENVSUBST ON"):
            message = "it takes values from the environment, which are no part of the migration"
            found.append(file.fault(message, "write the values into the script, and remove this line", mark.start))
        elif word not in _AFTER:
            found.append(
                file.fault(
                    f"`+goose {mark.word}` is no annotation of goose",
                    "these are Up, Down, StatementBegin, StatementEnd and NO TRANSACTION",
                    mark.start,
                )
            )
        elif inside not in _AFTER[word]:
            wanted = " or ".join(f"+goose {_SPELLED[each]}" for each in _AFTER[word] if each) or "nothing"
            found.append(
                file.fault(f"+goose {_SPELLED[word]} stands where it may not", f"write it after {wanted}", mark.start)
            )
        else:
            section = word if word in (_UP, _DOWN) else section
            inside = section if word == _END else word
    if _UP not in words:
        found.append(file.fault("it has no `-- +goose Up`", "write one above its first statement"))
    elif sections.holds_sql(sections.up_to(file.script, start := marks[words.index(_UP)].start)):
        found.append(file.fault("SQL stands above `-- +goose Up`", "move it below", start))
    if inside == _BEGIN:
        found.append(file.fault("+goose StatementEnd is missing", "write it below the statement", marks[-1].start))
    return found


_SPELLED = {_UP: "Up", _DOWN: "Down", _BEGIN: "StatementBegin", _END: "StatementEnd"}
