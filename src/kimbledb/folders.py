"""Folders of migrations: found, read, and checked file by file.

A migration is a folder ``19_api-cost-tracking`` with ``migration.toml``,
``apply.sql``, ``verify.sql`` and ``rollback.sql``, or a file of a flat folder
(:func:`read_flat`); docs/format.md has the formats with their reasons.
Everything is read and checked here, before anything runs, and all faults are
reported at once. What must hold among them is left to :mod:`kimbledb.catalog`.
"""

from __future__ import annotations

import os
import re
import stat
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import frozen

from kimbledb import facts
from kimbledb.model import Fault, Migration
from kimbledb.scripts import checksum_of, named_queries, normalise

if TYPE_CHECKING:
    from kimbledb.statements import Problem

#: Bytes that are read at once: most files are no larger.
_PIECE: Final = 64 * 1024
#: The largest file that is read, in bytes. A migration of this size is data,
#: and belongs into a loader.
MAX_FILE_BYTES: Final = 16 * 1024 * 1024

_FOLDER = re.compile(r"([0-9]{1,6})_(.+)")
#: The document's ways to name a file: ``{ORDER}_{DESCRIPTION}.sql`` and ``{description}-{date}.sql``.
_NUMBERED = re.compile(r"([0-9]{1,6})_(.+)\.sql")
_DATED = re.compile(r"(.+)-([0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{8})\.sql")
_FACTS: Final = facts.FILE
_SQL_FILES = ("apply.sql", "verify.sql", "rollback.sql")
#: It may be there: a road for tables that hold rows.
_ONLINE = "online.sql"
_FILES = (_FACTS, *_SQL_FILES, _ONLINE)


# Reading. Each function returns what it read and appends to `faults` what is wrong.


@frozen
class _Entry:
    """Something in a folder, seen without following links."""

    name: str
    is_folder: bool
    is_link: bool
    where: str


def read_all(root: Path, *, source: str) -> tuple[list[Migration], list[Fault]]:
    """Read a folder of migrations' folders.

    Args:
        root: The folder.
        source: It as a path, for messages.

    Returns:
        The migrations, and what is wrong with them.
    """
    faults: list[Fault] = []
    migrations: list[Migration] = []
    for entry in _entries(root, source, faults):
        path = f"{source}/{entry.name}"
        if entry.name.startswith((".", "__")):
            continue
        if not entry.name.isprintable():
            # Neither a terminal nor, where it is not Unicode, the server could take it.
            shown = entry.name.encode("unicode_escape").decode()
            faults.append(
                Fault(f"{source}/{shown}", "its name holds a character that cannot be shown", "give it another name")
            )
        elif entry.is_link:
            faults.append(Fault(path, "it is a symbolic link", "put the folder itself there"))
        elif not entry.is_folder:
            if entry.name.lower().endswith((".sql", ".toml")):
                faults.append(
                    Fault(
                        path,
                        "it lies outside of any migration",
                        "give each migration a folder, such as 01_base-tables/apply.sql",
                    )
                )
        elif (match := _FOLDER.fullmatch(entry.name)) is None:
            faults.append(
                Fault(path, "the folder's name has no number", "name it <number>_<name>, such as 19_api-cost-tracking")
            )
        elif not int(match[1]):
            faults.append(
                Fault(
                    path, "its number is 0, which means none at all", "number migrations from 1, such as 01_base-tables"
                )
            )
        else:
            migrations.append(_read_folder(entry.where, path, int(match[1]), match[2] + ".sql", faults))
    return migrations, faults


def is_flat(root: Path) -> bool:
    """Whether a folder holds files of migrations, named by number or date, and no folders of any."""
    entries = [entry for entry in _entries(root, str(root), []) if not entry.name.startswith((".", "__"))]
    return not any(entry.is_folder for entry in entries) and any(
        _NUMBERED.fullmatch(entry.name) or _DATED.fullmatch(entry.name) for entry in entries
    )


def read_flat(root: Path, *, source: str) -> tuple[list[Migration], list[Fault]]:
    """Read a flat folder: ``{ORDER}_{DESCRIPTION}.sql`` or ``{description}-{date}.sql`` files.

    The order is that of the numbers, or that of the dates and, for those of one
    date, of the names. Each file needs the one before it.

    Args:
        root: The folder.
        source: It as a path, for messages.

    Returns:
        The migrations, and what is wrong with them.
    """
    faults: list[Fault] = []
    numbered: dict[str, int] = {}
    dated: dict[str, str] = {}
    texts: dict[str, str] = {}
    for entry in _entries(root, source, faults):
        path = f"{source}/{entry.name}"
        if entry.name.startswith((".", "__")) or not entry.name.lower().endswith((".sql", ".toml")):
            continue
        if match := _NUMBERED.fullmatch(entry.name):
            numbered[entry.name] = int(match[1])
            if not int(match[1]):
                faults.append(Fault(path, "its number is 0, which means none at all", "number files from 1"))
        elif (match := _DATED.fullmatch(entry.name)) and _is_date(match[2]):
            dated[entry.name] = match[2].replace("-", "")
        else:
            faults.append(
                Fault(
                    path,
                    "its name tells no order",
                    "name it by number, such as 007_ADD_INVOICES.sql, or by date, such as add-invoices-2025-10-27.sql",
                )
            )
            continue
        text = _read_text(entry, path, faults)
        if text is not None:
            _find_problems(text, path, faults, transactional=True)
        texts[entry.name] = text or ""
    if numbered and dated:
        first, other = min(numbered), min(dated)
        faults.append(
            Fault(
                f"{source}/{other}",
                f"it goes by a date, and {first} by a number: neither tells which comes first",
                "name all files of a folder in one way",
            )
        )
    ordered = sorted(numbered, key=lambda name: (numbered[name], name)) or sorted(
        dated, key=lambda name: (dated[name], name)
    )
    return [
        Migration(
            name=name,
            number=numbered.get(name, place),
            title=re.sub(r"[-_]+", " ", _description(name)).strip(),
            requires=tuple(ordered[place - 2 : place - 1]) if place > 1 else (),
            irreversible="a flat folder holds no rollback, and no checks",
            apply_sql=texts[name],
            checksum=checksum_of(texts[name]),
            location=f"{source}/{name}",
        )
        for place, name in enumerate(ordered, 1)
    ], faults


def _description(name: str) -> str:
    match = _NUMBERED.fullmatch(name)
    return match[2] if match else _DATED.sub(r"\1", name)


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _entries(folder: str | Path, path: str, faults: list[Fault]) -> list[_Entry]:
    entries: list[_Entry] = []
    try:
        with os.scandir(folder) as found:
            for item in found:
                is_folder, is_link = item.is_dir(follow_symlinks=False), item.is_symlink()
                entries.append(_Entry(item.name, is_folder, is_link, item.path))
    except OSError as error:
        faults.append(_unreadable(path, error))
    return sorted(entries, key=lambda entry: entry.name)


def _unreadable(path: str, error: OSError) -> Fault:
    return Fault(path, f"it cannot be read: {error.strerror or error}", "let the user who runs this read it")


def _read_folder(folder: str, path: str, number: int, name: str, faults: list[Fault]) -> Migration:
    """Read a migration, with what could be read of it where it has faults.

    Those keep the catalog from being made; that the migration is known all the
    same spares the others the fault that they require what is not here.
    """
    present = {entry.name: entry for entry in _entries(folder, path, faults)}
    texts: dict[str, str] = {}
    for file in _FILES:
        entry = present.get(file)
        if entry is not None:
            text = _read_text(entry, f"{path}/{file}", faults)
            if text is not None:
                texts[file] = text
    for other in present:
        if other not in _FILES and other.lower().endswith((".sql", ".toml")):
            import difflib  # late: only for what is misspelt

            meant = difflib.get_close_matches(other.lower(), _FILES, n=1)
            faults.append(
                Fault(
                    f"{path}/{other}",
                    "no such file belongs to a migration",
                    f"is it {meant[0]}?" if meant else f"the files are {', '.join(_FILES)}",
                )
            )
    read = facts.read(texts.get(_FACTS), path, faults, present=_FACTS in present, lazily=False)
    # Where the facts cannot be read, what they might excuse is no fault yet.
    may_lack_rollback = read is None or read.get("irreversible")
    for file in _SQL_FILES:
        if file not in present and not (file == "rollback.sql" and may_lack_rollback):
            cure = {
                "apply.sql": "write the SQL that makes the change",
                "verify.sql": "write `-- name: <check>` and a SELECT that gives a boolean `passed`",
                "rollback.sql": 'write the SQL that takes it back, or say why there is none: irreversible = "..." in migration.toml',
            }[file]
            faults.append(Fault(f"{path}/{file}", "the file is missing", cure))
    transactional = read is not None and read.get("transactional", True)
    if "apply.sql" in texts:
        _find_problems(texts["apply.sql"], f"{path}/apply.sql", faults, transactional=transactional)
    if "rollback.sql" in texts:
        # It is tried in a transaction that is rolled back, to see what would go, and run in one.
        _find_problems(texts["rollback.sql"], f"{path}/rollback.sql", faults, transactional=True, part="rollback")
    if _ONLINE in texts:
        _find_problems(texts[_ONLINE], f"{path}/{_ONLINE}", faults, transactional=False)
        if not transactional:
            faults.append(
                Fault(
                    f"{path}/{_ONLINE}",
                    "apply.sql itself runs outside of a transaction: `transactional = false`",
                    "write what is in it into apply.sql, or take that line out of migration.toml",
                )
            )
    if "verify.sql" in texts:
        from kimbledb import statements

        for problem in statements.read_named_queries(texts["verify.sql"])[1]:
            faults.append(_fault_at(f"{path}/verify.sql", texts["verify.sql"], problem))
    apply_sql = texts.get("apply.sql", "")
    return Migration(
        name=name,
        number=number,
        apply_sql=apply_sql,
        verify_sql=texts.get("verify.sql", ""),
        rollback_sql=texts.get("rollback.sql", ""),
        online_sql=texts.get(_ONLINE, ""),
        checksum=checksum_of(apply_sql),
        location=path,
        read_queries=named_queries,
        **(read or {}),
    )


def _read_text(entry: _Entry, path: str, faults: list[Fault]) -> str | None:
    """Read a file once: what is checked here is what is hashed and run."""
    if entry.is_link:
        faults.append(Fault(path, "it is a symbolic link", "put the file itself there"))
        return None
    try:
        data = _read_bytes(entry.where)
    except OSError as error:
        faults.append(_unreadable(path, error))
        return None
    if data is None:
        faults.append(Fault(path, "it is not a regular file", "put a file of text there"))
        return None
    if len(data) > MAX_FILE_BYTES:
        faults.append(
            Fault(
                path,
                f"it is larger than {MAX_FILE_BYTES // 1024 // 1024} MiB",
                "load data by a program of its own, and keep the migration to the schema",
            )
        )
        return None
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        faults.append(Fault(path, f"it is not UTF-8: byte 0x{data[error.start]:02x}", "save it as UTF-8", line))
        return None
    if (nul := text.find("\0")) >= 0:
        faults.append(
            Fault(
                path,
                "it holds a NUL character, which PostgreSQL cannot store",
                "take it out",
                text.count("\n", 0, nul) + 1,
            )
        )
        return None
    return normalise(text)


def _read_bytes(where: str) -> bytes | None:
    """Return a file, as far as to see that it is too large, or None for what is no regular file."""
    # Opened without following links, and without waiting for a named pipe's other end.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(where, flags)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        pieces = [os.read(descriptor, _PIECE)]
        while pieces[-1] and sum(map(len, pieces)) <= MAX_FILE_BYTES:
            pieces.append(os.read(descriptor, _PIECE))
        return b"".join(pieces)
    finally:
        os.close(descriptor)


def _find_problems(text: str, path: str, faults: list[Fault], *, transactional: bool, part: str = "apply") -> None:
    from kimbledb import statements  # late: what ships is not searched again

    for problem in statements.find_problems(text, transactional=transactional, part=part):
        faults.append(_fault_at(path, text, problem))


def _fault_at(path: str, text: str, problem: Problem) -> Fault:
    from kimbledb import statements

    return Fault(path, problem.message, problem.cure, statements.line_and_column(text, problem.offset)[0])
