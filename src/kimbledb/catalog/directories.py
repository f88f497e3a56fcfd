"""From a folder to migrations: the choice of the format, and the help where none matches."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from kimbledb.catalog import formats, naming, other_tools, reading
from kimbledb.catalog.checksums import Seen
from kimbledb.catalog.reading import Entry, Folder
from kimbledb.model.fault import Fault
from kimbledb.model.migration import Migration
from kimbledb.model.text import few

#: The search for the folder that the caller meant: levels below the given folder, and folders of each level.
_DEEPEST_LOOK: Final = 2
_WIDEST_LOOK: Final = 50


def read(
    root: Path,
    *,
    may_be_empty: bool = False,
    declared: Path | None = None,
    seen: Mapping[str, Seen] | None = None,
    held: Mapping[str, str] | None = None,
) -> tuple[list[Migration], list[Fault]]:
    """Return the migrations of a folder, read by the one format that matches it, and all faults.

    Args:
        root: The folder.
        may_be_empty: Whether a folder without migrations is right; else it is a fault.
        declared: The file with the declarations of all migrations, or None for those in the folder.
        seen: What hashing has read of migrations, by their names; None where nothing was hashed.
        held: The checksum of each migration that history holds, by its name: what is parsed of these is their facts.
            None where no history is known.
    """
    faults: list[Fault] = []
    source = None
    if declared is not None:
        where = os.path.realpath(declared)
        source = reading.declarations_in(Entry(declared.name, is_folder=False, where=where), str(declared))
    folder = Folder.of(root, faults, declared=source, seen=seen, held=held)
    if faults:
        return [], faults
    matching = formats.matching(folder)
    migrations: list[Migration] = []
    if len(matching) == 1:
        [only] = matching.values()
        migrations, faults = only.read(folder)
    elif matching:
        message = f"it matches several formats: {', '.join(matching)}"
        faults.append(Fault(folder.shown, message, "keep migrations of one format in the folder"))
    else:
        faults.extend(_faults_of_no_format(folder))
    if not migrations and not faults and not may_be_empty:
        faults.append(_nothing_in(folder))
    return migrations, faults


def _faults_of_no_format(folder: Folder) -> Iterator[Fault]:
    """Yield the faults that kept a folder from matching a format: its tool, or the names of its entries."""
    if folder.owner is not None:
        yield _elsewhere(folder, folder.owner) if folder.owner.is_read else folder.owner.fault(folder.shown)
        return
    for entry in folder.entries:
        path = f"{folder.shown}/{entry.name}"
        if (fault := naming.unprintable(entry.name, folder.shown)) is not None:
            yield fault
        elif entry.problem is not None and (entry.is_text or naming.NUMBERED_FOLDER.fullmatch(entry.name)):
            yield Fault(path, *entry.problem)
        elif entry.is_folder and (fault := naming.misnamed_folder(entry, path, beside_migrations=False)) is not None:
            yield fault


def _elsewhere(folder: Folder, owner: other_tools.Owner) -> Fault:
    """Return the fault of a folder of a tool whose migrations lie in another one."""
    inside = _holder_below(folder, _DEEPEST_LOOK)
    cure = f"is it {inside}?" if inside is not None else "give the folder that holds its migrations"
    return Fault(folder.shown, f"it holds {owner.file} of {owner.name}, and no migration", cure)


def _nothing_in(folder: Folder) -> Fault:
    """Return the fault of a folder without migrations: its entries, and the folder that the caller may have meant."""
    names = [entry.name for entry in folder.entries]
    holds = f"it holds {few(names)}, and no migration" if names else "it is empty"
    programs = next(((name, whose) for name in names if (whose := other_tools.owner_of_program(name))), None)
    if programs is not None:
        holds = f"it holds no SQL; {programs[0]} may be a migration of {programs[1]}"
    inside = _holder_of_migrations(folder, _DEEPEST_LOOK)
    cure = "give the folder that holds the migrations, such as 01_base-tables/apply.sql or 001_base-tables.sql"
    if inside is not None:
        cure = f"is it {inside}?"
    elif not names:
        cure = (
            f"`kimbledb new base-tables --directory {folder.shown}` creates the first migration; or give another folder"
        )
    return Fault(folder.shown, holds, cure)


def _holder_of_migrations(folder: Folder, depth: int) -> str | None:
    """Return the path of the first folder, the given one or one below it, with migrations by the names in it, or None."""
    if folder.owner is not None or any(naming.looks_like_migration(entry.name) for entry in folder.entries):
        return folder.shown
    if any(map(folder.holds_folders_with, other_tools.PARTS)):
        return folder.shown
    return _holder_below(folder, depth) if depth else None


def _holder_below(folder: Folder, depth: int) -> str | None:
    """Return the path of the first folder below a folder that holds migrations by the names in it, or None."""
    inside = (
        _holder_of_migrations(Folder.of(entry.where, [], shown=f"{folder.shown}/{entry.name}"), depth - 1)
        for entry in folder.entries[:_WIDEST_LOOK]
        if entry.is_folder
    )
    return next((found for found in inside if found is not None), None)
