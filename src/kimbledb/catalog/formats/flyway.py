"""Flyway, Evolve and refinery: ``V1.2__add_invoices.sql``, undone by ``U1.2__...``, and ``R__views.sql``.

The order is that of the versions; ``R`` files come after all others, by name, and again when their text has changed.
Scripts are looked for in folders below, too. A baseline (``B``) is read where it has no earlier version beside it. What
Flyway alone can do is a fault: placeholders, callbacks, and migrations in Java.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from kimbledb.catalog import reading, statements
from kimbledb.catalog.drafts import Draft, migrations_of
from kimbledb.catalog.named_files import NamedFile, named_files
from kimbledb.catalog.naming import title_of
from kimbledb.catalog.reading import Folder, read_script
from kimbledb.model.fault import Fault
from kimbledb.model.migration import Migration

_FILE = re.compile(
    r"(?P<kind>[VUB](?=[0-9])|R(?=__))(?P<version>[0-9]+(?:[._][0-9]+)*)?(?:__(?P<name>.+))?\.(?:sql|java|class|kt|rs)"
)
_CALLBACK = re.compile(r"(?:before|after|create)[A-Z]\w*\.sql")
_PLACEHOLDER = re.compile(r"\$\{[^}\n]*\}")
_SETTING = re.compile(r"^\s*(?:flyway\.)?(\w+)\s*=\s*(\S*)\s*$", re.MULTILINE)
_WORDS = {"V": "a version", "U": "an undo", "B": "a baseline"}


def matches(folder: Folder) -> bool:
    """Return whether a folder holds scripts with the names of Flyway."""
    return any(_FILE.fullmatch(entry.name) for entry in folder.entries if entry.is_script)


def read(folder: Folder) -> tuple[list[Migration], list[Fault]]:
    """Return the migrations of a folder of Flyway, and all faults in it."""
    faults: list[Fault] = []
    files = sorted(named_files(folder, _FILE, faults, below=True), key=lambda file: (_version(file), file.name))
    settings = dict(_settings(folder, faults))
    faults += _twins(files)
    faults += _callbacks(folder)
    of = {kind: [file for file in files if file["kind"] == kind] for kind in "VUBR"}
    undo = {_version(file): file for file in of["U"]}
    bases, remarks = _bases(of["V"], of["B"])
    drafts: list[Draft] = []
    for file in sorted([*bases, *of["V"]], key=_version):
        back = undo.pop(_version(file), None)
        drafts.append(_draft_of(file, back, settings, faults, remarks if not drafts else ()))
    for file in undo.values():
        faults.append(file.fault("it undoes a version that is not there", "write its V file, or remove it"))
    drafts += [_draft_of(file, None, settings, faults) for file in sorted(of["R"], key=lambda file: file.name)]
    return migrations_of(folder, drafts, faults), faults


def _version(file: NamedFile) -> tuple[int, ...]:
    """Return the numbers of a version: 1.0 is 1."""
    numbers = [int(part) for part in re.split("[._]", file["version"])] if file["version"] else []
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


def _bases(versions: Sequence[NamedFile], bases: Sequence[NamedFile]) -> tuple[list[NamedFile], tuple[str, ...]]:
    """Return the baselines that are read, and what is said of the others: the versions make the same as these."""
    first = _version(versions[0]) if versions else None
    read = [file for file in bases if first is None or _version(file) < first][-1:]
    passed = [file.name for file in bases if file not in read]
    said = f"the baseline {', '.join(passed)} is not read: the versions up to it make the same"
    return read, (said,) if passed else ()


def _draft_of(
    file: NamedFile,
    undo: NamedFile | None,
    settings: dict[str, dict[str, str]],
    faults: list[Fault],
    remarks: tuple[str, ...] = (),
) -> Draft:
    own = settings.get(file.script.path, {})
    for each in (file, undo):
        if each is not None and own.get("placeholderReplacement") != "false":
            faults += _placeholders(each)
    parts = file["version"].replace("_", ".")
    return Draft(
        name=file.name,
        number=int(parts) if parts.isdigit() else None,
        title=title_of(file["name"]),
        apply=file.script,
        rollback=None if undo is None else undo.script,
        transactional=False if own.get("executeInTransaction") == "false" else None,
        repeatable=file["kind"] == "R",
        remarks=remarks,
    )


def _settings(folder: Folder, faults: list[Fault]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the settings of each script that has some, by the script's path: they stand in a file beside it."""
    for entry, path in reading.files_below(folder, faults):
        if entry.name.endswith(".sql.conf") and (script := read_script(entry, path, faults)) is not None:
            yield path.removesuffix(".conf"), dict(_SETTING.findall(script.text))


def _placeholders(file: NamedFile) -> Iterator[Fault]:
    found = {match.start(): match[0] for match in _PLACEHOLDER.finditer(file.script.text)}
    for offset in sorted(found.keys() - set(statements.in_comments(file.script.text, sorted(found)))):
        message = f"Flyway puts a value in place of {found[offset]}, which is no part of the migration"
        yield file.fault(message, "write the value into the script", offset)


def _twins(files: Iterable[NamedFile]) -> Iterator[Fault]:
    seen: dict[tuple[str, object], NamedFile] = {}
    for file in files:
        key = file.name if file["kind"] == "R" else _version(file)
        twin = seen.setdefault((file["kind"], key), file)
        if twin is not file and file["kind"] != "R":
            message = f"it is {_WORDS[file['kind']]} {file['version']}, as {twin.name} is"
            yield file.fault(message, "choose another version")


def _callbacks(folder: Folder) -> Iterator[Fault]:
    for entry in folder.entries:
        if _CALLBACK.fullmatch(entry.name):
            path = f"{folder.shown}/{entry.name}"
            yield Fault(path, "Flyway runs it around migrations, and kimbledb does not", "move it elsewhere")
