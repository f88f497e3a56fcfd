"""The folders of one migration each that other tools make, for the formats of several files each."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from kimbledb.catalog import reading
from kimbledb.catalog.reading import Folder, script_of
from kimbledb.model.fault import Fault
from kimbledb.model.script import Script


@frozen(eq=False)
class NamedFolder:
    """The folder of one migration, with its scripts; a script is empty where it cannot be read."""

    #: The name of the folder.
    name: str
    #: Its path, to be shown.
    path: str
    #: The wanted files that it holds, by name.
    scripts: Mapping[str, Script]


def named_folders(folder: Folder, files: tuple[str, ...], faults: list[Fault]) -> list[NamedFolder]:
    """Return the folders in a folder that hold the first of some files, each with those that it holds.

    Args:
        folder: The folder of the catalog.
        files: The names of the files that are wanted. A folder without the first is a fault where it holds a script.
        faults: Receives the faults of files that cannot be read or are missing.
    """
    found: list[NamedFolder] = []
    for entry in folder.entries:
        if not entry.is_folder:
            continue
        path = f"{folder.shown}/{entry.name}"
        inside = {each.name: each for each in reading.list_entries(entry.where, path, faults, folder.home)}
        if files[0] in inside:
            scripts = {name: script_of(inside[name], f"{path}/{name}", faults) for name in files if name in inside}
            found.append(NamedFolder(entry.name, path, scripts))
        elif any(each.is_script for each in inside.values()):
            message = "the file is missing, and the other scripts of the folder would never run"
            faults.append(Fault(f"{path}/{files[0]}", message, "write it, or move the folder elsewhere"))
    return found
