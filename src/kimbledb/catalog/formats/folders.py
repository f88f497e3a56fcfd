"""One folder for each migration: ``19_api-cost-tracking/`` with apply.sql, and beside it what else the migration needs.

docs/format.md has the files with their reasons. ``kimbledb.catalog.catalog.Catalog`` checks the relations
among the migrations.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from attrs import frozen

from kimbledb.catalog import declared, facts, naming, other_tools, reading
from kimbledb.catalog.declared import Recorded
from kimbledb.catalog.reading import Entry, Folder, read_script
from kimbledb.catalog.script_checks import check_queries, check_script, has_directive
from kimbledb.catalog.scripts import named_queries
from kimbledb.errors import CatalogError
from kimbledb.model.declarations import Declarations, not_recorded
from kimbledb.model.fault import Fault
from kimbledb.model.migration import Migration
from kimbledb.model.script import Part, Script, checksum_of

#: Another strategy for tables that hold rows.
_ONLINE = "online.sql"
#: The script that only a hosted server runs.
_HOSTED = "hosted.sql"
#: The files that are read with the folder. Only apply.sql must exist.
_READ = (facts.FILE, "apply.sql", _HOSTED)
#: Those that are read with it unless history holds the migration as it is.
_READ_LATE: Mapping[str, Part] = {"verify.sql": "verify", "rollback.sql": "rollback", _ONLINE: "online"}
_FILES = (*_READ, *_READ_LATE, declared.FILE)


def matches(folder: Folder) -> bool:
    """Return whether a folder holds the folder of a migration."""
    if folder.owner is not None or not any(map(naming.is_numbered_folder, folder.entries)):
        return False
    return not any(map(folder.holds_folders_with, other_tools.PARTS))


def read(folder: Folder) -> tuple[list[Migration], list[Fault]]:
    """Return the migrations of a folder of folders, and all faults in it."""
    migrations: list[Migration] = []
    faults: list[Fault] = []
    one = _One(folder, _facts_of_whole(folder, faults), faults, [])
    for entry in folder.entries:
        path = f"{folder.shown}/{entry.name}"
        match = naming.NUMBERED_FOLDER.fullmatch(entry.name)
        if (fault := naming.unprintable(entry.name, folder.shown)) is not None:
            faults.append(fault)
        elif entry.problem is not None and (entry.is_text or match is not None):
            faults.append(Fault(path, *entry.problem))
        elif not entry.is_folder:
            if entry.name != facts.WHOLE:
                _check_file(entry, path, faults)
        elif match is None:
            faults += filter(None, [naming.misnamed_folder(entry, path, beside_migrations=True)])
        elif (
            fault := naming.zero(int(match[1]), path, "number migrations from 1, such as 01_base-tables")
        ) is not None:
            faults.append(fault)
        else:
            migrations.append(one.read(entry, path, int(match[1]), match[2] + ".sql"))
    return migrations, faults


def _facts_of_whole(folder: Folder, faults: list[Fault]) -> dict[str, Any]:
    """Return the facts of the catalog, which are facts of each migration."""
    entry = folder.file(facts.WHOLE)
    if entry is None or entry.problem is not None:
        return {}
    script = read_script(entry, f"{folder.shown}/{facts.WHOLE}", faults)
    return facts.of_catalog(None if script is None else script.text, folder.shown, faults)


def _check_file(entry: Entry, path: str, faults: list[Fault]) -> None:
    """Find the fault of a file beside the folders of migrations."""
    if entry.is_text and not has_directive(entry, path, faults):
        faults.append(
            Fault(
                path,
                "it is in no migration's folder, and would never run",
                "give each migration a folder, such as 01_base-tables/apply.sql",
            )
        )


class _Files(NamedTuple):
    """The files in the folder of a migration."""

    names: Collection[str]
    #: Returns one of them.
    entry: Callable[[str], Entry]


def _file_in(folder: str, file: str) -> Entry:
    return Entry(file, is_folder=False, where=f"{folder}/{file}")


@frozen
class _One:
    """Reads one migration after the other."""

    #: The folder of the catalog.
    folder: Folder
    #: The facts of every migration.
    whole: Mapping[str, Any]
    #: Receives all faults.
    faults: list[Fault]
    #: Those that read the declarations of all migrations.
    together: list[Recorded]

    def read(self, entry: Entry, path: str, number: int, name: str) -> Migration:
        """Return a migration; where it has faults, with the parts that could be read.

        The faults keep the catalog from being made. The others that require this migration then have no fault of their own.

        Args:
            entry: The folder of the migration.
            path: Its path, to be shown.
            number: The number of the migration.
            name: The name of the migration.
        """
        faults = self.faults
        seen = self.folder.seen.get(name)
        held = self.folder.held.get(name)
        if seen is not None and seen.checksum == held:
            # Hashing found no link and no unknown file.
            files = _Files(seen.files, partial(_file_in, entry.where))
            scripts = {file: Script.of_file(f"{path}/{file}", text) for file, text in seen.texts.items()}
        else:
            present = {each.name: each for each in reading.list_entries(entry.where, path, faults, self.folder.home)}
            owner = None if "apply.sql" in present else other_tools.owner_of_parts(present)
            if owner is not None:
                faults.append(owner.fault(path))
                return Migration(name=name, number=number, location=path)
            files = _Files(present, present.__getitem__)
            scripts = _read_files(files, _READ, path, faults)
            faults.extend(_faults_in(present, path))
        applied: dict[Part, Script] = {"apply": scripts.get("apply.sql") or Script(f"{path}/apply.sql", "")}
        if _HOSTED in scripts and scripts[_HOSTED].text:
            applied["hosted"] = scripts[_HOSTED]
        stated = facts.of_head(applied["apply"], faults)
        if facts.FILE in files.names:
            text = scripts[facts.FILE].text if facts.FILE in scripts else None
            read = facts.read(text, path, faults)
            # A file that cannot be read may allow what needs no transaction.
            stated |= {"transactional": False} if read is None else read
        if "title" not in stated:
            stated["title"] = naming.title_of(name.removesuffix(".sql"))
        transactional = stated.get("transactional", True)
        checksum = checksum_of(applied.values())
        # A text that history holds was checked when it was applied, and what lies beside it is checked when it is used.
        is_held = held == checksum
        late: dict[str, Script | Callable[[], Script]]
        if is_held:
            late = {
                file: partial(_read_late, files, path, file, transactional=transactional)
                for file in _READ_LATE
                if file in files.names
            }
        else:
            beside = _read_files(files, _READ_LATE, path, faults)
            _check_scripts({**scripts, **beside}, faults, transactional=transactional)
            late = {**beside}
        return Migration(
            name=name,
            number=number,
            apply_sql=applied["apply"],
            hosted_sql=scripts.get(_HOSTED, ""),
            verify_sql=late.get("verify.sql", ""),
            rollback_sql=late.get("rollback.sql", ""),
            online_sql=late.get(_ONLINE, ""),
            checksum=checksum,
            location=path,
            read_queries=named_queries,
            **stated,
            **self.whole,
            declare=self._declarations(files, path, name, applied, is_held=is_held),
        )

    def _declarations(
        self, files: _Files, path: str, name: str, applied: Mapping[Part, Script], *, is_held: bool
    ) -> Callable[[], Declarations]:
        """Return the function that reads the declarations of a migration."""
        together = self.together
        if self.folder.declared is not None:
            together.append(Recorded(self.folder.declared, applied, name, together))
        elif declared.FILE in files.names:
            source = reading.declarations_in(files.entry(declared.FILE), f"{path}/{declared.FILE}")
            together.append(Recorded(source, applied, None, together, is_held))
        else:
            return not_recorded
        return together[-1]


def _read_files(files: _Files, wanted: Iterable[str], path: str, faults: list[Fault]) -> dict[str, Script]:
    """Return those of some files of a migration that can be read, by name."""
    read = {file: read_script(files.entry(file), f"{path}/{file}", faults) for file in wanted if file in files.names}
    return {file: script for file, script in read.items() if script is not None}


def _read_late(files: _Files, path: str, file: str, *, transactional: bool) -> Script:
    """Return a file of a migration that history holds, at its first use.

    Raises:
        CatalogError: It has faults.
    """
    faults: list[Fault] = []
    script = read_script(files.entry(file), f"{path}/{file}", faults)
    if script is not None:
        _check_scripts({file: script}, faults, transactional=transactional)
    if script is None or faults:
        raise CatalogError(faults)
    return script


def _faults_in(present: Mapping[str, Entry], path: str) -> Iterator[Fault]:
    """Yield the faults of the names in the folder of a migration."""
    if "apply.sql" not in present:
        yield Fault(f"{path}/apply.sql", "the file is missing", "write the SQL that makes the change")
    for name, entry in present.items():
        if name not in _FILES and entry.is_text:
            meant = difflib.get_close_matches(name.lower(), _FILES, n=1)
            cure = f"is it {meant[0]}?" if meant else f"the files are {', '.join(_FILES)}"
            yield Fault(f"{path}/{name}", "a migration has no file of this name", cure)


def _check_scripts(scripts: Mapping[str, Script], faults: list[Fault], *, transactional: bool) -> None:
    """Find the faults in the SQL of a migration."""
    if "apply.sql" in scripts:
        check_script(scripts["apply.sql"], faults, transactional=transactional)
    if _HOSTED in scripts:
        check_script(scripts[_HOSTED], faults, transactional=True, part="hosted")
    if "rollback.sql" in scripts:
        # A rollback is tried first, in a transaction that is rolled back, to measure the data loss.
        check_script(scripts["rollback.sql"], faults, transactional=True, part="rollback")
    if _ONLINE in scripts:
        check_script(scripts[_ONLINE], faults, transactional=False)
        if not transactional:
            faults.append(
                Fault(
                    scripts[_ONLINE].path,
                    "apply.sql already runs outside of a transaction: `transactional = false`",
                    "move its statements to apply.sql, or remove that line from migration.toml",
                )
            )
    if "verify.sql" in scripts:
        check_queries(scripts["verify.sql"], faults)
