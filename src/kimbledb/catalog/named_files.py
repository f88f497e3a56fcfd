"""The files of a folder that have the names of a tool's migrations, for the formats of one file each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from attrs import frozen

from kimbledb.catalog import reading
from kimbledb.catalog.reading import Entry, Folder, read_script, script_of
from kimbledb.model.fault import Fault
from kimbledb.model.script import Script


@frozen(eq=False)
class NamedFile:
    """A script with the name of a migration; it is empty where the file cannot be read."""

    #: The name of the file.
    name: str
    match: re.Match[str]
    script: Script

    def __getitem__(self, group: str) -> str:
        """Return a group of the pattern of names, or an empty text."""
        return self.match[group] or ""

    @property
    def number(self) -> int:
        """The group ``number`` of its name."""
        return int(self.match["number"])

    def fault(self, message: str, cure: str, offset: int | None = None) -> Fault:
        """Return a fault of the file.

        Args:
            message: The problem.
            cure: The cure.
            offset: The place of the problem in the script, or None if it concerns the whole file.
        """
        line = None if offset is None else self.script.line_and_column(offset)[0]
        return Fault(self.script.path, message, cure, line)


def named_files(
    folder: Folder,
    pattern: re.Pattern[str],
    faults: list[Fault],
    *,
    mark: re.Pattern[str] | None = None,
    below: bool = False,
) -> Iterator[NamedFile]:
    """Yield the scripts of a folder with names of a pattern. A tool passes over all others, and so it is done here.

    Args:
        folder: The folder.
        pattern: The pattern of the whole name, with the endings of programs that the tool would run, too.
        faults: Receives the faults of files that cannot be read, and those of programs.
        mark: A mark of the tool. A script that has one is meant to be a migration, whatever its name.
        below: Whether the folders in the folder are looked into.
    """
    for entry, path in _files_of(folder, faults, below=below):
        match = pattern.fullmatch(entry.name)
        if match is None:
            if mark is not None and entry.is_script:
                faults += _misnamed(entry, path, mark)
            continue
        if not entry.is_script:
            message = f"it is a migration that a program makes (.{entry.name.rpartition('.')[2]}), and cannot be read"
            faults.append(Fault(path, message, "write its SQL as a script in its place"))
            continue
        yield NamedFile(entry.name, match, script_of(entry, path, faults))


def _misnamed(entry: Entry, path: str, mark: re.Pattern[str]) -> Iterator[Fault]:
    script = read_script(entry, path, [])
    if script is not None and (found := mark.search(script.text)) is not None:
        message = f"it has `{found[0][:80].strip()}`, and its name is not that of a migration"
        yield Fault(path, message, "name it by number, such as 20240101120000_create_users.sql, or move it elsewhere")


def _files_of(folder: Folder, faults: list[Fault], *, below: bool) -> Iterable[tuple[Entry, str]]:
    if below:
        return reading.files_below(folder, faults)
    return ((entry, f"{folder.shown}/{entry.name}") for entry in folder.entries if not entry.is_folder)
