"""Names of migrations in files and folders: the patterns, and the faults that a name can have."""

from __future__ import annotations

import re
from datetime import date

from kimbledb.catalog import other_tools, reading
from kimbledb.catalog.reading import Entry
from kimbledb.model.fault import Fault

# Numbers of up to 18 digits: dates with times are numbers, and the database stores a number as bigint.
#: ``{number}_{name}``, the folder of a migration.
NUMBERED_FOLDER = re.compile(r"([0-9]{1,18})_(.+)")
#: ``{number}_{description}.sql``, a migration in one file, or the number alone. After a date, with or without a time,
#: another character may follow. The number may have parts: ``01.02.00_01_{description}.sql``.
NUMBERED_FILE = re.compile(
    r"([0-9]{1,18})(?:_(.+))?\.sql|([0-9]{8,17})[-.](.+)\.sql|([0-9]+(?:\.[0-9]+)+(?:_[0-9]+)?)_(.+)\.sql"
)
#: ``{description}-{date}.sql``, a migration in one file.
DATED_FILE = re.compile(r"(.+)-([0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{8})\.sql")
_TOO_MANY_DIGITS = re.compile(r"[0-9]{19,}_.+")


def number_of(match: re.Match[str]) -> tuple[tuple[int, ...], str]:
    """Return the parts of the number of a file, and its description.

    Args:
        match: The match of ``NUMBERED_FILE``.
    """
    number = match[1] or match[3] or match[5]
    return tuple(map(int, re.split("[._]", number))), match[2] or match[4] or match[6] or ""


def title_of(name: str) -> str:
    """Return the title of a migration from the words in its file's name."""
    return re.sub(r"[-_]+", " ", name).strip()


def looks_like_migration(name: str) -> bool:
    """Return whether a file or a folder has the name of a migration."""
    if NUMBERED_FILE.fullmatch(name) or DATED_FILE.fullmatch(name):
        return True
    return "." not in name and NUMBERED_FOLDER.fullmatch(name) is not None


def is_numbered_folder(entry: Entry) -> bool:
    """Return whether an entry is a folder with the name of a migration."""
    return entry.is_folder and NUMBERED_FOLDER.fullmatch(entry.name) is not None


def is_date(text: str) -> bool:
    """Return whether a text of the form ``2025-10-27`` or ``20251027`` is a day of the calendar."""
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def unprintable(name: str, folder: str) -> Fault | None:
    """Return the fault of a name with an unprintable character, else None.

    Terminals cannot show such a name, and a server whose encoding is not UTF8 may not store it.

    Args:
        name: The name of a file or a folder.
        folder: The path of the folder that holds it, to be shown.
    """
    if name.isprintable():
        return None
    shown = name.encode("unicode_escape").decode()
    return Fault(f"{folder}/{shown}", "its name has a character that cannot be printed", "rename it")


def too_many_digits(name: str, path: str) -> Fault | None:
    """Return the fault of a number that exceeds bigint, else None.

    Args:
        name: The name of a file or a folder.
        path: Its path, to be shown.
    """
    if _TOO_MANY_DIGITS.fullmatch(name) is None:
        return None
    return Fault(path, "its number has more than 18 digits", "choose a smaller number, such as 20250101120000")


def zero(number: int, path: str, cure: str) -> Fault | None:
    """Return the fault of the number 0, else None.

    Args:
        number: The number in a name.
        path: The file or the folder, to be shown.
        cure: How migrations are numbered in this format.
    """
    return None if number else Fault(path, "its number is 0, and numbers start at 1", cure)


def misnamed_folder(entry: Entry, path: str, *, beside_migrations: bool) -> Fault | None:
    """Return the fault of a folder without a number in its name, or None if the folder may hold anything.

    Args:
        entry: The folder.
        path: Its path, to be shown.
        beside_migrations: Whether the folders of migrations lie beside it. Else it is a fault only if it holds a
            migration or belongs to another tool.
    """
    inside = [each.name for each in reading.list_entries(entry.where, path, [], "/")]
    owner = other_tools.owner_of_parts(inside) or other_tools.owner_of(inside)
    if owner is not None:
        return owner.fault(path)
    if (fault := too_many_digits(entry.name, path)) is not None:
        return fault
    if beside_migrations or "apply.sql" in inside:
        return Fault(path, "the folder's name has no number", "name it <number>_<name>, such as 19_api-cost-tracking")
    return None
