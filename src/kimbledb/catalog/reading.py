"""Reading for every format: entries, symbolic links, size limits and encoding, each with its fault.

Each function returns its result and appends the faults to a list that the caller gives, so that one call
reports the faults of all files. A file is read once: the text that was checked is the text that is hashed and sent.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from functools import cached_property, partial
from operator import itemgetter
from pathlib import Path
from typing import Final, NamedTuple

from attrs import field, frozen

from kimbledb.catalog import other_tools
from kimbledb.catalog.checksums import FLAGS, Seen
from kimbledb.catalog.declared import Source
from kimbledb.model.fault import Fault
from kimbledb.model.script import Script

#: The most subfolders, and the most scripts, that are searched for another tool's marks: all of them, or most, have them.
LOOKED_AT: Final = 5
#: Bytes of one read: most files are smaller.
_PIECE: Final = 64 * 1024
#: The largest file that is read, in bytes. A larger migration holds data, and a loader is the tool for data.
MAX_FILE_BYTES: Final = 16 * 1024 * 1024
#: Folders whose content never changes: a link into one of them fixes the content that it leads to.
STORES: tuple[str, ...] = ("/nix/store", "/gnu/store")


# A tuple, since a folder of ten thousand migrations has sixty thousand.
class Entry(NamedTuple):
    """A file or a folder in a folder; for a symbolic link, its target."""

    name: str
    is_folder: bool
    #: The path by which it is read, without links.
    where: str
    #: The fault that forbids reading it, and the cure; None where it may be read.
    problem: tuple[str, str] | None = None

    @property
    def is_passed_over(self) -> bool:
        """Whether it belongs to no format: a hidden entry (a Kubernetes ConfigMap keeps its files in some), or a cache."""
        return self.name.startswith((".", "__"))

    @property
    def is_text(self) -> bool:
        """Whether its name ends as the files of migrations do."""
        return self.name.lower().endswith((".sql", ".toml"))

    @property
    def is_script(self) -> bool:
        """Whether it is a file of SQL by its name."""
        return not self.is_folder and self.name.lower().endswith(".sql")


@frozen(eq=False, slots=False)
class Folder:
    """The folder of a catalog, with its entries, which are listed once for all formats."""

    #: Its path as the caller gave it, for messages.
    shown: str
    #: Its path without links. No link may lead out of it.
    home: str
    #: Its files and folders, sorted by name, without hidden entries and caches.
    entries: tuple[Entry, ...]
    #: The file with the declarations of all migrations, if the caller named one that lies elsewhere.
    declared: Source | None = None
    #: The hashed migrations, by name; empty if nothing was hashed.
    seen: Mapping[str, Seen] = field(factory=dict)
    #: The checksum of each migration that history holds, by its name; none where no history is known.
    held: Mapping[str, str] = field(factory=dict)

    @classmethod
    def of(
        cls,
        root: str | Path,
        faults: list[Fault],
        *,
        shown: str | None = None,
        declared: Source | None = None,
        seen: Mapping[str, Seen] | None = None,
        held: Mapping[str, str] | None = None,
    ) -> Folder:
        """List a folder.

        Args:
            root: The folder.
            faults: Receives a fault if the folder cannot be read.
            shown: Its path for messages, or None for ``root``.
            declared: The file with the declarations of all migrations, if it lies elsewhere.
            seen: What hashing has read of migrations, or None.
            held: The checksums that history holds, or None where no history is known.
        """
        shown, home = shown or str(root), os.path.realpath(root)
        entries = [each for each in list_entries(root, shown, faults, home) if not each.is_passed_over]
        return cls(shown, home, tuple(entries), declared, seen or {}, held or {})

    def file(self, name: str) -> Entry | None:
        """Return the file of a name, or None if there is none."""
        return next((each for each in self.entries if each.name == name and not each.is_folder), None)

    @cached_property
    def owner(self) -> other_tools.Owner | None:
        """The migration tool that this folder belongs to, by the names of its entries, or None."""
        names = [entry.name for entry in self.entries]
        journal = "meta/_journal.json"
        if "meta" in names and Path(self.home, journal).exists():
            names.append(journal)
        return other_tools.owner_of(names)

    def holds_folders_with(self, file: str) -> bool:
        """Return whether one of the first folders in it holds a file of this name and is none of kimbledb's."""
        return any(file in names and "apply.sql" not in names for names in self._in_folders)

    @cached_property
    def _in_folders(self) -> list[frozenset[str]]:
        """The names in the first folders in it."""
        folders = [entry for entry in self.entries if entry.is_folder][:LOOKED_AT]
        return [frozenset(each.name for each in list_entries(one.where, one.name, [], self.home)) for one in folders]

    @cached_property
    def dialect(self) -> str | None:
        """The migration tool that this folder belongs to, by what stands in its first scripts, or None."""
        from kimbledb.catalog import dialects  # only a folder of files has one

        scripts = [entry for entry in self.entries if entry.is_script]
        read = ((each.name, read_script(each, each.name, [])) for each in scripts[:LOOKED_AT])
        texts = ((name, script.text) for name, script in read if script is not None)
        return dialects.dialect_of(texts, [each.name for each in scripts])


def list_entries(folder: str | Path, path: str, faults: list[Fault], home: str) -> list[Entry]:
    """Return the files and folders in a folder, sorted by name.

    Args:
        folder: The folder.
        path: Its path, to be shown.
        faults: Receives a fault if the folder cannot be read.
        home: The catalog's folder without links. No link may lead out of it.
    """
    entries: list[Entry] = []
    try:
        with os.scandir(folder) as found:
            for item in found:
                if item.is_symlink():
                    entries.append(_target_of(item, home))
                else:
                    entries.append(Entry(item.name, item.is_dir(follow_symlinks=False), item.path))
    except OSError as error:
        faults.append(_unreadable(path, error))
    return sorted(entries, key=itemgetter(0))


def files_below(folder: Folder, faults: list[Fault]) -> list[tuple[Entry, str]]:
    """Return the files in a folder and in all folders below it, each with its path to be shown.

    Args:
        folder: The folder of the catalog.
        faults: Receives a fault for each folder that cannot be read.
    """
    files: list[tuple[Entry, str]] = []
    waiting = [(entry, f"{folder.shown}/{entry.name}") for entry in reversed(folder.entries)]
    while waiting:
        entry, path = waiting.pop()
        if not entry.is_folder:
            files.append((entry, path))
            continue
        inside = list_entries(entry.where, path, faults, folder.home)
        waiting += [(each, f"{path}/{each.name}") for each in reversed(inside) if not each.is_passed_over]
    return files


def _target_of(item: os.DirEntry[str], home: str) -> Entry:
    """Return the target of a link. It must lie in the catalog's folder: only there do that folder's permissions hold."""
    where = os.path.realpath(item.path)
    problem = None
    if not Path(where).exists():
        problem = ("it is a symbolic link without a target", "remove the link, or correct its target")
    elif not any(Path(where).is_relative_to(place) for place in (home, *STORES)):
        problem = (
            "it is a symbolic link to a place outside of the folder",
            "copy the file into the folder, or give the folder that holds the files (the path to it may be a link)",
        )
    return Entry(item.name, problem is None and item.is_dir(), where, problem)


def _unreadable(path: str, error: OSError) -> Fault:
    return Fault(
        path, f"it cannot be read: {error.strerror or error}", "give read permission to the user who runs kimbledb"
    )


def read_script(entry: Entry, path: str, faults: list[Fault]) -> Script | None:
    """Return the text of a file, or None if it has a fault.

    Args:
        entry: The file.
        path: Its path, to be shown.
        faults: Receives the fault.
    """
    if entry.problem is not None:
        faults.append(Fault(path, *entry.problem))
        return None
    try:
        data = _read_bytes(entry.where)
    except OSError as error:
        faults.append(_unreadable(path, error))
        return None
    text = _decoded(data, path)
    if isinstance(text, Fault):
        faults.append(text)
        return None
    return Script.of_file(path, text)


def script_of(entry: Entry, path: str, faults: list[Fault]) -> Script:
    """Return the text of a file; an empty one if the file has a fault, which keeps the catalog from being made.

    Args:
        entry: The file.
        path: Its path, to be shown.
        faults: Receives the fault.
    """
    return read_script(entry, path, faults) or Script(path, "")


def declarations_in(entry: Entry, path: str) -> Source:
    """Return a file with declarations, which is read at its first use.

    Args:
        entry: The file.
        path: Its path, to be shown.
    """
    return Source(path, partial(_text_of, entry, path))


def _text_of(entry: Entry, path: str, faults: list[Fault]) -> str | None:
    script = read_script(entry, path, faults)
    return None if script is None else script.text


def _read_bytes(where: str) -> bytes | None:
    """Return the content of a file, up to one piece more than the limit; None for anything but a regular file."""
    descriptor = os.open(where, FLAGS)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return None
        first = os.read(descriptor, _PIECE)
        if len(first) == status.st_size:
            return first
        data = bytearray(first)
        while len(data) <= MAX_FILE_BYTES and (piece := os.read(descriptor, _PIECE)):
            data += piece
        return bytes(data)
    finally:
        os.close(descriptor)


def _decoded(data: bytes | None, path: str) -> str | Fault:
    if data is None:
        return Fault(path, "it is not a regular file", "replace it by a text file")
    if len(data) > MAX_FILE_BYTES:
        return Fault(
            path,
            f"it is larger than {MAX_FILE_BYTES // 1024 // 1024} MiB",
            "load the data with a separate program, and keep only the schema in the migration",
        )
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        cure = "save it as UTF-8 (for a dump: pg_dump --encoding=UTF8)"
        return Fault(path, f"it is not UTF-8: byte 0x{data[error.start]:02x}", cure, line)
    if (nul := text.find("\0")) >= 0:
        line = text.count("\n", 0, nul) + 1
        return Fault(path, "it contains a NUL character, which PostgreSQL cannot store", "remove the character", line)
    return text
