"""One file for each migration, named by number (``007_ADD_INVOICES.sql``) or by date (``add-invoices-2025-10-27.sql``).

So are the files of the Supabase CLI (``20240101120000_add_invoices.sql``) and of sqlx.

The order is the order of the numbers, or of the dates and, within one date, of the names. Each file requires the file
before it. A migration in one file has no checks, and no rollback but a derived one. ``declared.toml`` beside the files holds the
declarations of all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from attrs import frozen

from kimbledb.catalog import naming
from kimbledb.catalog.drafts import NO_TRANSACTION, Draft, is_beside, migrations_of
from kimbledb.catalog.reading import Entry, Folder, script_of
from kimbledb.catalog.script_checks import has_directive
from kimbledb.model.fault import Fault
from kimbledb.model.migration import Migration
from kimbledb.model.script import Script

#: A file that reverts the file of the same name.
_REVERTING = re.compile(r"(.+)[-_.](?:down|undo|rollback|revert)((?:-[0-9-]+)?\.sql)")


def matches(folder: Folder) -> bool:
    """Return whether a folder holds scripts as files, and no folder of a migration."""
    return (
        folder.owner is None
        and folder.dialect is None
        and any(entry.is_script for entry in folder.entries)
        and not any(map(naming.is_numbered_folder, folder.entries))
    )


def read(folder: Folder) -> tuple[list[Migration], list[Fault]]:
    """Return the migrations of a folder of files, and all faults in it."""
    faults: list[Fault] = []
    files = list(_files_of(folder, faults))
    faults.extend(_reverting(files, folder.shown))
    faults.extend(_mixed(files, folder.shown))
    # By number where both orders are used, which is a fault.
    ordered = sorted(files, key=lambda file: (file.is_dated, file.order, file.name))
    ordered = [file for file in ordered if file.is_dated == ordered[0].is_dated]
    by_place = _share_days(ordered)
    return migrations_of(folder, [_draft_of(file, by_place=by_place) for file in ordered], faults), faults


@frozen(eq=False, slots=False)
class _File:
    """A file with the name of a migration; the script is empty where the file cannot be read."""

    name: str
    #: Whether the name holds a date; else it holds a number.
    is_dated: bool
    #: The parts of the number, or the date as one: 20251027.
    order: tuple[int, ...]
    #: The part of the name that is neither number nor date.
    description: str
    script: Script


def _files_of(folder: Folder, faults: list[Fault]) -> Iterator[_File]:
    for entry in folder.entries:
        path = f"{folder.shown}/{entry.name}"
        if is_beside(entry) or not (entry.is_text or entry.is_folder):
            continue
        if (fault := naming.unprintable(entry.name, folder.shown)) is not None:
            faults.append(fault)
        elif entry.is_folder:
            faults.append(
                Fault(
                    path,
                    "it is a folder beside migrations in files, and its content would never run",
                    "move it elsewhere, or give each migration a folder, such as 01_base-tables/apply.sql",
                )
            )
        elif match := naming.NUMBERED_FILE.fullmatch(entry.name):
            order, description = naming.number_of(match)
            if len(order) == 1 and (fault := naming.zero(*order, path, "number the files from 1")) is not None:
                faults.append(fault)
            yield _file(entry, path, faults, is_dated=False, order=order, description=description)
        elif (match := naming.DATED_FILE.fullmatch(entry.name)) and naming.is_date(match[2]):
            order = (int(match[2].replace("-", "")),)
            yield _file(entry, path, faults, is_dated=True, order=order, description=match[1])
        else:
            _check_misnamed(entry, path, faults)


def _file(
    entry: Entry, path: str, faults: list[Fault], *, is_dated: bool, order: tuple[int, ...], description: str
) -> _File:
    return _File(entry.name, is_dated, order, description, script_of(entry, path, faults))


def _check_misnamed(entry: Entry, path: str, faults: list[Fault]) -> None:
    """Find the fault of a file without a place in the order: its number, its tool, or its name."""
    if (fault := naming.too_many_digits(entry.name, path)) is not None:
        faults.append(fault)
    elif not has_directive(entry, path, faults):
        faults.append(
            Fault(
                path,
                "its name has neither a number nor a date, so its order is unknown",
                "name it by number, such as 007_ADD_INVOICES.sql, or by date, such as add-invoices-2025-10-27.sql",
            )
        )


def _reverting(files: Iterable[_File], folder: str) -> Iterator[Fault]:
    """Yield a fault for each file that reverts another file of the folder, since it would run after that file."""
    names = [file.name for file in files]
    forward = {re.sub(r"[-_.](?:up|do)(?=(?:-[0-9-]+)?\.sql$)", "", name): name for name in names}
    for name in names:
        match = _REVERTING.fullmatch(name)
        if match is not None and (partner := forward.get(match[1] + match[2])) is not None:
            yield Fault(
                f"{folder}/{name}",
                f"it reverts {partner}, and would run after it",
                "remove it from the folder, or give each migration its own folder with an apply.sql and a rollback.sql",
            )


def _mixed(files: Sequence[_File], folder: str) -> Iterator[Fault]:
    """Yield a fault where some files are named by number, and others by date."""
    numbered = [file.name for file in files if not file.is_dated]
    dated = [file.name for file in files if file.is_dated]
    if numbered and dated:
        yield Fault(
            f"{folder}/{min(dated)}",
            f"it is named by date and {min(numbered)} by number, so their order is unknown",
            "name all files of the folder by number, or all by date",
        )


def _share_days(files: Sequence[_File]) -> bool:
    """Return whether a number that several files have is a day: these go by name, as files with a date at the end."""
    orders = {file.order for file in files}
    return len(orders) < len(files) and all(len(each) == 1 and naming.is_date(str(each[0])) for each in orders)


def _draft_of(file: _File, *, by_place: bool) -> Draft:
    return Draft(
        name=file.name,
        number=None if by_place or file.is_dated or len(file.order) > 1 else file.order[0],
        title=naming.title_of(file.description),
        apply=file.script,
        lets_settings_end=False,
        transactional=not file.script.text.startswith(NO_TRANSACTION),
    )
